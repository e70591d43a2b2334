"""SR drafts: the high-resolution candidates that the network selects from and sharpens. One code path for training,
evaluation and video.

After Liao et al., "Video Super-Resolution via Deep Draft-Ensemble Learning", ICCV 2015, section 3: every setting of the
optical flow gives another draft of the target frame, and the network sees the ensemble beside the bicubic frame.
"""

import numpy as np

from deepsr.data.degradation import upscale
from deepsr.drafts import draft_kind
from deepsr.drafts.base import Shot
from deepsr.errors import InputError


def n_drafts(spec):
    """Number of input channels of the network: the drafts and the bicubic-enlarged target frame."""
    return draft_kind(spec["kind"]).n_drafts(spec) + 1


def needed_frames(spec, first, stop, n):
    """(start, end): the drafts of frames first..stop-1 of a clip or shot of n frames are made from frames start..end-1."""
    return draft_kind(spec["kind"]).needed_frames(spec, first, stop, n)


def is_oracle(spec):
    """Whether the drafts are made from the ground truth."""
    return draft_kind(spec["kind"]).is_oracle


def label(spec):
    """What tables and figures call these drafts."""
    return f"{spec['kind']} (oracle)" if is_oracle(spec) else spec["kind"]


class Drafts:
    """The network's input for each frame of a clip or shot: `drafts[t]` -> uint8 (D, h*scale, w*scale).

    The last channel is the bicubic-enlarged target, the others are the drafts of `spec`.

    spec: the config's `drafts` mapping; scale: 2, 3 or 4; degradation: a key of DEGRADATIONS (deepsr.data.degradation), how
    LR frames came about; lr(i): LR luma of frame i, uint8 (h, w), 0 <= i < n; hr(i): HR luma, uint8, for an oracle only.
    The frames of `needed_frames` are read, and kept as long as they are needed: in order, each frame is read once.
    As many threads work as OpenCV may use; the result depends neither on them nor on which frames are asked for.
    Raises InputError if an oracle is asked for without the ground truth, or if a kind gives other drafts than it should.
    """

    def __init__(self, spec, scale, degradation, lr, n, hr=None):
        if is_oracle(spec) and hr is None:
            raise InputError(
                f"drafts of kind {spec['kind']} are blurred ground truth (an oracle), which a video without ground truth "
                "does not have; choose an experiment with other drafts."
            )
        self._spec = spec
        self._shot = Shot(scale, degradation, lr, n, hr if is_oracle(spec) else None)
        self._kind = draft_kind(spec["kind"])(spec, self._shot)

    def __getitem__(self, t):
        self._shot.hold(range(*needed_frames(self._spec, t, t + 1, self._shot.n)))
        bicubic = upscale(self._shot.lr(t), self._shot.scale, self._shot.degradation)
        drafts = self._kind.drafts(t)
        found, wanted = [(draft.dtype, draft.shape) for draft in drafts], (bicubic.dtype, bicubic.shape)
        if found != [wanted] * self._kind.n_drafts(self._spec):
            raise InputError(
                f"drafts of kind {self._spec['kind']}: drafts({t}) gives {len(drafts)} pictures, "
                f"{', '.join(f'{dtype} {shape}' for dtype, shape in found)}; it must give as many as n_drafts says, each "
                f"{bicubic.dtype} {bicubic.shape}."
            )
        return np.stack([*drafts, bicubic])
