"""Drafts from a window of low-resolution neighbours: registered by optical flow, fused, and back-projected."""

from functools import partial
from typing import NamedTuple

import cv2
import numpy as np

from deepsr.data.degradation import to_uint8
from deepsr.drafts.base import DraftKind
from deepsr.drafts.flow import consistency, sample, sampling_map


class Registration(NamedTuple):
    """How the neighbours of a target are registered and weighed: all keys of a setting except `iterations`."""

    flow: str
    alpha: float
    radius: int
    trust: float


class Neighbour(NamedTuple):
    """A neighbour of the target, and its picture moved to the target's time."""

    frame: int  # its number
    to_neighbour: np.ndarray  # where the target's pixels lie in the neighbour, float32 (H, W, 2)
    to_target: np.ndarray  # where the neighbour's pixels lie in the target, float32 (H, W, 2)
    warped: np.ndarray  # the enlarged neighbour moved to the target's time, float32 (H, W)
    weight: np.ndarray  # how far the registration is trusted, 0..1, float32 (H, W)


class Kind(DraftKind):
    """One draft for each of `settings`. A radius of 0 uses no neighbour. Fusion and back-projection are our own."""

    required = ("settings",)

    @classmethod
    def n_drafts(cls, spec):
        return len(spec["settings"])

    @classmethod
    def needed_frames(cls, spec, first, stop, n):
        radius = max((setting["radius"] for setting in spec["settings"]), default=0)
        return max(first - radius, 0), min(stop + radius, n)

    def drafts(self, t):
        drafts = {}
        for registration in dict.fromkeys(map(_registration, self.spec["settings"])):
            drafts |= self._drafts_of(registration, t)
        return [drafts[i] for i in sorted(drafts)]

    def _drafts_of(self, registration, t):
        """{number of a setting: its draft} for all settings with this registration, which share the registered neighbours.

        The neighbours take most of the memory, so they are freed before those of the next registration are made.
        """
        neighbours, mean, weight = self._fuse(t, registration)
        return {
            i: to_uint8(self._back_project(mean, weight, t, neighbours, setting["iterations"]))
            for i, setting in enumerate(self.spec["settings"])
            if _registration(setting) == registration
        }

    def _fuse(self, t, registration):
        """The registered neighbours of target t, the weighted mean of them and the target, and the sum of the weights."""
        window = range(max(t - registration.radius, 0), min(t + registration.radius + 1, self.shot.n))
        total = self.shot.enlarged(t)
        register = partial(self._register, t, total.copy(), registration)
        neighbours = list(self.shot.pool.map(register, [k for k in window if k != t]))
        weight = np.ones_like(total)
        for neighbour in neighbours:
            total += neighbour.weight * neighbour.warped
            weight += neighbour.weight
        return neighbours, total / weight, weight

    def _register(self, t, target, registration, k):
        """Frame k moved to the time of target t, whose enlargement is `target`."""
        forward = self.shot.flow(t, k, registration.flow, registration.alpha)
        backward = self.shot.flow(k, t, registration.flow, registration.alpha)
        to_neighbour, to_target = (sampling_map(flow, target.shape) for flow in (forward, backward))
        warped = sample(self.shot.enlarged(k), to_neighbour)
        # Aliasing differs between registered frames and cancels under the blur; what remains is bad registration.
        difference = cv2.GaussianBlur(warped - target, (0, 0), self.shot.scale)
        returned = cv2.resize(consistency(forward, backward), target.shape[::-1], interpolation=cv2.INTER_LINEAR)
        weight = np.exp(-((difference / registration.trust) ** 2)) * returned
        return Neighbour(k, to_neighbour, to_target, warped, weight)

    def _back_project(self, draft, weight, t, neighbours, iterations):
        """Correct the draft until, made small, it agrees with the LR frames (Irani & Peleg, CVGIP 1991).

        In each iteration the draft is moved to the time of each neighbour and made small. Its difference to the neighbour's
        LR frame is enlarged, moved back and added, weighed by the trust in the registration.
        """
        for _ in range(iterations):
            own = self.shot.pool.submit(self.shot.missing, draft, t)
            corrections = self.shot.pool.map(partial(self._correction, draft), neighbours)
            draft = draft + sum(corrections, own.result()) / weight
        return draft

    def _correction(self, draft, neighbour):
        """What the draft lacks of a neighbour, moved to the target's time and weighed: float32 (H, W)."""
        missing = self.shot.missing(sample(draft, neighbour.to_target, cv2.INTER_LINEAR), neighbour.frame)
        return neighbour.weight * sample(missing, neighbour.to_neighbour, cv2.INTER_LINEAR)


def _registration(setting):
    return Registration(*(setting[key] for key in Registration._fields))
