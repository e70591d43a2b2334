"""What every network is."""

from typing import NamedTuple

import numpy as np


class Start(NamedTuple):
    """What a training begins with."""

    weights: list  # arrays, in the order of model.weights
    rates: list  # scale of the optimizer's steps, arrays of the same shapes
    whitening: np.ndarray | None  # float32 (n, n), n = k*k*D: first kernel (n, filters) = whitening @ what is trained


class Network:
    """An architecture."""

    filter_size = 11  # side in pixels of the linear filter that the network starts from

    def build(self, n_drafts, scale):
        """The Keras model."""
        raise NotImplementedError

    def forward(self, model, weights, x, dtype="float32"):
        """The model's output with the given weights, as training computes it."""
        raise NotImplementedError

    def start(self, model, weights, normal, seed):
        """What training begins with."""
        raise NotImplementedError
