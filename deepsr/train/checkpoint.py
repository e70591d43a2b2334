"""Checkpoints. From one, a killed training continues with the same numbers as if it had not been killed."""

import json
import logging
from dataclasses import asdict, fields
from importlib.metadata import version
from pathlib import Path

import keras
import numpy as np

from deepsr.files import atomic, sha256
from deepsr.fingerprint import fingerprint
from deepsr.train.loop import State

log = logging.getLogger("deepsr")


def identify(shards, settings, start_weights, device):
    """All that must be the same for a checkpoint to be continued: {"settings", "data", "code" and "devices": text}."""
    backend = keras.backend.backend()
    versions = keras.__version__, backend, version(backend), np.__version__
    code = fingerprint(Path(__file__).with_name("training.py"), f"deepsr.networks.{settings.network}")
    return {
        "settings": json.dumps(asdict(settings)),
        "data": " ".join(sha256(file) for file in [*shards, *([start_weights] if start_weights else [])]),
        "code": json.dumps([code, versions]),
        "devices": device.name,  # the number of threads does not change the numbers, a GPU does
    }


def save(path, state, identity):
    """Write a checkpoint: an npz file of a `State` and of what `identify` returns."""
    with atomic(path) as part:
        np.savez(part, identity=json.dumps(identity), **vars(state))


def load(path, identity):
    """The `State` in a checkpoint, or None if there is no checkpoint, or a damaged one, or one of another training."""
    if not Path(path).exists():
        return None
    try:
        with np.load(path) as file:
            saved = json.loads(str(file["identity"]))
            state = State(**{field.name: file[field.name] for field in fields(State)})
        state.step = int(state.step)
    except Exception as error:  # a damaged file can fail in any way that zipfile and numpy know
        log.warning("%s: the checkpoint is damaged (%s); training begins anew.", path, error)
        return None
    differing = [part for part in identity if identity[part] != saved.get(part)]
    if differing:
        log.warning("%s: the checkpoint is of other %s; training begins anew.", path, " and ".join(differing))
        return None
    log.info("%s: training continues at step %d", path, state.step)
    return state
