"""SR drafts, the inputs of the networks, and the training patches cut from them. Each draft kind has a file of its own."""

from importlib import import_module

from deepsr.errors import InputError


def draft_kind(name):
    """The kind called `name` in the config (a `deepsr.drafts.base.DraftKind`): class Kind of the module of that name.

    A module is imported only when its kind is wanted, so that an edit of one re-runs only what its kind is used for.
    Raises InputError if it cannot be imported.
    """
    try:
        return import_module(f"{__name__}.{name}").Kind
    except Exception as error:  # planning imports it, and a user's own file can fail in any way
        raise InputError(f"deepsr/drafts/{name}.py: cannot be imported ({error}); mend it.") from error
