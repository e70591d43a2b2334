"""The networks: one file for each architecture, and what all of them share."""

from importlib import import_module

# Name in the config -> the module whose class Net is the architecture. A module is imported only when its network is
# wanted, since all of them import Keras.
NETWORKS = {
    "deepsr": "deepsr.networks.deepsr",
    "srcnn": "deepsr.networks.srcnn",
    "fast": "deepsr.networks.fast",
}

# Optional: name -> the module whose class Predictor applies this network faster than the general one of
# `deepsr.networks.tiles`. It does not import Keras, which takes seconds and half a GB.
PREDICTORS = {
    "deepsr": "deepsr.networks.chain_tiles",
    "srcnn": "deepsr.networks.chain_tiles",
}


def network(name):
    """The network called `name` in the config (`deepsr.networks.base.Network`)."""
    return import_module(NETWORKS[name]).Net()
