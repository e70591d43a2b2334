"""Sums of products over the windows of training patches, from which linear filters are fitted."""

import numpy as np

from deepsr.errors import InputError

SAMPLES = 100_000  # pixels that the filter is fitted on
SMOOTH = 65.0  # squared grey levels: patches whose bicubic error is below this count nearly alike in the relative loss


def normal_matrix(pool, indices, size, relative, seed):
    """Sums of products over random pixels, float64 (n + 2, n + 2): the products of any two of the n = size*size*D pixels of
    the window around a pixel (row, column, draft), the number one, and the target. Pixels are in 0..255.

    Pixels at the edge of a patch are left out, since their windows are not whole. With `relative`, a patch has its weight in
    the relative loss, rounded to a power of two. So all sums are of whole numbers, exact, and the same on any number of
    threads.
    """
    drafts, side, _ = pool.shape
    inner = side - size + 1
    if inner < 1:
        raise InputError(f"patches of {side} pixels are smaller than the {size}-pixel filter of the warm start.")
    rng = np.random.default_rng([seed, 1])
    per_patch = max(1, min(inner * inner, SAMPLES // len(indices)))
    chosen = rng.permutation(indices)[: -(-SAMPLES // per_patch)]
    n = size * size * drafts
    total = np.zeros((n + 2, n + 2))
    for block in np.array_split(chosen, -(-len(chosen) * per_patch // 4000)):
        x, y = pool[block]
        windows = np.lib.stride_tricks.sliding_window_view(x, (size, size), axis=(2, 3))
        at = rng.integers(0, inner, (2, len(block), per_patch))
        which = np.arange(len(block))[:, None]
        rows = windows[which, :, *at].transpose(0, 1, 3, 4, 2).reshape(-1, n)
        target = y[which, at[0] + size // 2, at[1] + size // 2].reshape(-1, 1)
        rows = np.hstack([rows, np.ones_like(target), target]).astype(np.float64)
        weight = np.ones(len(block))
        if relative:
            error = np.mean((x[:, -1].astype(np.int64) - y) ** 2, axis=(1, 2))
            weight = 2.0 ** np.round(np.log2(255**2 / (error + SMOOTH)))
        total += (rows * np.repeat(weight, per_patch)[:, None]).T @ rows
    return total
