"""The best linear filter over the drafts, in closed form: what trainings start from. Our own addition.

All is computed from a normal matrix (`deepsr.train.normal_matrix`), float64 (n + 2, n + 2): the sums, over many pixels, of
the products of any two of these values: the n = size * size * drafts pixels of the window (row, column, draft), the number
one, and the target. Pixels are in 0..255.
"""

import numpy as np
from keras import ops

RIDGE = 0.3  # added to the normal matrix's diagonal per sample, in squared grey levels of 255
FLOOR = 0.2  # this share of the mean eigenvalue is added to all, so that whitening does not amplify noise
ROUNDING = 1 / 12  # variance of rounding to whole grey levels


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


def whiten(normal):
    """The matrix, float32 (n, n), to coordinates in which the windows are nearly white, and how many coordinates count."""
    n = len(normal) - 2
    count = normal[n, n]
    mean = normal[:n, n] / count
    covariance = (normal[:n, :n] / count - mean[:, None] * mean) / 255**2
    # Not NumPy's: the rounding of its threaded libraries depends on the number of threads.
    values, vectors = map(ops.convert_to_numpy, ops.eigh(ops.convert_to_tensor(covariance, "float32")))
    values = np.maximum(values, 0)
    floor = FLOOR * np.mean(values) + ROUNDING / 255**2
    return vectors / np.sqrt(values + floor), max(1.0, float(np.sum(values / (values + floor))))


def _eliminate(matrix, right):
    """Solve a symmetric positive definite system; unlike a threaded library, the same bits on any number of threads."""
    a = np.hstack([matrix, right[:, None]])
    for i in range(len(a)):
        a[i + 1 :, i:] -= (a[i + 1 :, i] / a[i, i])[:, None] * a[i, i:]
    x = np.zeros(len(a))
    for i in reversed(range(len(a))):
        x[i] = (a[i, -1] - np.sum(a[i, i + 1 : -1] * x[i + 1 :])) / a[i, i]
    return x
