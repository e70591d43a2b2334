"""Applies a chain of convolutions, such as DeepSR or SRCNN, faster than the general predictor does.

It gives the same numbers as the network on the whole frame, for less time and memory. As products of spectra
(`deepsr.networks.spectra`) the first layer needs a third of its operations. A 3x3 convolution from 512 channels to 1 is slow
in every library, but it equals a matrix product that gives 9 maps, which are then shifted and added. So only the first layer
looks beyond its own pixel, and tiles overlap by its kernel alone. The layers after the third have one channel and run on the
whole frame.
"""

from itertools import product

import cv2
import numpy as np
import onnx.parser
from onnx import numpy_helper

from deepsr.networks import spectra, tiles
from deepsr.networks.chain_layers import read_chain

ROWS = 24  # of a tile: the work on its spectra grows with the rows, but their share beyond the tile falls
ACTIVATIONS = {"Tanh": np.tanh, "Relu": lambda x: np.maximum(x, 0), "Identity": lambda x: x}


class Predictor(tiles.Predictor):
    """See `deepsr.networks.tiles.Predictor`. Tiles here have ROWS rows, and as many columns as their memory allows."""

    cpu_tile_mb = 6  # a tile's values in all layers stay in the processor's cache
    gpu_tile_mb = 64  # so that operations are few and large, and every GPU has room for some at a time
    grid = side = 1  # frames may have any size, since they are padded to whole tiles

    def _prepare(self, model):
        layers = read_chain(model.graph)
        self._head, self._last = layers[:3], layers[3:]

    def _tile_model(self, megabytes):
        self._tile = _tile_size(*self._head, megabytes)
        return _tile_graph(*self._head, *self._tile)

    def __call__(self, drafts):
        halo = self._head[0].kernel.shape[0] // 2
        size = self._head[2].kernel.shape[0]
        height, width = drafts.shape[1:]
        rows, columns = self._tile
        # The frame is padded to whole tiles; what tiles give beyond it is dropped.
        beyond = [(halo, halo + -height % rows), (halo, halo + -width % columns), (0, 0)]
        padded = np.pad(drafts.transpose(1, 2, 0), beyond)

        def maps(corner):
            y, x = corner
            tile = padded[y : y + rows + 2 * halo, x : x + columns + 2 * halo]
            found = self._session.run(None, {"tile": tile.astype(np.float32) / 255})[0]
            return found[:, : height - y, : width - x]

        # A value in map (i, j) belongs to the pixel i - size // 2 rows above its own and j - size // 2 columns to the left.
        total = np.zeros((height + size - 1, width + size - 1), np.float32)
        corners = list(product(range(0, height, rows), range(0, width, columns)))
        for (y, x), tile in zip(corners, self._pool.map(maps, corners), strict=True):
            shifts = product(reversed(range(size)), repeat=2)
            for (i, j), share in zip(shifts, tile, strict=True):
                total[y + i : y + i + share.shape[0], x + j : x + j + share.shape[1]] += share
        cut = size // 2
        frame = _activate(self._head[2], total[cut : cut + height, cut : cut + width])
        for layer in self._last:
            frame = _activate(layer, _convolve(frame, layer))
        return frame


def _tile_size(first, second, third, megabytes):
    """Rows and columns of a tile whose values take this memory: the spectra, and each layer before and after activation."""
    size, *_, filters = first.kernel.shape
    spectra_rows = 2 * ((ROWS + size - 1) // 2 + 1)
    column = spectra_rows * filters + 2 * ROWS * (filters + second.kernel.shape[3]) + ROWS * third.kernel.shape[0] ** 2
    return ROWS, max(1, round(megabytes * 1e6 / (4 * column)))


def _tile_graph(first, second, third, rows, columns):
    """The ONNX model that computes the k * k maps of the third layer, (k * k, rows, columns), from a tile with the pixels
    around it that the first layer needs, (rows + 2r, columns + 2r, D).
    """
    size, _, channels, filters = first.kernel.shape
    forward, parts, inverse = spectra.transforms(rows, size)
    n, (height, width) = len(forward) // 2, (rows + size - 1, columns + size - 1)
    maps = third.kernel[..., 0].reshape(-1, third.kernel.shape[2])
    constants = {
        "forward": forward,
        # Not `@`, whose rounding depends on the number of BLAS threads on some processors.
        "kernel": np.einsum("ij,jk->ik", parts, first.kernel.reshape(size, -1)).reshape(n, 2, 2 * size * channels, filters),
        "inverse": inverse,
        "shifts": np.add.outer(np.arange(columns), np.arange(size)),
        "bias": first.bias,
        "second_kernel": second.kernel[0, 0],
        "second_bias": second.bias,
        "maps_kernel": maps.T,
        "columns_shape": np.array([height, width * channels]),
        "spectra_shape": np.array([n, 2, width, channels]),
        "windows_shape": np.array([n, 1, columns, 2 * size * channels]),
        "products_shape": np.array([2 * n, columns * filters]),
        "pixels_shape": np.array([rows * columns, filters]),
        "maps_shape": np.array([len(maps), rows, columns]),
    }
    model = onnx.parser.parse_model(f"""
        <ir_version: 8, opset_import: ["": 17]>
        tile (float[{height}, {width}, {channels}] tile) => (float[{len(maps)}, {rows}, {columns}] maps) {{
            by_column = Reshape (tile, columns_shape)
            transformed = MatMul (forward, by_column)
            spectra = Reshape (transformed, spectra_shape)
            neighbours = Gather <axis = 2> (spectra, shifts)
            by_frequency = Transpose <perm = [0, 2, 1, 3, 4]> (neighbours)
            windows = Reshape (by_frequency, windows_shape)
            multiplied = MatMul (windows, kernel)
            products = Reshape (multiplied, products_shape)
            inverted = MatMul (inverse, products)
            convolved = Reshape (inverted, pixels_shape)
            first_sum = Add (convolved, bias)
            first_output = {first.activation} (first_sum)
            second_product = MatMul (first_output, second_kernel)
            second_sum = Add (second_product, second_bias)
            second_output = {second.activation} (second_sum)
            shares = MatMul (second_output, maps_kernel)
            by_map = Transpose <perm = [1, 0]> (shares)
            maps = Reshape (by_map, maps_shape)
        }}
    """)
    model.graph.initializer.extend(
        numpy_helper.from_array(np.ascontiguousarray(array), name) for name, array in constants.items()
    )
    return model


def _activate(layer, frame):
    return ACTIVATIONS[layer.activation](frame + layer.bias[0])


def _convolve(frame, layer):
    """A one-channel convolution with zeros beyond the border."""
    return cv2.filter2D(frame, -1, layer.kernel[:, :, 0, 0], borderType=cv2.BORDER_CONSTANT)
