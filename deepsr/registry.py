"""The names of all networks, draft kinds and losses. No job imports these lists, so a new entry re-runs nothing of others.

Each is the name of a module, which a job imports only if its experiment says so: an edit of it re-runs nothing of others,
either.
"""

import re
from pathlib import Path

from deepsr.errors import InputError

NETWORKS = ["deepsr", "srcnn", "fast"]  # of deepsr.networks
KINDS = ["bicubic", "motion", "recurrent", "gaussian"]  # of deepsr.drafts
LOSSES = ["mse", "relative", "charbonnier", "l1_tv"]  # of deepsr.train.losses

TAKEN = {"drafts": "class Kind", "network": "class Net", "loss": "def loss"}  # what such a module must define


def named_modules(experiment):
    """The modules that an experiment's settings name: of its drafts and, if it is trained, of its network and its loss."""
    named = {"drafts": f"deepsr.drafts.{experiment['drafts']['kind']}"}
    if not experiment["model"]:
        named["network"] = f"deepsr.networks.{experiment['network']}"
        named["loss"] = f"deepsr.train.losses.{experiment['training']['loss']}"
    return named


def check_modules(experiment):
    """Raises InputError if there is no module that an experiment names, or if it does not define what is taken from it."""
    for key, module in named_modules(experiment).items():
        path = Path(__file__).parents[1].joinpath(*module.split(".")).with_suffix(".py")
        if not path.is_file():
            raise InputError(f"there is no {path}, which {path.stem!r} names; write it, or choose a name that has a file.")
        if not re.search(rf"^{TAKEN[key]}\b", path.read_text(encoding="utf-8"), re.MULTILINE):
            raise InputError(f"{path}: has no {TAKEN[key]}, which is what the workflow takes from it; call it so.")
