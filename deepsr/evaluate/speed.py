"""What enlarging a frame costs: seconds on this machine, and multiply-adds."""

import time

import numpy as np
import onnx

SIDE = 48  # HR pixels; every scale divides it


def multiply_adds(path):
    """Multiply-adds of a network for each HR pixel, counted in the graph of its .onnx file, without those of the drafts.

    In the networks that the workflow exports only convolutions multiply, all with stride 1. So each weight of a kernel is
    used once at every position of the layer's output.
    """
    model = onnx.load(path)
    for tensor in model.graph.input:
        for size, dimension in zip((1, 1, SIDE, SIDE), tensor.type.tensor_type.shape.dim, strict=True):
            dimension.dim_value = size
    del model.graph.value_info[:]
    inferred = onnx.shape_inference.infer_shapes(model, strict_mode=True).graph
    positions = {
        tensor.name: np.prod([dimension.dim_value for dimension in tensor.type.tensor_type.shape.dim[2:]])
        for tensor in [*inferred.value_info, *inferred.output]
    }
    weights = {tensor.name: np.prod(tensor.dims) for tensor in inferred.initializer}
    layers = [node for node in inferred.node if node.op_type in ("Conv", "ConvTranspose")]
    return float(sum(weights[node.input[1]] * positions[node.output[0]] for node in layers) / SIDE**2)


def seconds_per_frame(drafts, predict, frames):
    """Seconds for each frame that the drafts take, and that the network takes: (float, float).

    drafts[t]: the network's input for frame t of a shot of `frames` frames, which is made when it is asked for;
    predict(drafts[t]): the network. For the drafts it is the mean over the frames, since a draft kind may make those of
    several frames at once. For the network it is the median, which neither the first call nor other work disturbs.
    """
    times = []
    for t in range(frames):
        start = time.perf_counter()
        inputs = drafts[t]
        made = time.perf_counter()
        predict(inputs)
        times.append((made - start, time.perf_counter() - made))
    draft_times, network_times = np.transpose(times)
    return float(draft_times.mean()), float(np.median(network_times))
