"""All weights of a network as one flat vector, which makes the optimizer one function and a checkpoint a few arrays."""

import math

import numpy as np
from keras import ops


def shapes(model):
    """Shapes of all weights of a Keras model, in the order of `model.weights`."""
    return [tuple(weight.shape) for weight in model.weights]


def flatten(arrays):
    """Float32 vector (P,) of all arrays in order."""
    return np.concatenate([np.asarray(array, np.float32).ravel() for array in arrays])


def split(vector, shapes):
    """The arrays of these shapes that `flatten` has put into `vector` (array or tensor), as a list."""
    ends = np.cumsum([math.prod(shape) for shape in shapes])
    parts = ops.split(vector, [int(end) for end in ends[:-1]])
    return [ops.reshape(part, shape) for part, shape in zip(parts, shapes, strict=True)]
