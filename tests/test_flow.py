from pathlib import Path

import cv2
import numpy as np
import pytest

from deepsr.data.degradation import shrink, to_uint8
from deepsr.data.frames import luma
from deepsr.drafts.flow import consistency, dense_flow, sample, sampling_map
from deepsr.errors import InputError

CLIPS = Path(__file__).parent / "clips"
METHODS = [("dis", 20.0), ("farneback", 15)]
TVL1 = "tvl1", 0.15  # slow
SHIFTS = [(0.5, 0.25), (-1.25, 0.75), (2.5, -1.5)]
SIZES = [(1, 1), (1, 40), (40, 1), (7, 9), (15, 16), (17, 33)]


def shifted_pair(clip, dx, dy, scale=1):
    """Two frames of real texture, uint8, the second moved by (dx, dy) pixels: cut out of one frame before it is shrunk."""
    frame = cv2.resize(luma(cv2.imread(str(CLIPS / clip / "00.png"))), None, fx=4, fy=4, interpolation=cv2.INTER_CUBIC)
    steps = 8 // scale  # pixels of the fine frame per pixel of the pair
    x, y = round(dx * steps), round(dy * steps)
    height, width = 288, 384
    fine = cv2.resize(frame, None, fx=2, fy=2, interpolation=cv2.INTER_CUBIC).astype(np.float32)
    cut = [fine[64 - b : 64 - b + 2 * height, 64 - a : 64 - a + 2 * width] for a, b in ((0, 0), (x, y))]
    while steps > 1:
        cut, steps = [shrink(image, 2, "bicubic") for image in cut], steps // 2
    return [to_uint8(image) for image in cut]


@pytest.mark.parametrize(
    "method, alpha, clip, shift",
    [(*method, clip, shift) for method in METHODS for clip in ("harbour", "tower") for shift in SHIFTS]
    + [(*TVL1, "tower", SHIFTS[0])],
)
def test_a_known_shift_is_found_to_a_tenth_of_a_pixel(method, alpha, clip, shift):
    target, neighbour = shifted_pair(clip, *shift)
    flow = dense_flow(target, neighbour, method, alpha)[8:-8, 8:-8]
    assert flow.dtype == np.float32
    assert np.abs(np.median(flow, (0, 1)) - shift).max() < 0.1


@pytest.mark.parametrize(
    "method, alpha, size",
    [(*method, size) for method in METHODS for size in (*SIZES, (16, 300), (300, 16))] + [(*TVL1, size) for size in SIZES],
)
def test_frames_of_any_size(method, alpha, size):
    random = np.random.default_rng(0)
    target, neighbour = random.integers(0, 256, (2, size[0], size[1] + 1), dtype=np.uint8)[..., 1:]
    flow = dense_flow(target, neighbour, method, alpha)
    assert flow.shape == (*size, 2) and np.isfinite(flow).all()


@pytest.mark.parametrize("method", ["dis", "farneback"])
def test_calls_do_not_influence_each_other(method):
    one, other = shifted_pair("harbour", 2.5, -1.5), shifted_pair("tower", -1, 0)
    first = dense_flow(*one, method)
    dense_flow(*other, method)
    assert np.array_equal(dense_flow(*one, method), first)


def test_alpha_smooths():
    target, neighbour = shifted_pair("harbour", 1, 0)
    noisy = np.random.default_rng(0).normal(neighbour, 20).clip(0, 255).astype(np.uint8)
    spread = [dense_flow(target, noisy, "dis", alpha).std((0, 1)).sum() for alpha in (1.0, 20.0, 200.0)]
    assert spread[0] > spread[1] > spread[2]


@pytest.mark.parametrize("missed, weight", [(0, 1), (0.25, np.exp(-0.25)), (0.5, np.exp(-1)), (5, 0)])
def test_flows_that_do_not_return_are_not_trusted(missed, weight):
    forward, backward = np.full((2, 6, 8, 2), 1.5, np.float32)
    backward = -backward + np.array([0, missed], np.float32)
    trust = consistency(forward, backward)
    assert trust.shape == (6, 8) and trust.dtype == np.float32
    np.testing.assert_allclose(trust, weight, atol=1e-6)
    np.testing.assert_allclose(consistency(forward, backward, 2.0), np.exp(-((missed / 2) ** 2)), atol=1e-6)


