"""The losses. To add one, write a function and name it in LOSSES; the config then allows the name.

Every function takes the prediction, the truth and the bicubic frame, tensors float32 (n, height, width) of n patches with
pixels in [0, 1] (the prediction unclipped), and the `deepsr.train.settings.Settings`. It returns the loss of each patch,
float32 (n,). Keras is imported inside the functions, since the names are read while planning, where it would be slow.
"""

from deepsr.train.normal_matrix import SMOOTH


def mse(prediction, truth, bicubic, settings):
    """Mean squared error."""
    from keras import ops

    return ops.mean(ops.square(prediction - truth), axis=(1, 2))


def relative(prediction, truth, bicubic, settings):
    """Squared error over that of the bicubic frame: PSNR counts ratios, so smooth and textured patches weigh alike."""
    return mse(prediction, truth, bicubic, settings) / (mse(bicubic, truth, bicubic, settings) + SMOOTH / 255**2)


def charbonnier(prediction, truth, bicubic, settings):
    """A smooth absolute error (Lai et al., CVPR 2017)."""
    from keras import ops

    return ops.mean(ops.sqrt(ops.square(prediction - truth) + 1e-6), axis=(1, 2))


def l1_tv(prediction, truth, bicubic, settings):
    """Absolute error plus the prediction's total variation (Liao et al., ICCV 2015)."""
    from keras import ops

    vertical = ops.mean(ops.abs(prediction[:, 1:] - prediction[:, :-1]), axis=(1, 2))
    horizontal = ops.mean(ops.abs(prediction[:, :, 1:] - prediction[:, :, :-1]), axis=(1, 2))
    return ops.mean(ops.abs(prediction - truth), axis=(1, 2)) + settings.tv_weight * (vertical + horizontal)


LOSSES = {"mse": mse, "relative": relative, "charbonnier": charbonnier, "l1_tv": l1_tv}
