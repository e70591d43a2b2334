"""What every kind of drafts is, and the shot that drafts are made for."""

from concurrent.futures import ThreadPoolExecutor

import cv2
import numpy as np

from deepsr.data.degradation import enlarge, shrink
from deepsr.drafts.flow import dense_flow


class DraftKind:
    """The drafts of one kind for the frames of a shot. Every kind is a subclass, called Kind in a file of its own.

    spec: the config's `drafts` mapping; shot: a Shot.
    """

    required, optional = (), ()  # keys of the spec beside `kind`; types and defaults stand in config/config.schema.yaml
    is_oracle = False  # whether the drafts are made from the ground truth

    def __init__(self, spec, shot):
        self.spec, self.shot = spec, shot

    @classmethod
    def n_drafts(cls, spec):
        """How many drafts each frame has, without the bicubic frame."""
        return 1

    @classmethod
    def needed_frames(cls, spec, first, stop, n):
        """(start, end): the drafts of frames first..stop-1 of a shot of n frames are made from frames start..end-1."""
        return first, stop

    def drafts(self, t):
        """The drafts of frame t: a list of uint8 (H, W). The shot holds the frames that are needed for it."""
        raise NotImplementedError


class Shot:
    """The frames of a clip or shot, and what the drafts of several kinds compute from them.

    scale, degradation, lr, n, hr: see deepsr.drafts.ensemble.Drafts. pool: as many threads as OpenCV may use. They may call
    every method but `hold`, the only one that reads frames.
    """

    def __init__(self, scale, degradation, lr, n, hr=None):
        self.scale, self.degradation, self.n, self.hr = scale, degradation, n, hr
        self.pool = ThreadPoolExecutor(max(1, cv2.getNumThreads()))
        self._source, self._lr, self._flows = lr, {}, {}

    def hold(self, numbers):
        """Keep these LR frames in memory, and no others. The calling thread reads those that are missing, in this order."""
        self._lr = {t: self._lr[t] if t in self._lr else self._source(t) for t in numbers}
        self._flows = {key: flow for key, flow in self._flows.items() if key[0] in self._lr and key[1] in self._lr}

    def lr(self, t):
        """LR frame t, uint8 (h, w)."""
        return self._lr[t]

    def enlarged(self, t):
        """LR frame t enlarged and not rounded, float32 (H, W)."""
        return enlarge(self._lr[t].astype(np.float32), self.scale, self.degradation)

    def missing(self, picture, t):
        """What a picture of the time of LR frame t, float32 (H, W), lacks of this frame: their difference, enlarged."""
        return enlarge(self._lr[t] - shrink(picture, self.scale, self.degradation), self.scale, self.degradation)

    def flow(self, a, b, method, alpha):
        """The flow from LR frame a to LR frame b (see `dense_flow`), computed once."""
        key = a, b, method, alpha
        if key not in self._flows:
            self._flows[key] = dense_flow(self._lr[a], self._lr[b], method, alpha)
        return self._flows[key]

    def forget_flows(self):
        """Free the memory of all flows; those that are asked for again are computed again."""
        self._flows = {}
