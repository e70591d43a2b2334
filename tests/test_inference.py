import os

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import numpy as np
import onnx
import onnxruntime
import pytest
from chains import chain_file, chain_model
from hypothesis import given, settings
from hypothesis import strategies as st
from rounding import in_float64, tolerance

from deepsr.errors import InputError
from deepsr.networks import chain_tiles, tiles
from deepsr.networks.inference import open_predictor, predict_frame
from deepsr.networks.onnx_export import DIGEST, digest


def network(kind="deepsr", n_drafts=4, channels=(16, 24), seed=0):
    """A network of random weights with few channels: (kind, kernel, bias, activation) of each layer."""
    rng = np.random.default_rng(seed)
    shapes = {
        "deepsr": [("conv", 11, "tanh"), ("conv", 1, "tanh"), ("conv", 3, "tanh"), ("deconv", 25, "linear")],
        "srcnn": [("conv", 9, "relu"), ("conv", 1, "relu"), ("conv", 5, "linear")],
    }[kind]
    widths = [n_drafts, *channels, 1, 1]
    return [
        (
            kind,
            rng.normal(0, (size * size * widths[i]) ** -0.5, (size, size, widths[i], widths[i + 1])).astype(np.float32),
            rng.normal(0, 0.1, widths[i + 1]).astype(np.float32),
            activation,
        )
        for i, (kind, size, activation) in enumerate(shapes)
    ]


def drafts(n, height, width, seed=0):
    return np.random.default_rng(seed).integers(0, 256, (n, height, width), dtype=np.uint8)


def rounding(layers):
    """How far apart two float32 outputs of a network may be: each as far from the exact one as tests/rounding.py allows."""
    model = in_float64(lambda: chain_model(layers))
    x = [frame[None, :, :, None] / 255 for frame in drafts(layers[0][1].shape[2], 31, 40)]

    def output(weights):
        model.set_weights(weights)
        return [np.asarray(model(x))]

    return 2 * tolerance(output, model.get_weights())[1][0]


ROUNDING = max(rounding(network(kind)) for kind in ("deepsr", "srcnn"))


def whole_frame(path, frames):
    """The exported network itself, on the whole frame, by onnxruntime."""
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    inputs = {f"input_{i}": frame[None, None].astype(np.float32) / 255 for i, frame in enumerate(frames)}
    return session.run(None, inputs)[0][0, 0]


@pytest.fixture(scope="module", params=["deepsr", "srcnn"])
def file(request, tmp_path_factory):
    return chain_file(tmp_path_factory.mktemp("network") / f"{request.param}.onnx", network(request.param))


@pytest.mark.parametrize("n_drafts", [1, 2])
def test_any_number_of_drafts(tmp_path, n_drafts):
    path = chain_file(tmp_path / "n.onnx", network(n_drafts=n_drafts))
    frames = drafts(n_drafts, 12, 15)
    np.testing.assert_allclose(open_predictor(path)(frames), whole_frame(path, frames), rtol=0, atol=ROUNDING)


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
        patch.setattr(chain_tiles, "_tile_size", lambda *_: (rows, columns))
        tiled = open_predictor(file, threads=2)(frames)
    assert tiled.shape == (height, width) and tiled.dtype == np.float32
    np.testing.assert_allclose(tiled, whole_frame(file, frames), rtol=0, atol=ROUNDING)


def test_tiles_of_any_memory_make_the_whole_frame(file, monkeypatch):
    frames = drafts(4, 31, 130)
    whole, sizes = whole_frame(file, frames), []
    for megabytes in (0.001, 1, 1000):
        monkeypatch.setattr(chain_tiles.Predictor, "cpu_tile_mb", megabytes)
        predictor = open_predictor(file)
        sizes.append(predictor._tile[1])
        np.testing.assert_allclose(predictor(frames), whole, rtol=0, atol=ROUNDING)
    assert sizes[0] == 1 < sizes[1] < sizes[2] > 130


def test_without_a_gpu_the_cpu_computes_the_same_and_it_is_said(file, caplog):
    frames = drafts(4, 45, 70)
    assert np.array_equal(open_predictor(file, gpu=True)(frames), open_predictor(file)(frames))
    assert "A GPU was asked for, but the CPU computes: onnxruntime finds none that it can use." in caplog.text


