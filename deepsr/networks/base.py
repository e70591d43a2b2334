"""What every network is. A subclass says how its graph is built; all else has a default that works for any graph."""

import sys
from typing import NamedTuple

import keras
import numpy as np
from keras import layers, ops

from deepsr.errors import InputError
from deepsr.modules import place
from deepsr.networks.linear_filter import solve_filter
from deepsr.networks.onnx_export import to_onnx


class Start(NamedTuple):
    """What a training begins with."""

    weights: list  # float32 arrays, in the order of model.weights
    rates: list  # arrays of the same shapes: factors of the optimizer's steps
    whitening: np.ndarray | None  # float32 (n, n), n = k*k*D: first kernel (n, filters) = whitening @ what is trained


class Network:
    """An architecture. Subclasses define `graph`, and may replace any other method by a faster or better one.

    By default the network is the sum of its graph and of the best linear filter over the drafts. The filter is fitted in
    closed form before the training and then stays as it is; the graph learns what the filter cannot do.
    """

    filter_size = 11  # side in pixels of the linear filter, odd
    linear_skip = True  # whether the linear filter is added to the graph's output

    def graph(self, x, n_drafts, scale):
        """The output, a Keras tensor (batch, H, W, 1), as a function of x, the tensor (batch, H, W, n_drafts) of all drafts.

        Both are on the HR grid, and H and W are multiples of `scale`. `deepsr.networks.onnx_export` lists the layers that
        may be used. A network on the LR grid begins with `keras.ops.space_to_depth(x, scale)` and ends with
        `keras.ops.depth_to_space`. With a linear skip, the last layer that has a kernel should have no activation.
        """
        raise NotImplementedError

    def build(self, n_drafts, scale):
        """The Keras model. Its inputs input_0 .. input_{D-1}, float32 (batch, H, W, 1) in [0, 1], are the drafts and, last,
        the frame enlarged by bicubic interpolation; its output is float32 (batch, H, W, 1), not clipped.

        Raises InputError if `graph` fails, gives another size or number of channels, has a layer that cannot be exported, or
        cannot start at zero beside the linear skip.
        """
        inputs = [keras.Input((None, None, 1), name=f"input_{i}") for i in range(n_drafts)]
        x = layers.Concatenate(name="drafts")(inputs) if n_drafts > 1 else inputs[0]
        learned = self._checked_graph(x, n_drafts, scale)
        output = learned
        if self.linear_skip:
            skip = layers.Conv2D(1, self.filter_size, padding="same", kernel_initializer="zeros", name="linear_skip")
            output = layers.Add(name="sum")([output, skip(x)])
        model = keras.Model(inputs, output)
        to_onnx(model)  # says now, and not after the training, what cannot be exported
        if self.linear_skip:
            self._check_start(keras.Model(x, learned))
        return model

    def _checked_graph(self, x, n_drafts, scale):
        """What `graph` returns. Raises InputError if something is wrong with it, with the line in the network's file."""
        try:
            output = self.graph(x, n_drafts, scale)
        except Exception as error:  # in a graph anything can fail
            file = sys.modules[type(self).__module__].__file__
            raise InputError(f"{place(error, file)}: the network's graph cannot be built: {error}") from error
        if not isinstance(output, keras.KerasTensor) or output.shape[-1] != 1:
            found = getattr(output, "shape", output)
            raise InputError(f"{type(self).__module__}: graph gives {found}; it must give one tensor of one channel.")
        side = 4 * scale
        size = keras.Model(x, output).compute_output_shape((1, side, side, n_drafts))[1:3]
        if size != (side, side):
            raise InputError(
                f"{type(self).__module__}: graph gives {size[0]}x{size[1]} pixels for drafts of {side}x{side}; give its "
                "layers padding='same', and let a network on the LR grid end with keras.ops.depth_to_space."
            )
        return output

    def _check_start(self, graph):
        """Raise InputError if the last layer of a graph that has a kernel cannot start at zero."""
        last = [layer for layer in graph.layers if hasattr(layer, "kernel")][-1:]
        if last and not self._is_odd(graph, last[0]):
            raise InputError(
                f"{type(self).__module__}: the last layer with a kernel, {last[0].name}, starts at zero, so that training "
                "begins at the linear filter; give it no activation, and add nothing to what it gives."
            )

    def _is_odd(self, graph, last):
        """Whether the output changes its sign when the weights of the last layer do. Such a layer can start at zero."""
        own, weights = {id(variable) for variable in last.weights}, [weight.numpy() for weight in graph.weights]
        negative = [-w if id(variable) in own else w for variable, w in zip(graph.weights, weights, strict=True)]
        x = np.random.default_rng(0).random((1, 24, 24, graph.inputs[0].shape[-1]), np.float32)  # a multiple of every scale
        one, other = (ops.convert_to_numpy(graph.stateless_call(w, [], x)[0]) for w in (weights, negative))
        return np.allclose(one, -other, rtol=0, atol=1e-3 * np.abs(one).max())

    def forward(self, model, weights, x, dtype="float32"):
        """The model's output float32 (batch, H, W) for drafts x, float32 (batch, H, W, D), as the training computes it.

        weights: arrays or tensors in the order of model.weights. dtype: a subclass may compute wide layers in "bfloat16" if
        it is asked to; this general form always computes in float32.
        """
        inputs = [x[..., i : i + 1] for i in range(x.shape[-1])]
        return model.stateless_call(weights, [], inputs)[0][..., 0]

    def start(self, model, weights, normal, seed):
        """The `Start` of a training.

        weights: random ones, in the order of model.weights. normal: the normal matrix (`deepsr.train.normal_matrix`) of
        windows of `filter_size`, float64 (n + 2, n + 2); if it is None, the linear skip stays zero. seed: for a start that
        needs further random numbers; this one does not.
        """
        weights = [np.array(weight, np.float32) for weight in weights]
        rates = [np.ones_like(weight) for weight in weights]
        if not self.linear_skip:
            return Start(weights, rates, None)
        index = {id(variable): i for i, variable in enumerate(model.weights)}
        skip = model.get_layer("linear_skip")
        last = [layer for layer in model.layers if hasattr(layer, "kernel") and layer is not skip][-1]
        for variable in skip.weights + (last.weights if normal is not None else []):
            weights[index[id(variable)]][...] = 0
        for variable in skip.weights:
            rates[index[id(variable)]][...] = 0
        if normal is not None:
            kernel, bias = solve_filter(normal, self.filter_size, len(model.inputs))
            weights[index[id(skip.kernel)]][..., 0], weights[index[id(skip.bias)]][0] = kernel, bias
        return Start(weights, rates, None)
