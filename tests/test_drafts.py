import os

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import re
import tracemalloc
from functools import cache
from pathlib import Path

import cv2
import numpy as np
import onnx
import pandas as pd
import pytest

from deepsr.data.degradation import SHRINKING, degrade, enlarge, shrink, to_uint8, upscale
from deepsr.data.frames import luma
from deepsr.drafts import draft_kind
from deepsr.drafts.base import Shot
from deepsr.drafts.ensemble import Drafts, is_oracle, label, n_drafts, needed_frames
from deepsr.drafts.motion import Kind as Motion
from deepsr.drafts.patches import COLUMNS
from deepsr.drafts.training_patches import training_patches
from deepsr.errors import InputError
from deepsr.evaluate.metrics import psnr
from deepsr.networks import network
from deepsr.networks.inference import open_predictor
from deepsr.networks.onnx_export import to_onnx
from deepsr.registry import KINDS, NETWORKS
from deepsr.settings import complete, load_yaml

CLIP = [luma(cv2.imread(str(path)))[:96, :120] for path in sorted((Path(__file__).parent / "clips/harbour").glob("*.png"))]


def setting(**changed):
    return {"flow": "dis", "alpha": 20.0, "radius": 2, "trust": 12.0, "iterations": 0, **changed}


BICUBIC = {"kind": "bicubic"}
GAUSSIAN = {"kind": "gaussian", "sigmas": [1.5, 1.8, 2.1], "kernel": 5}
MEAN = {"kind": "motion", "settings": [setting()]}
MOTION = {"kind": "motion", "settings": [setting(), setting(iterations=3)]}
ENSEMBLE = {
    "kind": "motion",
    "settings": [setting(radius=1), setting(flow="farneback", alpha=15, radius=3), setting(trust=5.0)],
}
RECURRENCE = {"flow": "dis", "alpha": 20.0, "trust": 16.0, "cap": 16, "iterations": 2, "passes": 1}
RECURRENT = {"kind": "recurrent", "settings": [setting()], "recurrence": RECURRENCE}
TWICE = {"kind": "recurrent", "recurrence": RECURRENCE | {"passes": 2}}
HONEST = {
    "bicubic": BICUBIC,
    "mean": MEAN,
    "motion": MOTION,
    "ensemble": ENSEMBLE,
    "recurrent": RECURRENT,
    "twice": TWICE,
}


class Asked:
    """The frames of a clip, and which of them were asked for."""

    def __init__(self, frames):
        self.frames, self.numbers = frames, []

    def __call__(self, i):
        assert 0 <= i < len(self.frames)
        self.numbers.append(i)
        return self.frames[i]


SCHEMA = load_yaml(Path(__file__).parent.parent / "config/config.schema.yaml")


def configured(**experiment):
    """An experiment's complete settings."""
    config = {"datasets": {"demo": {"source": "demo"}}, "experiments": {"mine": experiment}}
    return complete(config, SCHEMA)["experiments"]["mine"]


def low(clip, scale=4, degradation="bicubic"):
    return [degrade(frame, scale, degradation) for frame in clip]


def drafts_of(spec, lr, hr=None, scale=4, degradation="bicubic"):
    return Drafts(spec, scale, degradation, lr.__getitem__, len(lr), None if hr is None else hr.__getitem__)


@pytest.mark.parametrize(
    "spec, number, needed, name",
    [
        (BICUBIC, 1, (9, 10), "bicubic"),
        (GAUSSIAN, 4, (9, 10), "gaussian (oracle)"),
        (MEAN, 2, (7, 12), "motion"),
        (ENSEMBLE, 4, (6, 13), "motion"),
    ],
)
def test_what_a_spec_amounts_to(spec, number, needed, name):
    assert (n_drafts(spec), label(spec), is_oracle(spec)) == (number, name, "oracle" in name)
    assert needed_frames(spec, 9, 10, 20) == needed
    drafts = drafts_of(spec, low(CLIP), CLIP)[4]
    assert drafts.shape == (number, 96, 120) and drafts.dtype == np.uint8