@pytest.fixture
def pretended(monkeypatch):
    """Sessions on a GPU that only pretends; gives the providers that onnxruntime has been asked for."""
    asked = []

    class Session(onnxruntime.InferenceSession):
        def __init__(self, model, options, providers):
            asked.append(providers)
            super().__init__(model, options, providers=[tiles.CPU])

        def get_providers(self):
            return [tiles.CUDA, tiles.CPU]

    monkeypatch.setattr(onnxruntime, "get_available_providers", lambda: [tiles.CUDA, tiles.CPU])
    monkeypatch.setattr(onnxruntime, "InferenceSession", Session)
    return asked


def test_a_gpu_that_fails_at_work_is_not_used(file, pretended, monkeypatch, caplog):
    frames = drafts(4, 45, 70)
    expected = open_predictor(file)(frames)

    def run(self, *arguments):
        if pretended[-1] != [tiles.CPU]:
            raise onnxruntime.capi.onnxruntime_pybind11_state.RuntimeException("CUDA error:\nout of memory")
        return onnxruntime.InferenceSession.__base__.run(self, *arguments)

    monkeypatch.setattr(onnxruntime.InferenceSession, "run", run)
    predictor = open_predictor(file, gpu=True)
    assert not predictor.on_gpu and np.array_equal(predictor(frames), expected)
    assert "A GPU was asked for, but the CPU computes: CUDA error: out of memory." in caplog.text


def test_a_gpu_gets_wide_tiles_and_all_digits(file, pretended):
    frames = drafts(4, 45, 1300)
    wide, narrow = open_predictor(file, gpu=True), open_predictor(file)
    assert wide.on_gpu and not narrow.on_gpu
    assert pretended == [[(tiles.CUDA, {"use_tf32": 0}), tiles.CPU], [tiles.CPU]]
    assert wide._tile[1] > 5 * narrow._tile[1]
    np.testing.assert_allclose(wide(frames), narrow(frames), rtol=0, atol=ROUNDING)


def test_threads_do_not_change_a_bit(file):
    frames = drafts(4, 45, 70)
    one = open_predictor(file, threads=1)(frames)
    for threads in (2, 3):
        predictor = open_predictor(file, threads=threads)
        assert all(np.array_equal(predictor(frames), one) for _ in range(3))


def test_the_files_metadata_name_the_network(tmp_path):
    for name, expected in (
        ("another", tiles.Predictor),
        ("deepsr", chain_tiles.Predictor),
        ("srcnn", chain_tiles.Predictor),
    ):
        predictor = open_predictor(chain_file(tmp_path / "n.onnx", network(), {"scale": "4", "network": name}))
        assert type(predictor) is expected and predictor.n_drafts == 4


@pytest.mark.parametrize("size", [(1, 1), (1, 40), (3, 2), (7, 9), (17, 31)])
def test_the_networks_own_predictor_and_the_general_one_agree(file, size):
    own, general = open_predictor(file), tiles.Predictor(onnx.load(file))
    assert isinstance(own, chain_tiles.Predictor)
    np.testing.assert_allclose(own(drafts(4, *size)), general(drafts(4, *size)), rtol=0, atol=ROUNDING)


@pytest.mark.parametrize("grid, width", [(1, 8), (3, 9), (4, 8)])
def test_the_mirror_image_is_as_wide_as_the_grid_asks_for(grid, width):
    """A network on the LR grid of x3 sees a mirror image of 9 pixels: with 8 its pixels would lie elsewhere."""

    class Recorder:
        def __call__(self, drafts):
            self.seen = drafts
            return drafts[0] / np.float32(255)

    frames, recorder = drafts(2, 6, 9), Recorder()
    recorder.grid = grid
    np.testing.assert_array_equal(predict_frame(recorder, frames), frames[0] / np.float32(255))
    assert recorder.seen.shape == (2, 6 + 2 * width, 9 + 2 * width)
    np.testing.assert_array_equal(recorder.seen[:, width - 1, width:-width], frames[:, 0])


@pytest.mark.parametrize("megabytes", [0.0001, 0.01, 1000])
def test_general_tiles_of_any_memory_make_the_whole_frame(file, megabytes, monkeypatch):
    monkeypatch.setattr(tiles.Predictor, "cpu_tile_mb", megabytes)
    predictor = tiles.Predictor(onnx.load(file), threads=2)
    frames = drafts(4, 61, 130)
    assert (predictor.side == predictor.halo) if megabytes < 1 else predictor.side > 130
    np.testing.assert_allclose(predictor(frames), whole_frame(file, frames), rtol=0, atol=ROUNDING)


