"""SR drafts: the high-resolution candidates that the network selects from and sharpens. One code path for training,
evaluation and video.

After Liao et al., "Video Super-Resolution via Deep Draft-Ensemble Learning", ICCV 2015, section 3: every setting of the
optical flow gives another draft of the target frame, and the network sees the ensemble beside the bicubic frame.
How the neighbours are fused into a draft is our own (`_fused`, `_back_project`).

Kinds (the `kind` of a spec):
  bicubic   no drafts but the bicubic-upscaled target frame
  motion    drafts from low-resolution neighbours registered by optical flow, one per entry of `settings`
  gaussian  the article's of 2021: the ground truth itself, blurred. An oracle: it needs the answer to make the input
"""

from collections import namedtuple
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from operator import itemgetter

import cv2
import numpy as np

from deepsr.data.degradation import enlarge, shrink, to_uint8, upscale
from deepsr.drafts.flow import consistency, dense_flow, sample, sampling_map
from deepsr.errors import InputError

ORACLES = ("gaussian",)
WAY = itemgetter("flow", "alpha", "radius", "trust")  # of a motion setting: how its neighbours are registered and fused


def n_drafts(spec):
    """Number of input channels of the network: the drafts and the bicubic-upscaled target frame."""
    return {"bicubic": 0, "motion": len(spec.get("settings", ())), "gaussian": len(spec.get("sigmas", ()))}[spec["kind"]] + 1


def radius(spec):
    """Temporal radius: frames before and after the target that its drafts use."""
    return max((setting["radius"] for setting in spec["settings"]), default=0) if spec["kind"] == "motion" else 0


def is_oracle(spec):
    """Whether the drafts are made from the ground truth."""
    return spec["kind"] in ORACLES


def label(spec):
    """What tables and figures call these drafts."""
    return f"{spec['kind']} (oracle)" if is_oracle(spec) else spec["kind"]


