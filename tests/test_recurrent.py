import os

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import tracemalloc
from pathlib import Path

import cv2
import numpy as np
import pytest

from deepsr.data.degradation import degrade, enlarge, shrink, to_uint8, upscale
from deepsr.data.frames import luma
from deepsr.drafts import recurrent
from deepsr.drafts.ensemble import Drafts, n_drafts, needed_frames
from deepsr.evaluate.metrics import psnr

CLIPS = Path(__file__).parent / "clips"
SETTING = {"flow": "dis", "alpha": 20.0, "radius": 2, "trust": 12.0, "iterations": 0}


def frames_of(clip, size=(96, 120)):
    return [luma(cv2.imread(str(path)))[: size[0], : size[1]] for path in sorted((CLIPS / clip).glob("*.png"))]


def spec(settings=(), **recurrence):
    defaults = {"flow": "dis", "alpha": 20.0, "trust": 16.0, "cap": 16, "iterations": 3, "passes": 1}
    return {"kind": "recurrent", "recurrence": defaults | recurrence} | ({"settings": list(settings)} if settings else {})


def drafts_of(lr, spec, scale=4, degradation="bicubic"):
    return Drafts(spec, scale, degradation, lr.__getitem__, len(lr))


@pytest.fixture
def short_blocks(monkeypatch):
    monkeypatch.setattr(recurrent, "BLOCK", 4)
    monkeypatch.setattr(recurrent, "RUN_IN", 2)


@pytest.fixture(scope="module")
def lr():
    return [degrade(frame, 4, "bicubic") for frame in frames_of("harbour")]


@pytest.mark.parametrize(
    "first, stop, n, expected",
    [
        (0, 1, 1, (0, 1)),
        (0, 1, 100, (0, 40)),
        (31, 32, 100, (0, 40)),
        (32, 33, 100, (24, 72)),
        (31, 33, 100, (0, 72)),
        (40, 64, 100, (24, 72)),
        (64, 65, 100, (56, 100)),
        (96, 100, 100, (88, 100)),
    ],
)
def test_the_frames_that_a_block_needs(first, stop, n, expected):
    assert needed_frames(spec(), first, stop, n) == expected
    assert needed_frames(spec([SETTING | {"radius": 4}]), first, stop, n) == expected  # a window within the run-in


def test_a_window_that_is_longer_than_the_run_in(monkeypatch):
    monkeypatch.setattr(recurrent, "RUN_IN", 1)
    wide = spec([SETTING | {"radius": 4}])
    assert needed_frames(wide, 32, 33, 100) == (28, 65)
    assert needed_frames(wide, 63, 64, 100) == (31, 68)


def test_what_a_spec_amounts_to(lr):
    assert n_drafts(spec()) == 2 and n_drafts(spec([SETTING, SETTING])) == 4
    assert drafts_of(lr, spec())[0].shape == (2, 96, 120)


def test_window_drafts_beside_it_are_those_of_kind_motion(lr):
    settings = [SETTING, SETTING | {"iterations": 2}]
    motion = drafts_of(lr, {"kind": "motion", "settings": settings})[4]
    together = drafts_of(lr, spec(settings))[4]
    assert np.array_equal(together[:2], motion[:2]) and np.array_equal(together[3], motion[2])
    assert np.array_equal(together[2], drafts_of(lr, spec())[4][0])


# What a draft depends on.


@pytest.mark.parametrize("passes", [1, 2])
def test_neither_order_nor_parts_matter(lr, short_blocks, passes):
    fresh = [drafts_of(lr, spec(passes=passes))[t] for t in range(len(lr))]
    kept = drafts_of(lr, spec(passes=passes))
    for t in (0, 1, 5, 3, 9, 8, 2, 6, 4, 7, 0):
        assert np.array_equal(kept[t], fresh[t]), t
    assert not np.array_equal(fresh[4][0], fresh[5][0])


