"""All weights of a network as one flat vector. So the optimizer is one function, and a checkpoint is a few arrays."""

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
    """The list of the arrays of these shapes from which `flatten` has made `vector`, an array or a tensor."""
    ends = np.cumsum([math.prod(shape) for shape in shapes])
    parts = ops.split(vector, [int(end) for end in ends[:-1]])
    return [ops.reshape(part, shape) for part, shape in zip(parts, shapes, strict=True)]
