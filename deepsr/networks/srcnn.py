"""The network srcnn."""

import numpy as np

from deepsr.networks import model as chains
from deepsr.networks.base import Network, Start
from deepsr.networks.linear_filter import make


class Net(Network):
    """The network srcnn."""

    filter_size = 9

    def build(self, n_drafts, scale):
        """The Keras model."""
        return chains.build_srcnn(n_drafts)

    def forward(self, model, weights, x, dtype="float32"):
        """The model's output, in forms whose gradients are cheap."""
        return chains.forward(model, weights, x, dtype)

    def start(self, model, weights, normal, seed):
        """The weights as they are, or the linear filter of a normal matrix."""
        if normal is None:
            return Start(weights, [np.ones(np.shape(weight)) for weight in weights], None)
        return make(model, weights, normal, seed)
