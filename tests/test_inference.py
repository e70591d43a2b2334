import os

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import numpy as np
import onnx
import onnxruntime
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from deepsr.errors import InputError
from deepsr.networks import inference
from deepsr.networks.inference import Predictor, predict_frame
from deepsr.networks.onnx_export import Layer, from_keras, from_onnx, to_onnx


def network(kind="deepsr", n_drafts=4, channels=(16, 24), seed=0):
    """A network of random weights with few channels, as layers."""
    rng = np.random.default_rng(seed)
    shapes = {
        "deepsr": [("conv", 11, "tanh"), ("conv", 1, "tanh"), ("conv", 3, "tanh"), ("deconv", 25, "linear")],
        "srcnn": [("conv", 9, "relu"), ("conv", 1, "relu"), ("conv", 5, "linear")],
    }[kind]
    widths = [n_drafts, *channels, 1, 1]
    return [
        Layer(
            f"layer{i}",
            kind,
            rng.normal(0, (size * size * widths[i]) ** -0.5, (size, size, widths[i], widths[i + 1])).astype(np.float32),
            rng.normal(0, 0.1, widths[i + 1]).astype(np.float32),
            activation,
        )
        for i, (kind, size, activation) in enumerate(shapes)
    ]


def save(path, layers, metadata=None):
    onnx.save(to_onnx(layers, metadata), path)
    return path


def drafts(n, height, width, seed=0):
    return np.random.default_rng(seed).integers(0, 256, (n, height, width), dtype=np.uint8)


def whole_frame(path, frames):
    """The exported network itself, on the whole frame, by onnxruntime."""
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    inputs = {f"input_{i}": frame[None, None].astype(np.float32) / 255 for i, frame in enumerate(frames)}
    return session.run(None, inputs)[0][0, 0]


@pytest.fixture(scope="module", params=["deepsr", "srcnn"])
def file(request, tmp_path_factory):
    return save(tmp_path_factory.mktemp("network") / f"{request.param}.onnx", network(request.param))


@pytest.fixture(scope="module", params=["deepsr", "srcnn"])
def keras_model(request, tmp_path_factory):
    """A full-size Keras model with random weights and biases, and its exported file."""
    from deepsr.networks import model as models

    model = getattr(models, f"build_{request.param}")(4)
    rng = np.random.default_rng(1)
    for layer in model.layers:
        if weights := layer.get_weights():
            layer.set_weights([w + rng.normal(0, 0.01, w.shape).astype(np.float32) for w in weights])
    return model, save(tmp_path_factory.mktemp("keras") / "network.onnx", from_keras(model))


@pytest.mark.parametrize("size", [(1, 1), (1, 40), (3, 2), (7, 9), (17, 31), (33, 64)])
def test_same_numbers_as_keras_borders_included(keras_model, size):
    model, path = keras_model
    frames = drafts(4, *size)
    inputs = [frame[None, :, :, None].astype(np.float32) / 255 for frame in frames]
    expected = np.asarray(model(inputs))[0, :, :, 0]
    assert expected.std() > 1e-3 or expected.size == 1
    np.testing.assert_allclose(Predictor(path)(frames), expected, rtol=0, atol=1e-5)
    np.testing.assert_allclose(whole_frame(path, frames), expected, rtol=0, atol=1e-5)


def test_digits_of_a_network_that_begins_as_a_linear_filter(tmp_path):
    """Its tanh layers carry a tenth, which the last layer enlarges again: more rounding. The truth is Keras in float64."""
    import keras

    from deepsr.networks import linear_filter
    from deepsr.networks import model as models

    rng = np.random.default_rng(2)
    kernel = rng.normal(0, 0.02, (11, 11, 4)).astype(np.float32)
    kernel[5, 5] += 0.25
    model = models.build_deepsr(4)
    model.set_weights(linear_filter.embed(model, model.get_weights(), kernel, np.float32(0.01))[0])
    path = save(tmp_path / "n.onnx", from_keras(model))
    policy = keras.config.dtype_policy()
    keras.config.set_dtype_policy("float64")
    try:
        exact = models.build_deepsr(4)
    finally:
        keras.config.set_dtype_policy(policy)
    exact.set_weights(model.get_weights())
    frames = drafts(4, 50, 70)
    truth = np.asarray(exact([frame[None, :, :, None] / 255 for frame in frames]))[0, :, :, 0]
    assert truth.dtype == np.float64 and truth.std() > 0.1
    np.testing.assert_allclose(Predictor(path)(frames).clip(0, 1), truth.clip(0, 1), rtol=0, atol=1e-5)


