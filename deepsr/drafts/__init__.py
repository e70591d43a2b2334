"""SR drafts, the inputs of the networks, and the training patches cut from them. Each draft kind has a file of its own."""

from deepsr.modules import load


def draft_kind(name):
    """The kind called `name` in the config (a `deepsr.drafts.base.DraftKind`): class Kind of the module of that name.

    A module is imported only when its kind is wanted, so that an edit of one re-runs only what its kind is used for.
    Raises InputError if it cannot be imported.
    """
    return load(f"{__name__}.{name}", "Kind")
