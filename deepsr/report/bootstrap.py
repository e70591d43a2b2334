"""How sure a mean over frames is."""

import numpy as np


def bootstrap_interval(clips, seed, resamples=10000, level=0.95):
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
        starts = random.integers(len(values), size=(resamples, int(np.ceil(len(values) / length))))
        means.append(blocks[starts].mean(axis=1))
    low, high = np.quantile(np.mean(means, axis=0), [(1 - level) / 2, (1 + level) / 2])
    return float(low), float(high)
