"""The files that the config names: of networks, draft kinds and losses. What is wrong in one is told with its line."""

import traceback
from importlib import import_module
from pathlib import Path

from deepsr.errors import InputError

ROOT = Path(__file__).parents[1]


def load(module, name):
    """The class or function `name` of a module, such as "deepsr.networks.fast".

    Raises InputError if it cannot be imported; a user's own file can fail in any way.
    """
    try:
        return getattr(import_module(module), name)
    except Exception as error:
        file = str(ROOT.joinpath(*module.split(".")).with_suffix(".py"))
        raise InputError(f"{place(error, file)}: cannot be imported ({error}); mend it.") from error


def place(error, file):
    """A file's name, with the line in it at which an exception came up, if it came up there."""
    lines = [frame.lineno for frame in traceback.extract_tb(error.__traceback__) if frame.filename == file]
    return f"{file}, line {lines[-1]}" if lines else file