class Drafts:
    """The network's input for each frame of a clip: `drafts[t]` -> uint8 (D, h*scale, w*scale).

    The last channel is the bicubic-upscaled target, the others are the drafts of `spec`.

    spec: the config's `drafts` mapping; scale: 2, 3 or 4; degradation: "bicubic" or "cv2", how LR frames came about;
    lr(i): LR luma of frame i, uint8 (h, w), 0 <= i < n; hr(i): HR luma, uint8, for an oracle only.
    Frames, flows and enlargements are kept while a neighbouring target can use them, so ask for targets in order.
    As many neighbours are registered at a time as OpenCV may use threads; the result does not depend on it.
    Raises InputError if an oracle is asked for without the ground truth.
    """

    def __init__(self, spec, scale, degradation, lr, n, hr=None):
        if is_oracle(spec) and hr is None:
            raise InputError(
                f"drafts of kind {spec['kind']} are blurred ground truth (an oracle), which a video without ground truth "
                "does not have; choose an experiment with motion or bicubic drafts."
            )
        self._spec, self._scale, self._degradation, self._n = spec, scale, degradation, n
        self._lr_source, self._hr = lr, hr if is_oracle(spec) else None
        self._radius = radius(spec)
        self._kept = {}
        self._pool = ThreadPoolExecutor(max(1, cv2.getNumThreads()))

    def __getitem__(self, t):
        self._forget(t)
        if self._spec["kind"] == "gaussian":
            size = self._spec["kernel"]
            drafts = [cv2.GaussianBlur(self._hr(t), (size, size), sigma) for sigma in self._spec["sigmas"]]
        elif self._spec["kind"] == "motion":
            drafts = self._motion(t)
        else:
            drafts = []
        return np.stack([*drafts, upscale(self._lr(t), self._scale, self._degradation)])

    def _motion(self, t):
        """The drafts of target t, uint8 (h*scale, w*scale) each. Only one way's neighbours are in memory at a time."""
        drafts = {}
        for way in dict.fromkeys(map(WAY, self._spec["settings"])):
            drafts |= self._by(way, t)
        return [drafts[i] for i in range(len(drafts))]

    def _by(self, way, t):
        """{number of a setting: its draft} for the settings of one way: they have the fused neighbours in common."""
        neighbours, mean, weight = self._fused(t, *way)
        return {
            i: to_uint8(self._back_project(mean, weight, t, neighbours, setting["iterations"]))
            for i, setting in enumerate(self._spec["settings"])
            if WAY(setting) == way
        }

    def _fused(self, t, method, alpha, radius, trust):
        """The registered neighbours of target t, and their mean with it and its weight, both float32 (h*scale, w*scale)."""
        frames = [k for k in range(t - radius, t + radius + 1) if k != t and 0 <= k < self._n]  # fewer at a clip's ends
        for k in (t, *frames):
            self._enlarged(k)  # a source of frames is read from one thread
        neighbours = list(self._pool.map(lambda k: self._registered(t, k, method, alpha, trust), frames))
        total = self._enlarged(t).copy()
        weight = np.ones_like(total)
        for neighbour in neighbours:
            total += neighbour.trust * neighbour.warped
            weight += neighbour.trust
        return neighbours, total / weight, weight

    def _registered(self, t, k, method, alpha, trust):
        """Frame k moved to the time of target t."""
        forward, backward = self._flow(t, k, method, alpha), self._flow(k, t, method, alpha)
        there, back = sampling_map(forward, self._scale), sampling_map(backward, self._scale)
        warped = sample(self._enlarged(k), there)
        # Aliasing differs between registered frames and cancels under the blur; what remains is bad registration.
        difference = cv2.GaussianBlur(warped - self._enlarged(t), (0, 0), self._scale)
        weight = np.exp(-((difference / trust) ** 2)) * consistency(forward, backward, self._scale)
        return Neighbour(k, there, back, warped, weight)

    def _back_project(self, draft, weight, t, neighbours, iterations):
        """Correct the draft until, degraded, it explains the LR frames (Irani & Peleg, CVGIP 1991).

        In each iteration the draft is moved to each neighbour's time and degraded; what is then missing from the LR frame
        is enlarged, moved back and added, weighed by the trust in the registration.
        """
        for _ in range(iterations):
            own = self._pool.submit(self._missing, draft, t)
            shares = self._pool.map(partial(self._share, draft), neighbours)
            draft = draft + sum(shares, own.result()) / weight
        return draft

    def _missing(self, picture, k):
        """What LR frame k shows and a picture of its time does not, enlarged."""
        grid = self._scale, self._degradation
        return enlarge(self._lr(k) - shrink(picture, *grid), *grid)

    def _share(self, draft, neighbour):
        """What is missing at a neighbour's time, moved to the target's and weighed."""
        missing = self._missing(sample(draft, neighbour.back, cv2.INTER_LINEAR), neighbour.frame)
        return neighbour.trust * sample(missing, neighbour.there, cv2.INTER_LINEAR)

    # What follows is computed once and shared between ways and between neighbouring targets.

    def _lr(self, t):
        return self._keep(("lr", t), lambda: self._lr_source(t))

    def _enlarged(self, t):
        return self._keep(("up", t), lambda: enlarge(self._lr(t).astype(np.float32), self._scale, self._degradation))

    def _flow(self, a, b, method, alpha):
        return self._keep(("flow", a, b, method, alpha), lambda: dense_flow(self._lr(a), self._lr(b), method, alpha))

    def _keep(self, key, make):
        if key not in self._kept:
            self._kept[key] = make()
        return self._kept[key]

    def _forget(self, t):
        """Drop what no target from t on can use."""
        for key in list(self._kept):
            frames = key[1:3] if key[0] == "flow" else key[1:]
            if max(abs(k - t) for k in frames) > self._radius:
                del self._kept[key]


# frame: its number; there, back: where the target's pixels lie in it and its pixels in the target, float32 (H, W, 2);
# warped: the enlarged frame moved to the target's time, float32 (H, W); trust: weight in 0..1, float32 (H, W)
Neighbour = namedtuple("Neighbour", "frame there back warped trust")
