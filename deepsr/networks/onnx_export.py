"""The network as a portable ONNX file, written by hand from plain arrays, and read back."""

import hashlib
from dataclasses import dataclass

import numpy as np
import onnx
from onnx import helper, numpy_helper

DIGEST = "weights_sha256"  # key of the metadata: a file whose weights have changed since is refused
OPERATORS = {"conv": "Conv", "deconv": "ConvTranspose", "tanh": "Tanh", "relu": "Relu"}
USE = (
    "Video super-resolution network. Inputs input_0, input_1, ...: the drafts of one frame and, last, the frame "
    "enlarged by bicubic interpolation; float32 (batch, 1, height, width), 8-bit luma / 255. Output: float32 "
    "luma of the same shape, to be clipped to [0, 1]. Every layer sees zeros beyond the frame's border."
)


@dataclass(frozen=True, eq=False)
class Layer:
    """A convolution of stride 1 whose output has its input's size ("same" padding, odd kernel).

    kind: "conv", kernel float32 (kh, kw, inputs, outputs); or its transpose, "deconv", (kh, kw, outputs, inputs).
    bias: float32 (outputs,). activation: "tanh", "relu" or "linear".
    """

    name: str
    kind: str
    kernel: np.ndarray
    bias: np.ndarray
    activation: str


def from_keras(model):
    """The convolutions of a Keras model as a list of Layer, in order. Does not import Keras."""
    kinds = {"Conv2D": "conv", "Conv2DTranspose": "deconv"}
    return [
        Layer(layer.name, kinds[type(layer).__name__], *layer.get_weights(), layer.activation.__name__)
        for layer in model.layers
        if type(layer).__name__ in kinds
    ]


def to_onnx(layers, metadata=None):
    """The whole network as an onnx.ModelProto; `USE` tells its inputs and output (NCHW, any batch and size).

    layers: list of Layer, the first of kind "conv"; the drafts are its input channels.
    metadata: dict of strings kept in the file (experiment, scale, drafts, ...).
    """
    n_drafts = layers[0].kernel.shape[2]
    inputs = [f"input_{i}" for i in range(n_drafts)]
    nodes = [helper.make_node("Concat", inputs, ["drafts"], "drafts", axis=1)]
    weights = []
    for layer in layers:
        value = nodes[-1].output[0]
        names = [f"{layer.name}.kernel", f"{layer.name}.bias"]
        size = list(layer.kernel.shape[:2])
        pads = [side // 2 for side in size] * 2
        operator = OPERATORS[layer.kind]
        nodes.append(helper.make_node(operator, [value, *names], [layer.name], layer.name, kernel_shape=size, pads=pads))
        if layer.activation != "linear":
            name = f"{layer.name}.{layer.activation}"
            nodes.append(helper.make_node(OPERATORS[layer.activation], [layer.name], [name], name))
        # ONNX has (outputs, inputs, kh, kw), and for ConvTranspose (inputs, outputs, kh, kw).
        kernel = np.ascontiguousarray(layer.kernel.transpose(3, 2, 0, 1), np.float32)
        weights += map(numpy_helper.from_array, (kernel, np.asarray(layer.bias, np.float32)), names)
    nodes[-1].output[0] = "output"

    def frame(name):
        return helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, ["batch", 1, "height", "width"])

    graph = helper.make_graph(nodes, "deepsr", [frame(name) for name in inputs], [frame("output")], weights)
    # Versions of 2022-2023: every current runtime reads them.
    model = helper.make_model(
        graph,
        producer_name="deepsr",
        opset_imports=[helper.make_opsetid("", 17)],
        ir_version=8,
        doc_string=USE,
    )
    helper.set_model_props(model, {**(metadata or {}), DIGEST: _digest(layers)})
    onnx.checker.check_model(model, full_check=True)
    return model


def from_onnx(model):
    """The list of Layer of a model made by `to_onnx`. Raises ValueError for any other model, and for changed weights."""
    meanings = {operator: word for word, operator in OPERATORS.items()}
    weights = {tensor.name: numpy_helper.to_array(tensor) for tensor in model.graph.initializer}
    nodes = list(model.graph.node)
    layers = []
    for node, following in zip(nodes, [*nodes[1:], None], strict=True):
        if node.op_type in ("Conv", "ConvTranspose") and len(node.input) == 3:
            kernel, bias = (weights.get(name) for name in node.input[1:])
            if kernel is None or bias is None or kernel.ndim != 4:
                raise ValueError("a layer has no weights")
            activation = meanings.get(following.op_type, "linear") if following else "linear"
            activation = activation if activation in ("tanh", "relu") else "linear"
            layers.append(Layer(node.name, meanings[node.op_type], kernel.transpose(2, 3, 1, 0), bias, activation))
    if not layers or to_onnx(layers).graph != model.graph:
        raise ValueError("not the graph that to_onnx writes")
    if _digest(layers) not in (entry.value for entry in model.metadata_props if entry.key == DIGEST):
        raise ValueError("its weights are not those that were written")
    return layers


def _digest(layers):
    arrays = (array for layer in layers for array in (layer.kernel, layer.bias))
    return hashlib.sha256(b"".join(np.asarray(array, np.float32).tobytes() for array in arrays)).hexdigest()
