"""A draft that carries what has been seen from frame to frame, beside drafts from windows of neighbours.

An estimate of the picture runs through the shot, forwards and backwards. At each frame it is moved to the frame's time,
averaged with the enlarged frame and back-projected (Irani & Peleg, CVGIP 1991). As in a Kalman filter, every pixel has a
weight: the number of frames that have gone into it, less where the registration cannot be trusted. So it sees many frames at
the cost of one registration each. (Sajjadi et al., "Frame-Recurrent Video Super-Resolution", CVPR 2018, do so in a network.)
"""

import cv2
import numpy as np

from deepsr.data.degradation import to_uint8
from deepsr.drafts.base import DraftKind
from deepsr.drafts.flow import consistency, dense_flow, sample, sampling_map
from deepsr.drafts.motion import Motion

# A draft must not depend on how a video is cut into parts. So each shot has blocks of its own, and in each of them the
# estimates begin anew, some frames before it or after it. Longer is better, and costs memory and time: measured at x4,
# blocks of 16, 32, 64 frames gained 2.13, 2.20, 2.24 dB over bicubic, and a run-in of 4, 8, 12 frames 2.15, 2.20, 2.22 dB.
BLOCK = 32  # frames
RUN_IN = 8  # frames
TOLERANCE = 0.75  # LR pixels between start and return at which a flow weighs 1/e
FINER = 2  # from the second pass on, flow is computed on estimates of this many times the LR frames' size; 3 was worse


class Recurrent(DraftKind):
    """The drafts of `settings` as of kind motion, if there are any, and then the recurrent draft of `recurrence`."""

    required, optional = ("recurrence",), ("settings",)

    def __init__(self, spec, shot):
        super().__init__(spec, shot)
        self._windows = Motion(_windows(spec), shot)
        self._block = {}  # the recurrent drafts of the block that was asked for last

    @classmethod
    def n_drafts(cls, spec):
        return Motion.n_drafts(_windows(spec)) + 1

    @classmethod
    def needed_frames(cls, spec, first, stop, n):
        window = Motion.needed_frames(_windows(spec), first, stop, n)
        begin, end = first // BLOCK * BLOCK, -(-stop // BLOCK) * BLOCK
        return min(window[0], max(begin - RUN_IN, 0)), max(window[1], min(end + RUN_IN, n))

    def drafts(self, t):
        if t not in self._block:
            self._block = self._make_block(t // BLOCK * BLOCK)
        return [*self._windows.drafts(t), self._block[t]]

    def _make_block(self, first):
        """{frame: draft, uint8 (H, W)} for the block of frames that begins with `first`."""
        shot, recurrence = self.shot, self.spec["recurrence"]
        block = range(first, min(first + BLOCK, shot.n))
        stretch = range(max(first - RUN_IN, 0), min(first + BLOCK + RUN_IN, shot.n))
        flow, grid = shot.flow, shot.lr(first).shape
        for _ in range(recurrence["passes"] - 1):
            flow = self._finer_flow(self._estimates(stretch, stretch, flow, grid))
            grid = FINER * shot.lr(first).shape[0], FINER * shot.lr(first).shape[1]
        return self._estimates(stretch, block, flow, grid)

    def _finer_flow(self, estimates):
        """A function that computes flow as `shot.flow` does, on estimates, which shrinks to FINER times the LR size."""
        height, width = self.shot.lr(next(iter(estimates))).shape
        size = FINER * width, FINER * height
        frames = {t: cv2.resize(estimate, size, interpolation=cv2.INTER_AREA) for t, estimate in estimates.items()}
        return lambda a, b, method, alpha: dense_flow(frames[a], frames[b], method, alpha)

    def _estimates(self, stretch, wanted, flow, grid):
        """{frame: estimate, uint8 (H, W)} for the wanted frames: the mean of those of both ways through a stretch.

        flow: function as `shot.flow`, of flows on a grid of this size, which the weights of the estimates have, too.
        """
        recurrence, pool = self.spec["recurrence"], self.shot.pool
        pairs = [(a, b) for a in stretch for b in (a - 1, a + 1) if b in stretch]
        flows = dict(
            zip(pairs, pool.map(lambda pair: flow(*pair, recurrence["flow"], recurrence["alpha"]), pairs), strict=True)
        )
        ways = range(stretch.start, wanted.stop), range(stretch.stop - 1, wanted.start - 1, -1)
        forward, backward = pool.map(lambda way: self._run(way, wanted, flows, grid), ways)
        means = pool.map(lambda t: _mean(*forward.pop(t), *backward.pop(t)), wanted)
        return dict(zip(wanted, means, strict=True))

    def _run(self, way, wanted, flows, grid):
        """{frame: (estimate, its weight)} for the wanted frames of one way through a stretch.

        way: numbers of frames in the order in which the estimate meets them; flows: {(frame, neighbour): flow}.
        Estimates are uint8 (H, W): rounding is far below their error, and float32 would take four times the memory.
        Weights are float32, of the size `grid`: 1 is a frame, enlarged.
        """
        found, recurrence = {}, self.spec["recurrence"]
        for t in way:
            enlarged = self.shot.enlarged(t)
            if t == way[0]:
                estimate, weight = enlarged, np.ones(grid, np.float32)
            else:
                forward, backward = flows[t, t - way.step], flows[t - way.step, t]
                moved = sample(estimate, sampling_map(forward, enlarged.shape))
                moved -= enlarged
                weight = np.minimum(sample(weight, sampling_map(forward, grid), cv2.INTER_LINEAR), recurrence["cap"])
                weight = 1 + weight * self._trust(moved, forward, backward)
                moved *= cv2.resize(1 - 1 / weight, enlarged.shape[::-1], interpolation=cv2.INTER_LINEAR)
                estimate = enlarged + moved
            for _ in range(recurrence["iterations"]):
                estimate += self.shot.missing(estimate, t)
            if t in wanted:
                found[t] = to_uint8(estimate), weight
        return found

    def _trust(self, difference, forward, backward):
        """How far a registration is trusted, 0..1, float32 (h, w) of the flows, float32 (h, w, 2).

        difference: between the moved estimate and the enlarged frame, float32 (H, W). They differ in fine detail by right;
        what remains when that is averaged away is bad registration.
        """
        height, width = forward.shape[:2]
        finer = height * self.shot.scale / difference.shape[0]  # 1, or FINER
        coarse = cv2.resize(difference, (width, height), interpolation=cv2.INTER_AREA)
        coarse = cv2.GaussianBlur(coarse, (0, 0), finer)
        return np.exp(-((coarse / self.spec["recurrence"]["trust"]) ** 2)) * consistency(
            forward, backward, TOLERANCE * finer
        )


def _mean(one, its_weight, other, other_weight):
    """The mean of two estimates, uint8 (H, W), by their weights, float32 of any size: uint8 (H, W)."""
    share = cv2.resize(other_weight / (its_weight + other_weight), one.shape[::-1], interpolation=cv2.INTER_LINEAR)
    return to_uint8(one + share * (other.astype(np.float32) - one))


def _windows(spec):
    return {"settings": spec.get("settings", [])}
