"""How steady an enlarged video is: metrics of two consecutive frames.

The metrics take four pictures of one shape, uint8 (H, W, 3) BGR: the enlarged frame and its ground truth, and the same two
of the frame before. A still video has a tOF of 0. Its warping error is small but not 0, as the estimated flow is not.
"""

import cv2
import numpy as np


def optical_flow(start, end):
    """Farneback's flow between two pictures, float32 (H, W, 2): what is at p in `start` is at p + flow[p] in `end`.

    The settings are those of TecoGAN's metric.
    """
    grey = [cv2.cvtColor(picture, cv2.COLOR_BGR2GRAY) for picture in (start, end)]
    return cv2.calcOpticalFlowFarneback(
        *grey, None, pyr_scale=0.5, levels=3, winsize=15, iterations=3, poly_n=5, poly_sigma=1.2, flags=0
    )


def tof(shown, truth, shown_before, truth_before):
    """Mean distance in pixels between the optical flow of the enlarged video and that of the true one.

    The metric tOF of TecoGAN (Chu et al., "Learning temporal coherence via self-supervision for GAN-based video generation",
    ACM TOG 2020, section 5.1), computed as in their code: in a window in the middle of the frame whose sides are multiples
    of 32 and at least 16 pixels shorter than the frame's. Their code leaves out a clip's first and last two frames; here all
    count. NaN if a side is shorter than 48 pixels.
    """
    height, width = ((side - 16) // 32 * 32 for side in truth.shape[:2])
    if min(height, width) <= 0:
        return float("nan")
    top, left = (truth.shape[0] - height) // 2, (truth.shape[1] - width) // 2
    difference = optical_flow(shown_before, shown) - optical_flow(truth_before, truth)
    return float(np.linalg.norm(difference[top : top + height, left : left + width], axis=-1).mean())


def warping_error(shown, truth, shown_before, truth_before):
    """Root mean square difference in grey levels between a frame and the one before it, moved along the true video's flow.

    After Lai et al., "Learning blind video temporal consistency", ECCV 2018, section 4.2, with Farneback's flow in the place
    of FlowNet2's. Pixels that the frame before does not show are left out: those that come from outside of it, and those
    that the flow there and back does not return to their place (Ruder et al., GCPR 2016, equation 5). NaN if none is left.
    """
    back, there = optical_flow(truth, truth_before), optical_flow(truth_before, truth)
    height, width = truth.shape[:2]
    source = back + np.dstack(np.meshgrid(np.arange(width), np.arange(height))).astype(np.float32)
    returned = cv2.remap(there, source, None, cv2.INTER_LINEAR)
    astray = ((back + returned) ** 2).sum(-1) > 0.01 * (back**2 + returned**2).sum(-1) + 0.5
    inside = ((source >= 0) & (source <= (width - 1, height - 1))).all(-1)
    moved = cv2.remap(shown_before, source, None, cv2.INTER_LINEAR)
    errors = (shown.astype(np.float64) - moved)[inside & ~astray]
    return float(np.sqrt(np.mean(errors**2))) if errors.size else float("nan")