@pytest.mark.parametrize("n_drafts", [1, 2])
def test_any_number_of_drafts(tmp_path, n_drafts):
    path = save(tmp_path / "n.onnx", network(n_drafts=n_drafts))
    frames = drafts(n_drafts, 12, 15)
    np.testing.assert_allclose(Predictor(path)(frames), whole_frame(path, frames), rtol=0, atol=1e-5)


@settings(deadline=None, max_examples=40)
@given(
    height=st.integers(1, 40),
    width=st.integers(1, 40),
    rows=st.integers(1, 45),
    columns=st.integers(1, 45),
    seed=st.integers(0, 99),
)
def test_tiles_make_the_whole_frame(file, height, width, rows, columns, seed):
    frames = drafts(4, height, width, seed)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(inference, "_tile_size", lambda *_: (rows, columns))
        tiled = Predictor(file, threads=2)(frames)
    assert tiled.shape == (height, width) and tiled.dtype == np.float32
    np.testing.assert_allclose(tiled, whole_frame(file, frames), rtol=0, atol=1e-5)


def test_tiles_of_any_memory_make_the_whole_frame(file):
    frames = drafts(4, 31, 130)
    whole, sizes = whole_frame(file, frames), []
    for megabytes in (0.001, 1, 1000):
        predictor = Predictor(file, tile_mb=megabytes)
        sizes.append(predictor._tile[1])
        np.testing.assert_allclose(predictor(frames), whole, rtol=0, atol=1e-5)
    assert sizes[0] == 1 < sizes[1] < sizes[2] > 130


def test_without_a_gpu_the_cpu_computes_the_same_and_it_is_said(file, caplog):
    frames = drafts(4, 45, 70)
    assert np.array_equal(Predictor(file, gpu=True)(frames), Predictor(file)(frames))
    assert "A GPU was asked for, but the CPU computes: onnxruntime finds none that it can use." in caplog.text


@pytest.fixture
def pretended(monkeypatch):
    """Sessions on a GPU that only pretends; gives the providers that onnxruntime has been asked for."""
    asked = []

    class Session(onnxruntime.InferenceSession):
        def __init__(self, model, options, providers):
            asked.append(providers)
            super().__init__(model, options, providers=[inference.CPU])

        def get_providers(self):
            return [inference.CUDA, inference.CPU]

    monkeypatch.setattr(onnxruntime, "get_available_providers", lambda: [inference.CUDA, inference.CPU])
    monkeypatch.setattr(onnxruntime, "InferenceSession", Session)
    return asked


def test_a_gpu_that_fails_at_work_is_not_used(file, pretended, monkeypatch, caplog):
    frames = drafts(4, 45, 70)
    expected = Predictor(file)(frames)

    def run(self, *arguments):
        if pretended[-1] != [inference.CPU]:
            raise onnxruntime.capi.onnxruntime_pybind11_state.RuntimeException("CUDA error:\nout of memory")
        return onnxruntime.InferenceSession.__base__.run(self, *arguments)

    monkeypatch.setattr(onnxruntime.InferenceSession, "run", run)
    predictor = Predictor(file, gpu=True)
    assert not predictor.on_gpu and np.array_equal(predictor(frames), expected)
    assert "A GPU was asked for, but the CPU computes: CUDA error: out of memory." in caplog.text


def test_a_gpu_gets_wide_tiles_and_all_digits(file, pretended):
    frames = drafts(4, 45, 1300)
    wide, narrow = Predictor(file, gpu=True), Predictor(file)
    assert wide.on_gpu and not narrow.on_gpu
    assert pretended == [[(inference.CUDA, {"use_tf32": 0}), inference.CPU], [inference.CPU]]
    assert wide._tile[1] > 5 * narrow._tile[1]
    np.testing.assert_allclose(wide(frames), narrow(frames), rtol=0, atol=1e-5)


def test_threads_do_not_change_a_bit(file):
    frames = drafts(4, 45, 70)
    one = Predictor(file, threads=1)(frames)
    for threads in (2, 3):
        predictor = Predictor(file, threads=threads)
        assert all(np.array_equal(predictor(frames), one) for _ in range(3))


