import os

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras
import numpy as np
import onnx
import onnxruntime
import pytest
from keras import layers, ops
from rounding import assert_close, in_float64, tolerance

from deepsr.errors import InputError
from deepsr.networks import tiles
from deepsr.networks.inference import open_predictor, predict_frame
from deepsr.networks.onnx_export import USE, digest, to_onnx

same = {"padding": "same"}
# Graphs of one input channel, 8 rows x 12 columns or more in multiples of 4, with the halo that each needs.
GRAPHS = {
    "conv of any odd shape": (lambda x: layers.Conv2D(1, (3, 7), **same)(x), 3),
    "conv without bias": (lambda x: layers.Conv2D(1, 5, use_bias=False, **same)(x), 2),
    "dilated conv": (lambda x: layers.Conv2D(1, 3, dilation_rate=(1, 4), **same)(x), 4),
    "grouped conv": (lambda x: layers.Conv2D(1, 1)(layers.Conv2D(6, 3, groups=2, **same)(layers.Conv2D(4, 1)(x))), 1),
    "deconv": (lambda x: layers.Conv2DTranspose(1, (5, 3), activation="sigmoid", **same)(layers.Conv2D(3, 1)(x)), 2),
    "depthwise": (lambda x: layers.Dense(1)(layers.DepthwiseConv2D(3, depth_multiplier=2, **same)(layers.Dense(3)(x))), 1),
    "dense": (lambda x: layers.Dense(1)(layers.Dense(5, activation="relu")(x)), 0),
    "add of three": (lambda x: layers.Add()([x, layers.Conv2D(1, 3, **same)(x), layers.Dense(1)(x)]), 1),
    "subtract of a branch": (lambda x: layers.Subtract()([layers.Conv2D(1, 3, **same)(x), x]), 1),
    "multiply by channels of one": (lambda x: layers.Dense(1)(layers.Multiply()([layers.Dense(4)(x), x])), 0),
    "operators": (lambda x: 2 - 0.1 * layers.Conv2D(1, 3, **same)(x) + x, 1),
    "concatenate": (lambda x: layers.Dense(1)(layers.Concatenate()([layers.Dense(2)(x), x])), 0),
    "concatenate of operations": (lambda x: layers.Dense(1)(ops.concatenate([layers.Dense(2)(x), x], axis=3)), 0),
    "activations": (lambda x: layers.Dense(1)(layers.Activation("tanh")(layers.ReLU()(layers.Dense(8)(x)))), 0),
    "operations": (lambda x: layers.Dense(1)(ops.tanh(ops.sigmoid(ops.relu(layers.Dense(8)(x))))), 0),
    "last is an activation": (lambda x: layers.Activation("linear")(layers.Dense(1, activation="tanh")(x)), 0),
    "leaky": (lambda x: layers.Dense(1)(layers.LeakyReLU(0.3)(ops.leaky_relu(layers.Dense(9)(x), 0.4))), 0),
    "prelu": (lambda x: layers.Dense(1)(layers.PReLU("glorot_uniform", shared_axes=[1, 2])(layers.Dense(9)(x))), 0),
    "folded": (lambda x: ops.depth_to_space(layers.Conv2D(4, 3, **same)(ops.space_to_depth(x, 2)), 2), 2),
    "two grids": (
        lambda x: layers.Conv2D(1, 3, **same)(
            ops.depth_to_space(
                layers.Conv2D(8, 3, **same)(ops.depth_to_space(layers.Dense(8)(ops.space_to_depth(x, 4)), 2)), 2
            )
        ),
        4,
    ),
    "nearest": (lambda x: layers.Dense(1)(layers.UpSampling2D(4)(ops.space_to_depth(layers.Dense(2)(x), 4))), 0),
    "bilinear": (
        lambda x: layers.Dense(1)(layers.UpSampling2D(2, interpolation="bilinear")(ops.space_to_depth(x, 2))),
        2,
    ),
}


def model_of(graph):
    x = keras.Input((None, None, 1), name="input_0")
    return keras.Model(x, graph(x))


