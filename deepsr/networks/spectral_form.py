"""The training form of a chain of convolutions: the same output as the model's, in forms whose gradients are cheap."""

import keras
from keras import layers, ops

from deepsr.networks import spectra


def forward(model, weights, x, dtype="float32"):
    """The network's output with the given weights, in forms whose gradients are cheap.

    `x`: float32 (batch, H, W, D), static shape; returns float32 (batch, H, W), equal to the model's up to rounding.
    As products of spectra the first layer needs a third of the operations. The layers with one output channel are little
    work, and yet libraries spend much of a training step on them. dtype: "bfloat16" computes all layers in this precision,
    except from one channel to one. It is too coarse for spectra, so the first layer is then a plain convolution.
    """
    pairs = zip(weights[0::2], weights[1::2], [layer for layer in model.layers if layer.weights], strict=True)
    for kernel, bias, layer in pairs:
        if isinstance(layer, layers.Conv2DTranspose):  # at stride 1 a convolution with the turned kernel
            kernel = ops.flip(ops.transpose(kernel, (0, 1, 3, 2)), (0, 1))
        precision = "float32" if kernel.shape[2] == kernel.shape[3] == 1 else dtype
        x = _convolve(ops.cast(x, precision), ops.cast(kernel, precision))
        x = layer.activation(x + ops.cast(bias, x.dtype))
    return ops.cast(x[..., 0], "float32")


def _convolve(x, kernel):
    """Zero-padded ("same") convolution of (m, H, W, C) with an odd square kernel (k, k, C, F)."""
    size, _, channels, filters = kernel.shape
    if size == 1:
        return ops.matmul(x, kernel[0, 0])
    if filters > 1:
        single = keras.backend.standardize_dtype(x.dtype) == "float32"
        return _by_spectra(x, kernel) if single else ops.conv(x, kernel, padding="same")
    if channels > 1:
        return _many_to_one(x, kernel[..., 0])[..., None]
    return _one_to_one(x[..., 0], kernel[..., 0, 0])[..., None]


def _by_spectra(x, kernel):
    """A convolution by products of the columns' spectra, summed over the kernel's columns: (m, H, W, C) -> (m, H, W, F)."""
    size, _, channels, filters = kernel.shape
    m, h, w, _ = x.shape
    r = size // 2
    forward, parts, inverse = spectra.transforms(h, size)
    n = len(forward) // 2

    x = ops.transpose(ops.pad(x, [(0, 0), (r, r), (r, r), (0, 0)]), (1, 0, 2, 3))
    x = ops.reshape(ops.matmul(forward, ops.reshape(x, (h + 2 * r, -1))), (n, 2, m, w + 2 * r, channels))
    x = ops.stack([x[:, :, :, j : j + w] for j in range(size)], axis=4)
    x = ops.reshape(ops.transpose(x, (0, 2, 3, 1, 4, 5)), (n, 1, m * w, 2 * size * channels))
    kernel = ops.matmul(parts, ops.reshape(kernel, (size, -1)))
    y = ops.matmul(x, ops.reshape(kernel, (n, 2, 2 * size * channels, filters)))
    y = ops.reshape(ops.matmul(inverse, ops.reshape(y, (2 * n, -1))), (h, m, w, filters))
    return ops.transpose(y, (1, 0, 2, 3))


def _many_to_one(x, kernel):
    """A convolution to one channel: each pixel times all k*k taps, and then the sum of the k*k shifted results.

    (m, H, W, C), (k, k, C) -> float32 (m, H, W).
    """
    size, _, channels = kernel.shape
    _, h, w, _ = x.shape
    r = size // 2
    taps = ops.matmul(x, ops.transpose(ops.reshape(kernel, (size * size, channels))))
    taps = ops.cast(taps, "float32")
    taps = ops.unstack(ops.pad(taps, [(0, 0), (r, r), (r, r), (0, 0)]), size * size, axis=3)
    return sum(tap[:, i // size :, i % size :][:, :h, :w] for i, tap in enumerate(taps))


def _one_to_one(x, kernel):
    """A convolution from one channel to one: each row with all k rows of the kernel, then the sum of the k shifted results.

    (m, H, W), (k, k) -> (m, H, W). For k = 25 and 8 patches of 48x48 it and its gradient take 16 ms of a CPU, the library's
    convolution 44 ms.
    """
    size = kernel.shape[0]
    m, h, w = x.shape
    r = size // 2
    x = ops.pad(x, [(0, 0), (r, r), (r, r)])
    columns = ops.stack([x[:, :, j : j + w] for j in range(size)], axis=1)
    rows = ops.matmul(kernel, ops.reshape(columns, (m, size, -1)))
    rows = ops.reshape(rows, (m, size, h + 2 * r, w))
    return sum(rows[:, i, i : i + h] for i in range(size))
