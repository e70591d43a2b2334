"""Patches, settings and a function for trainings that take a second, for the tests of the training."""

import csv
import json

import numpy as np
import pytest

from deepsr.drafts.patches import save
from deepsr.train import training
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
    import keras

    weights = keras.saving.load_model(folder / "model.keras").get_weights()
    with open(folder / "history.csv") as file:
        history = [{k: v for k, v in row.items() if k != "patches_per_s"} for row in csv.DictReader(file)]
    return weights, history, json.loads((folder / "summary.json").read_text())


def same(one, other):
    return all(np.array_equal(a, b) for a, b in zip(one, other, strict=True))
