import keras
import numpy as np
import pytest
from small_training import same, settings_with, shards, train  # noqa: F401

from deepsr.errors import InputError
from deepsr.networks import network
from deepsr.networks.base import Start
from deepsr.train import start
from deepsr.train.pool import Pool


@pytest.mark.parametrize("loss, warm_start", [("mse", True), ("relative", True), ("mse", False)])
def test_what_a_network_is_given_to_start_from(shards, monkeypatch, loss, warm_start):  # noqa: F811
    """The normal matrix of the training patches, weighed as the loss weighs them; nothing without a warm start."""
    calls = []
    monkeypatch.setattr(start, "normal_matrix", lambda *arguments: calls.append(arguments) or "normal matrix")

    class Net:
        filter_size = 7

        def start(self, model, weights, normal, seed):
            return Start((weights, normal, seed), "rates", "whitening")

    model, pool, indices = network("srcnn").build(2, 4), Pool(shards), np.arange(3)
    settings = settings_with(loss=loss, warm_start=warm_start, seed=9)
    weights, normal, seed = start.make_start(Net(), model, pool, indices, settings).weights
    assert same(weights, model.get_weights()) and seed == 9
    assert normal == ("normal matrix" if warm_start else None)
    assert calls == ([(pool, indices, 7, loss == "relative", 9)] if warm_start else [])


def test_the_first_weights_follow_from_the_seed(shards, tmp_path):  # noqa: F811
    one, again, other = (
        train(shards, tmp_path / name, warm_start=False, epochs=0, seed=seed)[0]
        for name, seed in (("one", 2**40), ("again", 2**40), ("other", 3))
    )
    assert same(one, again)
    assert not any(np.array_equal(a, b) for a, b in zip(one[::2], other[::2], strict=True))


def test_start_weights_are_trained_on_at_the_rates_of_a_fresh_start(shards, tmp_path):  # noqa: F811
    weights = train(shards, tmp_path / "first", warm_start=False, epochs=0)[0]
    path = str(tmp_path / "first" / "model.keras")
    assert same(train(shards, tmp_path / "second", epochs=0, start_weights=path)[0], weights)
    pool, model = Pool(shards), network("deepsr").build(2, 4)
    fresh, given = (start.make_start(network("deepsr"), model, pool, np.arange(9), settings_with(), p) for p in (None, path))
    assert same(given.weights, weights) and not same(fresh.weights, weights)
    assert same(given.rates, fresh.rates) and np.array_equal(given.whitening, fresh.whitening)


def test_start_weights_of_another_network_or_no_model(shards, tmp_path):  # noqa: F811
    train(shards, tmp_path / "srcnn", network="srcnn", warm_start=False, epochs=0)
    other = tmp_path / "srcnn" / "model.keras"
    with pytest.raises(InputError, match="model.keras: holds another network"):
        train(shards, tmp_path, start_weights=str(other))
    model = network("deepsr").build(2, 4)
    model.set_weights([np.full(weight.shape, np.nan) for weight in model.weights])
    model.save(tmp_path / "nan.keras")
    with pytest.raises(InputError, match="nan.keras: holds weights that are not finite"):
        train(shards, tmp_path, start_weights=str(tmp_path / "nan.keras"))
    keras.Sequential([keras.Input((None, None, 1)), keras.layers.Lambda(lambda x: 2 * x)]).save(tmp_path / "code.keras")
    with pytest.raises(
        InputError, match="code.keras: is not a Keras model that can be read"
    ):  # it holds code, which is not run
        train(shards, tmp_path, start_weights=str(tmp_path / "code.keras"))
    other.write_bytes(b"")
    with pytest.raises(InputError, match="model.keras: is not a Keras model"):
        train(shards, tmp_path, start_weights=str(other))
