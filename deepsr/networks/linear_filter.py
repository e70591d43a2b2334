"""A start in closed form, our own addition: the best linear filter over the drafts, carried by one channel of the network.

All other channels start as random features of the image that have no say yet. Training then has only the non-linear rest
to learn, provided that it does not throw the start away. So a start comes with the scale of each weight's steps (a
step on the filter's own path moves every pixel, coherently), and with the coordinates in which the first layer is
trained: those in which its input is white, since neighbouring pixels and drafts are nearly the same everywhere.
"""

import numpy as np
from keras import ops

from deepsr.networks.base import Start

RIDGE = 0.3  # added to the normal matrix's diagonal per sample, in squared grey levels of 255
FLOOR = 0.2  # share of the mean eigenvalue added to all, lest whitening amplify noise
ROUNDING = 1 / 12  # variance of rounding to whole grey levels
GAIN = 0.5  # standard deviation of the random features before the first activation


def make(model, weights, normal, seed):
    """The warm start of a network: its weights, the scale of their steps and the coordinates of the first layer.

    model: of `deepsr.networks.model`; weights: its random start, a list of arrays; normal: of
    `deepsr.train.normal_matrix`; seed: of the features.
    """
    size, _, drafts, filters = weights[0].shape
    whitening, effective = whiten(normal, size, drafts)
    random = np.random.default_rng([seed, 4]).normal(0, GAIN / np.sqrt(effective), (len(whitening), filters))
    features = _matmul(whitening, random)
    mean = normal[:-2, -2] / normal[-2, -2] / 255
    weights = [np.array(weight, np.float32) for weight in weights]
    weights[0] = features.reshape(weights[0].shape)
    weights[1] = -np.sum(mean[:, None] * features, axis=0)
    return Start(*embed(model, weights, *solve_filter(normal, size, drafts)), whitening)


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