@pytest.mark.parametrize("spec", [BICUBIC, GAUSSIAN, MOTION])
@pytest.mark.parametrize("degradation", ["bicubic", "cv2"])
@pytest.mark.parametrize("scale", [2, 3, 4])
def test_the_last_input_is_the_enlarged_target(spec, degradation, scale):
    lr = low(CLIP, scale, degradation)
    drafts = drafts_of(spec, lr, CLIP, scale, degradation)
    assert np.array_equal(drafts[3][-1], upscale(lr[3], scale, degradation))


def test_the_oracle_is_the_articles():
    drafts = drafts_of(GAUSSIAN, low(CLIP), CLIP)[5]
    for sigma, draft in zip([1.5, 1.8, 2.1], drafts[:3], strict=True):
        assert np.array_equal(draft, cv2.GaussianBlur(CLIP[5], (5, 5), sigma))


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_can_be_chosen_in_the_config(kind):
    """With the keys that its class asks for, and with neither fewer nor others."""
    values = {"sigmas": [1.5], "kernel": 5, "settings": [{}], "recurrence": {}}
    given = {key: values[key] for key in draft_kind(kind).required}
    assert configured(drafts={"kind": kind, **given})["drafts"]["kind"] == kind
    configured(drafts={"kind": kind, **given, **{key: values[key] for key in draft_kind(kind).optional}})
    known = {*draft_kind(kind).required, *draft_kind(kind).optional}
    for wrong in [{k: v for k, v in given.items() if k != key} for key in given] + [
        {**given, key: values[key]} for key in set(values) - known
    ]:
        with pytest.raises(InputError, match=f"experiments.mine.drafts of kind {kind} take .*; add or remove "):
            configured(drafts={"kind": kind, **wrong})


@pytest.mark.parametrize("degradation", SHRINKING)
def test_what_makes_frames_small_can_be_chosen_in_the_config(degradation):
    assert configured(degradation=degradation)["degradation"] == degradation


def motion_setting(**changed):
    return {"drafts": {"kind": "motion", "settings": [changed]}}


def recurrence(**changed):
    return {"drafts": {"kind": "recurrent", "recurrence": changed}}


@pytest.mark.parametrize(
    "experiment, key",
    [
        (motion_setting(flow="farneback", alpha=256), "alpha of farneback is its window in pixels, 1 to 255"),
        (recurrence(flow="farneback", alpha=0.5), "alpha of farneback"),
        (motion_setting(alpha=1e9), "settings.0.alpha"),
        (motion_setting(alpha=0), "settings.0.alpha"),
        (motion_setting(trust=1e-50), "settings.0.trust"),
        (motion_setting(trust=1001), "settings.0.trust"),
        (motion_setting(radius=5), "settings.0.radius"),
        (motion_setting(iterations=51), "settings.0.iterations"),
        (recurrence(alpha=1001), "recurrence.alpha"),
        (recurrence(trust=0), "recurrence.trust"),
        (recurrence(cap=0.5), "recurrence.cap"),
        (recurrence(iterations=-1), "recurrence.iterations"),
        (recurrence(passes=4), "recurrence.passes"),
        ({"drafts": GAUSSIAN | {"sigmas": [1e-9]}}, "drafts.sigmas.0"),
        ({"patches": {"per_frame": 10**9}}, "patches.per_frame"),
        ({"patches": {"without_neighbours": 1.5}}, "patches.without_neighbours"),
        ({"patches": {"size": 50}}, "patches.size is 50, which scale 4 does not divide; choose 48 or 52"),
        ({"scale": 3, "patches": {"size": 50}}, "patches.size is 50, which scale 3 does not divide; choose 48 or 51"),
    ],
)
def test_numbers_that_make_no_sense(experiment, key):
    with pytest.raises(InputError, match=re.escape(key)):
        configured(**experiment)


@pytest.mark.parametrize("scale", [2, 3, 4])
def test_patches_of_the_default_size_fit_every_scale(scale):
    assert configured(scale=scale)["patches"]["size"] % scale == 0


