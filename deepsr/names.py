"""Names that are safe as parts of paths: of experiments, data sets, clips and videos, and of what is made from settings."""

import hashlib
import json
import re

from deepsr.errors import InputError


def check_name(name, key):
    """Raise InputError unless a data set's or experiment's name is safe as a part of any path."""
    if not isinstance(name, str):
        raise InputError(f"{key}: YAML does not read the name {name!r} as text; write it in quotes.")
    if not re.fullmatch(r"[A-Za-z0-9_][A-Za-z0-9_-]*", name):
        raise InputError(f"{key}: the name {name!r} may only hold letters, digits, '_' and '-'; rename it.")
    if len(name) > 100:
        raise InputError(f"{key[:60]}...: the name has {len(name)} characters; at most 100 are allowed, rename it.")


def check_clip_name(name, key):
    """Raise InputError unless a clip's name is safe as a part of a path, in a command, and in the table."""
    check_file_name(name, "clip", key)
    if name.lower().endswith(".csv"):
        raise InputError(f"{key}: the clip name {name!r} ends as a table of scores does; rename the clip.")
    if name == "mean":
        raise InputError(f"{key}: a clip cannot be called mean, as the table's rows of means are; rename the clip.")


def check_file_name(name, kind, key):
    """Raise InputError unless the name of a `kind` of file or folder is safe in a path and in a scheduler's commands.

    Letters of all languages and spaces are allowed. Snakemake writes names into the commands that submit its jobs, where a
    quote or a comma would end the name. SLURM takes a percent sign in the path of a log for the beginning of a variable.
    """
    unsafe = r"[\x00-\x1f\x7f/\\{}<>*?\[\]$'\"`,;#&|%\ud800-\udfff]"  # the last are bytes that are not UTF-8
    if not name or name != name.strip() or name.startswith((".", "-")) or re.search(unsafe, name):
        raise InputError(f"{key}: the {kind} name {name!r} holds characters that are unsafe in a path; rename the {kind}.")
    if len(name.encode()) > 200:  # file systems allow 255, and suffixes are added
        raise InputError(f"{key}: the {kind} name {name!r} is too long; rename the {kind}.")


def digest(value):
    """Short hash of plain settings, for names of what is made from them."""
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()[:8]


def some(names):
    """The first of some names, and how many there are, for messages."""
    shown = ", ".join(names[:8])
    return f"{shown}, ... ({len(names)} in all)" if len(names) > 8 else shown or "none"
