"""The network as a portable ONNX file: a writer for the layers that `LAYERS` lists, which refuses all others.

Keras's own exporter, model.export(format="onnx"), needs tf2onnx, which is no dependency here and looks for a maintainer.
Convolutions have stride 1, "same" padding and odd sizes: outputs are as large as inputs.
"""

import hashlib

import numpy as np
import onnx
from onnx import helper, numpy_helper

from deepsr.errors import InputError

DIGEST = "graph_sha256"  # key of the metadata: a file whose weights or layers have changed since is refused
USE = (
    "Video super-resolution network. Inputs input_0, input_1, ...: the drafts of one frame and, last, the frame "
    "enlarged by bicubic interpolation; float32 (batch, 1, height, width), 8-bit luma / 255, height and width multiples of "
    "the scale. Output: float32 luma of the same shape, to be clipped to [0, 1]. Every convolution sees zeros beyond the "
    "border, which darkens the frame's edge, so do as the workflow does at each side: mirror each input by 8 pixels, "
    "rounded up to a multiple of b if SpaceToDepth makes b x b pixels one (numpy.pad, mode 'symmetric'), and cut them off "
    "the output."
)
ACTIVATIONS = {"relu": "Relu", "tanh": "Tanh", "sigmoid": "Sigmoid", "linear": "Identity"}


def to_onnx(model, metadata=None):
    """The Keras model as an onnx.ModelProto; `USE` tells its inputs and output (NCHW, any batch and size).

    model: functional, built of the layers in `LAYERS`; one output. metadata: dict of strings kept in the file
    (network, experiment, scale, ...). Raises InputError for a layer that cannot be written, naming it.
    """
    outputs = [tensor.shape[-1] for tensor in model.outputs]
    if outputs != [1]:
        raise InputError(f"the network's outputs have {outputs} channels; it needs one output of one channel, the luma.")
    config = model.get_config()
    graph = _Graph()
    weights = {layer.name: layer.get_weights() for layer in model.layers}
    for entry in config["layers"]:
        if entry["class_name"] != "InputLayer":
            _write(graph, entry, weights.get(entry["name"], []))  # operations of keras.ops have no weights
    graph.nodes[-1].output[0] = "output"  # Keras sorts the layers: the last one gives the output

    def frame(name):
        return helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, ["batch", 1, "height", "width"])

    inputs = [frame(tensor.name) for tensor in model.inputs]
    written = helper.make_graph(graph.nodes, "network", inputs, [frame("output")], graph.weights)
    # Versions of 2022-2023: every current runtime reads them.
    result = helper.make_model(
        written, producer_name="deepsr", opset_imports=[helper.make_opsetid("", 17)], ir_version=8, doc_string=USE
    )
    helper.set_model_props(result, {**(metadata or {}), DIGEST: digest(result)})
    onnx.checker.check_model(result, full_check=True)
    return result


def digest(model):
    """SHA-256 of all layers and weights of an onnx.ModelProto."""
    return hashlib.sha256(model.graph.SerializeToString(deterministic=True)).hexdigest()


class _Graph:
    """The nodes and the weights that have been written so far."""

    def __init__(self):
        self.nodes, self.weights = [], []

    def node(self, operator, inputs, name, **attributes):
        """Add an operator. Its output has its name, which is returned."""
        self.nodes.append(helper.make_node(operator, inputs, [name], name, **attributes))
        return name

    def constant(self, name, array):
        """Add a constant; returns its name."""
        self.weights.append(numpy_helper.from_array(np.ascontiguousarray(array, np.float32), name))
        return name


def _write(graph, entry, weights):
    """Write one layer, an entry of a model's config. Raises InputError if that is not possible."""
    name, kind, nodes = entry["name"], entry["class_name"], entry["inbound_nodes"]
    try:
        if kind not in LAYERS or entry["module"].split(".")[0] != "keras":
            raise ValueError("this kind of layer is not known")
        if len(nodes) != 1:
            raise ValueError("it is used more than once")
        if any(value is not None and value is not False for value in nodes[0]["kwargs"].values()):
            raise ValueError("it is called with named arguments")
        inputs = [_input(graph, f"{name}.{i}", value) for i, value in enumerate(_leaves(nodes[0]["args"]))]
        LAYERS[kind](graph, name, entry["config"], inputs, weights)
    except ValueError as error:
        raise InputError(
            f"the network's layer {name!r} ({kind}) cannot be exported to ONNX: {error}; "
            "use only layers that docs/extending.md lists."
        ) from None


def _leaves(arguments):
    """All values in nested lists."""
    for value in arguments:
        if isinstance(value, list | tuple):
            yield from _leaves(value)
        else:
            yield value


def _input(graph, name, value):
    """Name of the value that a layer is called with: another layer's output, or a number."""
    if isinstance(value, dict) and value["class_name"] == "__keras_tensor__":
        return value["config"]["keras_history"][0]
    if isinstance(value, int | float) and not isinstance(value, bool):
        return graph.constant(name, value)
    raise ValueError("it is called with something that is neither a layer's output nor a number")


def _only(config, **allowed):
    """Raise ValueError if a layer's config has other values than the allowed ones."""
    for key, value in allowed.items():
        found = config.get(key, value)
        if (list(found) if isinstance(found, tuple) else found) != value:
            raise ValueError(f"its {key} is {found}")


