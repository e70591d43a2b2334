"""What holds for every network in the registry; a new one is tested by being registered."""

import os
import sys
from functools import cache

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras
import numpy as np
import onnx
import onnxruntime
import pytest
import tensorflow as tf
from conftest import mostly_slow
from hypothesis import given, settings
from hypothesis import strategies as st
from keras import layers, ops
from rounding import assert_close, in_float64, tolerance

from deepsr.errors import InputError
from deepsr.networks import chain_tiles, fast, inference, network, tiles
from deepsr.networks.base import Network
from deepsr.networks.chain import Chain
from deepsr.networks.inference import open_predictor
from deepsr.networks.onnx_export import to_onnx
from deepsr.registry import NETWORKS

SIZES = [(2, 1), (3, 2), (4, 3), (2, 4), (3, 5), (4, 6)]  # scale, drafts; the first three are always tested


def random_weights(model, seed=0):
    """Kernels that keep the size of what passes through them, and biases."""
    rng = np.random.default_rng(seed)
    spread = [np.prod(w.shape[:-1]) ** -0.5 if len(w.shape) > 1 else 0.1 for w in model.weights]
    return [rng.normal(0, s, w.shape).astype(np.float32) for s, w in zip(spread, model.weights, strict=True)]


@cache
def built(name, scale, n_drafts):
    """A network, its model of random weights, and the same model in float64."""
    net = network(name)
    model, exact = net.build(n_drafts, scale), in_float64(lambda: net.build(n_drafts, scale))
    model.set_weights(random_weights(model))
    return net, model, exact


def frames(n_drafts, scale, height=7, width=9):
    """Drafts whose LR frame has odd sides."""
    return np.random.default_rng(1).integers(0, 256, (n_drafts, scale * height, scale * width), dtype=np.uint8)


def plain(model, drafts):
    """A function of the weights: the Keras model's output, (H, W)."""
    x = drafts.transpose(1, 2, 0)[None].astype(model.compute_dtype) / 255
    return lambda weights: [np.asarray(Network().forward(model, weights, x))[0]]


@pytest.mark.parametrize("name", NETWORKS)
@pytest.mark.parametrize("scale, n_drafts", mostly_slow(SIZES, 3))
def test_model_training_form_file_and_tiles_agree(name, scale, n_drafts, tmp_path):
    net, model, exact = built(name, scale, n_drafts)
    drafts, weights = frames(n_drafts, scale), model.get_weights()
    expected, allowed = tolerance(plain(exact, drafts), weights)
    assert expected[0].std() > 0.05

    x = drafts.astype(np.float32) / 255
    onnx.save(to_onnx(model, {"network": name}), tmp_path / "n.onnx")
    session = onnxruntime.InferenceSession(tmp_path / "n.onnx", providers=["CPUExecutionProvider"])
    general = tiles.Predictor(onnx.load(tmp_path / "n.onnx"))
    general.side = general.grid
    found = {
        "model": np.asarray(model([frame[None, :, :, None] for frame in x]))[0, :, :, 0],
        "training form": np.asarray(net.forward(model, weights, x.transpose(1, 2, 0)[None]))[0],
        "onnxruntime": session.run(None, {f"input_{i}": frame[None, None] for i, frame in enumerate(x)})[0][0, 0],
        "predictor": open_predictor(tmp_path / "n.onnx", threads=2)(drafts),
        "general predictor": general(drafts),
    }
    for form, array in found.items():
        assert array.dtype == np.float32, form
        assert_close([array], expected, allowed)


@pytest.mark.parametrize("name", NETWORKS)
@pytest.mark.parametrize("scale, n_drafts", SIZES[:3])
def test_gradients_of_the_training_form_are_those_of_the_model(name, scale, n_drafts):
    net, model, exact = built(name, scale, n_drafts)
    rng = np.random.default_rng(2)
    x = frames(n_drafts, scale, 5, 3).transpose(1, 2, 0)[None] / 255
    truth = rng.random(x.shape[:3])

    def slopes(forward, model, dtype):
        def function(weights):
            weights = [tf.constant(weight, dtype) for weight in weights]
            with tf.GradientTape() as tape:
                tape.watch(weights)
                loss = tf.reduce_mean(tf.square(forward(model, weights, tf.constant(x, dtype)) - tf.constant(truth, dtype)))
            return [slope.numpy() for slope in tape.gradient(loss, weights)]

        return function

    expected, allowed = tolerance(slopes(Network().forward, exact, "float64"), model.get_weights())
    assert all(np.abs(slope).max() > 0 for slope in expected)
    assert_close(slopes(net.forward, model, "float32")(model.get_weights()), expected, allowed)


