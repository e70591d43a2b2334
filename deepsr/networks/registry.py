"""The names of all networks. No training imports this list, so a new entry trains no other network anew."""

import re
from pathlib import Path

from deepsr.errors import InputError

# Each is a module of deepsr.networks whose class Net is the architecture.
NETWORKS = ["deepsr", "srcnn", "fast"]


def check_network(name):
    """Raise InputError if there is no module of this name beside this one, or no class Net in it."""
    path = Path(__file__).with_name(f"{name}.py")
    if not path.is_file():
        raise InputError(f"{__name__}: NETWORKS names {name!r}, but there is no {path}; write it, or remove the entry.")
    if not re.search(r"^class Net\b", path.read_text(encoding="utf-8"), re.MULTILINE):
        raise InputError(f"{path}: has no class Net, which is what the workflow trains; call the network's class so.")