@pytest.mark.parametrize("passes", [1, 2])
@pytest.mark.parametrize("t", [0, 3, 5, 9])
def test_a_draft_needs_just_the_frames_that_it_says(lr, short_blocks, t, passes):
    """It reads them only, once each, and the first and last of them count."""
    start, stop = needed_frames(spec(), t, t + 1, len(lr))
    asked = []
    drafts = Drafts(spec(passes=passes), 4, "bicubic", lambda i: asked.append(i) or lr[i], len(lr))
    draft = drafts[t]
    assert asked == list(range(start, stop))
    for changed in {start, stop - 1} - {t}:
        other = [frame if i != changed else 255 - frame for i, frame in enumerate(lr)]
        flat = spec(passes=passes, trust=1000.0)  # else such a frame is not trusted
        assert not np.array_equal(drafts_of(other, flat)[t], drafts_of(lr, flat)[t])
    assert np.array_equal(draft, drafts_of(lr, spec(passes=passes))[t])


def test_each_frame_is_read_once_and_little_is_kept(lr, short_blocks):
    asked, long = [], lr * 4
    drafts = Drafts(spec(), 4, "bicubic", lambda i: asked.append(i) or long[i], len(long))
    held = []
    for t in range(len(long)):
        drafts[t]
        held.append((len(drafts._shot._lr), len(drafts._shot._flows), len(drafts._kind._block)))
    assert asked == list(range(len(long)))
    assert max(held) == (8, 14, 4)  # a block of 4 with 2 before and 2 after it: 7 pairs, 2 flows each


def test_memory_that_a_block_takes(lr):
    """Measured 243 times a draft. To make all flows first, and to keep the estimates of both ways to the end, took 410."""
    long = [lr[i % len(lr)] for i in range(96)]
    drafts = drafts_of(long, spec(passes=2))
    tracemalloc.start()
    try:
        drafts[32]
        assert tracemalloc.get_traced_memory()[1] < 300 * 16 * lr[0].size
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("passes", [1, 2])
def test_threads_do_not_matter(lr, passes):
    before, made = cv2.getNumThreads(), []
    try:
        for threads in (1, 2, 5):
            cv2.setNumThreads(threads)
            made.append(drafts_of(lr, spec(passes=passes))[4])
    finally:
        cv2.setNumThreads(before)
    assert np.array_equal(made[0], made[1]) and np.array_equal(made[0], made[2])


# What it computes.


def carried(levels, trust, cap):
    """(estimate, weight) at each of some frames of one grey level each, worked out with scalars. No back-projection."""
    steps = [(levels[0], 1.0)]
    for level in levels[1:]:
        last, weight = steps[-1]
        trusted = min(weight, cap) * np.exp(-(((last - level) / trust) ** 2))
        steps.append(((level + trusted * last) / (1 + trusted), 1 + trusted))
    return steps


@pytest.mark.parametrize("scale", [2, 3, 4])
@pytest.mark.parametrize("cap", [1, 2, 16])
@pytest.mark.parametrize("levels", [[100], [60, 120], [60, 60, 60, 120], [120, 90, 60, 60, 70]])
def test_frames_without_texture(levels, cap, scale):
    lr = [np.full((20, 24), level, np.uint8) for level in levels]
    drafts = drafts_of(lr, spec(trust=100.0, cap=cap, iterations=0), scale)
    forward = carried(levels, 100, cap)
    backward = carried(levels[::-1], 100, cap)[::-1]
    for t, ((one, weight), (other, other_weight)) in enumerate(zip(forward, backward, strict=True)):
        mean = (weight * one + other_weight * other) / (weight + other_weight)
        assert np.abs(drafts[t][0] - mean).max() < 1.01  # rounded once on each way and once in the end


@pytest.mark.parametrize("passes", [1, 2])
@pytest.mark.parametrize("scale", [2, 3, 4])
@pytest.mark.parametrize("degradation", ["bicubic", "cv2"])
def test_a_single_frame_is_back_projected(lr, scale, degradation, passes):
    estimate = enlarge(lr[0].astype(np.float32), scale, degradation)
    for _ in range(3):
        estimate = estimate + enlarge(lr[0] - shrink(estimate, scale, degradation), scale, degradation)
    draft, _ = drafts_of(lr[:1], spec(passes=passes), scale, degradation)[0]
    assert np.array_equal(draft, to_uint8(estimate))


def test_back_projection_explains_the_lr_frame(lr):
    missing = []
    for iterations in (0, 1, 6):
        draft = drafts_of(lr, spec(iterations=iterations))[4][0]
        missing.append(np.abs(shrink(draft.astype(np.float32), 4, "bicubic") - lr[4]).mean())
    assert missing[1] < 0.6 * missing[0] and missing[2] < 0.6 * missing[1]