def test_layers_and_metadata_survive_the_file(tmp_path):
    layers = network()
    model = to_onnx(layers, {"scale": "4", "experiment": "deepsr"})
    for before, after in zip(layers, from_onnx(model), strict=True):
        assert (before.name, before.kind, before.activation) == (after.name, after.kind, after.activation)
        assert np.array_equal(before.kernel, after.kernel) and np.array_equal(before.bias, after.bias)
    onnx.save(model, tmp_path / "n.onnx")
    predictor = Predictor(tmp_path / "n.onnx")
    assert predictor.metadata == {"scale": "4", "experiment": "deepsr"} and predictor.n_drafts == 4


def test_borders_see_the_mirror_image(tmp_path):
    """Blurring a constant frame: zeros beyond the border would darken its edge."""
    blur = np.full((9, 9, 1, 1), 1 / 81, np.float32)
    pixel = np.ones((1, 1, 1, 1), np.float32)
    none = np.zeros(1, np.float32)
    layers = [
        Layer("a", "conv", blur, none, "relu"),
        Layer("b", "conv", pixel, none, "relu"),
        Layer("c", "conv", pixel, none, "linear"),
    ]
    predictor = Predictor(save(tmp_path / "blur.onnx", layers))
    frames = np.full((1, 20, 3), 102, np.uint8)
    assert predictor(frames)[0, 0] < 0.2
    np.testing.assert_allclose(predict_frame(predictor, frames), np.full((20, 3), 0.4), atol=1e-6)


@pytest.mark.parametrize("size", [(1, 1), (2, 5), (30, 9)])
@pytest.mark.parametrize("pad", [0, 8])
def test_predicted_frame_keeps_size_and_range(file, size, pad):
    frame = predict_frame(Predictor(file), drafts(4, *size), pad)
    assert frame.shape == size and frame.dtype == np.float32 and 0 <= frame.min() <= frame.max() <= 1


def test_values_are_clipped(tmp_path):
    layers = network()
    for bias, limit in ((9, 1), (-9, 0)):
        last = Layer("last", "deconv", layers[-1].kernel, np.array([bias], np.float32), "linear")
        predictor = Predictor(save(tmp_path / "n.onnx", [*layers[:-1], last]))
        assert (predict_frame(predictor, drafts(4, 9, 9)) == limit).all()


@pytest.mark.parametrize("wrong", [drafts(3, 8, 8), drafts(4, 8, 8).astype(np.float32), drafts(4, 8, 8)[0]])
def test_wrong_drafts_are_refused(file, wrong):
    with pytest.raises(ValueError, match="expected uint8"):
        Predictor(file)(wrong)


def damaged_files(good):
    """Names and contents of files that are no usable network."""
    model = onnx.load_from_string(good)
    other = onnx.helper.make_model(
        onnx.helper.make_graph([onnx.helper.make_node("Relu", ["x"], ["y"])], "other", list(model.graph.input[:1]), [])
    )
    strided = onnx.load_from_string(good)
    strided.graph.node[1].attribute.append(onnx.helper.make_attribute("strides", [2, 2]))
    short = onnx.load_from_string(good)
    short.graph.initializer[0].raw_data = short.graph.initializer[0].raw_data[:-4]
    external = onnx.load_from_string(good)
    onnx.external_data_helper.set_external_data(external.graph.initializer[0], "../elsewhere")
    external.graph.initializer[0].ClearField("raw_data")
    infinite = network()
    infinite[0].bias[3] = np.nan
    return {
        "empty": b"",
        "text": b"not a network at all",
        "cut": good[: len(good) // 2],
        "other": other.SerializeToString(),
        "strided": strided.SerializeToString(),
        "short": short.SerializeToString(),
        "external": external.SerializeToString(),
        "two layers": to_onnx(network()[2:]).SerializeToString(),
        "not finite": to_onnx(infinite).SerializeToString(),
    }


@pytest.mark.parametrize("damage", list(damaged_files(to_onnx(network()).SerializeToString())))
def test_a_damaged_or_foreign_file_is_named(tmp_path, damage):
    path = tmp_path / "network.onnx"
    path.write_bytes(damaged_files(to_onnx(network()).SerializeToString())[damage])
    with pytest.raises(InputError, match="network.onnx"):
        Predictor(path)


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(InputError, match="missing.onnx: no such file"):
        Predictor(tmp_path / "missing.onnx")