def test_an_oracle_needs_the_truth():
    with pytest.raises(InputError, match="gaussian are blurred ground truth .an oracle.*choose an experiment"):
        drafts_of(GAUSSIAN, low(CLIP))


@pytest.mark.parametrize(
    "given, said",
    [
        (
            lambda lr: [np.float32(np.repeat(np.repeat(lr, 2, 0), 2, 1))],
            "1 pictures, float32 .64, 48.; .* each uint8 .64, 48.",
        ),
        (lambda lr: [lr], "1 pictures, uint8 .32, 24.;"),
        (lambda lr: 2 * [np.repeat(np.repeat(lr, 2, 0), 2, 1)], "2 pictures, .* as many as n_drafts says"),
    ],
    ids=["type", "size", "number"],
)
def test_a_kind_that_gives_other_drafts_than_it_should_is_refused(monkeypatch, given, said):
    lr = np.zeros((32, 24), np.uint8)
    monkeypatch.setattr(draft_kind("bicubic"), "n_drafts", classmethod(lambda cls, spec: 1))
    monkeypatch.setattr(draft_kind("bicubic"), "drafts", lambda self, t: given(self.shot.lr(t)))
    with pytest.raises(InputError, match=f"drafts of kind bicubic: drafts.0. gives {said}"):
        Drafts({"kind": "bicubic"}, 2, "bicubic", lambda i: lr, 1)[0]


# No leak.


def shrinking(n, scale, degradation):
    """The matrix that shrinks a column of n pixels."""
    units = np.eye(n, dtype=np.float32)
    return np.stack([shrink(np.repeat(unit[:, None], scale, 1), scale, degradation)[:, 0] for unit in units], 1)


def twin_of(frame, scale, degradation, seed=0):
    """Another HR frame with the very same LR frame: noise out of the null space of the shrinking is added to it."""
    random, lr = np.random.default_rng(seed), degrade(frame, scale, degradation)
    down, across = (shrinking(n, scale, degradation) for n in frame.shape)
    noise = random.normal(0, 10, frame.shape)
    hidden = noise - np.linalg.pinv(down) @ (down @ noise @ across.T) @ np.linalg.pinv(across).T
    twin, wrong = frame, np.ones(lr.shape)
    while wrong.any():  # rounding is not in the null space: where it shows, it is drawn again
        drawn = np.floor(frame + hidden + random.random(frame.shape)).astype(np.uint8)
        twin = np.where(np.kron(wrong, np.ones((scale, scale))) > 0, drawn, twin)
        wrong = degrade(twin, scale, degradation) != lr
    return twin


