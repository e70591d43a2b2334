"""What a training starts from, and the files of networks that it reads and writes."""

import keras
import numpy as np

from deepsr.errors import InputError
from deepsr.files import atomic
from deepsr.train.normal_matrix import normal_matrix
from deepsr.train.vector import shapes, split


def make_start(network, model, pool, training, settings, path=None):
    """The `deepsr.networks.base.Start` of a training.

    network: `deepsr.networks.base.Network`; model: the Keras model that it has built, with its random weights; training:
    indices of the patches of `pool` that a linear filter is fitted on; path: of the `.keras` file whose weights take the
    place of the start's, or None.
    """
    normal = None
    if settings.warm_start:
        normal = normal_matrix(pool, training, network.filter_size, settings.loss == "relative", settings.seed)
    start = network.start(model, model.get_weights(), normal, settings.seed)
    return start if path is None else start._replace(weights=load_weights(path, model))


def load_weights(path, model):
    """Weights of a `.keras` file, a list of arrays; nothing in the file is executed.

    Raises InputError if it is no Keras model, if its weights have other shapes than those of `model`, or if they are not
    finite.
    """
    try:
        weights = keras.saving.load_model(path, compile=False, safe_mode=True).get_weights()
    except Exception as error:  # Keras raises many kinds on a damaged or hostile file
        raise InputError(f"{path}: is not a Keras model that can be read ({type(error).__name__}).") from error
    if [weight.shape for weight in weights] != shapes(model):
        raise InputError(f"{path}: holds another network than the one to train, or other drafts.")
    if not all(np.isfinite(weight).all() for weight in weights):
        raise InputError(f"{path}: holds weights that are not finite numbers; start from another network.")
    return weights


def save_model(model, vector, path):
    """Write `model` with the weights of a vector (P,) as a `.keras` file."""
    model.set_weights([np.asarray(weight) for weight in split(vector, shapes(model))])
    with atomic(path) as part:
        model.save(part)
