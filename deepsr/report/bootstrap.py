"""How sure a mean is, and a difference."""

import numpy as np

RESAMPLES, LEVEL = 10_000, 0.95  # of the bootstraps, and of their intervals
# With fewer clips, even a gain on every clip happens by chance in more than 5% of cases: 2 / 2**5 = 6% for five clips.
MIN_CLIPS = 6


def bootstrap_interval(clips, seed):
    """Confidence interval of the mean over clips of the mean over frames: (low, high).

    clips: list of 1-D arrays, a value for each frame. It is a circular block bootstrap (Politis & Romano 1992) within each
    clip, with blocks of ceil(sqrt(n)) of its n frames, since neighbouring frames are alike. It says how sure the mean is for
    these clips, not for other footage. Values that are not finite are left out; without any other it is (nan, nan).
    """
    clips = [values for values in (np.asarray(c, float)[np.isfinite(c)] for c in clips) if len(values)]
    if not clips:
        return np.nan, np.nan
    random = np.random.default_rng(seed)
    means = []
    for values in clips:
        length = int(np.ceil(np.sqrt(len(values))))
        blocks = np.convolve(np.concatenate([values, values[: length - 1]]), np.ones(length) / length, "valid")
        starts = random.integers(len(values), size=(RESAMPLES, int(np.ceil(len(values) / length))))
        means.append(blocks[starts].mean(axis=1))
    return _percentiles(np.mean(means, axis=0))


def compare(first, second, seed):
    """How much better the first experiment is than the second on the same frames, and whether that may be chance.

    first, second: lists of 1-D arrays, the scores of a clip's frames in each, in the same order. It is a paired bootstrap
    over clips, which draws from the mean differences of the clips with replacement: how much these differ says how sure the
    mean is for other footage. Frames without a finite difference are left out, and clips that have no other frames.
    Returns {"clips": number, "difference": mean, "low" and "high": its 95% interval, NaN below MIN_CLIPS clips}.
    """
    means = []
    for a, b in zip(first, second, strict=True):
        a, b = np.asarray(a, float), np.asarray(b, float)
        finite = np.isfinite(a) & np.isfinite(b)
        if finite.any():
            means.append((a[finite] - b[finite]).mean())
    found = {"clips": len(means), "difference": float(np.mean(means)) if means else np.nan, "low": np.nan, "high": np.nan}
    if len(means) >= MIN_CLIPS:
        drawn = np.random.default_rng(seed).choice(means, (RESAMPLES, len(means))).mean(axis=1)
        found["low"], found["high"] = _percentiles(drawn)
    return found


def _percentiles(means):
    """The two numbers between which the share LEVEL of the resampled means lies."""
    low, high = np.quantile(means, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return float(low), float(high)
