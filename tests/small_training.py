"""Patches, settings and a function for trainings that take a second, for the tests of the training."""

import csv
import json
import os
import subprocess
import sys
import textwrap

import keras
import numpy as np
import pytest
from rounding import EPS, FACTOR

from deepsr.drafts.patches import save
from deepsr.errors import InputError
from deepsr.train import devices, training
from deepsr.train.settings import Settings

SETTINGS = {
    "network": "deepsr",
    "scale": 4,
    "seed": 1,
    "epochs": 2,
    "batch_size": 4,
    "learning_rate": 1e-3,
    "schedule": "cosine",
    "warmup_steps": 2,
    "validate_every": 4,
    "precision": "float32",
    "loss": "mse",
    "tv_weight": 0.01,
    "warm_start": True,
    "augment": True,
    "average": 0.9,
    "border": 2,
    "patches": None,
}
OUTPUTS = "model.keras", "history.csv", "summary.json", "checkpoint.npz"

# What a process of its own runs: it trains as `train` does, with a checkpoint after every step, and may be killed after one.
PROGRAM = """
    import json, logging, os, signal, sys
    from deepsr.train import checkpoint, loop, training
    logging.basicConfig(level="INFO")
    loop.CHECKPOINT_EVERY = 0
    shards, settings, outputs, options, last = json.loads(sys.argv[1])
    save = checkpoint.save

    def save_and_be_killed(path, state, identity):
        save(path, state, identity)
        if state.step == last:
            os.kill(os.getpid(), signal.SIGKILL)

    checkpoint.save = save_and_be_killed
    training.train(shards, settings, *outputs, **options)
"""


def settings_with(**changes):
    return Settings(**SETTINGS | changes)


@pytest.fixture(scope="session")
def shards(tmp_path_factory):
    """Two clips of 14 smooth random patches (3 of them for validation) whose drafts are blurs of the target."""
    folder = tmp_path_factory.mktemp("shards")
    rng = np.random.default_rng(0)
    for name in "ab":
        target = rng.integers(0, 256, (14, 28, 28)).astype(np.float64)
        for axis in (1, 2):
            target = (target + np.roll(target, 1, axis)) / 2
        blur = (target + np.roll(target, 1, 1) + np.roll(target, 1, 2)) / 3
        drafts = np.stack([blur, np.roll(blur, 1, 1)], 1)
        validation = np.arange(14) >= 11
        save(folder / f"{name}.npz", drafts=drafts.astype("u1"), target=target.astype("u1"), validation=validation)
    return [str(folder / f"{name}.npz") for name in "ab"]


def train(shards, folder, threads=1, start_weights=None, **changes):
    folder.mkdir(exist_ok=True)
    outputs = [str(folder / name) for name in OUTPUTS]
    training.train(shards, SETTINGS | changes, *outputs, threads=threads, start_weights=start_weights)
    return results(folder)


def results(folder):
    """Weights, history without the speed, and summary."""
    weights = keras.saving.load_model(folder / "model.keras").get_weights()
    with open(folder / "history.csv") as file:
        history = [{k: v for k, v in row.items() if k != "patches_per_s"} for row in csv.DictReader(file)]
    return weights, history, json.loads((folder / "summary.json").read_text())


def same(one, other):
    return all(np.array_equal(a, b) for a, b in zip(one, other, strict=True))


def psnr_tolerance(shards, folder, path, **changes):
    """How far apart the PSNRs of two trainings that start at `path` may be that round differently, for each validation.

    Training amplifies rounding, most where Adam divides small gradients by themselves. The same training is done from
    weights that are each changed by float32's rounding, three times; FACTOR times the change is allowed, as in rounding.py.
    """
    qualities = []
    for seed in range(4):
        rng, model = np.random.default_rng(seed), keras.saving.load_model(path)
        if seed:
            model.set_weights([w * (1 + EPS * rng.uniform(-1, 1, w.shape)) for w in model.get_weights()])
        model.save(folder / "changed.keras")
        history = train(shards, folder / "changed", start_weights=str(folder / "changed.keras"), **changes)[1]
        qualities.append([float(row["val_psnr"]) for row in history])
    return FACTOR * np.abs(np.subtract(qualities[1:], qualities[0])).max(axis=0)


def begin_process(shards, folder, changes=None, environment=None, last=None, **options):
    """Start a process that trains as `train` does, in an environment with further variables; step `last` kills it."""
    folder.mkdir(exist_ok=True)
    arguments = json.dumps([shards, SETTINGS | (changes or {}), [str(folder / name) for name in OUTPUTS], options, last])
    return subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(PROGRAM), arguments],
        env=os.environ | (environment or {}),
        stderr=subprocess.PIPE,
        text=True,
    )


def bfloat16_works():
    """Whether this machine computes in bfloat16; if not, a training in bfloat16 says so at once (test_devices.py)."""
    try:
        devices.check_bfloat16(devices.Cpu(1))
    except InputError:
        return False
    return True