@pytest.mark.parametrize("name", inference.PREDICTORS)
def test_a_network_without_its_own_predictor_gives_the_same(name, tmp_path, monkeypatch):
    _, model, exact = built(name, 3, 2)
    onnx.save(to_onnx(model, {"network": name}), tmp_path / "n.onnx")
    assert type(open_predictor(tmp_path / "n.onnx")) is not tiles.Predictor
    monkeypatch.delitem(inference.PREDICTORS, name)
    general = open_predictor(tmp_path / "n.onnx")
    assert type(general) is tiles.Predictor
    drafts = frames(2, 3)
    assert_close([general(drafts)], *tolerance(plain(exact, drafts), model.get_weights()))


def test_a_chain_without_its_training_form_and_start_is_a_network_with_a_linear_skip():
    class Plain(network("deepsr").__class__):
        linear_skip = True
        build, forward, start = Network.build, Network.forward, Network.start

    check_start(Plain(), 2, 3)
    net, model, exact = built("deepsr", 2, 1)
    x = frames(1, 2).transpose(1, 2, 0)[None].astype(np.float32) / 255
    found = np.asarray(Plain.forward(net, model, model.get_weights(), x))
    assert_close(found, *tolerance(plain(exact, frames(1, 2)), model.get_weights()))


def normal_of(kernel, bias, rows=6000):
    """Normal matrix of random windows whose target is a linear filter of them."""
    rng = np.random.default_rng(4)
    windows = rng.integers(0, 256, (rows, kernel.size)).astype(np.float64)
    rows = np.hstack([windows, np.ones((rows, 1)), (windows @ kernel.ravel() + 255 * bias)[:, None]])
    return rows.T @ rows


