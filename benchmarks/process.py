"""Runs measurements, each in a process of its own.

A measurement is written "MODULE.FUNCTION ARGUMENT ...", such as "article.training_ours gpu": a function of a module in this
folder. It gets the folder that prepare.py made and the arguments, and gives a dict of numbers. The peak memory of its
process, peak_mb, is added unless it gives one itself. Without the word gpu no GPU is seen.
"""

import json
import os
import resource
import shlex
import subprocess
import sys
import time
from importlib import import_module
from pathlib import Path
from statistics import median

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))

from deepsr.cpus import cpus  # noqa: E402

CPUS = cpus()
STARTED = float(os.environ.get("STARTED", time.time()))  # when this process was started, in seconds since the epoch


def run(measurement, folder):
    """Run one measurement, and give its result."""
    command = [sys.executable, __file__, str(folder), *shlex.split(measurement)]
    return json.loads(output_of(command, os.environ | {"STARTED": str(time.time())}).splitlines()[-1])


def output_of(command, environment=None):
    """What a command prints. If it fails, its stderr is shown and the program ends; otherwise its stderr is not shown."""
    done = subprocess.run(command, capture_output=True, text=True, env=environment)
    if done.returncode:
        sys.exit(f"{done.stderr}failed: {' '.join(map(str, command))}")
    return done.stdout


def timed(function, *args):
    """Seconds that a call takes."""
    began = time.perf_counter()
    function(*args)
    return time.perf_counter() - began


def steady(function, *args):
    """Seconds that a call takes: the median of three, after two that do not count."""
    return median([timed(function, *args) for _ in range(5)][2:])


def config():
    """The default config, with the experiments of experiments.yaml."""
    from deepsr import settings

    config = settings.load_yaml(ROOT / "config/config.yaml")
    config["experiments"] |= settings.load_yaml(Path(__file__).with_name("experiments.yaml"))
    return config


def experiment(name):
    """The settings of one of its experiments."""
    from deepsr import settings

    return settings.complete(config(), settings.load_yaml(ROOT / "config/config.schema.yaml"))["experiments"][name]


if __name__ == "__main__":
    folder, name, *arguments = sys.argv[1:]
    if "gpu" not in arguments:
        os.environ["CUDA_VISIBLE_DEVICES"] = "-1"
    module, function = name.split(".")
    result = getattr(import_module(module), function)(Path(folder), *arguments)
    print(json.dumps({"peak_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024, **result}))
