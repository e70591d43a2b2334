"""Chains of convolutions on the HR grid, as DeepSR and SRCNN are, with a start and a training form of their own.

At the start the first channel of each layer computes the best linear filter over the drafts. All other channels compute
random features of the image, which have no effect on the output yet. The training then has to learn only what is not
linear, provided that its first steps do not destroy the start. So a start comes with a factor for the steps of each weight:
small for the filter's own weights, of which a small change moves all pixels together. It also comes with the coordinates
in which the first layer is trained: those in which its input is white, since neighbouring pixels and drafts are alike.
"""

import numpy as np
from keras import ops

from deepsr.errors import InputError
from deepsr.networks import spectral_form
from deepsr.networks.base import Network, Start
from deepsr.networks.chain_layers import read_chain
from deepsr.networks.linear_filter import solve_filter, whiten
from deepsr.networks.onnx_export import to_onnx

GAIN = 0.5  # standard deviation of the random features before the first activation


class Chain(Network):
    """A chain of convolutions: the first with tanh or ReLU, all with kernel and bias, the last with one channel."""

    linear_skip = False

    def build(self, n_drafts, scale):
        """See `Network.build`. Raises InputError if the graph is not a plain chain."""
        model = super().build(n_drafts, scale)
        try:
            read_chain(to_onnx(model).graph)
        except ValueError as error:
            raise InputError(f"{type(self).__module__}: {error}; derive it from Network instead of Chain.") from None
        return model

    def forward(self, model, weights, x, dtype="float32"):
        """See `Network.forward`. On two cores of a CPU this takes 1.5 times as many patches a second as the general form."""
        return spectral_form.forward(model, weights, x, dtype)

    def start(self, model, weights, normal, seed):
        """See `Network.start`. Without a normal matrix: the given weights, all trained at the same rate."""
        if normal is None:
            return super().start(model, weights, normal, seed)
        size, _, drafts, filters = weights[0].shape
        whitening, effective = whiten(normal)
        random = np.random.default_rng([seed, 4]).normal(0, GAIN / np.sqrt(effective), (len(whitening), filters))
        features = ops.convert_to_numpy(ops.matmul(whitening, np.asarray(random, np.float32)))
        mean = normal[:-2, -2] / normal[-2, -2] / 255
        weights = [np.array(weight, np.float32) for weight in weights]
        weights[0] = features.reshape(weights[0].shape)
        weights[1] = -np.sum(mean[:, None] * features, axis=0)
        return Start(*embed(model, weights, *solve_filter(normal, size, drafts)), whitening)


def embed(model, weights, kernel, bias):
    """Put a linear filter, kernel (k, k, D) and bias, into the first channel of a chain.

    Returns weights with which the network equals the filter, and the factors of the weights' steps. The activation must
    leave the channel as it is. So the channel carries eps * (filtered - 1/2), in the linear range of tanh, or filtered + 1,
    above the zero of ReLU.
    """
    first = next(layer for layer in model.layers if layer.weights)
    eps, shift = {"tanh": (0.1, -0.5), "relu": (1.0, 1.0)}[first.activation.__name__]
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
        if rate.ndim == 4 and rate.shape[3] == 1 and rate.shape[2] > 1:  # the layer that adds the features to the filter
            rate[...] = 0.1 * eps
    return weights, rates