def moving(step=5, n=9):
    """A fine pattern that moves by `step` HR pixels a frame, 1.25 LR pixels: what aliases in one frame shows in the next."""
    picture = luma(cv2.imread(str(CLIPS / "harbour/00.png")))
    fine = cv2.resize(picture, None, fx=3, fy=3, interpolation=cv2.INTER_CUBIC)
    fine = fine // 2 + 64 * ((np.add.outer(np.arange(fine.shape[0]), np.arange(fine.shape[1])) // 5) % 2).astype(np.uint8)
    return [np.ascontiguousarray(fine[40:136, 20 + i * step : 148 + i * step]) for i in range(n)]


@pytest.mark.parametrize("passes", [1, 2])
@pytest.mark.parametrize("scale, gain", [(2, 0.4), (4, 2)])
def test_what_neighbours_show_is_carried(scale, gain, passes):
    """To the middle of the clip and to both ends, which have been reached on one way alone."""
    clip = moving()
    lr = [degrade(frame, scale, "bicubic") for frame in clip]
    drafts = drafts_of(lr, spec(iterations=6, passes=passes), scale)
    for t in (0, 4, 8):
        draft, bicubic = drafts[t]
        truth = clip[t] / 255
        assert psnr(draft / 255, truth, border=16) > psnr(bicubic / 255, truth, border=16) + gain


def test_longer_is_better():
    """What was seen four frames ago still counts."""
    clip = frames_of("harbour", (144, 192))
    lr = [degrade(frame, 2, "bicubic") for frame in clip]
    short, long = drafts_of(lr[3:6], spec(), 2)[1][0], drafts_of(lr, spec(), 2)[4][0]
    assert psnr(long / 255, clip[4] / 255, border=16) > psnr(short / 255, clip[4] / 255, border=16) + 0.1


def test_the_second_pass_looks_at_finer_frames(lr, monkeypatch):
    shapes, real = [], recurrent.dense_flow
    monkeypatch.setattr(recurrent, "dense_flow", lambda a, *rest: shapes.append((a.shape, a.dtype)) or real(a, *rest))
    drafts_of(lr[:3], spec(passes=3))[0]
    assert shapes == [((48, 60), np.uint8)] * 8  # both directions of two pairs, in two passes


def test_a_cut_is_not_carried_across():
    """At a cut that nobody has found, drafts are nearly those of the two shots apart."""
    one, other = ([degrade(frame, 4, "bicubic") for frame in frames_of(clip)[:4]] for clip in ("harbour", "tower"))
    together, apart = drafts_of(one + other, spec()), drafts_of(other, spec())
    across = np.abs(upscale(one[3], 4, "bicubic").astype(int) - upscale(other[0], 4, "bicubic")).mean()
    for t in range(2):
        assert np.abs(together[4 + t][0].astype(int) - apart[t][0]).mean() < 0.05 * across


def test_what_an_object_uncovers_is_not_smeared():
    """Where a square has just been, the draft is not worse than the bicubic frame."""
    background = cv2.resize(frames_of("tower")[0], (120, 96), interpolation=cv2.INTER_CUBIC)
    clip = []
    for i in range(6):
        frame = background.copy()
        frame[30:62, 10 + 8 * i : 42 + 8 * i] = frames_of("harbour")[0][20:52, 40:72]
        clip.append(frame)
    draft, bicubic = drafts_of([degrade(frame, 4, "bicubic") for frame in clip], spec())[3].astype(int)
    uncovered = np.s_[30:62, 18:34]
    error = [np.mean((picture - clip[3])[uncovered] ** 2) for picture in (draft, bicubic)]
    assert error[0] < 1.02 * error[1]


@pytest.mark.parametrize("finer", [1, 2])
def test_flows_that_miss_by_three_quarters_of_an_lr_pixel_weigh_1_over_e(lr, finer):
    kind = drafts_of(lr, spec())._kind
    kind.shot.hold(range(2))

    def flow(a, b, method, alpha):
        return np.full((24 * finer, 30 * finer, 2), np.float32([0.75 * finer * a, 0]))

    _, agreement = kind._register((0, 1), {(0, 1)}, flow)[0, 1]
    trust = kind._trust(np.zeros((96, 120), np.float32), agreement)
    assert trust.shape == (24 * finer, 30 * finer)
    np.testing.assert_allclose(trust, np.exp(-1), atol=1e-6)
