"""The drafts of the article of 2021: the ground truth itself, blurred."""

import cv2

from deepsr.drafts.base import DraftKind


class Kind(DraftKind):
    """One draft for each of `sigmas`, the standard deviation of a Gaussian blur. An oracle: it needs the answer."""

    required = "sigmas", "kernel"
    is_oracle = True

    @classmethod
    def n_drafts(cls, spec):
        return len(spec["sigmas"])

    def drafts(self, t):
        size = self.spec["kernel"], self.spec["kernel"]
        return [cv2.GaussianBlur(self.shot.hr(t), size, sigma) for sigma in self.spec["sigmas"]]