@pytest.mark.parametrize("scale", [1, 2, 3, 4])
def test_a_flow_moves_an_image_back(scale):
    """An image and its copy moved by (2, 1) LR pixels, on the HR grid."""
    image = luma(cv2.imread(str(CLIPS / "harbour/00.png"))).astype(np.float32)[: 24 * scale, : 30 * scale]
    moved = np.roll(image, (scale, 2 * scale), (0, 1))
    flow = np.broadcast_to(np.float32([2, 1]), (24, 30, 2)).copy()
    back = sample(moved, sampling_map(flow, image.shape))
    assert np.array_equal(back[: -2 * scale, : -2 * scale], image[: -2 * scale, : -2 * scale])


def test_beyond_the_border_lies_the_border():
    image = np.arange(12, dtype=np.float32).reshape(3, 4)
    flow = np.full((3, 4, 2), 100, np.float32)
    assert (sample(image, sampling_map(flow, (3, 4))) == 11).all()


def frames_of_noise(*size):
    small = np.random.default_rng(0).integers(0, 256, (2, size[0] // 2 + 1, size[1] // 2 + 1), dtype=np.uint8)
    return [np.ascontiguousarray(cv2.resize(frame, None, fx=2, fy=2)[: size[0], : size[1]]) for frame in small]


def test_the_settings_of_each_method():
    """Those whose drafts were measured: see notes beside them in the code."""
    a, b = frames_of_noise(40, 60)
    dis = cv2.DISOpticalFlow_create(cv2.DISOPTICAL_FLOW_PRESET_MEDIUM)
    dis.setFinestScale(0)
    dis.setPatchStride(4)
    dis.setVariationalRefinementIterations(3)
    dis.setVariationalRefinementAlpha(20.0)
    assert np.array_equal(dense_flow(a, b), dis.calc(a, b, None))
    farneback = cv2.calcOpticalFlowFarneback(
        a, b, None, pyr_scale=0.5, levels=4, winsize=9, iterations=5, poly_n=7, poly_sigma=1.5, flags=0
    )
    assert np.array_equal(dense_flow(a, b, "farneback", 9.0), farneback)
    tvl1 = cv2.optflow.DualTVL1OpticalFlow_create(lambda_=0.3)
    assert np.array_equal(dense_flow(a[:24, :24], b[:24, :24], "tvl1", 0.3), tvl1.calc(a[:24, :24], b[:24, :24], None))


@pytest.mark.parametrize("size", [(10, 40), (40, 10), (15, 15), (16, 15), (1, 30)])
def test_small_frames_are_padded_to_16_pixels_by_their_last_rows_and_columns(size):
    a, b = frames_of_noise(*size)
    pad = [(0, 16 - side if side < 16 else 0) for side in size]
    padded = dense_flow(np.pad(a, pad, "edge"), np.pad(b, pad, "edge"))
    assert np.array_equal(dense_flow(a, b), padded[: size[0], : size[1]])


def test_a_method_that_opencv_was_built_without(monkeypatch):
    monkeypatch.delattr(cv2, "optflow")
    with pytest.raises(InputError, match="flow method tvl1 needs opencv-contrib-python-headless; install it or use dis"):
        dense_flow(*frames_of_noise(20, 20), "tvl1", 0.15)


@pytest.mark.parametrize("shape", [(12, 20), (9, 15), (6, 10), (13, 20)])
def test_a_sampling_map_on_a_finer_grid(shape):
    """A constant flow of half a pixel across and a quarter down, in pixels of the finer grid."""
    flow = np.broadcast_to(np.float32([0.5, 0.25]), (6, 10, 2)).copy()
    positions = sampling_map(flow, shape)
    assert positions.shape == (*shape, 2) and positions.dtype == np.float32
    y, x = np.mgrid[: shape[0], : shape[1]]
    np.testing.assert_allclose(positions[..., 0], x + 0.5 * shape[1] / 10, atol=1e-5)
    np.testing.assert_allclose(positions[..., 1], y + 0.25 * shape[0] / 6, atol=1e-5)
