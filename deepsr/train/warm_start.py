"""A start in closed form, our own addition: the best linear filter over the drafts, carried by one channel of the network.

All other channels start as random features of the image that have no say yet. Training then has only the non-linear rest
to learn, provided that it does not throw the start away. So a start comes with the scale of each weight's steps (a
step on the filter's own path moves every pixel, coherently), and with the coordinates in which the first layer is
trained: those in which its input is white, since neighbouring pixels and drafts are nearly the same everywhere.
"""

from typing import NamedTuple

import numpy as np
from keras import ops

from deepsr.errors import InputError

SAMPLES = 100_000  # pixels that the filter is fitted on
RIDGE = 0.3  # added to the normal matrix's diagonal per sample, in squared grey levels of 255
SMOOTH = 65.0  # squared grey levels: below this error of the bicubic frame, patches count alike in the relative loss
FLOOR = 0.2  # share of the mean eigenvalue added to all, lest whitening amplify noise
ROUNDING = 1 / 12  # variance of rounding to whole grey levels
GAIN = 0.5  # standard deviation of the random features before the first activation


class Start(NamedTuple):
    """What a training begins with."""

    weights: list  # arrays, in the network's order
    rates: list  # scale of the optimizer's steps, arrays of the same shapes
    whitening: np.ndarray | None  # float32 (n, n), n = k*k*D: first kernel (n, filters) = whitening @ what is trained


def make(model, weights, pool, indices, relative, seed):
    """The warm start of a network.

    model: of `deepsr.networks.model`; weights: its random start, a list of arrays; pool, indices: a `Pool` and
    the patches of it to use; relative: weigh patches as the relative loss does; seed: of the pixels and features.
    Raises InputError if the patches are smaller than the filter, whose size is the network's first kernel's.
    """
    size, _, drafts, filters = weights[0].shape
    normal = normal_matrix(pool, indices, size, relative, seed)
    whitening, effective = whiten(normal, size, drafts)
    random = np.random.default_rng([seed, 4]).normal(0, GAIN / np.sqrt(effective), (len(whitening), filters))
    features = _matmul(whitening, random)
    mean = normal[:-2, -2] / normal[-2, -2] / 255
    weights = [np.array(weight, np.float32) for weight in weights]
    weights[0] = features.reshape(weights[0].shape)
    weights[1] = -np.sum(mean[:, None] * features, axis=0)
    return Start(*embed(model, weights, *solve_filter(normal, size, drafts)), whitening)


def normal_matrix(pool, indices, size, relative, seed):
    """Sums of products over random pixels: float64 (n + 2, n + 2) of n = size*size*D window pixels (row, column, draft),
    one, and the target; pixels in 0..255.

    Patches' edges are left out so that whole windows are seen. With `relative` a patch weighs as the relative loss does,
    rounded to a power of two: then all sums are of whole numbers, exact in float64, and the same on any number of threads.
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


def solve_filter(normal, size, drafts):
    """Best linear filter of a normal matrix: kernel float32 (size, size, D), and bias for pixels in [0, 1].

    Ridge regression (Hoerl & Kennard, Technometrics 1970) towards the mean of the drafts, which keeps the brightness.
    """
    n = len(normal) - 2
    prior = np.zeros((size, size, drafts))
    prior[size // 2, size // 2] = 1 / drafts
    prior = np.append(prior.ravel(), 0)
    products, right = normal[:-1, :-1], normal[:-1, -1]
    ridge = RIDGE * normal[n, n] * np.diag([*np.ones(n), 0])
    solution = prior + _eliminate(products + ridge, right - np.sum(products * prior, axis=1))
    return solution[:-1].reshape(size, size, drafts).astype(np.float32), np.float32(solution[-1] / 255)


def whiten(normal, size, drafts):
    """Matrix float32 (n, n) to coordinates in which a normal matrix's windows are nearly white, and how many of them are."""
    n = len(normal) - 2
    count = normal[n, n]
    mean = normal[:n, n] / count
    covariance = (normal[:n, :n] / count - mean[:, None] * mean) / 255**2
    # Not NumPy's: the rounding of its threaded libraries depends on the number of threads.
    values, vectors = map(ops.convert_to_numpy, ops.eigh(ops.convert_to_tensor(covariance, "float32")))
    values = np.maximum(values, 0)
    floor = FLOOR * np.mean(values) + ROUNDING / 255**2
    return vectors / np.sqrt(values + floor), max(1.0, float(np.sum(values / (values + floor))))


def embed(model, weights, kernel, bias):
    """Put a linear filter, kernel (k, k, D) and bias, into the first channel of a network.

    Returns weights with which the network equals the filter, and the scale of each weight's steps. Where the activation
    is tanh the channel carries eps * (filtered - 1/2), in its linear range; where it is ReLU, filtered + 1, above zero.
    """
    eps, shift = {"tanh": (0.1, -0.5), "relu": (1.0, 1.0)}[model.get_layer("conv1").activation.__name__]
    weights = [np.array(weight, np.float32) for weight in weights]
    rates = [np.ones_like(weight) for weight in weights]
    weights[0][..., 0], weights[1][0] = eps * kernel, eps * (bias + shift)
    for layer in range(2, len(weights), 2):
        weight, constant = weights[layer], weights[layer + 1]
        last = layer == len(weights) - 2
        weight[..., 0], constant[0] = 0, -shift if last else 0
        weight[weight.shape[0] // 2, weight.shape[1] // 2, 0, 0] = 1 / eps if last else 1
    for rate in rates:
        rate[..., 0] = 0.01 * eps
        if rate.ndim == 4 and rate.shape[3] == 1 and rate.shape[2] > 1:  # where the features get their say
            rate[...] = 0.1 * eps
    return weights, rates


def _eliminate(matrix, right):
    """Solve a symmetric positive definite system; unlike a threaded library, the same bits on any number of threads."""
    a = np.hstack([matrix, right[:, None]])
    for i in range(len(a)):
        a[i + 1 :, i:] -= (a[i + 1 :, i] / a[i, i])[:, None] * a[i, i:]
    x = np.zeros(len(a))
    for i in reversed(range(len(a))):
        x[i] = (a[i, -1] - np.sum(a[i, i + 1 : -1] * x[i + 1 :])) / a[i, i]
    return x


def _matmul(a, b):
    return ops.convert_to_numpy(ops.matmul(np.asarray(a, np.float32), np.asarray(b, np.float32)))