@pytest.mark.parametrize("name", GRAPHS)
def test_the_file_and_its_tiles_give_what_keras_gives(name):
    graph, halo = GRAPHS[name]
    model, exact = model_of(graph), in_float64(lambda: model_of(graph))
    rng = np.random.default_rng(0)
    model.set_weights([rng.normal(0, 0.5, w.shape) for w in model.weights])
    drafts = rng.integers(0, 256, (1, 24, 12), dtype=np.uint8)

    def run(weights):
        exact.set_weights(weights)
        return [np.asarray(exact(drafts[0, None, :, :, None] / 255))[0, :, :, 0]]

    expected, allowed = tolerance(run, model.get_weights())
    assert expected[0].std() > 1e-3
    written = to_onnx(model)
    session = onnxruntime.InferenceSession(written.SerializeToString(), providers=["CPUExecutionProvider"])
    assert_close([session.run(None, {"input_0": drafts[None].astype("f") / 255})[0][0, 0]], expected, allowed)
    predictor = tiles.Predictor(written)
    assert -(-halo // predictor.grid) * predictor.grid == predictor.halo
    predictor.side = predictor.grid
    assert_close([predictor(drafts)], expected, allowed)
    for batch in (1, 3):
        assert session.run(None, {"input_0": np.zeros((batch, 1, 8, 16), "f")})[0].shape == (batch, 1, 8, 16)


@keras.saving.register_keras_serializable("test")
class Conv2D(layers.Conv2D):
    """A layer of the user's own that is called as one of Keras."""

    def call(self, x):
        return 2 * super().call(x)


shared = layers.Conv2D(1, 3, padding="same")
REFUSED = {
    "two channels": (lambda x: layers.Dense(2)(x), r"outputs have \[2\] channels"),
    "two outputs": (lambda x: [layers.Dense(1)(x), x], r"outputs have \[1, 1\] channels"),
    "stride": (lambda x: ops.depth_to_space(layers.Conv2D(4, 3, strides=2, **same)(x), 2), "its strides is"),
    "even": (lambda x: layers.Conv2D(1, 2, **same)(x), "even size"),
    "valid": (lambda x: layers.Conv2D(1, 3)(x), "padding is not 'same'"),
    "activation": (lambda x: layers.Conv2D(1, 3, activation="gelu", **same)(x), "its activation is gelu"),
    "layer as activation": (lambda x: layers.Conv2D(1, 3, activation=layers.LeakyReLU(), **same)(x), "its activation is"),
    "limited": (lambda x: layers.ReLU(max_value=6)(x), "its max_value is 6"),
    "threshold": (lambda x: layers.ReLU(threshold=1)(x), "its threshold is 1"),
    "dilated deconv": (lambda x: layers.Conv2DTranspose(1, 3, dilation_rate=2, **same)(x), "its dilation_rate is"),
    "rows": (lambda x: layers.Concatenate(axis=1)([x, x]), "its axis is 1"),
    "bicubic": (lambda x: layers.UpSampling2D(2, interpolation="bicubic")(x), "interpolation is bicubic"),
    "uneven": (lambda x: layers.UpSampling2D((2, 1))(x), "its size is"),
    "batch": (lambda x: layers.BatchNormalization()(x), r"\(BatchNormalization\) cannot be exported.*not known"),
    "clip": (lambda x: ops.clip(x, 0, 1), r"'clip' \(Clip\)"),
    "lambda": (lambda x: layers.Lambda(lambda y: 2 * y)(x), "Lambda"),
    "nested": (lambda x: model_of(GRAPHS["dense"][0])(x), "Functional"),
    "user's own": (lambda x: Conv2D(1, 3, **same)(x), "not known"),
    "shared": (lambda x: shared(shared(x)), "used more than once"),
    "array": (lambda x: x + np.ones((1, 1, 1, 1), "f"), "neither a layer's output nor a number"),
    "named": (lambda x: layers.Dense(1)(inputs=x), "named arguments"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_cannot_be_written_is_refused_and_named(name):
    graph, message = REFUSED[name]
    with pytest.raises(InputError, match=message):
        to_onnx(model_of(graph))


def test_the_file_says_what_it_takes():
    model = to_onnx(model_of(GRAPHS["dense"][0]), {"scale": "4"})
    facts = {entry.key: entry.value for entry in model.metadata_props}
    assert model.doc_string == USE and facts == {"scale": "4", "graph_sha256": digest(model)}
    assert [value.name for value in (*model.graph.input, *model.graph.output)] == ["input_0", "output"]
    assert model.opset_import[0].version == 17 and model.ir_version == 8


@pytest.mark.parametrize("block, mirrored", [(1, 8), (3, 9), (4, 8)])
def test_who_does_what_the_file_says_gets_the_frame_of_the_workflow(tmp_path, block, mirrored):
    """With a network that works on blocks of 1x1, 3x3 or 4x4 pixels."""

    def graph(x):
        y = ops.space_to_depth(x, block) if block > 1 else x
        y = layers.Conv2D(block**2, 5, **same)(y)
        return ops.depth_to_space(y, block) if block > 1 else y

    path = tmp_path / "model.onnx"
    path.write_bytes(to_onnx(model_of(graph)).SerializeToString())
    advice = "mirror each input by 8 pixels, rounded up to a multiple of b if SpaceToDepth makes b x b pixels one"
    assert advice in onnx.load(path).doc_string
    drafts = np.random.default_rng(0).integers(0, 256, (1, 24, 36), dtype=np.uint8)
    x = np.pad(drafts[0].astype("f") / 255, mirrored, mode="symmetric")
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    whole = session.run(None, {"input_0": x[None, None]})[0][0, 0, mirrored:-mirrored, mirrored:-mirrored]
    frame = predict_frame(open_predictor(path), drafts)
    np.testing.assert_allclose(frame, whole.clip(0, 1), rtol=0, atol=1e-6)


def test_the_same_model_gives_the_same_file():
    model = model_of(GRAPHS["two grids"][0])
    assert to_onnx(model).SerializeToString() == to_onnx(model).SerializeToString()
