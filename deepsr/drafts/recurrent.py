"""A draft that carries what has been seen from frame to frame, beside drafts from windows of neighbours.

An estimate of the picture runs through the shot, forwards and backwards. At each frame it is moved to the frame's time,
averaged with the enlarged frame and back-projected (Irani & Peleg, CVGIP 1991). As in a Kalman filter, every pixel has a
weight: the number of frames that have gone into it, less where the registration cannot be trusted. So it sees many frames at
the cost of one registration each. (Sajjadi et al., "Frame-Recurrent Video Super-Resolution", CVPR 2018, do so in a network.)
"""

import ctypes
from itertools import islice

import cv2
import numpy as np

from deepsr.data.degradation import to_uint8
from deepsr.drafts.base import DraftKind
from deepsr.drafts.flow import consistency, dense_flow, sample, sampling_map
from deepsr.drafts.motion import Kind as Motion

# A draft must not depend on how a video is cut into parts. So each shot has blocks of its own, and in each of them the
# estimates begin anew, some frames before it or after it. Longer is better, and costs memory and time: measured at x4,
# blocks of 16, 32, 64 frames gained 2.13, 2.20, 2.24 dB over bicubic, and a run-in of 4, 8, 12 frames 2.15, 2.20, 2.22 dB.
BLOCK = 32  # frames
RUN_IN = 8  # frames
TOLERANCE = 0.75  # LR pixels between start and return at which a flow weighs 1/e
LIBRARY = ctypes.CDLL(None)
STEPS = 4  # frames that each way goes at a time: enough pairs of them for 8 threads
FINER = 2  # from the second pass on, flow is computed on estimates of this many times the LR frames' size; 3 was worse


