"""A draft that carries what has been seen from frame to frame, beside drafts from windows of neighbours.

An estimate of the picture is carried through the shot, once forwards and once backwards. At each frame it is moved to the
frame's time, averaged with the enlarged frame and back-projected (Irani & Peleg, CVGIP 1991). As in a Kalman filter, every
pixel has a weight: the number of frames that have gone into it, less where the registration cannot be trusted. So a draft
sees many frames at the cost of one registration for each. (Sajjadi et al., "Frame-Recurrent Video Super-Resolution", CVPR
2018, do this in a network.)
"""

import ctypes
from itertools import islice

import cv2
import numpy as np

from deepsr.data.degradation import to_uint8
from deepsr.drafts.base import DraftKind
from deepsr.drafts.flow import consistency, dense_flow, sample, sampling_map
from deepsr.drafts.motion import Kind as Motion

# A draft must not depend on how a video is cut into parts. So each shot is divided into blocks, and the estimates of a block
# begin anew some frames before it, or after it when they go backwards: the run-in. Longer ones are better, and cost memory
# and time: measured at x4, blocks of 16, 32, 64 frames gained 2.13, 2.20, 2.24 dB over bicubic, and a run-in of 4, 8, 12
# frames 2.15, 2.20, 2.22 dB.
BLOCK = 32  # frames
RUN_IN = 8  # frames
TOLERANCE = 0.75  # LR pixels; see `consistency`
LIBRARY = ctypes.CDLL(None)
STEPS = 4  # frames that both estimates are carried on at a time: enough registrations for 8 threads
FINER = 2  # from the second pass on, flow is computed on estimates of this many times the LR frames' size; 3 was worse


class Kind(DraftKind):
    """The drafts of `settings`, if there are any, as kind motion makes them, and then the draft of `recurrence`."""

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
                shot.forget_flows()  # they take 43 MB at 720p; the next block computes those of its run-in again
        return dict(self._estimates(stretch, block, flow, grid))

    def _estimates(self, stretch, wanted, flow, grid):
        """Yield (frame, estimate, uint8 (H, W)) for the wanted frames of a stretch.

        An estimate is the mean of the one that was carried forwards and the one that was carried backwards.
        flow: a function like `shot.flow`; grid: (height, width) of its flows, and of the weights of the estimates.

        Both are carried on STEPS frames at a time, and what both need is freed when the second one has used it. To make all
        flows first and all means last took 1.7 times the memory.
        """
        pool, registered = self.shot.pool, {}
        orders = range(stretch.start, wanted.stop), range(stretch.stop - 1, wanted.start - 1, -1)
        walks = [self._walk(order, registered, grid) for order in orders]
        # (frame, the neighbour whose estimate is moved there)
        moves = [[(t, t - order.step) for t in order] for order in orders]
        all_moves = {*moves[0][1:], *moves[1][1:]}  # nothing is moved to the first frame of an order
        forward, backward = {}, {}  # {wanted frame: (estimate, weight)} until the other one is there, too
        for start in range(0, max(map(len, orders)), STEPS):
            next_moves = {move for each in moves for move in each[start : start + STEPS]} & all_moves
            pairs = {(min(move), max(move)) for move in next_moves - registered.keys()}
            for found in pool.map(lambda pair: self._register(pair, all_moves, flow), pairs):
                registered |= found
            walked = pool.map(lambda walk: list(islice(walk, STEPS)), walks)
            for estimates, found in zip((forward, backward), walked, strict=True):
                estimates.update((t, estimate) for t, *estimate in found if t in wanted)
            complete = sorted(forward.keys() & backward.keys())
            yield from zip(complete, pool.map(lambda t: _mean(*forward.pop(t), *backward.pop(t)), complete), strict=True)
            _give_back()

    def _register(self, pair, moves, flow):
        """{move: (flow, how well it agrees with the flow back)} for those of `moves` that are between a pair of frames."""
        recurrence, (a, b) = self.spec["recurrence"], pair
        flows = {move: flow(*move, recurrence["flow"], recurrence["alpha"]) for move in (pair, (b, a))}
        finer = flows[pair].shape[0] / self.shot.lr(a).shape[0]  # 1, or FINER
        return {
            move: (flows[move], consistency(flows[move], flows[move[::-1]], TOLERANCE * finer))
            for move in flows
            if move in moves
        }

    def _walk(self, order, registered, grid):
        """Carry an estimate from frame to frame in this order, and yield (frame, estimate, its weight).

        registered: results of `_register`; each is taken out when it is used.
        Estimates are uint8 (H, W): rounding is far below their error, and float32 would take four times the memory.
        Weights are float32, of the size `grid`; a single enlarged frame has the weight 1.
        """
        estimate, weight = self.shot.enlarged(order[0]), np.ones(grid, np.float32)
        for t in order:
            if t != order[0]:
                estimate, weight = self._carry(estimate, weight, t, *registered.pop((t, t - order.step)))
            for _ in range(self.spec["recurrence"]["iterations"]):
                estimate += self.shot.missing(estimate, t)
            yield t, to_uint8(estimate), weight

    def _carry(self, estimate, weight, t, flow, agreement):
        """The estimate of a neighbour and its weight, moved to frame t and averaged with this frame.

        flow, agreement: from `_register`.
        """
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
        """How far a registration is trusted, 0..1, float32 (h, w).

        difference: of the moved estimate and the enlarged frame, float32 (H, W). That they differ in fine detail is right;
        what remains when this is averaged away is bad registration. agreement: from `_register`, float32 (h, w).
        """
        height, width = agreement.shape
        finer = height * self.shot.scale / difference.shape[0]  # 1, or FINER
        coarse = cv2.resize(difference, (width, height), interpolation=cv2.INTER_AREA)
        coarse = cv2.GaussianBlur(coarse, (0, 0), finer)
        return np.exp(-((coarse / self.spec["recurrence"]["trust"]) ** 2)) * agreement


def _flow_between(estimates, grid):
    """A function like `shot.flow` that computes flow between estimates, made small to the size (height, width) of `grid`.

    estimates: an iterable of (frame, estimate). Each is made small before the next is asked for.
    """
    frames = {t: cv2.resize(estimate, grid[::-1], interpolation=cv2.INTER_AREA) for t, estimate in estimates}
    return lambda a, b, method, alpha: dense_flow(frames[a], frames[b], method, alpha)


def _give_back():
    """Return freed memory to the system. The GNU C library would keep it, some 50 MB after a block at 720p."""
    if hasattr(LIBRARY, "malloc_trim"):
        LIBRARY.malloc_trim(0)


def _mean(one, its_weight, other, other_weight):
    """The mean of two estimates, uint8 (H, W), by their weights, float32 of any size: uint8 (H, W)."""
    share = cv2.resize(other_weight / (its_weight + other_weight), one.shape[::-1], interpolation=cv2.INTER_LINEAR)
    return to_uint8(one + share * (other.astype(np.float32) - one))


def _windows(spec):
    return {"settings": spec.get("settings", [])}
