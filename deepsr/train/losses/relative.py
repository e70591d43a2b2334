"""The loss that counts as PSNR does."""

from deepsr.train.losses.mse import loss as mse
from deepsr.train.normal_matrix import SMOOTH


def loss(prediction, truth, bicubic, settings):
    """Squared error over that of the bicubic frame: PSNR counts ratios, so smooth and textured patches weigh alike."""
    return mse(prediction, truth, bicubic, settings) / (mse(bicubic, truth, bicubic, settings) + SMOOTH / 255**2)
