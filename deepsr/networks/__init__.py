"""The networks: one file for each architecture, and what all of them share."""

from deepsr.modules import load


def network(name):
    """The network called `name` in the config (`deepsr.networks.base.Network`): class Net of the module of that name.

    A module is imported only when its network is wanted: all of them import Keras, and an edit of one trains only its own
    network anew. Raises InputError if it cannot be imported.
    """
    return load(f"{__name__}.{name}", "Net")()
