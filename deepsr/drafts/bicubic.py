"""No drafts: the network sees the bicubic-enlarged target frame alone."""

from deepsr.drafts.base import DraftKind


class Kind(DraftKind):
    """No drafts."""

    @classmethod
    def n_drafts(cls, spec):
        return 0

    def drafts(self, t):
        return []
