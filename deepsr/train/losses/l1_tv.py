"""The loss of Liao et al., ICCV 2015."""

from keras import ops


def loss(prediction, truth, bicubic, settings):
    """Absolute error plus the prediction's total variation."""
    vertical = ops.mean(ops.abs(prediction[:, 1:] - prediction[:, :-1]), axis=(1, 2))
    horizontal = ops.mean(ops.abs(prediction[:, :, 1:] - prediction[:, :, :-1]), axis=(1, 2))
    return ops.mean(ops.abs(prediction - truth), axis=(1, 2)) + settings.tv_weight * (vertical + horizontal)
