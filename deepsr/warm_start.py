"""A start in closed form: the best linear filter over the drafts, placed inside the network.

Our own addition, in no paper. The network then has only the non-linear rest to learn.
"""

import numpy as np

from deepsr.errors import InputError

SIZE = 11  # of the filter: the network's first layer
SAMPLES = 60_000  # pixels that the filter is fitted on
RIDGE = 3.0  # added to the normal matrix's diagonal per sample, in squared 8-bit grey levels
EPS = 0.1  # the filter's output passes two tanh at this scale


def fit_filter(pool, indices, seed):
    """Best linear filter from the drafts to the target: kernel float32 (SIZE, SIZE, D) and bias, in [0, 1] units.

    Ridge regression (Hoerl & Kennard, 1970) on random pixels of the patches `indices` of `pool`, away from their
    edges so that the whole window is seen. Sums of products of 8-bit values are exact in float64, and the system
    is solved without a library whose rounding depends on the number of threads: the result is the same on any.
    Raises InputError if the patches are smaller than the filter.
    """
    drafts, size, _ = pool.shape
    if size < SIZE:
        raise InputError(f"patches of {size} pixels are smaller than the {SIZE}-pixel filter of the warm start.")
    rng = np.random.default_rng([seed, 1])
    inner = size - SIZE + 1
    per_patch = max(1, min(inner * inner, -(-SAMPLES // len(indices))))
    used = rng.permutation(indices)[: -(-SAMPLES // per_patch)]
    n = drafts * SIZE * SIZE + 1
    products = np.zeros((n + 1, n + 1))
    for block in np.array_split(used, max(1, len(used) * per_patch // 4000)):
        x, y = pool[block]
        windows = np.lib.stride_tricks.sliding_window_view(x, (SIZE, SIZE), axis=(2, 3))
        at = rng.permuted(np.tile(np.arange(inner * inner), (len(block), 1)), axis=1)[:, :per_patch]
        which, (row, column) = np.arange(len(block))[:, None], np.unravel_index(at, (inner, inner))
        rows = windows[which, :, row, column].reshape(-1, n - 1)
        target = y[which, row + SIZE // 2, column + SIZE // 2].reshape(-1, 1)
        rows = np.hstack([rows, np.ones_like(target), target]).astype(np.float64)
        products += rows.T @ rows
    ridge = RIDGE * products[n - 1, n - 1]
    normal = products[:n, :n] + ridge * np.diag([*np.ones(n - 1), 0])
    # Shrink towards the mean of the drafts, not towards zero: their sum keeps the brightness.
    prior = np.zeros(n)
    prior[: n - 1].reshape(drafts, SIZE, SIZE)[:, SIZE // 2, SIZE // 2] = 1 / drafts
    solution = prior + _solve(normal, products[:n, n] - products[:n, :n] @ prior)
    kernel = solution[:-1].reshape(drafts, SIZE, SIZE).transpose(1, 2, 0)
    return kernel.astype(np.float32), np.float32(solution[-1] / 255)


def _solve(matrix, right):
    """Gaussian elimination for a symmetric positive definite system."""
    a = np.hstack([matrix, right[:, None]])
    for i in range(len(a)):
        a[i + 1 :, i:] -= (a[i + 1 :, i] / a[i, i])[:, None] * a[i, i:]
    x = np.zeros(len(a))
    for i in reversed(range(len(a))):
        x[i] = (a[i, -1] - np.sum(a[i, i + 1 : -1] * x[i + 1 :])) / a[i, i]
    return x


def embed(weights, kernel, bias):
    """Put a linear filter into the weights of `build_deepsr` (list of arrays, in order); returns the new list.

    Channel 0 of the first two layers carries EPS * (filtered - 1/2), in tanh's linear range; the last kernel
    multiplies by 1/EPS. The other channels keep their weights but have no say yet: zero in the third layer.
    """
    k1, b1, k2, b2, k3, b3, k4, b4 = [np.array(weight, np.float32) for weight in weights]
    k1[..., 0], b1[0] = EPS * kernel, EPS * (bias - 0.5)
    k2[..., 0], b2[0] = 0, 0
    k2[0, 0, 0] = 0
    k2[0, 0, 0, 0] = 1
    k3[:], b3[:] = 0, 0
    k3[1, 1, 0, 0] = 1
    k4[:], b4[:] = 0, 0.5
    k4[12, 12] = 1 / EPS
    return [k1, b1, k2, b2, k3, b3, k4, b4]
