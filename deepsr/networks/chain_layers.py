"""The layers of a chain of convolutions, read back from its ONNX graph."""

from typing import NamedTuple

import numpy as np
from onnx import helper, numpy_helper


class Layer(NamedTuple):
    """A convolution with zeros beyond the border, whose output has its input's size."""

    kernel: np.ndarray  # float32 (size, size, inputs, outputs), as a correlation
    bias: np.ndarray  # float32 (outputs,)
    activation: str  # "Tanh", "Relu" or "Identity"


def read_chain(graph):
    """The list of Layer of an ONNX graph that `deepsr.networks.onnx_export` wrote.

    Raises ValueError unless it is a plain chain of at least three layers: the second has a 1 x 1 kernel, the third gives one
    channel, and all further layers have one channel.
    """
    weights = {tensor.name: numpy_helper.to_array(tensor) for tensor in graph.initializer}
    layers, value = [], graph.input[0].name
    for node in graph.node:
        attributes = {attribute.name: helper.get_attribute_value(attribute) for attribute in node.attribute}
        if node.op_type == "Concat" and not layers:
            pass
        elif value != node.input[0]:
            raise ValueError(f"the layer {node.name!r} does not take the output of the one before it")
        elif node.op_type in ("Conv", "ConvTranspose") and len(node.input) == 3:
            kernel, bias = weights[node.input[1]], weights[node.input[2]]
            if attributes["dilations"] != [1, 1] or attributes["group"] != 1 or kernel.shape[2] != kernel.shape[3]:
                raise ValueError(f"the layer {node.name!r} has dilation, groups or a kernel that is not square")
            kernel = kernel.transpose(2, 3, 1, 0)
            if node.op_type == "ConvTranspose":  # at stride 1 a convolution with the turned kernel
                kernel = kernel[::-1, ::-1].swapaxes(2, 3)
            layers.append(Layer(np.ascontiguousarray(kernel), bias, "Identity"))
        elif node.op_type in ("Tanh", "Relu") and layers and layers[-1].activation == "Identity":
            layers[-1] = layers[-1]._replace(activation=node.op_type)
        else:
            raise ValueError(f"the layer {node.name!r} is no convolution with bias, tanh or ReLU")
        value = node.output[0]
    shapes = [layer.kernel.shape for layer in layers]
    if len(shapes) < 3 or shapes[1][0] != 1 or shapes[2][3] != 1 or any(shape[2:] != (1, 1) for shape in shapes[3:]):
        raise ValueError("the layers are not those of a chain such as DeepSR's or SRCNN's")
    return layers
