from pathlib import Path

import cv2
import numpy as np
import pytest
from skimage.color import rgb2ycbcr
from skimage.metrics import structural_similarity

from deepsr.data.degradation import degrade, upscale
from deepsr.data.frames import luma
from deepsr.evaluate.metrics import METRICS, chroma, in_color_space, psnr, ssim, to_bgr

FRAME = cv2.imread(str(Path(__file__).parent / "clips/harbour/00.png"))[:96, :120]
BLURRED = upscale(degrade(FRAME, 4, "bicubic"), 4, "bicubic")


def test_psnr_by_hand():
    a, b = np.zeros((2, 5)), np.zeros((2, 5))
    b[0, 0] = 0.1  # mean squared error 0.001
    assert psnr(a, b) == pytest.approx(30)
    b[1, 4] = 0.3  # 0.1 / 10
    assert psnr(a, b) == pytest.approx(20)
    assert psnr(a, np.ones((2, 5))) == 0


def test_psnr_is_the_articles_formula():
    a, b = luma(FRAME) / 255, luma(BLURRED) / 255
    height, width = a.shape
    assert psnr(a, b) == pytest.approx(10 * np.log10(1 * width * height / np.sum((a - b) ** 2)))


def test_equal_images():
    a = luma(FRAME) / 255
    assert psnr(a, a) == float("inf") and ssim(a, a) == pytest.approx(1)


def test_psnr_of_8_bit_images_does_not_wrap():
    assert psnr(np.uint8([[0, 0]]), np.uint8([[1, 1]])) == psnr(np.uint8([[1, 1]]), np.uint8([[0, 0]])) == 0


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


@pytest.mark.parametrize("border", [0, 7])
def test_ssim_agrees_with_scikit_image(border):
    a, b = FRAME / 255, BLURRED / 255
    options = {"gaussian_weights": True, "sigma": 1.5, "use_sample_covariance": False, "data_range": 1}
    inside = np.s_[border : 96 - border, border : 120 - border]
    expected = structural_similarity(a[inside], b[inside], channel_axis=2, **options)
    assert ssim(a, b, border) == pytest.approx(expected, abs=1e-10)
    grey = structural_similarity(a[inside][..., 1], b[inside][..., 1], **options)
    assert ssim(a[..., 1], b[..., 1], border) == pytest.approx(grey, abs=1e-10)
    assert 0.3 < expected < 0.95


def test_ssim_of_colour_is_the_mean_over_channels():
    a, b = FRAME / 255, BLURRED / 255
    assert ssim(a, b) == pytest.approx(np.mean([ssim(a[..., c], b[..., c]) for c in range(3)]))


def test_ssim_of_less_than_a_window_is_not_a_number():
    assert np.isnan(ssim(np.zeros((10, 40)), np.zeros((10, 40))))
    assert ssim(np.zeros((11, 40)), np.zeros((11, 40))) == 1


# B, G, R and the luma of MATLAB's formula: 16 + 65.481 R + 128.553 G + 24.966 B, with R, G and B in 0..1, rounded half up.
@pytest.mark.parametrize(
    "colour, expected",
    [
        ((0, 0, 0), 16),
        ((255, 255, 255), 235),
        ((0, 0, 255), 81),
        ((0, 255, 0), 145),
        ((255, 0, 0), 41),
        ((128, 128, 128), 126),
    ],
)
def test_luma_in_matlabs_range_by_hand(colour, expected):
    assert in_color_space(None, np.full((2, 3, 3), colour, np.uint8), "y_matlab") * 255 == pytest.approx(
        np.full((2, 3), expected)
    )


def test_luma_in_matlabs_range_agrees_with_scikit_image():
    picture = np.random.default_rng(0).integers(0, 256, (300, 300, 3), dtype=np.uint8)
    found = in_color_space(None, picture, "y_matlab") * 255
    # Halves are rounded up; the sum of the reference's floats may end just below one.
    expected = np.floor(rgb2ycbcr(picture[..., ::-1])[..., 0] + 0.5 + 1e-9)
    assert found == pytest.approx(expected, abs=1e-9)


def test_psnr_in_matlabs_range_is_that_of_rgb2ycbcr():
    """Luma that is rounded twice, to 0..255 and then to 16..235, scores 0.008 dB less on these frames."""
    found = psnr(*(in_color_space(None, picture, "y_matlab") for picture in (FRAME, BLURRED)))
    exact = psnr(*(rgb2ycbcr(picture[..., ::-1])[..., 0] / 255 for picture in (FRAME, BLURRED)))
    twice = psnr(*(np.floor(16 + 219 * (luma(picture) / 255) + 0.5) / 255 for picture in (FRAME, BLURRED)))
    assert found == pytest.approx(exact, abs=0.003)
    assert twice < exact - 0.005
    assert found - psnr(luma(FRAME) / 255, luma(BLURRED) / 255) == pytest.approx(20 * np.log10(255 / 219), abs=0.02)


@pytest.mark.parametrize("name", [name for name, metric in METRICS.items() if not metric.temporal])
def test_a_metric_says_which_way_is_better(name):
    truth, near, far = FRAME / 255, BLURRED / 255, 1 - FRAME / 255
    better, worse = METRICS[name].function(truth, near, 0), METRICS[name].function(truth, far, 0)
    assert (better > worse) == (METRICS[name].better == "higher") and METRICS[name].better in ("higher", "lower")


def test_the_articles_luma_is_not_rounded():
    y = np.random.default_rng(0).random((4, 5), np.float32)
    assert in_color_space(y, None, "y") is y


def test_rgb_is_the_picture_itself():
    assert np.array_equal(in_color_space(None, FRAME, "rgb"), FRAME / 255)


def test_colour_goes_through_luma_and_chroma():
    found = to_bgr(luma(FRAME) / 255.0, chroma(FRAME))
    assert found.dtype == np.uint8 and found.shape == FRAME.shape
    assert np.abs(found.astype(int) - FRAME).max() <= 2  # the rounding of YCrCb


def test_colour_of_grey_is_grey():
    grey = np.full((2, 2, 2), 128, np.uint8)
    assert np.array_equal(to_bgr(np.array([[0.0, 1.0], [0.5, 0.2]]), grey)[..., 0], [[0, 255], [128, 51]])
