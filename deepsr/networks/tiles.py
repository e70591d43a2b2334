"""Applies any exported network to frames of any size, in overlapping tiles, without TensorFlow."""

import logging
import math
from collections import defaultdict
from concurrent.futures import ThreadPoolExecutor
from itertools import product

import numpy as np
import onnxruntime
from onnx import helper, numpy_helper

from deepsr.cpus import cpus

log = logging.getLogger("deepsr")

POINTWISE = {"Add", "Sub", "Mul", "Concat", "Identity", "Relu", "LeakyRelu", "PRelu", "Tanh", "Sigmoid"}
CPU, CUDA = "CPUExecutionProvider", "CUDAExecutionProvider"


class Predictor:
    """Applies a network that `deepsr.networks.onnx_export.to_onnx` wrote: `predictor(drafts)` is one frame's luma.

    model: the onnx.ModelProto. threads: how many tiles are computed at a time, at most one on each CPU that this process may
    use; the result does not depend on it. gpu: compute on a GPU by CUDA, in float32 as on a CPU (never measured); if
    onnxruntime finds none, the log says so. Attributes: n_drafts (int), on_gpu (bool, whether it computes there), grid (int,
    H and W of the drafts must be multiples of it). Raises ValueError for layers that are not known.
    """

    cpu_tile_mb, gpu_tile_mb = 22, 256  # memory of a tile's values: larger tiles overlap less, smaller ones stay in caches

    def __init__(self, model, threads=1, gpu=False):
        """See the class."""
        self.n_drafts = len(model.graph.input)
        self._prepare(model)
        self._pool = ThreadPoolExecutor(min(threads, cpus()))
        self.on_gpu = gpu and self._starts_on_gpu()
        if not self.on_gpu:
            self._session = self._start([CPU], self.cpu_tile_mb)

    def _prepare(self, model):
        """Compute from the model what does not depend on the tiles' size."""
        self._model = model
        self.halo, self.grid, self._floats = receptive_field(model.graph)

    def _tile_model(self, megabytes):
        """Set the tiles' size so that one takes this memory, and return the onnx.ModelProto that computes such a tile."""
        side = math.sqrt(megabytes * 1e6 / (4 * self._floats)) - 2 * self.halo
        self.side = max(1, round(max(side, self.halo) / self.grid)) * self.grid
        return self._model

    def _start(self, providers, megabytes):
        """A session of onnxruntime for tiles that take this memory."""
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        options.use_deterministic_compute = True
        options.enable_mem_pattern = False  # it would take 46 MB more for `fast`, and be no faster
        model = self._tile_model(megabytes).SerializeToString()
        return onnxruntime.InferenceSession(model, options, providers=providers)

    def _starts_on_gpu(self):
        """Start a session on a GPU and return True; if that is not possible, log the reason and return False."""
        reason = "onnxruntime finds none that it can use"
        if CUDA in onnxruntime.get_available_providers():
            try:
                onnxruntime.preload_dlls()  # CUDA's own, if they are installed as packages
                self._session = self._start([(CUDA, {"use_tf32": 0}), CPU], self.gpu_tile_mb)  # TF32 would cost digits
                if CUDA in self._session.get_providers():
                    self(np.zeros((self.n_drafts, self.side, self.side), np.uint8))
                    return True
            except Exception as error:  # onnxruntime's own kinds; a GPU may be full, or too old
                reason = " ".join(str(error).split())
        log.warning("A GPU was asked for, but the CPU computes: %s.", reason)
        return False

    def __call__(self, drafts):
        """The network's output, float32 (H, W), not clipped, for drafts, uint8 (n_drafts, H, W)."""
        frame = np.empty(drafts.shape[1:], np.float32)
        steps = [_equal_tiles(length, self.side, self.grid) for length in frame.shape]

        def compute(corner):
            """Compute a tile and put it into the frame. Beyond the frame's border the network itself pads with zeros."""
            first = [max(0, start - self.halo) for start in corner]
            seen = [slice(begin, start + step + self.halo) for begin, start, step in zip(first, corner, steps, strict=True)]
            tile = drafts[:, *seen].astype(np.float32) / 255
            found = self._session.run(None, {f"input_{i}": draft[None, None] for i, draft in enumerate(tile)})[0][0, 0]
            (y, x), (height, width) = corner, steps
            frame[y : y + height, x : x + width] = found[y - first[0] :, x - first[1] :][:height, :width]

        list(self._pool.map(compute, product(*map(range, [0, 0], frame.shape, steps))))
        return frame


def _equal_tiles(length, most, grid):
    """Side of equal tiles, as few as possible, that cover a length: a multiple of `grid`, as is `most`, the largest side."""
    tiles = math.ceil(length / most)
    return math.ceil(length / (tiles * grid)) * grid


def receptive_field(graph):
    """What tiles of an ONNX graph need: (halo, grid, floats).

    halo: how many pixels around a tile its output depends on, a multiple of grid. grid: side of the largest pixel in the
    network, in pixels of the input; tiles are aligned to it. floats: about how many values are held at a time for each pixel
    of the input: the drafts, and the widest layer's input, sums and output. Raises ValueError for an unknown operator.
    """
    weights = {tensor.name: numpy_helper.to_array(tensor) for tensor in graph.initializer}
    # For each value in the graph, from the output backwards: pixels that are needed around a tile, and side of a pixel.
    reach, side = defaultdict(int), {graph.output[0].name: 1}
    grid, widest = 1, 0
    for node in reversed(graph.node):
        attributes = {attribute.name: helper.get_attribute_value(attribute) for attribute in node.attribute}
        around, pixel = reach[node.output[0]], side[node.output[0]]
        if node.op_type in ("Conv", "ConvTranspose"):
            around += max(attributes["pads"])
            widest = max(widest, len(weights[node.input[1]]) / pixel**2)
        elif node.op_type == "SpaceToDepth":
            around, pixel = around * attributes["blocksize"], pixel // attributes["blocksize"]
        elif node.op_type == "DepthToSpace":
            around, pixel = math.ceil(around / attributes["blocksize"]), pixel * attributes["blocksize"]
        elif node.op_type == "Resize":
            scale = int(weights[node.input[2]][-1])
            around, pixel = math.ceil(around / scale) + (attributes["mode"] == b"linear"), pixel * scale
        elif node.op_type not in POINTWISE:
            raise ValueError(f"the operator {node.op_type} is not known")
        for name in node.input:
            reach[name], side[name] = max(reach[name], around), pixel
        grid = max(grid, pixel)
    halo = max(reach[value.name] for value in graph.input)
    return math.ceil(halo / grid) * grid, grid, len(graph.input) + 3 * widest