def check_start(net, scale, n_drafts):
    """With a normal matrix, a network equals the best linear filter when its training starts."""
    size = net.filter_size
    kernel = np.zeros((size, size, n_drafts))
    kernel[size // 2, size // 2], kernel[0, 1, 0], kernel[3, -1, -1] = 0.7 / n_drafts, 0.1, 0.2
    model = net.build(n_drafts, scale)
    start = net.start(model, random_weights(model), normal_of(kernel, 0.02), seed=1)
    assert [w.shape for w in start.weights] == [r.shape for r in start.rates] == [tuple(w.shape) for w in model.weights]
    model.set_weights(start.weights)
    drafts = frames(n_drafts, scale, 9, 11) / np.float32(255)
    found = np.asarray(model([frame[None, :, :, None] for frame in drafts]))[0, :, :, 0]
    windows = np.lib.stride_tricks.sliding_window_view(drafts, (size, size), axis=(1, 2))
    expected = np.einsum("dijxy,xyd->ij", windows, kernel) + 0.02
    inside = slice(size // 2, -(size // 2))
    assert expected.std() > 0.1
    assert np.abs(found[inside, inside] - expected).max() < 5e-3  # tanh is not quite linear; the ridge shrinks a little
    return model, start


@pytest.mark.parametrize("name", NETWORKS)
@pytest.mark.parametrize("scale, n_drafts", [(3, 2), (4, 3)])
def test_a_network_starts_as_the_best_linear_filter(name, scale, n_drafts):
    net = network(name)
    model, start = check_start(net, scale, n_drafts)
    names = [variable.path.split("/")[-2] for variable in model.weights]
    for layer, rate in zip(names, start.rates, strict=True):
        assert (rate == 0).all() if layer == "linear_skip" else (rate > 0).all()
    assert (start.whitening is not None) == isinstance(net, Chain)


@pytest.mark.parametrize("name", NETWORKS)
def test_without_a_normal_matrix_the_weights_stay_random_and_the_skip_zero(name):
    net, model, _ = built(name, 2, 4)
    given = random_weights(model, seed=5)
    start = net.start(model, given, None, seed=1)
    assert start.whitening is None
    for variable, weight, rate, before in zip(model.weights, start.weights, start.rates, given, strict=True):
        skip = "linear_skip" in variable.path
        np.testing.assert_array_equal(weight, np.zeros_like(before) if skip else before)
        assert (rate == (0 if skip else 1)).all()


def test_the_random_weights_given_to_a_start_are_not_changed():
    net, model, _ = built("fast", 2, 1)
    given = random_weights(model)
    net.start(model, given, normal_of(np.full((11, 11, 1), 1 / 121), 0), seed=1)
    for one, other in zip(given, random_weights(model), strict=True):
        np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize("name", NETWORKS)
def test_named_inputs_and_any_size(name):
    model = network(name).build(3, 2)
    assert [tensor.name for tensor in model.inputs] == ["input_0", "input_1", "input_2"]
    for height, width in ((20, 34), (6, 2)):
        assert model([np.zeros((1, height, width, 1), np.float32)] * 3).shape == (1, height, width, 1)


@pytest.mark.parametrize("name", NETWORKS)
def test_saved_and_loaded_without_running_anything_in_the_file(name, tmp_path):
    _, model, _ = built(name, 4, 3)
    model.save(tmp_path / "m.keras")
    loaded = keras.saving.load_model(tmp_path / "m.keras", compile=False, safe_mode=True)
    x = [np.random.default_rng(i).random((1, 16, 12, 1), np.float32) for i in range(3)]
    np.testing.assert_array_equal(np.asarray(model(x)), np.asarray(loaded(x)))
    assert to_onnx(loaded) == to_onnx(model)


@pytest.fixture(scope="module", params=NETWORKS)
def files(request, tmp_path_factory):
    """Path of an exported network of 2 drafts at x3, its general predictor, and a frame with its output."""
    _, model, exact = built(request.param, 3, 2)
    path = tmp_path_factory.mktemp("n") / "n.onnx"
    onnx.save(to_onnx(model, {"network": request.param}), path)
    drafts = frames(2, 3, 13, 11)
    return path, tiles.Predictor(onnx.load(path), threads=2), drafts, tolerance(plain(exact, drafts), model.get_weights())


@settings(deadline=None, max_examples=20)
@given(cells=st.integers(1, 14))
def test_general_tiles_of_any_size_make_the_whole_frame(files, cells):
    _, general, drafts, (expected, allowed) = files
    general.side = cells * general.grid
    assert_close([general(drafts)], expected, allowed)


def test_tiles_of_a_frame_are_equal(files):
    """Of 21 cells in tiles of at most 8: three of 7, which keeps the threads alike busy."""
    assert [tiles._equal_tiles(21 * grid, 8 * grid, grid) for grid in (1, 3)] == [7, 21]
    assert [tiles._equal_tiles(length, 8, 2) for length in (2, 8, 10, 18)] == [2, 8, 6, 6]


def test_threads_do_not_change_a_bit(files, monkeypatch):
    path, _, drafts, _ = files
    for module in (tiles, chain_tiles):
        monkeypatch.setattr(module.Predictor, "cpu_tile_mb", 0.01)
    one = open_predictor(path, threads=1)(drafts)
    for threads in (2, 3):
        predictor = open_predictor(path, threads=threads)
        assert all(np.array_equal(predictor(drafts), one) for _ in range(3))


def test_parameters_of_the_articles_networks():
    assert network("deepsr").build(4, 4).count_params() == 260_979
    assert network("deepsr").build(1, 4).count_params() == 260_979 - 3 * 11 * 11 * 256
    assert network("srcnn").build(1, 4).count_params() == 9 * 9 * 64 + 64 + 64 * 32 + 32 + 5 * 5 * 32 + 1


@pytest.mark.parametrize("scale, n_drafts, macs", [(4, 6, 13_800)])
def test_multiply_adds_of_the_fast_network_per_hr_pixel(scale, n_drafts, macs):
    """notes: 13,800 of a network with six drafts at x4; each kernel's weight counts once per pixel of its grid."""
    model = network("fast").build(n_drafts, scale)
    total = sum(
        layer.kernel.shape.num_elements() / (1 if layer.name == "linear_skip" else scale**2)
        for layer in model.layers
        if hasattr(layer, "kernel")
    )
    assert total == pytest.approx(macs, rel=0.1)


def test_blocks_of_the_fast_network_begin_near_the_identity():
    model = network("fast").build(3, 4)
    for i in range(fast.BLOCKS):
        first, second = (model.get_layer(f"block{i}_{which}").kernel.numpy().std() for which in ("first", "second"))
        assert second == pytest.approx(first / 10, rel=0.05)


@pytest.mark.parametrize("name", NETWORKS)
def test_random_weights_follow_from_the_seed_and_differ_in_all_layers(name):
    """Whatever was drawn before: an initializer that is made when its module is imported does not follow from the seed."""
    built = []
    for seed in (1, 1, 2):
        keras.utils.set_random_seed(seed)
        built.append([w for w in network(name).build(3, 4).get_weights() if w.any()])
        sys.modules.pop(f"deepsr.networks.{name}")
    one, again, other = built
    assert all(np.array_equal(a, b) for a, b in zip(one, again, strict=True))
    assert not any(np.array_equal(a, b) for a, b in zip(one, other, strict=True))
    assert len({w.tobytes() for w in one}) == len(one)


def test_last_layer_of_deepsr_is_linear():
    _, model, exact = built("deepsr", 2, 1)
    weights = [weight.astype(np.float64) for weight in model.get_weights()]
    once, seven = (plain(exact, frames(1, 2))([*weights[:-2], k * weights[-2], k * weights[-1]])[0] for k in (1, 7))
    np.testing.assert_allclose(seven, 7 * once, rtol=1e-9)  # far more than float64's rounding, far less than a curve's


@pytest.mark.parametrize("change", ["skip", "dilation"])
def test_a_chain_that_is_none_is_refused_before_it_is_trained(change):
    """Its training form would leave out what it does not know."""

    class Broken(Chain):
        def graph(self, x, n_drafts, scale):
            first = keras.layers.Conv2D(4, 3, padding="same", activation="tanh", dilation_rate=1 + (change == "dilation"))(x)
            y = keras.layers.Conv2D(4, 1, activation="tanh")(first)
            return keras.layers.Conv2D(1, 3, padding="same")(first + y if change == "skip" else y)

    with pytest.raises(InputError, match="derive it from Network instead of Chain"):
        Broken().build(2, 2)


def mistaken(graph):
    """A network with this graph."""
    return type("Net", (Network,), {"graph": graph, "__module__": __name__})()


def conv(*arguments, **settings):
    return layers.Conv2D(*arguments, padding="same", **settings)


MISTAKES = {
    "an activation at the end": (lambda self, x, n, scale: conv(1, 3, activation="relu")(x), "no activation"),
    "an activation after it": (lambda self, x, n, scale: ops.sigmoid(conv(1, 3)(x)), "no activation"),
    "something added": (lambda self, x, n, scale: conv(1, 3)(x) + conv(1, 1)(x), "add nothing"),
    "left on the LR grid": (lambda self, x, n, scale: conv(1, 3)(ops.space_to_depth(x, scale)), "2x2|4x4.*depth_to_space"),
    "no padding": (lambda self, x, n, scale: layers.Conv2D(1, 3)(x), "padding='same'"),
    "dropout": (lambda self, x, n, scale: conv(1, 3)(layers.Dropout(0.5)(x)), "dropout.*cannot be exported"),
    "normalization": (
        lambda self, x, n, scale: conv(1, 3)(layers.BatchNormalization()(x)),
        "batch_normalization.*cannot be exported",
    ),
    "two channels": (lambda self, x, n, scale: conv(2, 3)(x), "one channel"),
    "nothing returned": (lambda self, x, n, scale: None, "None; it must give one tensor"),
    "shapes that do not add up": (
        lambda self, x, n, scale: layers.Add()([x, conv(5, 3)(x)]),
        "test_networks.py, line [0-9]+: ",
    ),
}


@pytest.mark.parametrize("graph, said", MISTAKES.values(), ids=MISTAKES)
def test_a_mistaken_graph_is_refused_in_a_sentence_before_it_is_trained(graph, said):
    with pytest.raises(InputError, match=said):
        mistaken(graph).build(3, 2)


def test_checks_of_a_graph_leave_its_random_weights_as_they_are():
    keras.utils.set_random_seed(3)
    model = mistaken(lambda self, x, n, scale: conv(1, 3)(x)).build(3, 2)
    keras.utils.set_random_seed(3)
    alone = conv(1, 3)
    alone.build((None, None, None, 3))
    assert np.array_equal(model.weights[0].numpy(), alone.kernel.numpy())
