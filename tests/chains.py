"""Small chains of convolutions with given weights, as exported files."""

import os

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import onnx


def chain_model(layers):
    """A chain as a Keras model. layers: (kind "conv" or "deconv", kernel, bias, activation) each."""
    import keras

    inputs = [keras.Input((None, None, 1), name=f"input_{i}") for i in range(layers[0][1].shape[2])]
    x = keras.layers.Concatenate()(inputs) if len(inputs) > 1 else inputs[0]
    for kind, kernel, bias, activation in layers:
        make = {"conv": keras.layers.Conv2D, "deconv": keras.layers.Conv2DTranspose}[kind]
        layer = make(len(bias), kernel.shape[:2], padding="same", activation=activation)
        x = layer(x)
        layer.set_weights([kernel, bias])
    return keras.Model(inputs, x)


def chain_file(path, layers, metadata=None):
    """Write a chain as an .onnx file; returns its path. layers: see `chain_model`."""
    from deepsr.networks.onnx_export import to_onnx

    onnx.save(to_onnx(chain_model(layers), {"network": "deepsr"} if metadata is None else metadata), path)
    return path