@pytest.fixture(scope="module", params=["bicubic", "cv2"])
def twins(request):
    """A degradation, a clip in the middle of the grey scale, and another clip with the same LR frames."""
    clip = [64 + frame // 2 for frame in CLIP[:5]]
    return request.param, clip, [twin_of(frame, 4, request.param, i) for i, frame in enumerate(clip)]


@pytest.fixture(scope="module")
def predictors(tmp_path_factory):
    """All networks, with random weights, for any spec: spec -> {name: open_predictor}."""
    folder = tmp_path_factory.mktemp("networks")

    @cache
    def make(name, inputs):
        onnx.save(to_onnx(network(name).build(inputs, 4), {"network": name}), folder / "network.onnx")
        return open_predictor(folder / "network.onnx", threads=2)

    return lambda spec: {name: make(name, n_drafts(spec)) for name in NETWORKS}


@pytest.mark.parametrize("kind", [*HONEST, "gaussian"])
def test_only_the_oracle_sees_more_than_the_lr_frames_keep(kind, twins, predictors):
    degradation, clip, others = twins
    lr, lr_of_others = low(clip, 4, degradation), low(others, 4, degradation)
    assert np.array_equal(lr, lr_of_others)
    assert np.mean(np.not_equal(clip, others)) > 0.8
    spec = {**HONEST, "gaussian": GAUSSIAN}[kind]
    one = drafts_of(spec, lr, clip, degradation=degradation)
    other = drafts_of(spec, lr_of_others, others, degradation=degradation)
    for t in (0, 2, 4):
        assert np.array_equal(one[t], other[t]) != (kind == "gaussian")
    for name, predictor in predictors(spec).items():
        predictions = predictor(one[2]), predictor(other[2])  # not clipped: random weights may give black
        assert np.array_equal(*predictions) != (kind == "gaussian"), name


@pytest.mark.parametrize("kind", HONEST)
def test_honest_drafts_never_touch_the_truth(kind):
    def refuse(i):
        raise AssertionError("the truth was looked at")

    lr = low(CLIP)
    drafts = Drafts(HONEST[kind], 4, "bicubic", lr.__getitem__, len(lr), refuse)
    assert np.array_equal(drafts[4], drafts_of(HONEST[kind], lr)[4])


# The window.


@pytest.mark.parametrize("t, expected", [(0, [0, 1, 2]), (1, [0, 1, 2, 3]), (5, [3, 4, 5, 6, 7]), (9, [7, 8, 9])])
def test_clip_ends_use_the_neighbours_that_exist(t, expected):
    asked = Asked(low(CLIP))
    Drafts(MOTION, 4, "bicubic", asked, len(CLIP))[t]
    assert sorted(set(asked.numbers)) == expected
    alone = low(CLIP)[expected[0] : expected[-1] + 1]  # the clip cut down to the window
    assert np.array_equal(drafts_of(MOTION, low(CLIP))[t], drafts_of(MOTION, alone)[t - expected[0]])


@pytest.mark.parametrize(
    "spec, first, stop, expected",
    [
        (BICUBIC, 3, 5, (3, 5)),
        (GAUSSIAN, 3, 5, (3, 5)),
        (MOTION, 3, 5, (1, 7)),
        (ENSEMBLE, 1, 9, (0, 10)),
        ({"kind": "motion", "settings": []}, 3, 5, (3, 5)),
    ],
)
def test_the_frames_that_are_needed(spec, first, stop, expected):
    assert needed_frames(spec, first, stop, 10) == expected


def test_the_radius_of_each_setting_counts():
    asked = Asked(low(CLIP))
    Drafts({"kind": "motion", "settings": [setting(radius=1)]}, 4, "bicubic", asked, len(CLIP))[5]
    assert sorted(set(asked.numbers)) == [4, 5, 6]


@pytest.mark.parametrize("spec", [MOTION, ENSEMBLE], ids=["motion", "ensemble"])
def test_the_order_of_asking_does_not_matter(spec):
    lr = low(CLIP)
    fresh = [drafts_of(spec, lr)[t] for t in range(len(lr))]
    kept = drafts_of(spec, lr)
    for t in (0, 1, 2, 3, 3, 9, 1, 4, 5, 0, 8, 7, 6):
        assert np.array_equal(kept[t], fresh[t]), t


def test_what_is_kept_does_not_grow_with_the_clip_and_each_frame_is_read_once():
    lr = [frame[:16, :16] for frame in low(CLIP)] * 5
    asked = Asked(lr)
    drafts, sizes = Drafts(MOTION, 4, "bicubic", asked, len(lr)), []
    for t in range(len(lr)):
        drafts[t]
        sizes.append(len(drafts._shot._lr) + len(drafts._shot._flows))
    assert max(sizes) == sizes[4] == sizes[30]
    assert sorted(asked.numbers) == list(range(len(lr)))


def test_settings_that_differ_in_iterations_share_their_flows(monkeypatch):
    from deepsr.drafts import base as module

    calls, real = [], module.dense_flow
    monkeypatch.setattr(module, "dense_flow", lambda *args: calls.append(1) or real(*args))
    drafts_of(MOTION, low(CLIP))[5]
    assert len(calls) == 8  # to each of four neighbours and back


# What motion drafts are good for.


def shifted_clip(n=5, step=1.25, scale=4):
    """A fine pattern, moving by `step` LR pixels a frame: what aliases in one frame is seen otherwise in the next."""
    picture = cv2.imread(str(Path(__file__).parent / "clips/harbour/00.png"))
    fine = cv2.resize(luma(picture), None, fx=3, fy=3, interpolation=cv2.INTER_CUBIC)
    fine = fine // 2 + 64 * ((np.add.outer(np.arange(fine.shape[0]), np.arange(fine.shape[1])) // 5) % 2).astype(np.uint8)
    move = round(step * scale)
    return [np.ascontiguousarray(fine[40 : 40 + 192, 20 + i * move : 20 + i * move + 256]) for i in range(n)]


@pytest.mark.parametrize("degradation", ["bicubic", "cv2"])
def test_motion_drafts_are_closer_to_the_truth_than_bicubic(degradation):
    clip = shifted_clip()
    lr = low(clip, 4, degradation)
    mean, projected, bicubic = drafts_of(MOTION, lr, degradation=degradation)[2]
    scores = [psnr(draft / 255, clip[2] / 255, border=16) for draft in (bicubic, mean, projected)]
    assert scores[1] > scores[0] and scores[2] > scores[0] + 0.3


def test_back_projection_uses_what_the_neighbours_show():
    clip = shifted_clip()
    spec = {"kind": "motion", "settings": [setting(), setting(iterations=6)]}
    mean, projected, _ = drafts_of(spec, low(clip))[2]
    truth = clip[2] / 255
    assert psnr(projected / 255, truth, border=16) > psnr(mean / 255, truth, border=16) + 2


def test_back_projection_explains_the_lr_frame():
    lr = low(CLIP)
    mean, projected, _ = drafts_of(MOTION, lr)[4]
    missing = [np.abs(shrink(draft.astype(np.float32), 4, "bicubic") - lr[4]).mean() for draft in (mean, projected)]
    assert missing[1] < 0.7 * missing[0]


@pytest.mark.parametrize("flow, alpha", [("dis", 20.0), ("tvl1", 0.15)])
def test_the_mean_of_equal_frames_is_the_bicubic_frame(flow, alpha):
    lr = low(CLIP)[:1] * 5
    mean, bicubic = drafts_of({"kind": "motion", "settings": [setting(flow=flow, alpha=alpha)]}, lr)[2]
    assert np.array_equal(mean, bicubic)


def test_a_cut_is_not_trusted():
    """Frames of another scene barely change the draft."""
    tower = [luma(cv2.imread(str(p)))[:96, :120] for p in sorted((Path(__file__).parent / "clips/tower").glob("*.png"))]
    mixed = low([*tower[:2], CLIP[0], *tower[2:4]])
    mean, bicubic = drafts_of(MEAN, mixed)[2].astype(int)
    naive = np.mean([upscale(frame, 4, "bicubic") for frame in mixed], 0)
    assert np.abs(mean - bicubic).mean() < 0.2 * np.abs(naive - bicubic).mean()


def test_a_cut_does_not_spoil_back_projection():
    """Between frames of another scene, the draft is still better than the bicubic frame."""
    tower = [luma(cv2.imread(str(p)))[:96, :120] for p in sorted((Path(__file__).parent / "clips/tower").glob("*.png"))]
    spec = {"kind": "motion", "settings": [setting(iterations=6)]}
    draft, bicubic = drafts_of(spec, low([*tower[:2], CLIP[0], *tower[2:4]]))[2].astype(int)
    assert np.mean((draft - CLIP[0]) ** 2) < 0.9 * np.mean((bicubic - CLIP[0]) ** 2)


def test_a_radius_of_zero_is_the_frame_alone():
    lr = low(CLIP)
    mean, bicubic = drafts_of({"kind": "motion", "settings": [setting(radius=0)]}, lr)[4]
    assert np.array_equal(mean, bicubic)


@pytest.mark.parametrize("spec", [GAUSSIAN, *HONEST.values()], ids=["gaussian", *HONEST])
@pytest.mark.parametrize("size", [(1, 1), (1, 7), (5, 2), (16, 9)])
@pytest.mark.parametrize("n", [1, 2])
def test_tiny_frames_and_clips(spec, size, n):
    hr = [to_uint8(np.random.default_rng(i).uniform(0, 255, (size[0] * 4, size[1] * 4))) for i in range(n)]
    drafts = drafts_of(spec, low(hr), hr)
    for t in range(n):
        assert drafts[t].shape == (n_drafts(spec), size[0] * 4, size[1] * 4)
        if n == 1 and spec is MOTION:
            assert np.array_equal(drafts[t][0], drafts[t][-1])


def test_memory_does_not_grow_with_the_ways_of_registration():
    """Beside its own draft and flows, a further setting takes none: neighbours are registered for one at a time."""

    def peak(ways):
        spec = {"kind": "motion", "settings": [setting(alpha=10.0 + way, iterations=1) for way in range(ways)]}
        drafts = drafts_of(spec, low(CLIP))
        tracemalloc.start()
        drafts[4]
        _, most = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        return most

    pixels = CLIP[0].size
    draft, flows = (
        2 * pixels,
        4 * 2 * 8 * pixels // 16,
    )  # stacked from a list, uint8; there and back for 4 neighbours, float32
    assert peak(8) < peak(1) + 7 * (draft + flows) + 10 * pixels


@pytest.mark.parametrize("scale", [2, 4])
def test_the_mean_is_weighed_by_the_blurred_difference(scale):
    """Worked out from the definition, for one neighbour that needs no registration."""
    target, neighbour = np.random.default_rng(0).integers(0, 256, (2, 20, 24), dtype=np.uint8)
    shot = Shot(scale, "bicubic", [target, neighbour].__getitem__, 2)
    shot.hold(range(2))
    shot._flows = {(a, b, "dis", 20.0): np.zeros((20, 24, 2), np.float32) for a, b in ((0, 1), (1, 0))}
    draft, whole = Motion({"settings": [setting(trust=30.0), setting(trust=1000.0)]}, shot).drafts(0)
    one, other = (enlarge(frame.astype(np.float32), scale, "bicubic") for frame in (target, neighbour))
    weight = np.exp(-((cv2.GaussianBlur(other - one, (0, 0), scale, None, scale) / 30) ** 2))
    assert np.abs(draft - np.clip((one + weight * other) / (1 + weight), 0, 255)).max() < 0.51
    assert np.abs(whole - np.clip((one + other) / 2, 0, 255)).max() < 1.5


# Training patches.


class Clip:
    """A clip of which every frame can be had, LR and HR."""

    lr = low(CLIP)

    def __len__(self):
        return len(CLIP)

    def lr_luma(self, t):
        return self.lr[t]

    def hr_luma(self, t):
        return CLIP[t]


@pytest.mark.parametrize("spec", [GAUSSIAN, MOTION, RECURRENT], ids=["gaussian", "motion", "recurrent"])
def test_training_patches_are_cut_from_drafts_with_and_without_neighbours(spec):
    rows = [(2, 0, 4, 0, 0), (2, 8, 8, 0, 1), (5, 16, 0, 0, 0), (5, 20, 40, 0, 1), (9, 80, 104, 1, 0)]
    made = training_patches(Clip(), spec, 4, "bicubic", pd.DataFrame(rows, columns=COLUMNS), 16)
    assert made["drafts"].shape == (5, n_drafts(spec), 16, 16) and made["drafts"].dtype == np.uint8
    assert made["validation"].tolist() == [False] * 4 + [True]
    drafts = drafts_of(spec, Clip.lr, CLIP)
    for (frame, top, left, _, without), patch, target in zip(rows, made["drafts"], made["target"], strict=True):
        seen = drafts_of(spec, [Clip.lr[frame]], [CLIP[frame]])[0] if without else drafts[frame]
        assert np.array_equal(patch, seen[:, top : top + 16, left : left + 16])
        assert np.array_equal(target, CLIP[frame][top : top + 16, left : left + 16])
