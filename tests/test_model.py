import keras
import numpy as np
import pytest

from deepsr.networks import model as networks


def random_weights(model, seed=0):
    rng = np.random.default_rng(seed)
    return [rng.normal(0, 0.1, w.shape).astype(np.float32) for w in model.weights]


def test_parameters_of_the_article():
    assert networks.build_deepsr(4).count_params() == 260_979
    assert networks.build_deepsr(1).count_params() == 260_979 - 3 * 11 * 11 * 256
    assert networks.build_srcnn(1).count_params() == 9 * 9 * 64 + 64 + 64 * 32 + 32 + 5 * 5 * 32 + 1


def test_named_inputs_and_any_size():
    model = networks.build_deepsr(3)
    assert [tensor.name for tensor in model.inputs] == ["input_0", "input_1", "input_2"]
    for height, width in ((20, 33), (7, 5)):
        assert model([np.zeros((1, height, width, 1), np.float32)] * 3).shape == (1, height, width, 1)


def test_last_layer_of_deepsr_is_linear():
    model = networks.build_deepsr(1)
    weights = random_weights(model)
    x = np.random.default_rng(1).random((1, 30, 30, 1), np.float32)
    model.set_weights(weights)
    once = np.asarray(model([x]))
    weights[-2:] = [7 * weights[-2], 7 * weights[-1]]
    model.set_weights(weights)
    np.testing.assert_allclose(np.asarray(model([x])), 7 * once, atol=1e-4)


@pytest.mark.parametrize(
    "network, drafts, height", [("deepsr", 4, 26), ("deepsr", 1, 27), ("srcnn", 1, 26), ("srcnn", 3, 27)]
)
def test_forward_and_its_gradients_equal_the_plain_model(network, drafts, height):
    tf = pytest.importorskip("tensorflow")
    model = networks.NETWORKS[network](drafts)
    weights = random_weights(model)
    model.set_weights(weights)
    rng = np.random.default_rng(2)
    x = rng.random((2, height, 29, drafts), np.float32)
    truth = rng.random((2, height, 29), np.float32)
    vector = tf.constant(networks.flatten(weights))
    shapes = [tuple(w.shape) for w in weights]

    with tf.GradientTape() as tape:
        tape.watch(vector)
        ours = networks.forward(model, networks.split(vector, shapes), tf.constant(x))
        loss = tf.reduce_mean(tf.square(ours - truth))
    gradient = tape.gradient(loss, vector).numpy()
    with tf.GradientTape() as tape:
        plain = model([x[..., i : i + 1] for i in range(drafts)])[..., 0]
        loss = tf.reduce_mean(tf.square(plain - truth))
    expected = tape.gradient(loss, model.trainable_variables)

    np.testing.assert_allclose(ours, plain, atol=1e-5)
    for mine, theirs in zip(networks.split(gradient, shapes), expected, strict=True):
        scale = np.abs(theirs).max()
        assert scale > 0
        np.testing.assert_allclose(mine, theirs, atol=2e-5 * scale)


def test_flatten_and_split_are_inverse():
    model = networks.build_srcnn(2)
    weights = random_weights(model)
    back = networks.split(networks.flatten(weights), [w.shape for w in weights])
    for one, other in zip(weights, back, strict=True):
        np.testing.assert_array_equal(one, np.asarray(other))


def test_saved_and_loaded(tmp_path):
    model = networks.build_deepsr(2)
    model.save(tmp_path / "m.keras")
    loaded = keras.saving.load_model(tmp_path / "m.keras")
    x = [np.random.default_rng(i).random((1, 16, 16, 1), np.float32) for i in range(2)]
    np.testing.assert_array_equal(np.asarray(model(x)), np.asarray(loaded(x)))