class Kind(DraftKind):
    """The drafts of `settings` as of kind motion, if there are any, and then the recurrent draft of `recurrence`."""

    optional = "recurrence", "settings"

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
            self._block = {}  # the last block's drafts are gone before the next ones are made
            self._block = self._make_block(t // BLOCK * BLOCK)
        return [*self._windows.drafts(t), self._block[t]]

    def _make_block(self, first):
        """{frame: draft, uint8 (H, W)} for the block of frames that begins with `first`."""
        shot = self.shot
        block = range(first, min(first + BLOCK, shot.n))
        stretch = range(max(first - RUN_IN, 0), min(first + BLOCK + RUN_IN, shot.n))
        flow, (height, width) = shot.flow, shot.lr(first).shape
        grid, finer_grid = (height, width), (FINER * height, FINER * width)
        for _ in range(self.spec["recurrence"]["passes"] - 1):
            flow = _flow_between(self._estimates(stretch, stretch, flow, grid), finer_grid)
            grid = finer_grid
            if not self.spec.get("settings"):  # windows use them again
                shot.forget_flows()  # 43 MB at 720p; those of the run-in are then computed again for the next block
        return dict(self._estimates(stretch, block, flow, grid))

    def _estimates(self, stretch, wanted, flow, grid):
        """Yield (frame, estimate, uint8 (H, W)) for the wanted frames: the mean of those of both ways through a stretch.

        flow: function as `shot.flow`, of flows on a grid of this size, which the weights of the estimates have, too.

        Both ways go STEPS frames at a time. What is made at a place is kept from the way that comes there first to the one
        that comes second, and no longer. To make all flows first and all means last took 1.7 times the memory.
        """
        pool, registered, forward, backward = self.shot.pool, {}, {}, {}
        ways = range(stretch.start, wanted.stop), range(stretch.stop - 1, wanted.start - 1, -1)
        walks = [self._walk(way, registered, grid) for way in ways]
        steps = [[(t, t - way.step) for t in way] for way in ways]
        taken = {*steps[0][1:], *steps[1][1:]}
        for start in range(0, max(map(len, ways)), STEPS):
            next_steps = {step for each in steps for step in each[start : start + STEPS]} & taken
            pairs = {(min(step), max(step)) for step in next_steps - registered.keys()}
            for found in pool.map(lambda pair: self._register(pair, taken, flow), pairs):
                registered |= found
            for way, found in zip((forward, backward), pool.map(lambda walk: list(islice(walk, STEPS)), walks), strict=True):
                way.update((t, estimate) for t, *estimate in found if t in wanted)
            met = sorted(forward.keys() & backward.keys())
            yield from zip(met, pool.map(lambda t: _mean(*forward.pop(t), *backward.pop(t)), met), strict=True)
            _give_back()

    def _register(self, pair, steps, flow):
        """{step: (flow, how well it and the flow back agree)} for a pair of neighbours, each way round that is a step.

        steps: (frame, neighbour) where an estimate is moved from the neighbour to the frame.
        """
        recurrence, (a, b) = self.spec["recurrence"], pair
        flows = {step: flow(*step, recurrence["flow"], recurrence["alpha"]) for step in (pair, (b, a))}
        finer = flows[pair].shape[0] / self.shot.lr(a).shape[0]  # 1, or FINER
        return {
            step: (flows[step], consistency(flows[step], flows[step[::-1]], TOLERANCE * finer))
            for step in flows
            if step in steps
        }

    def _walk(self, way, registered, grid):
        """Yield (frame, estimate, its weight) along one way through a stretch.

        way: numbers of frames in the order in which the estimate meets them; registered: results of `_register`, of which
        those that have been used are taken out.
        Estimates are uint8 (H, W): rounding is far below their error, and float32 would take four times the memory.
        Weights are float32, of the size `grid`: 1 is a frame, enlarged.
        """
        estimate, weight = self.shot.enlarged(way[0]), np.ones(grid, np.float32)
        for t in way:
            if t != way[0]:
                estimate, weight = self._carry(estimate, weight, t, *registered.pop((t, t - way.step)))
            for _ in range(self.spec["recurrence"]["iterations"]):
                estimate += self.shot.missing(estimate, t)
            yield t, to_uint8(estimate), weight

    def _carry(self, estimate, weight, t, flow, agreement):
        """The estimate of a neighbour and its weight, moved to frame t and averaged with it; the rest: of `_register`."""
        enlarged = self.shot.enlarged(t)
        moved = sample(estimate, sampling_map(flow, enlarged.shape))
        moved -= enlarged
        weight = sample(weight, sampling_map(flow, weight.shape), cv2.INTER_LINEAR)
        weight = np.minimum(weight, self.spec["recurrence"]["cap"])
        weight = 1 + weight * self._trust(moved, agreement)
        moved *= cv2.resize(1 - 1 / weight, enlarged.shape[::-1], interpolation=cv2.INTER_LINEAR)
        moved += enlarged
        return moved, weight

    def _trust(self, difference, agreement):
        """How far a registration is trusted, 0..1, float32 (h, w), as are the flows and how well they agree.

        difference: between the moved estimate and the enlarged frame, float32 (H, W). They differ in fine detail by right;
        what remains when that is averaged away is bad registration.
        """
        height, width = agreement.shape
        finer = height * self.shot.scale / difference.shape[0]  # 1, or FINER
        coarse = cv2.resize(difference, (width, height), interpolation=cv2.INTER_AREA)
        coarse = cv2.GaussianBlur(coarse, (0, 0), finer)
        return np.exp(-((coarse / self.spec["recurrence"]["trust"]) ** 2)) * agreement


def _flow_between(estimates, grid):
    """A function that computes flow as `shot.flow` does, between estimates shrunk to this size.

    estimates: pairs of frame and estimate, of which each is shrunk before the next is asked for.
    """
    frames = {t: cv2.resize(estimate, grid[::-1], interpolation=cv2.INTER_AREA) for t, estimate in estimates}
    return lambda a, b, method, alpha: dense_flow(frames[a], frames[b], method, alpha)


def _give_back():
    """Give freed memory back to the system, which the GNU C library keeps: some 50 MB after a block at 720p."""
    if hasattr(LIBRARY, "malloc_trim"):
        LIBRARY.malloc_trim(0)


def _mean(one, its_weight, other, other_weight):
    """The mean of two estimates, uint8 (H, W), by their weights, float32 of any size: uint8 (H, W)."""
    share = cv2.resize(other_weight / (its_weight + other_weight), one.shape[::-1], interpolation=cv2.INTER_LINEAR)
    return to_uint8(one + share * (other.astype(np.float32) - one))


def _windows(spec):
    return {"settings": spec.get("settings", [])}
