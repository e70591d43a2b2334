"""Properties that hold for any size, scale and content."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from deepsr.data.degradation import crop_to_scale, degrade, lanczos, upscale
from deepsr.data.frames import luma, natural_key
from deepsr.drafts.ensemble import Drafts
from deepsr.drafts.patches import check, choose, cut
from deepsr.evaluate.metrics import in_color_space, psnr, ssim
from deepsr.evaluate.scoring import pictures_of, score_frame, score_motion
from deepsr.evaluate.table import frame_mean

quickly = settings(max_examples=40, deadline=None)
scales = st.sampled_from([2, 3, 4])
degradations = st.sampled_from(["bicubic", "cv2"])
sides = st.integers(1, 24)  # pixels of an LR frame
levels = st.integers(0, 255)
seeds = st.integers(0, 2**32 - 1)


def noise(seed, *shape):
    return np.random.default_rng(seed).integers(0, 256, shape, dtype=np.uint8)


# Metrics.


@quickly
@given(st.integers(1, 30), st.integers(1, 30), st.booleans(), seeds)
def test_metrics_are_symmetric_and_bounded(height, width, colour, seed):
    a, b = noise(seed, 2, height, width, *([3] if colour else [])) / 255
    assert psnr(a, b) == psnr(b, a) >= 0 and psnr(a, a) == np.inf
    similarity = ssim(a, b)
    if min(height, width) < 11:
        assert np.isnan(similarity)
    else:
        assert similarity == pytest.approx(ssim(b, a)) and -1 <= similarity <= 1 and ssim(a, a) == pytest.approx(1)


@quickly
@given(st.integers(1, 30), st.integers(1, 30), st.integers(0, 15), seeds)
def test_any_border_that_leaves_a_pixel(height, width, border, seed):
    a, b = noise(seed, 2, height, width) / 255
    if 2 * border < min(height, width):
        inside = np.s_[border : height - border, border : width - border]
        assert psnr(a, b, border) == psnr(a[inside], b[inside])
    else:
        with pytest.raises(ValueError, match="leaves nothing"):
            psnr(a, b, border)


@quickly
@given(levels, levels)
def test_psnr_of_constant_frames(one, other):
    a, b = (np.full((12, 12), level / 255) for level in (one, other))
    assert psnr(a, b) == (np.inf if one == other else pytest.approx(20 * np.log10(255 / abs(one - other))))
    assert 0 <= ssim(a, b) <= 1 + 1e-12


@quickly
@given(st.lists(st.floats(10, 60) | st.just(np.inf), min_size=1, max_size=8))
def test_an_infinite_frame_never_hides_in_a_mean(values):
    import pandas as pd

    means, infinite = frame_mean(pd.DataFrame({"psnr_bicubic": values, "ssim_bicubic": 0.5}))
    finite = [value for value in values if np.isfinite(value)]
    assert infinite == len(values) - len(finite)
    assert means["psnr_bicubic"] == (pytest.approx(np.mean(finite)) if finite else np.inf)


@quickly
@given(sides, sides, scales, degradations, st.sampled_from(["y", "y_matlab", "rgb"]), seeds)
def test_any_frame_can_be_scored(height, width, scale, degradation, space, seed):
    hr = noise(seed, height * scale, width * scale, 3)
    lr = degrade(hr, scale, degradation)
    predicted = np.random.default_rng(seed).random(hr.shape[:2], np.float32)
    pictures = pictures_of(hr, lr, predicted, scale, degradation)
    scores = score_frame(pictures, predicted, space, 0)
    assert scores["psnr_deepsr"] > 0 and scores["psnr_bicubic"] > 0
    assert {picture.shape for name, picture in pictures.items() if name != "lr"} == {hr.shape}
    steadiness = score_motion(pictures, {name: np.roll(picture, 1, axis=1) for name, picture in pictures.items()})
    assert all(value >= 0 or np.isnan(value) for value in steadiness.values())


@quickly
@given(levels, levels, levels)
def test_studio_range_is_within_its_range(blue, green, red):
    studio = in_color_space(None, np.full((1, 1, 3), (blue, green, red), np.uint8), "y_matlab").item() * 255
    assert 16 <= studio <= 235 and studio == pytest.approx(round(studio))


# Degradations.


@quickly
@given(sides, sides, scales, degradations, st.booleans(), levels)
def test_constant_frames_stay_constant(height, width, scale, degradation, colour, level):
    hr = np.full((height * scale, width * scale, *([3] if colour else [])), level, np.uint8)
    lr = degrade(hr, scale, degradation)
    assert lr.shape[:2] == (height, width) and (lr == level).all()
    assert np.array_equal(upscale(lr, scale, degradation), hr) and np.array_equal(lanczos(lr, scale, degradation), hr)


@quickly
@given(sides, sides, scales, degradations, st.booleans(), st.booleans(), seeds)
def test_mirrored_and_turned_frames(height, width, scale, degradation, flip, turn, seed):
    """Neither direction is special: what is mirrored or turned first is mirrored or turned afterwards."""

    def moved(image):
        image = image[::-1] if flip else image
        return np.ascontiguousarray(image.T if turn else image[:, ::-1])

    hr = noise(seed, height * scale, width * scale)
    lr = degrade(hr, scale, degradation)
    for function, image in ((degrade, hr), (upscale, lr)):
        difference = moved(function(image, scale, degradation)).astype(int) - function(moved(image), scale, degradation)
        assert np.abs(difference).max() <= 1  # rounding of exact halves


@quickly
@given(sides, sides, scales, degradations, seeds)
def test_inverted_frames(height, width, scale, degradation, seed):
    lr = noise(seed, height, width) // 2 + 64
    up, inverse = (upscale(frame, scale, degradation).astype(int) for frame in (lr, 255 - lr))
    inside = (up > 0) & (up < 255)
    assert np.abs(up + inverse - 255)[inside].max(initial=0) <= 1


@quickly
@given(st.integers(1, 40), st.integers(1, 40), scales)
def test_crops_are_divisible_and_lose_less_than_the_scale(height, width, scale):
    cropped = crop_to_scale(np.zeros((height, width)), scale)
    assert all(
        side % scale == 0 and 0 <= old - side < scale for side, old in zip(cropped.shape, (height, width), strict=True)
    )


@quickly
@given(seeds)
def test_luma_of_grey_is_grey(seed):
    grey = noise(seed, 4, 5)
    assert np.array_equal(luma(np.dstack([grey] * 3)), grey)


# Drafts.


def spec_of(radius, trust, iterations, alpha):
    return {
        "kind": "motion",
        "settings": [{"flow": "dis", "alpha": alpha, "radius": radius, "trust": trust, "iterations": iterations}],
    }


motion = st.builds(spec_of, st.integers(0, 3), st.floats(0.1, 1e4), st.integers(0, 2), st.floats(0.1, 1e3))


@quickly
@given(motion, st.integers(1, 5), sides, sides, scales, degradations, seeds)
def test_drafts_of_any_clip(spec, n, height, width, scale, degradation, seed):
    clip = noise(seed, n, height, width)
    drafts = Drafts(spec, scale, degradation, clip.__getitem__, n)
    for t in {0, n // 2, n - 1}:
        made = drafts[t]
        assert made.shape == (2, height * scale, width * scale) and made.dtype == np.uint8
        assert np.array_equal(made[1], upscale(clip[t], scale, degradation))


@quickly
@given(motion, st.integers(1, 5), sides, sides, scales, degradations, levels)
def test_drafts_of_constant_clips_are_constant(spec, n, height, width, scale, degradation, level):
    clip = np.full((n, height, width), level, np.uint8)
    assert (Drafts(spec, scale, degradation, clip.__getitem__, n)[n // 2] == level).all()


@quickly
@given(st.floats(0.1, 1e4), sides, sides, scales, degradations, seeds)
def test_a_single_frame_has_no_neighbours_to_learn_from(trust, height, width, scale, degradation, seed):
    frame = noise(seed, height, width)
    draft, bicubic = Drafts(spec_of(2, trust, 0, 20.0), scale, degradation, lambda i: frame, 1)[0]
    assert np.abs(draft.astype(int) - bicubic).max() <= (degradation == "cv2")  # whose 8-bit arithmetic is coarser


@quickly
@given(st.integers(0, 3), scales, degradations, levels, seeds)
def test_fusion_stays_between_the_frames_it_fuses(radius, scale, degradation, level, seed):
    """A mean of frames, each brighter than the last by a little, is none of them brighter or darker."""
    base = noise(seed, 9, 9) // 4 + 60
    clip = [(base + 2 * i).astype(np.uint8) for i in range(2 * radius + 1)]
    draft, _ = Drafts(spec_of(radius, 1e4, 0, 20.0), scale, degradation, clip.__getitem__, len(clip))[radius]
    darkest, brightest = (upscale(clip[i], scale, degradation).astype(int) for i in (0, -1))
    assert draft.min() >= darkest.min() - 1 and draft.max() <= brightest.max() + 1


# Patches.


@quickly
@given(
    st.integers(1, 12), st.integers(1, 40), st.integers(1, 40), scales, st.integers(1, 40), st.integers(1, 5),
    st.none() | st.integers(1, 12), st.integers(1, 5), seeds,
)  # fmt: skip
def test_any_choice_of_patches(n, height, width, scale, size, per_frame, frames, validation_frames, seed):
    size, validation_frames, n = min(size, height, width), min(validation_frames, n), n + 1
    rows = choose(n, height, width, scale, size, per_frame, 0.5, frames, validation_frames, seed)
    assert not (rows[:, 1:3] % scale).any()
    check(rows, n, height, width, size, "patches.csv")
    training = min(frames or n, n - validation_frames)
    assert len(rows) == per_frame * (training + validation_frames)
    assert np.array_equal(rows[:, 3] == 1, rows[:, 0] >= n - validation_frames)
    patches = cut(noise(0, 2, height, width), rows, size)
    assert patches.shape == (len(rows), 2, size, size)


# Names.


@quickly
@given(st.lists(st.text(max_size=6), min_size=3, max_size=6))
def test_natural_order_is_an_order_for_any_names(names):
    assert sorted(names, key=natural_key) == sorted(reversed(names), key=natural_key)


@quickly
@given(st.integers(0, 10**6), st.integers(0, 10**6))
def test_natural_order_counts(one, other):
    assert (natural_key(f"f{one}.png") < natural_key(f"f{other}.png")) == (one < other)
