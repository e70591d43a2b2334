"""The article's loss."""

from keras import ops


def loss(prediction, truth, bicubic, settings):
    """Mean squared error."""
    return ops.mean(ops.square(prediction - truth), axis=(1, 2))
