from pathlib import Path

import cv2
import numpy as np
import pytest
from skimage.metrics import structural_similarity

from deepsr.data.degradation import degrade, upscale
from deepsr.data.frames import luma
from deepsr.evaluate.metrics import in_color_space, psnr, ssim, to_bgr
from deepsr.evaluate.scoring import chroma

FRAME = cv2.imread(str(Path(__file__).parent / "clips/harbour/00.png"))[:96, :120]
BLURRED = upscale(degrade(FRAME, 4, "bicubic"), 4, "bicubic")


def test_psnr_by_hand():
    a, b = np.zeros((2, 5)), np.zeros((2, 5))
    b[0, 0] = 0.1  # mean squared error 0.001
    assert psnr(a, b) == pytest.approx(30)
    assert psnr(a * 255, b * 255, peak=255) == pytest.approx(30)
    b[1, 4] = 0.3  # 0.1 / 10
    assert psnr(a, b) == pytest.approx(20)


def test_psnr_is_the_articles_formula():
    a, b = luma(FRAME) / 255, luma(BLURRED) / 255
    height, width = a.shape
    assert psnr(a, b) == pytest.approx(10 * np.log10(1 * width * height / np.sum((a - b) ** 2)))


def test_equal_images():
    a = luma(FRAME) / 255
    assert psnr(a, a) == float("inf") and ssim(a, a) == pytest.approx(1)


def test_psnr_of_8_bit_images_does_not_wrap():
    assert psnr(np.uint8([[0, 0]]), np.uint8([[255, 255]]), peak=255) == 0


@pytest.mark.parametrize("metric", [psnr, ssim])
def test_border_is_cut_off(metric):
    a, b = luma(FRAME) / 255, luma(BLURRED) / 255
    assert metric(a, b, border=8) == metric(a[8:-8, 8:-8], b[8:-8, 8:-8]) != metric(a, b)
    spoilt = b.copy()
    spoilt[:8], spoilt[-8:], spoilt[:, :8], spoilt[:, -8:] = 0, 0, 0, 0
    assert metric(a, spoilt, border=8) == metric(a, b, border=8)


@pytest.mark.parametrize("metric", [psnr, ssim])
def test_what_cannot_be_compared_is_refused(metric):
    with pytest.raises(ValueError, match="shapes"):
        metric(np.zeros((4, 4)), np.zeros((4, 5)))
    with pytest.raises(ValueError, match="border of 2 pixels leaves nothing of a 9x4 image"):
        metric(np.zeros((4, 9)), np.zeros((4, 9)), border=2)


@pytest.mark.parametrize("peak", [1.0, 255])
def test_ssim_agrees_with_scikit_image(peak):
    a, b = luma(FRAME) / 255 * peak, luma(BLURRED) / 255 * peak
    options = {"gaussian_weights": True, "sigma": 1.5, "use_sample_covariance": False, "data_range": peak, "full": True}
    _, everywhere = structural_similarity(a, b, **options)  # its mean has another crop
    assert ssim(a, b, peak=peak) == pytest.approx(everywhere[5:-5, 5:-5].mean(), abs=1e-9)
    assert 0.3 < ssim(a, b, peak=peak) < 0.95


def test_ssim_of_colour_is_the_mean_over_channels():
    a, b = FRAME / 255, BLURRED / 255
    assert ssim(a, b) == pytest.approx(np.mean([ssim(a[..., c], b[..., c]) for c in range(3)]))


def test_ssim_of_less_than_a_window_is_not_a_number():
    assert np.isnan(ssim(np.zeros((10, 40)), np.zeros((10, 40))))
    assert ssim(np.zeros((11, 40)), np.zeros((11, 40))) == 1


def test_luma_in_matlabs_range():
    """The formula of rgb2ycbcr in the BT.601 studio range, straight from RGB."""
    picture = np.random.default_rng(0).integers(0, 256, (100, 100, 3), dtype=np.uint8)
    blue, green, red = picture.transpose(2, 0, 1) / 255.0
    reference = 16 + 65.481 * red + 128.553 * green + 24.966 * blue
    found = in_color_space(luma(picture) / 255, chroma(picture), "y_matlab") * 255
    assert np.array_equal(found, np.round(found))
    assert np.abs(found - reference).max() <= 1 and abs(np.mean(found - reference)) < 0.02
    black_and_white = in_color_space(np.array([0.0, 1.0]), None, "y_matlab") * 255
    assert black_and_white.tolist() == [16, 235]


def test_matlabs_range_reads_1_32_dB_higher():
    a, b = luma(FRAME) / 255, luma(BLURRED) / 255
    matlab = psnr(*(in_color_space(y, None, "y_matlab") for y in (a, b)))
    assert matlab - psnr(a, b) == pytest.approx(20 * np.log10(255 / 219), abs=0.02)


def test_the_articles_luma_is_not_rounded():
    y = np.random.default_rng(0).random((4, 5), np.float32)
    assert in_color_space(y, None, "y") is y


def test_colour_goes_through_luma_and_chroma():
    found = in_color_space(luma(FRAME) / 255, chroma(FRAME), "rgb")
    assert found.shape == FRAME.shape
    assert np.abs(found * 255 - FRAME).max() <= 2  # the rounding of YCrCb
    assert np.array_equal(to_bgr(luma(FRAME) / 255.0, chroma(FRAME)), np.round(found * 255))


def test_colour_of_grey_is_grey():
    grey = np.full((2, 2, 2), 128, np.uint8)
    assert np.array_equal(to_bgr(np.array([[0.0, 1.0], [0.5, 0.2]]), grey)[..., 0], [[0, 255], [128, 51]])
