"""Applies the exported network to frames of any size, in tiles, without TensorFlow.

The same numbers as the whole-frame network, for less time and memory. The first layer takes a third of its
operations as products of spectra (`deepsr.networks.spectra`). A 3x3 convolution from 512 channels to 1 is slow in every
library, but equals a product to 9 maps and nine shifted additions: so only the first layer looks beyond its own
pixel, and tiles overlap by its kernel alone. What follows has one channel and runs on the whole frame.
"""

import logging
from concurrent.futures import ThreadPoolExecutor
from itertools import product

import cv2
import numpy as np
import onnx
import onnxruntime
from onnx import helper, numpy_helper

from deepsr.cpus import cpus
from deepsr.errors import InputError
from deepsr.networks import spectra
from deepsr.networks.onnx_export import DIGEST, OPERATORS, from_onnx

log = logging.getLogger("deepsr")

ROWS = 24  # of a tile: longer spectra cost more, shorter ones serve fewer rows
CPU_TILE_MB = 6  # of a tile's values in all layers: they stay in the processor's cache
GPU_TILE_MB = 64  # few and large operations, of which any GPU has room for some at a time
CPU, CUDA = "CPUExecutionProvider", "CUDAExecutionProvider"
ACTIVATIONS = {"tanh": np.tanh, "relu": lambda x: np.maximum(x, 0), "linear": lambda x: x}


class Predictor:
    """The network of an .onnx file that `onnx_export.to_onnx` made; `predictor(drafts)` is one frame's luma.

    path: the .onnx file. threads: tiles computed at a time, at most the CPUs this process may use; they do not
    change the result. gpu: compute on a GPU, in float32 as on a CPU; if onnxruntime finds none, that is logged.
    tile_mb: memory of one tile, MB, which decides its width; by default what suits the device.
    Attributes: n_drafts (int), metadata (dict of strings, as given to `to_onnx`), on_gpu (bool, whether it computes there).
    Raises InputError if the file is missing, damaged or not such a network.
    """

    def __init__(self, path, threads=1, gpu=False, tile_mb=None):
        """See the class."""
        layers, self.metadata = _load(path)
        self.n_drafts = layers[0].kernel.shape[2]
        self._head, self._last = layers[:3], layers[3:]
        self._session = self._on_gpu(tile_mb or GPU_TILE_MB) if gpu else None
        self.on_gpu = self._session is not None
        self._session = self._session or self._on([CPU], tile_mb or CPU_TILE_MB)
        self._pool = ThreadPoolExecutor(min(threads, cpus()))

    def _on(self, providers, tile_mb):
        """A session of onnxruntime for tiles of such memory."""
        self._tile = _tile_size(*self._head, tile_mb)
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        options.use_deterministic_compute = True
        model = _tile_graph(*self._head, *self._tile).SerializeToString()
        return onnxruntime.InferenceSession(model, options, providers=providers)

    def _on_gpu(self, tile_mb):
        """The same on a GPU, or None if that does not work."""
        reason = "onnxruntime finds none that it can use"
        if CUDA in onnxruntime.get_available_providers():
            try:
                onnxruntime.preload_dlls()  # CUDA's own, if they are installed as packages
                session = self._on([(CUDA, {"use_tf32": 0}), CPU], tile_mb)  # TF32 would cost digits
                if CUDA in session.get_providers():
                    tile = session.get_inputs()[0]
                    session.run(None, {tile.name: np.zeros(tile.shape, np.float32)})
                    return session
            except Exception as error:  # onnxruntime's own kinds; a GPU may be full, or too old
                reason = " ".join(str(error).split())
        log.warning("A GPU was asked for, but the CPU computes: %s.", reason)
        return None

    def __call__(self, drafts):
        """The network's output, float32 (H, W), unclipped, on `drafts` / 255; drafts: uint8 (n_drafts, H, W)."""
        if drafts.ndim != 3 or len(drafts) != self.n_drafts or drafts.dtype != np.uint8:
            raise ValueError(f"expected uint8 ({self.n_drafts}, H, W), got {drafts.dtype} {drafts.shape}")
        halo = self._head[0].kernel.shape[0] // 2
        size = self._head[2].kernel.shape[0]
        height, width = drafts.shape[1:]
        rows, columns = self._tile
        # The frame is padded to whole tiles, and what lies beyond it is dropped.
        beyond = [(halo, halo + -height % rows), (halo, halo + -width % columns), (0, 0)]
        padded = np.pad(drafts.transpose(1, 2, 0), beyond)

        def maps(corner):
            y, x = corner
            tile = padded[y : y + rows + 2 * halo, x : x + columns + 2 * halo]
            found = self._session.run(None, {"tile": tile.astype(np.float32) / 255})[0]
            return found[:, : height - y, : width - x]

        # Map (i, j) of a pixel is its share in the pixel i - size // 2 rows above it, j - size // 2 columns left.
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


