"""The networks: one file for each architecture, and what all of them share."""

from importlib import import_module


def network(name):
    """The network called `name` in the config (`deepsr.networks.base.Network`): class Net of the module of that name.

    A module is imported only when its network is wanted: all of them import Keras, and an edit of one trains only its own
    network anew.
    """
    return import_module(f"{__name__}.{name}").Net()
