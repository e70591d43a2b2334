"""How sure a mean is, and a difference."""

import numpy as np

RESAMPLES, LEVEL = 10_000, 0.95  # of the bootstraps, and of their intervals
# With fewer, even a gain on every clip is no rarer than 5% by chance: a two-sided sign test of 5 gives 2 / 2**5 = 6%.
MIN_CLIPS = 6


def bootstrap_interval(clips, seed):
    """Confidence interval of the mean over clips of the mean over frames: (low, high).

    clips: list of 1-D arrays, a value per frame. Circular block bootstrap (Politis & Romano 1992) within each clip, with
    blocks of ceil(sqrt(n)) of its n frames, since neighbouring frames are alike; percentiles. It says how sure the mean is
    for these clips, not for other footage. Values that are not finite are left out; nan, nan if none is left.
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

    first, second: lists of 1-D arrays of scores, a clip's frames each, in the same order. Paired bootstrap over clips: the
    clips' mean differences are drawn with replacement, since what differs from clip to clip says how sure the mean is for
    other footage. Frames without a finite difference are left out, and clips without any other frame.
    Returns {"clips": number, "difference": mean, "low", "high": of its percentile interval, NaN below MIN_CLIPS clips}.
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
    """Between which two numbers LEVEL of the resampled means lie."""
    low, high = np.quantile(means, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return float(low), float(high)