def test_borders_see_the_mirror_image(tmp_path):
    """Blurring a constant frame: zeros beyond the border would darken its edge."""
    blur = np.full((9, 9, 1, 1), 1 / 81, np.float32)
    pixel = np.ones((1, 1, 1, 1), np.float32)
    none = np.zeros(1, np.float32)
    layers = [("conv", blur, none, "relu"), ("conv", pixel, none, "relu"), ("conv", pixel, none, "linear")]
    predictor = open_predictor(chain_file(tmp_path / "blur.onnx", layers))
    frames = np.full((1, 20, 3), 102, np.uint8)
    assert predictor(frames)[0, 0] < 0.2
    np.testing.assert_allclose(predict_frame(predictor, frames), np.full((20, 3), 0.4), atol=1e-6)


@pytest.mark.parametrize("size", [(1, 1), (2, 5), (30, 9)])
@pytest.mark.parametrize("pad", [0, 8])
def test_predicted_frame_keeps_size_and_range(file, size, pad):
    frame = predict_frame(open_predictor(file), drafts(4, *size), pad)
    assert frame.shape == size and frame.dtype == np.float32 and 0 <= frame.min() <= frame.max() <= 1


def test_values_are_clipped(tmp_path):
    layers = network()
    for bias, limit in ((9, 1), (-9, 0)):
        last = ("deconv", layers[-1][1], np.array([bias], np.float32), "linear")
        predictor = open_predictor(chain_file(tmp_path / "n.onnx", [*layers[:-1], last]))
        assert (predict_frame(predictor, drafts(4, 9, 9)) == limit).all()


def damaged(good, damage):
    """The bytes of a file that is no usable network, made from those of one that is."""
    if damage == "empty":
        return b""
    if damage == "text":
        return b"not a network at all"
    if damage == "cut":
        return good[: len(good) // 2]
    model = onnx.load_from_string(good)
    first = model.graph.initializer[0]
    if damage == "other":
        relu = onnx.helper.make_node("Relu", ["x"], ["y"])
        return onnx.helper.make_model(
            onnx.helper.make_graph([relu], "other", list(model.graph.input[:1]), [])
        ).SerializeToString()
    if damage == "strided":
        model.graph.node[1].attribute.append(onnx.helper.make_attribute("strides", [2, 2]))
    elif damage == "short":
        first.raw_data = first.raw_data[:-4]
    elif damage == "one bit":
        first.raw_data = bytes([first.raw_data[0] ^ 1]) + first.raw_data[1:]
    elif damage == "external":
        onnx.external_data_helper.set_external_data(first, "../elsewhere")
        first.ClearField("raw_data")
    elif damage == "external, with its digest":
        onnx.external_data_helper.set_external_data(first, "../elsewhere")
        first.ClearField("raw_data")
        certify(model)
    elif damage == "unknown operator":
        model.graph.node[2].op_type = "Elu"
        model.metadata_props[0].value = "another"
        certify(model)
    elif damage == "no chain":
        model.graph.node[2].op_type = "Elu"
        certify(model)
    return model.SerializeToString()


def certify(model):
    for entry in model.metadata_props:
        if entry.key == DIGEST:
            entry.value = digest(model)


DAMAGES = ["empty", "text", "cut", "other", "strided", "short", "one bit", "external"]
DAMAGES += ["external, with its digest", "unknown operator", "no chain"]


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_or_foreign_file_is_named(tmp_path, damage):
    path = chain_file(tmp_path / "network.onnx", network())
    open_predictor(path)
    path.write_bytes(damaged(path.read_bytes(), damage))
    with pytest.raises(InputError, match="network.onnx: damaged, or not a network that can be used here"):
        open_predictor(path)


@pytest.mark.parametrize("layer", [0, 3])
def test_weights_that_are_not_finite_are_refused(tmp_path, layer):
    layers = network()
    layers[layer][2][-1] = np.nan
    with pytest.raises(InputError, match="network.onnx: has weights that are not finite numbers"):
        open_predictor(chain_file(tmp_path / "network.onnx", layers))


@pytest.mark.parametrize("kinds", [slice(2, None), slice(1, None)])
def test_a_file_that_only_claims_to_be_deepsr_is_refused(tmp_path, kinds):
    with pytest.raises(InputError, match="n.onnx: .*not those of a chain"):
        open_predictor(chain_file(tmp_path / "n.onnx", network()[kinds]))


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(InputError, match="missing.onnx: no such file"):
        open_predictor(tmp_path / "missing.onnx")
