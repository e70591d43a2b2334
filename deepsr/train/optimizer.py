"""Adam on a flat vector of weights, and an exponential average of the weights.

Keras's Adam does the same. But its state cannot be saved and continued bit by bit in the middle of an epoch on every
backend, and it has no coordinates and rates for single weights (`deepsr.networks.base.Start`).
"""

import numpy as np
from keras import ops

from deepsr.train.vector import flatten

BETA1, BETA2, EPSILON = 0.9, 0.999, 1e-7  # Adam (Kingma & Ba, ICLR 2015), as in Keras


class Optimizer:
    """Adam at the rates of a start, with the first kernel in the start's coordinates."""

    def __init__(self, start, settings, total, compiled):
        """start: `deepsr.networks.base.Start`; total: number of steps; compiled: compiles a function for the device."""
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
        """Take a step, which changes `state` (`deepsr.train.loop.State`), and return whether the gradient is finite.

        gradient: the sum of the gradients of `count` patches, (P,). If it is not finite, the state stays as it is.
        """
        step = state.step + 1
        decay = min(self.settings.average, step / (step + 10))  # a short average at first, which forgets the start
        scalars = self.rate(step), 1 - BETA1**step, 1 - BETA2**step, decay, count
        vectors = state.weights, state.average, state.mean, state.square, gradient
        finite, updated = self.adam(*vectors, *map(np.float32, scalars))
        if finite:
            state.weights, state.average, state.mean, state.square = updated
        return bool(finite)


def adam(start):
    """The function that takes one step, of five vectors (P,) and five numbers.

    The vectors are the weights, their average, Adam's two moments, and the sum of the gradients. The numbers are the
    learning rate, the corrections of the two moments' bias, the decay of the average, and the number of patches in the sum.
    It returns whether the gradient is finite, and the first four vectors after the step. Weights whose rate is 0 and their
    average stay as they are, bit by bit.
    """
    rates, first = flatten(start.rates), start.weights[0].size

    def transform(vector, matrix):
        """The vector with its first kernel (n, filters) multiplied by a matrix (n, n)."""
        if matrix is None:
            return vector
        kernel, rest = ops.split(vector, [first])
        return ops.concatenate([ops.reshape(ops.matmul(matrix, ops.reshape(kernel, (len(matrix), -1))), (-1,)), rest])

    transposed = None if start.whitening is None else start.whitening.T  # the kernel is whitening @ what is trained

    def step(weights, average, mean, square, gradient, rate, mean_correction, square_correction, decay, count):
        finite = ops.all(ops.isfinite(gradient))
        gradient = transform(gradient / count, transposed)
        mean = BETA1 * mean + (1 - BETA1) * gradient
        square = BETA2 * square + (1 - BETA2) * gradient * gradient
        change = rates * (mean / mean_correction) / (ops.sqrt(square / square_correction) + EPSILON)
        weights = weights - rate * transform(change, start.whitening)
        return finite, (weights, weights + decay * (average - weights), mean, square)

    return step
