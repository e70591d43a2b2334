from pathlib import Path

import cv2
import numpy as np
import pytest

from deepsr.evaluate import temporal
from deepsr.evaluate.metrics import METRICS
from deepsr.evaluate.temporal import optical_flow, tof, warping_error

CLIP = [cv2.imread(str(path)) for path in sorted((Path(__file__).parent / "clips/harbour").glob("*.png"))]
STILL = CLIP[0]
TEMPORAL = {name: metric.function for name, metric in METRICS.items() if metric.temporal}


def shifted(picture, pixels):
    """The picture, moved to the right."""
    return np.roll(picture, pixels, axis=1)


def textured(height=120, width=160):
    noise = np.random.default_rng(0).integers(0, 256, (height, width, 3), np.uint8)
    return cv2.normalize(cv2.GaussianBlur(noise, (0, 0), 3), None, 0, 255, cv2.NORM_MINMAX)


@pytest.mark.parametrize("name", TEMPORAL)
def test_a_still_video_scores_nothing_and_a_flickering_one_more_than_a_calm_one(name):
    assert TEMPORAL[name](STILL, STILL, STILL, STILL) == pytest.approx(0, abs={"tof": 0, "warp": 0.3}[name])
    noise = np.random.default_rng(0).normal(size=(2, *STILL.shape))
    calm, flickering = ((STILL + strength * noise).clip(0, 255).astype(np.uint8) for strength in (2, 12))
    scores = [TEMPORAL[name](frames[1], STILL, frames[0], STILL) for frames in (calm, flickering)]
    assert 0 < scores[0] < scores[1]
    assert METRICS[name].better == "lower"


def test_a_video_that_moves_as_the_truth_does_has_its_flow():
    assert tof(CLIP[1], CLIP[1], CLIP[0], CLIP[0]) == 0


def test_tof_of_a_still_video_is_the_distance_that_the_truth_moves():
    picture = textured()
    assert tof(picture, shifted(picture, 2), picture, picture) == pytest.approx(2, abs=0.1)
    down = np.roll(shifted(picture, 3), 4, axis=0)
    assert tof(picture, down, picture, picture) == pytest.approx(5, abs=0.3)


def test_tof_agrees_with_an_independent_computation():
    """Written from the metric's description: sides are cut in steps, distances are summed by hand."""
    shown = [cv2.GaussianBlur(frame, (0, 0), 1.5) for frame in CLIP[:2]]
    flows = []
    for first, second in (shown, CLIP[:2]):
        greys = [np.round(frame.astype(float) @ (0.114, 0.587, 0.299)).astype(np.uint8) for frame in (first, second)]
        flows.append(cv2.calcOpticalFlowFarneback(*greys, None, 0.5, 3, 15, 3, 5, 1.2, 0))
    height, width = STILL.shape[:2]
    rows, columns = height // 32 * 32, width // 32 * 32
    while rows > height - 16:
        rows -= 32
    while columns > width - 16:
        columns -= 32
    total = 0.0
    for y in range((height - rows) // 2, (height - rows) // 2 + rows):
        for x in range((width - columns) // 2, (width - columns) // 2 + columns):
            (a, b), (c, d) = flows[0][y, x].tolist(), flows[1][y, x].tolist()
            total += ((a - c) ** 2 + (b - d) ** 2) ** 0.5
    assert tof(shown[1], CLIP[1], shown[0], CLIP[0]) == pytest.approx(total / (rows * columns), abs=1e-4)
    assert total / (rows * columns) > 0.01


def test_tof_needs_a_window():
    assert np.isnan(tof(*[STILL[:47, :60]] * 4)) and np.isnan(tof(*[STILL[:60, :47]] * 4))
    assert tof(*[STILL[:48, :48]] * 4) == 0


def camera(pixels):
    """Two frames of a camera that turns to the right by `pixels`."""
    picture = textured(120, 200)
    return picture[:, :160], picture[:, pixels : 160 + pixels]


def test_the_warping_error_follows_the_true_motion():
    before, now = camera(4)
    assert warping_error(now, now, before, before) < 1  # a moving video is no flickering one
    assert warping_error(before, now, before, before) > 10  # one that stands still while the truth moves is
    dark = before // 2 + 20
    brighter = now // 2 + 30
    assert warping_error(brighter, now, dark, before) == pytest.approx(10, abs=0.2)


def test_what_the_frame_before_does_not_show_does_not_count():
    before, now = camera(6)
    spoilt = now.copy()
    spoilt[:, -5:] = 0  # seen for the first time
    assert warping_error(spoilt, now, before, before) == pytest.approx(warping_error(now, now, before, before))
    assert warping_error(255 - now, now, before, before) > 20


def test_where_the_flow_does_not_return_nothing_counts(monkeypatch):
    """By hand: 0.7 pixels astray count (0.49 < 0.01 * 0.49 + 0.5), 0.8 do not; 3 there and 3 back return."""
    shown, truth = np.full((60, 40, 3), 10, np.uint8), STILL[:60, :40]
    before = np.zeros((60, 40, 3), np.uint8)
    shown[20:40] = 90
    truth_before = truth.copy()
    flow = np.zeros((60, 40, 2), np.float32)
    for there, counts in ((0.0, True), (0.7, True), (0.8, False), (-0.8, False), (3.0, False)):
        ahead = flow.copy()
        ahead[20:40, :, 0] = there
        monkeypatch.setattr(temporal, "optical_flow", lambda start, _, ahead=ahead: ahead if start is truth_before else flow)
        expected = np.sqrt((2 * 10**2 + 90**2) / 3) if counts else 10
        assert warping_error(shown, truth, before, truth_before) == pytest.approx(expected)
    for there, counts in ((10, True), (9, True), (8, False)):  # 1 < 0.01 * (100 + 81) + 0.5, but 4 > 0.01 * (100 + 64) + 0.5
        back, ahead = flow + np.float32([-10, 0]), flow + np.float32([10, 0])
        ahead[20:40, :, 0] = there
        monkeypatch.setattr(temporal, "optical_flow", lambda start, _, a=ahead, b=back: a if start is truth_before else b)
        expected = np.sqrt((2 * 10**2 + 90**2) / 3) if counts else 10
        assert warping_error(shown, truth, before, truth_before) == pytest.approx(expected)
    moving = flow + np.float32([3, 0])
    monkeypatch.setattr(temporal, "optical_flow", lambda start, _: -moving if start is truth_before else moving)
    assert warping_error(shown, truth, before, truth_before) == pytest.approx(np.sqrt((2 * 10**2 + 90**2) / 3))


def test_nothing_in_common_has_no_warping_error():
    flat = np.zeros((4, 4, 3), np.uint8)
    assert warping_error(flat, flat, flat, flat) == 0
    assert np.isnan(METRICS["tof"].function(flat, flat, flat, flat))


def test_the_flow_points_from_the_first_picture_to_the_second():
    picture = textured()
    flow = optical_flow(picture, shifted(picture, 2))[40:80, 40:120].mean(axis=(0, 1))
    assert flow == pytest.approx([2, 0], abs=0.1)
