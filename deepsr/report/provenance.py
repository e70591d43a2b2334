"""Where results come from: code, packages, machine and data, without names of hosts or users."""

import os
import platform
import subprocess
from importlib.metadata import distributions
from pathlib import Path

import psutil

ROOT = Path(__file__).parents[2]


def git_state(root=ROOT):
    """Commit of the checkout at `root`, and whether its files are those of the commit: {"commit": ..., "clean": bool}.

    None if `root` is not the top of a git checkout, or git is not there.
    """
    try:
        if Path(_git(root, "rev-parse", "--show-toplevel")).resolve() != Path(root).resolve():
            return None
        # Git has only a README of results/ and data/, and to delete these folders changes no code.
        changed = _git(root, "status", "--porcelain", "--", ".", ":!results", ":!data")
        return {"commit": _git(root, "rev-parse", "HEAD"), "clean": not changed}
    except (OSError, subprocess.CalledProcessError):
        return None


def _git(root, *arguments):
    return subprocess.run(["git", "-C", root, *arguments], capture_output=True, text=True, check=True).stdout.strip()


def packages():
    """Versions of all packages in the environment: {name: version}."""
    found = {package.metadata["Name"]: package.version for package in distributions()}
    return dict(sorted(found.items(), key=lambda item: item[0].lower()))


def machine():
    """CPU model, logical cores, main memory in GiB, operating system and Python of this machine."""
    return {
        "cpu": _cpu_model(),
        "logical_cores": os.cpu_count(),
        "ram_gib": round(psutil.virtual_memory().total / 2**30, 1),
        "system": f"{platform.system()} {platform.machine()}",
        "python": platform.python_version(),
    }


def _cpu_model():
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        lines = []
    models = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(models, platform.processor() or "unknown")


def clip_facts(index):
    """What identifies a clip's frames, out of its index (deepsr.data.frames)."""
    facts = {"frames": len(index["members"]), "width": index["width"], "height": index["height"], "sha256": index["sha256"]}
    return facts | ({"lr_sha256": index["lr"]["sha256"]} if index.get("lr") else {})
