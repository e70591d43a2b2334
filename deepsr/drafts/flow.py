"""Dense optical flow between low-resolution luma frames, and sampling along it."""

from functools import lru_cache

import cv2
import numpy as np

from deepsr.errors import InputError

TOLERANCE = 0.5  # a flow that misses its start by so many pixels on the way back has the weight 1/e


def dense_flow(target, neighbour, method="dis", alpha=20.0):
    """Where each pixel of `target` is found in `neighbour`.

    target, neighbour: uint8 (h, w) luma. Returns float32 (h, w, 2), (dx, dy) in pixels:
    target[y, x] = neighbour[y+dy, x+dx].
    method:
      dis        DIS with variational refinement (Kroeger et al., ECCV 2016); `alpha` weighs the smoothness term
      farneback  polynomial expansion (Farneback, SCIA 2003); `alpha` is the averaging window in pixels
      tvl1       TV-L1 (Zach et al., DAGM 2007), the flow of the DeepSR paper; `alpha` is lambda, the data term's weight
    """
    if min(target.shape) < 16:  # DIS needs a patch of 8 pixels at half the size
        pad = [(0, max(0, 16 - side)) for side in target.shape]
        padded = (np.pad(frame, pad, mode="edge") for frame in (target, neighbour))
        return dense_flow(*padded, method, alpha)[: target.shape[0], : target.shape[1]]
    if method == "farneback":
        return cv2.calcOpticalFlowFarneback(target, neighbour, None, 0.5, 4, int(alpha), 5, 7, 1.5, 0)
    target, neighbour = map(np.ascontiguousarray, (target, neighbour))  # DIS takes no crops
    return _estimator(method, float(alpha)).calc(target, neighbour, None)


def _estimator(method, alpha):
    """A new estimator for each flow, since one that is used again begins with the flow of its last call (DIS)."""
    if method == "dis":
        dis = cv2.DISOpticalFlow_create(cv2.DISOPTICAL_FLOW_PRESET_MEDIUM)
        dis.setFinestScale(0)
        dis.setPatchStride(4)  # drafts are as good as with a stride of 2 and 5 iterations, which take half as long again
        dis.setVariationalRefinementIterations(3)
        dis.setVariationalRefinementAlpha(alpha)
        return dis
    if not hasattr(cv2, "optflow"):
        raise InputError("flow method tvl1 needs opencv-contrib-python-headless; install it or use dis.")
    tvl1 = cv2.optflow.DualTVL1OpticalFlow_create()
    tvl1.setLambda(alpha)
    return tvl1


def consistency(forward, backward, tolerance=TOLERANCE):
    """How well the flows to a frame and back agree, a weight: float32 (h, w, 2) twice -> float32 (h, w) in 0..1.

    A pixel that goes there and back should return to its place. If it does not, a flow is wrong, or the pixel is not to be
    found in the other frame because something hides it or there was a cut (Sundaram et al., ECCV 2010, section 3).
    tolerance: the weight is 1/e where it misses its place by so many pixels.
    """
    missed = forward + sample(backward, sampling_map(forward, forward.shape[:2]), cv2.INTER_LINEAR)
    return np.exp(-np.sum((missed / tolerance) ** 2, axis=2))


def sampling_map(flow, shape):
    """Where to sample for each pixel of a grid of this shape, (H, W): flow, float32 (h, w, 2) in pixels of its own grid,
    which may be coarser -> positions, float32 (H, W, 2), (x, y) in pixels of the grid of this shape.
    """
    height, width = shape
    steps = flow * np.float32([width / flow.shape[1], height / flow.shape[0]])
    positions = cv2.resize(steps, (width, height), interpolation=cv2.INTER_LINEAR)
    positions += _pixels(height, width)
    return positions


@lru_cache(2)
def _pixels(height, width):
    """The position of each pixel of a grid, float32 (H, W, 2). It is kept: making it took half the time of a map."""
    return np.stack(np.meshgrid(np.arange(width, dtype=np.float32), np.arange(height, dtype=np.float32)), axis=2)


def sample(image, positions, interpolation=cv2.INTER_CUBIC):
    """`image` at the positions of a `sampling_map`: float32 or uint8 (H, W) or (H, W, C), and float32 (H, W, 2)."""
    return cv2.remap(image, positions, None, interpolation, borderMode=cv2.BORDER_REPLICATE)
