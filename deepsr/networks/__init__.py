"""The networks: one file for each architecture, and what all of them share."""

from importlib import import_module

# Name in the config -> the module whose class Net is the architecture. A module is imported only when its network is
# wanted: all of them import Keras, and an edit of one trains only its own network anew.
NETWORKS = {
    "deepsr": "deepsr.networks.deepsr",
    "srcnn": "deepsr.networks.srcnn",
    "fast": "deepsr.networks.fast",
}


def network(name):
    """The network called `name` in the config (`deepsr.networks.base.Network`)."""
    return import_module(NETWORKS[name]).Net()
