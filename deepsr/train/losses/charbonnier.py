"""The loss of Lai et al., CVPR 2017."""

from keras import ops


def loss(prediction, truth, bicubic, settings):
    """A smooth absolute error."""
    return ops.mean(ops.sqrt(ops.square(prediction - truth) + 1e-6), axis=(1, 2))