def _convolution(graph, name, config, inputs, weights, operator, kernel, group):
    """A convolution with kernel (outputs, inputs, kh, kw), or, transposed, (inputs, outputs, kh, kw)."""
    _only(config, strides=[1, 1], data_format="channels_last")
    size, dilation = list(kernel.shape[2:]), list(config.get("dilation_rate", [1, 1]))
    if any(side % 2 == 0 for side in size) or (config.get("padding", "same") != "same" and size != [1, 1]):
        raise ValueError("its kernel has an even size, or its padding is not 'same'")
    names = [graph.constant(f"{name}.kernel", kernel)]
    names += [graph.constant(f"{name}.bias", weights[1])] if config["use_bias"] else []
    pads = [side // 2 * step for side, step in zip(size, dilation, strict=True)] * 2
    output = name if config["activation"] == "linear" else f"{name}.linear"
    graph.node(operator, [*inputs, *names], output, kernel_shape=size, pads=pads, dilations=dilation, group=group)
    if output != name:
        _activation(graph, name, config, [output], weights)


def _conv(graph, name, config, inputs, weights):
    _convolution(graph, name, config, inputs, weights, "Conv", weights[0].transpose(3, 2, 0, 1), config["groups"])


def _transposed_conv(graph, name, config, inputs, weights):
    _only(config, output_padding=None, dilation_rate=[1, 1])
    _convolution(graph, name, config, inputs, weights, "ConvTranspose", weights[0].transpose(3, 2, 0, 1), 1)


def _depthwise_conv(graph, name, config, inputs, weights):
    height, width, channels, multiplier = weights[0].shape
    kernel = weights[0].transpose(2, 3, 0, 1).reshape(channels * multiplier, 1, height, width)
    _convolution(graph, name, config, inputs, weights, "Conv", kernel, channels)


def _dense(graph, name, config, inputs, weights):
    _convolution(graph, name, config, inputs, weights, "Conv", weights[0].T[:, :, None, None], 1)


def _activation(graph, name, config, inputs, weights):
    if str(config["activation"]) not in ACTIVATIONS:
        raise ValueError(f"its activation is {config['activation']}, not one of {', '.join(ACTIVATIONS)}")
    graph.node(ACTIVATIONS[config["activation"]], inputs, name)


def _leaky_relu(graph, name, config, inputs, weights):
    graph.node("LeakyRelu", inputs, name, alpha=float(config["negative_slope"]))


def _prelu(graph, name, config, inputs, weights):
    graph.node("PRelu", [*inputs, graph.constant(f"{name}.alpha", weights[0].transpose(2, 0, 1))], name)


def _concatenate(graph, name, config, inputs, weights):
    if config["axis"] not in (-1, 3):
        raise ValueError(f"its axis is {config['axis']}, not that of the channels")
    graph.node("Concat", inputs, name, axis=1)


def _fold(graph, name, config, inputs, weights):
    _only(config, data_format="channels_last")
    graph.node("SpaceToDepth", inputs, name, blocksize=config["block_size"])


def _unfold(graph, name, config, inputs, weights):
    _only(config, data_format="channels_last")
    graph.node("DepthToSpace", inputs, name, blocksize=config["block_size"], mode="DCR")


def _resize(graph, name, config, inputs, weights):
    _only(config, data_format="channels_last")
    _only(config, size=[config["size"][0]] * 2)
    scales = graph.constant(f"{name}.scales", [1, 1, *config["size"]])
    if config["interpolation"] == "nearest":
        how = {"mode": "nearest", "coordinate_transformation_mode": "asymmetric", "nearest_mode": "floor"}
    elif config["interpolation"] == "bilinear":
        how = {"mode": "linear", "coordinate_transformation_mode": "half_pixel"}
    else:
        raise ValueError(f"its interpolation is {config['interpolation']}, not nearest or bilinear")
    graph.node("Resize", [*inputs, "", scales], name, **how)


def _unary(operator, **allowed):
    """The writer for an operator of one input without settings; a layer's config may only have the allowed values."""

    def write(graph, name, config, inputs, weights):
        _only(config, **allowed)
        graph.node(operator, inputs, name)

    return write


def _binary(operator):
    """The writer for an operator of two inputs without settings; further inputs follow one after the other."""

    def write(graph, name, config, inputs, weights):
        result = inputs[0]
        for i, other in enumerate(inputs[1:], 2):
            result = graph.node(operator, [result, other], name if i == len(inputs) else f"{name}.first{i}")

    return write


# The function that writes each layer or operation of keras.ops, by the name of its class. docs/extending.md lists them.
LAYERS = {
    "Conv2D": _conv,
    "Conv2DTranspose": _transposed_conv,
    "DepthwiseConv2D": _depthwise_conv,
    "Dense": _dense,
    "Add": _binary("Add"),
    "Subtract": _binary("Sub"),
    "Multiply": _binary("Mul"),
    "Concatenate": _concatenate,
    "Activation": _activation,
    "ReLU": _unary("Relu", max_value=None, negative_slope=0.0, threshold=0.0),
    "Relu": _unary("Relu"),
    "Tanh": _unary("Tanh"),
    "Sigmoid": _unary("Sigmoid"),
    "LeakyReLU": _leaky_relu,
    "LeakyRelu": _leaky_relu,
    "PReLU": _prelu,
    "SpaceToDepth": _fold,
    "DepthToSpace": _unfold,
    "UpSampling2D": _resize,
}