def predict_frame(predictor, drafts, pad=8):
    """The enlarged frame, float32 (H, W) in [0, 1], of `drafts`, uint8 (n_drafts, H, W).

    The network takes what lies beyond the border for black, which darkens the frame's edge: here it sees the
    frame's mirror image for `pad` pixels.
    """
    height, width = drafts.shape[1:]
    mirrored = np.pad(drafts, [(0, 0), (pad, pad), (pad, pad)], mode="symmetric")
    return predictor(mirrored)[pad : pad + height, pad : pad + width].clip(0, 1)


def _load(path):
    """The layers and the metadata of a network file."""
    remedy = "delete it and run again, or give the .onnx file of a network trained by this workflow"
    try:
        model = onnx.load(path, load_external_data=False)
        if any(tensor.external_data for tensor in model.graph.initializer):
            raise ValueError("its weights lie in other files")
        layers = from_onnx(model)
        _, second, third, *rest = (layer.kernel.shape for layer in layers)
        if second[:2] != (1, 1) or third[3] != 1 or any(shape[2:] != (1, 1) for shape in rest):
            raise ValueError("its layers are not those of DeepSR or SRCNN")
    except FileNotFoundError:
        raise InputError(f"{path}: no such file; {remedy}.") from None
    except Exception as error:  # a damaged file can fail in any way that protobuf, onnx and numpy know
        raise InputError(f"{path}: damaged, or not a network that can be used here ({error}); {remedy}.") from error
    if not all(np.isfinite(array).all() for layer in layers for array in (layer.kernel, layer.bias)):
        raise InputError(f"{path}: has weights that are not finite numbers; train the network again.")
    return layers, {entry.key: entry.value for entry in model.metadata_props if entry.key != DIGEST}


def _tile_size(first, second, third, megabytes):
    """Rows and columns of a tile whose values take so much memory: spectra, and each layer before and after activation."""
    size, *_, filters = first.kernel.shape
    spectra_rows = 2 * ((ROWS + size - 1) // 2 + 1)
    column = spectra_rows * filters + 2 * ROWS * (filters + second.kernel.shape[3]) + ROWS * third.kernel.shape[0] ** 2
    return ROWS, max(1, round(megabytes * 1e6 / (4 * column)))


def _tile_graph(first, second, third, rows, columns):
    """ONNX model from a tile with the first layer's halo, (rows + 2r, columns + 2r, D), to the k * k maps of the third
    layer, (k * k, rows, columns).
    """
    size, _, channels, filters = first.kernel.shape
    forward, parts, inverse = spectra.transforms(rows, size)
    n, (height, width) = len(forward) // 2, (rows + size - 1, columns + size - 1)
    maps = third.kernel[..., 0].reshape(-1, third.kernel.shape[2])
    constants = {
        "forward": forward,
        "kernel": (parts @ first.kernel.reshape(size, -1)).reshape(n, 2, 2 * size * channels, filters),
        "inverse": inverse,
        "shifts": np.add.outer(np.arange(columns), np.arange(size)),
        "bias": first.bias,
        "second.kernel": second.kernel[0, 0],
        "second.bias": second.bias,
        "maps.kernel": maps.T,
    }
    nodes, value = [], "tile"

    def add(operator, *names, **attributes):
        nonlocal value
        nodes.append(helper.make_node(operator, [*names], [f"value{len(nodes)}"], **attributes))
        value = nodes[-1].output[0]

    def reshape(*shape):
        constants[f"shape{len(nodes)}"] = np.array(shape)
        add("Reshape", value, f"shape{len(nodes)}")

    def activate(layer):
        if layer.activation != "linear":
            add(OPERATORS[layer.activation], value)

    reshape(height, width * channels)
    add("MatMul", "forward", value)
    reshape(n, 2, width, channels)
    add("Gather", value, "shifts", axis=2)  # (n, 2, columns, size, channels)
    add("Transpose", value, perm=[0, 2, 1, 3, 4])
    reshape(n, 1, columns, 2 * size * channels)
    add("MatMul", value, "kernel")
    reshape(2 * n, columns * filters)
    add("MatMul", "inverse", value)
    reshape(rows * columns, filters)
    add("Add", value, "bias")
    activate(first)
    add("MatMul", value, "second.kernel")
    add("Add", value, "second.bias")
    activate(second)
    add("MatMul", value, "maps.kernel")
    add("Transpose", value)
    reshape(len(maps), rows, columns)

    def tensor(name, *shape):
        return helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, shape)

    weights = [numpy_helper.from_array(np.ascontiguousarray(array), name) for name, array in constants.items()]
    ends = [tensor("tile", height, width, channels)], [tensor(value, len(maps), rows, columns)]
    graph = helper.make_graph(nodes, "tile", *ends, weights)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)


def _activate(layer, frame):
    return ACTIVATIONS[layer.activation](frame + layer.bias[0])


def _convolve(frame, layer):
    """A one-channel convolution with zeros beyond the border. A deconvolution's kernel lies mirrored."""
    kernel = layer.kernel[:, :, 0, 0]
    kernel = kernel[::-1, ::-1] if layer.kind == "deconv" else kernel
    return cv2.filter2D(frame, -1, np.ascontiguousarray(kernel), borderType=cv2.BORDER_CONSTANT)
