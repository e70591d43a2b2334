"""Adam on a flat vector of weights, and an exponential average of the weights.

Keras's Adam does the same, but its state cannot be saved and continued bit by bit in the middle of an epoch on every
backend, and it has no place for the coordinates and rates of a start (`deepsr.networks.base.Start`).
"""

import numpy as np
from keras import ops

from deepsr.train.vector import flatten

BETA1, BETA2, EPSILON = 0.9, 0.999, 1e-7  # Adam (Kingma & Ba, ICLR 2015), as in Keras


class Optimizer:
    """Adam at the rates of a start, with the first kernel in the start's coordinates."""

    def __init__(self, start, settings, total, compiled):
        """start: `deepsr.networks.base.Start`; total: steps of the training; compiled: compiles a function for a device."""
        self.settings, self.total = settings, total
        self.adam = compiled(adam(start))

    def rate(self, step):
        """Learning rate of step 1, 2, ..., `total`."""
        settings = self.settings
        rate = settings.learning_rate * min(1.0, step / max(1, settings.warmup_steps))
        if settings.schedule == "cosine":
            rate *= 0.5 * (1 + np.cos(np.pi * (step - 1) / self.total))
        return rate

    def update(self, state, gradient, count):
        """Take a step, which changes `state` (`deepsr.train.loop.State`); gradient: its sum over `count` patches, (P,).

        Returns whether the gradient is finite; if it is not, the state stays as it is.
        """
        step = state.step + 1
        decay = min(self.settings.average, step / (step + 10))  # short at first, to forget the start
        scalars = self.rate(step), 1 - BETA1**step, 1 - BETA2**step, decay, count
        vectors = state.weights, state.average, state.mean, state.square, gradient
        finite, updated = self.adam(*vectors, *map(np.float32, scalars))
        if finite:
            state.weights, state.average, state.mean, state.square = updated
        return bool(finite)


def adam(start):
    """One step, as a function of five vectors (P,) and five numbers.

    The vectors: weights, their average, Adam's two moments, the gradient's sum. The numbers: learning rate, the two
    corrections of the moments' bias, decay of the average, patches in the sum. Returns whether the gradient is finite, and
    the first four vectors after the step. Weights whose rate is 0 stay as they are, bit by bit, and so does their average.
    """
    rates, first = flatten(start.rates), start.weights[0].size

    def whitened(vector, matrix):
        """The vector with its first kernel (n, filters) multiplied by a matrix (n, n)."""
        if matrix is None:
            return vector
        kernel, rest = ops.split(vector, [first])
        return ops.concatenate([ops.reshape(ops.matmul(matrix, ops.reshape(kernel, (len(matrix), -1))), (-1,)), rest])

    back = None if start.whitening is None else start.whitening.T  # the kernel is whitening @ what is trained

    def step(weights, average, mean, square, gradient, rate, mean_share, square_share, decay, count):
        finite = ops.all(ops.isfinite(gradient))
        gradient = whitened(gradient / count, back)
        mean = BETA1 * mean + (1 - BETA1) * gradient
        square = BETA2 * square + (1 - BETA2) * gradient * gradient
        change = rates * (mean / mean_share) / (ops.sqrt(square / square_share) + EPSILON)
        weights = weights - rate * whitened(change, start.whitening)
        return finite, (weights, weights + decay * (average - weights), mean, square)

    return step
