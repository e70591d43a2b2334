from pathlib import Path

import cv2
import jax
import numpy as np
import pytest
import scipy.ndimage
from PIL import Image

from deepsr.data.degradation import (
    SHRINKING,
    crop_to_scale,
    degrade,
    enlarge,
    interpolate,
    lanczos,
    shrink,
    to_uint8,
    upscale,
)
from deepsr.data.frames import luma

SCALES = (2, 3, 4)
FRAME = cv2.imread(str(Path(__file__).parent / "clips/harbour/00.png"))[:96, :120]
LUMA = luma(FRAME)


def inside(image, pixels):
    return image[pixels:-pixels, pixels:-pixels]


@pytest.mark.parametrize("scale", SCALES)
def test_shrink_agrees_with_jax(scale):
    image = LUMA.astype(np.float32)
    reference = jax.image.resize(image, (96 // scale, 120 // scale), "cubic", antialias=True)
    np.testing.assert_allclose(inside(shrink(image, scale, "bicubic"), 2), inside(np.asarray(reference), 2), atol=1e-3)


@pytest.mark.parametrize("scale", SCALES)
def test_shrink_agrees_with_pillow(scale):
    # As float, since Pillow's 8-bit mode rounds between its two passes too.
    reference = Image.fromarray(LUMA.astype(np.float32)).resize((120 // scale, 96 // scale), Image.Resampling.BICUBIC)
    difference = inside(degrade(LUMA, scale, "bicubic") - np.asarray(reference), 2)
    clipped = (np.asarray(reference) < 0) | (np.asarray(reference) > 255)
    assert np.abs(difference[~inside(clipped, 2)]).max() <= 0.501


@pytest.mark.parametrize("scale", SCALES)
@pytest.mark.parametrize("kind, method", [("bicubic", "cubic"), ("lanczos", "lanczos3")])
def test_enlarge_agrees_with_jax(scale, kind, method):
    image = LUMA.astype(np.float32)
    reference = jax.image.resize(image, (96 * scale, 120 * scale), method)
    difference = inside(interpolate(image, scale, kind) - np.asarray(reference), 3 * scale)
    assert np.abs(difference).max() < 1e-3


def keys(x):
    """The kernel of Keys, IEEE TASSP 1981, with a = -0.5."""
    x = abs(x)
    return 1.5 * x**3 - 2.5 * x**2 + 1 if x <= 1 else -0.5 * x**3 + 2.5 * x**2 - 4 * x + 2 if x < 2 else 0.0


def resized(row, n, scale):
    """A row resized to n samples straight from the definition in MATLAB's imresize, mirrored borders included."""
    mirrored = [*row, *row[::-1]]
    wide = max(scale, 1)  # when shrinking the kernel is widened
    out = []
    for i in range(n):
        centre = (i + 0.5) * scale - 0.5
        taps = [
            (j, keys((j - centre) / wide)) for j in range(int(centre) - 3 * int(wide + 2), int(centre) + 3 * int(wide + 2))
        ]
        out.append(sum(w * mirrored[j % len(mirrored)] for j, w in taps) / sum(w for _, w in taps))
    return np.array(out)


@pytest.mark.parametrize("scale", SCALES)
@pytest.mark.parametrize("n", [1, 2, 3, 7])
def test_borders_are_mirrored(scale, n):
    small = np.random.default_rng(n).uniform(0, 255, n)
    large = np.random.default_rng(n).uniform(0, 255, n * scale)
    across = np.ones((4, 1))  # constant down the columns: a problem of one row
    shrunk = shrink((across * large).astype(np.float32).repeat(scale, 0), scale, "bicubic")
    grown = enlarge((across * small).astype(np.float32), scale, "bicubic")
    np.testing.assert_allclose(shrunk, across * resized(large, n, scale), atol=1e-3)
    np.testing.assert_allclose(grown[::scale], across * resized(small, n * scale, 1 / scale), atol=1e-3)


def test_a_case_worked_out_by_hand():
    """Scale 2: taps at distances 1/4, 3/4, 5/4, 7/4 of the widened kernel, (111, 29, -9, -3) / 256 on either side."""
    row = np.array([0, 0, 0, 0, 0, 0, 0, 128], np.float32)
    taps = np.array([-3, -9, 29, 111, 111, 29, -9, -3]) / 256
    # The last output lies between samples 6 and 7; beyond sample 7 comes 7 again, then 6.
    expected = [0, 0, 128 * taps[7], 128 * (taps[4] + taps[5])]
    expected[2] = 128 * (taps[6] + taps[7])  # between 4 and 5: 7 and its mirror image are 2.5 and 3.5 samples away
    np.testing.assert_allclose(shrink(np.tile(row, (2, 1)), 2, "bicubic"), [expected], atol=1e-4)


@pytest.mark.parametrize("scale", SCALES)
def test_blur_is_the_published_one(scale):
    """As DUF's code (Jo et al., CVPR 2018) and BasicSR's duf_downsample: padded, filtered in two dimensions with a stride.

    Both make the kernel of 13 x 13 from a unit impulse, pad by reflection, and cut off what is padded beyond the kernel's
    half, so that output k lies on input k * scale.
    """
    impulse = np.zeros((13, 13))
    impulse[6, 6] = 1
    kernel = scipy.ndimage.gaussian_filter(impulse, 0.4 * scale)
    padded = np.pad(LUMA.astype(float), 6 + 2 * scale, mode="reflect")
    windows = np.lib.stride_tricks.sliding_window_view(padded, (13, 13))[::scale, ::scale]
    published = np.einsum("ijkl,kl->ij", windows, kernel)[2:-2, 2:-2]
    np.testing.assert_allclose(shrink(LUMA.astype(np.float32), scale, "blur"), published, atol=0.01)
    assert np.abs(degrade(LUMA, scale, "blur") - np.rint(published)).max() <= 1
    assert published.shape == (96 // scale, 120 // scale)


@pytest.mark.parametrize("scale", SCALES)
@pytest.mark.parametrize("grow", [enlarge, lanczos])
def test_blur_takes_the_first_pixel_and_enlarging_puts_it_back(scale, grow):
    """Sample i of the small grid lies at scale * i of the large one, and stays what it was there."""
    image = LUMA if grow is lanczos else LUMA.astype(np.float32)
    np.testing.assert_allclose(grow(image, scale, "blur")[::scale, ::scale], image, atol=1e-3)
    ramp = np.tile(np.arange(30, dtype=np.float32), (30, 1))
    if grow is enlarge:
        between = inside(enlarge(ramp, scale, "blur"), 4 * scale)
        np.testing.assert_allclose(between[0], 4 + np.arange(between.shape[1]) / scale, atol=1e-3)


def test_the_articles_kind_is_opencvs():
    small = cv2.resize(LUMA, (30, 24), interpolation=cv2.INTER_CUBIC)
    assert np.array_equal(degrade(LUMA, 4, "cv2"), small)
    assert np.array_equal(upscale(small, 4, "cv2"), cv2.resize(small, (120, 96), interpolation=cv2.INTER_CUBIC))


@pytest.mark.parametrize("kind", SHRINKING)
@pytest.mark.parametrize("scale", SCALES)
def test_channels_are_independent(kind, scale):
    for function in (degrade, upscale):
        colour = function(FRAME, scale, kind)
        assert colour.dtype == np.uint8
        for channel in range(3):
            alone = function(np.ascontiguousarray(FRAME[..., channel]), scale, kind)
            assert np.abs(colour[..., channel].astype(int) - alone).max() <= (kind == "cv2")  # OpenCV rounds in its own way


@pytest.mark.parametrize("scale", SCALES)
@pytest.mark.parametrize("kind", ["bicubic", "cv2", "lanczos"])
def test_nothing_is_shifted(scale, kind):
    """A ramp stays the same ramp: sample i of the small grid lies at scale * i + (scale - 1) / 2 of the large one.

    OpenCV's kernel, with a = -0.75, makes it wave by 0.04 of a step.
    """
    x = np.arange(40 * scale, dtype=np.float32)
    ramp = np.tile(x, (10 * scale, 1))
    small = np.tile(np.arange(40) * scale + (scale - 1) / 2, (10, 1)).astype(np.float32)
    grow = enlarge if kind in SHRINKING else interpolate
    np.testing.assert_allclose(inside(grow(small, scale, kind), 4 * scale), inside(ramp, 4 * scale), atol=0.06 * scale)
    if kind != "lanczos":
        np.testing.assert_allclose(inside(shrink(ramp, scale, kind), 4), inside(small, 4), atol=0.06 * scale)


def test_rounds_half_up_and_clips():
    values = np.array([-3, 0.49, 0.5, 1.5, 2.5, 254.5, 300], np.float32)
    assert to_uint8(values).tolist() == [0, 0, 1, 2, 3, 255, 255]


def test_overshoot_is_clipped_not_wrapped():
    step = np.repeat(np.uint8([0, 255]), 16)[None].repeat(32, 0)
    assert upscale(step, 4, "bicubic")[0, 52:62].max() < 128 and upscale(step, 4, "bicubic")[0, 66:].min() > 128
    assert lanczos(step, 4, "bicubic")[0, 66:].min() > 128


@pytest.mark.parametrize("kind", SHRINKING)
def test_sides_must_be_divisible(kind):
    with pytest.raises(ValueError, match="97x120 are not divisible by the scale 4"):
        degrade(np.zeros((97, 120), np.uint8), 4, kind)


def test_crop_keeps_the_upper_left():
    frame = np.arange(98 * 122).reshape(98, 122)
    assert np.array_equal(crop_to_scale(frame, 4), frame[:96, :120])
    assert np.array_equal(crop_to_scale(frame, 2), frame)
