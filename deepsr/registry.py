"""The names of all networks, draft kinds and losses. No job imports these lists, so a new entry re-runs nothing.

Each is the name of a module, which only the jobs of experiments that name it import. So an edit of such a file re-runs only
these jobs.
"""

import ast
from pathlib import Path

from deepsr.errors import InputError

NETWORKS = ["deepsr", "srcnn", "fast"]  # of deepsr.networks
KINDS = ["bicubic", "motion", "recurrent", "gaussian"]  # of deepsr.drafts
LOSSES = ["mse", "relative", "charbonnier", "l1_tv"]  # of deepsr.train.losses

DEFINED = {"drafts": "class Kind", "network": "class Net", "loss": "def loss"}  # what such a module must define
WORDS = {ast.ClassDef: "class", ast.FunctionDef: "def"}


def named_modules(experiment):
    """The modules that an experiment's settings name: of its drafts and, if it is trained, of its network and its loss."""
    named = {"drafts": f"deepsr.drafts.{experiment['drafts']['kind']}"}
    if not experiment["model"]:
        named["network"] = f"deepsr.networks.{experiment['network']}"
        named["loss"] = f"deepsr.train.losses.{experiment['training']['loss']}"
    return named


def check_modules(experiment):
    """Raise InputError if an experiment names a module that is not there, is no Python or does not define what it must."""
    for key, module in named_modules(experiment).items():
        path = Path(__file__).parents[1].joinpath(*module.split(".")).with_suffix(".py")
        if not path.is_file():
            raise InputError(f"there is no {path}, which {path.stem!r} names; write it, or choose a name that has a file.")
        try:
            parts = ast.parse(path.read_bytes()).body
        except SyntaxError as error:
            raise InputError(f"{path}, line {error.lineno}: {error.msg}; mend it.") from error
        if DEFINED[key] not in [f"{WORDS[type(part)]} {part.name}" for part in parts if type(part) in WORDS]:
            raise InputError(f"{path}: has no {DEFINED[key]}, which is what the workflow imports from it; call it so.")
