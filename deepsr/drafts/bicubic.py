"""No drafts: the network sees the bicubic-enlarged target frame alone."""

from deepsr.drafts.base import DraftKind


class Bicubic(DraftKind):
    """No drafts."""
