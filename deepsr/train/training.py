"""Training a network on patches, from shards to a finished network."""

import json
import logging
from dataclasses import asdict
from pathlib import Path

import keras
import pandas as pd

from deepsr import networks
from deepsr.errors import InputError
from deepsr.files import write_file
from deepsr.tables import write_table
from deepsr.train import checkpoint as checkpoints
from deepsr.train import devices
from deepsr.train.loop import HISTORY, Loop, begin
from deepsr.train.pool import Batches, Pool, choose
from deepsr.train.settings import Settings
from deepsr.train.start import make_start, save_model
from deepsr.train.vector import flatten

log = logging.getLogger("deepsr")


def train(shards, settings, out_model, out_history, out_summary, checkpoint, threads=1, gpus=0, start_weights=None):
    """Train a network on patches; write it with its history and a summary.

    shards: npz files of `deepsr.drafts.patches`, one per clip; settings: dict with the fields of `Settings`;
    out_model: `.keras` file; out_history: CSV, a row for each validation, the first one of the start; out_summary: JSON;
    checkpoint: npz file from which a killed training continues; it is deleted at the end; threads: of the CPU;
    gpus: 1 to use a GPU, 0 to touch none; start_weights: `.keras` file of the same network to start from, or None.

    The weights that are written are those with the best validation PSNR, which may be the start's.
    Raises InputError for unusable input, and for a loss that is not finite (the last good weights are kept).
    """
    settings = Settings(**settings)
    pool = Pool(shards)
    training, validation = choose(pool, settings)
    device = devices.choose(threads, gpus, min(settings.batch_size, len(training)))
    if settings.precision == "mixed_bfloat16":
        devices.check_bfloat16(device)
    network = networks.network(settings.network)
    identity = checkpoints.identify(shards, settings, start_weights, device)
    keras.utils.set_random_seed(settings.seed % 2**32)  # of the layers' initializers; 32 bits is what Keras takes
    model = network.build(pool.shape[0], settings.scale)
    state = checkpoints.load(checkpoint, identity)
    try:
        start = make_start(network, model, pool, training, settings, start_weights)
        state = state or begin(flatten(start.weights))
        batches = Batches(pool, training, settings)
        loop = Loop(network, model, pool, validation, batches, settings, device, start)
        loop.run(state, lambda: checkpoints.save(checkpoint, state, identity), out_model)
    except Exception as error:
        if not devices.out_of_memory(error):
            raise
        raise InputError(
            f"training.batch_size: {settings.batch_size} patches do not fit into the memory of {device.name}; choose less."
        ) from error
    save_model(model, state.best, out_model)
    history = pd.DataFrame(state.history, columns=HISTORY).astype({"step": int})
    write_table(history, out_history)
    first, kept, last = history.iloc[0], history.iloc[state.best_row], history.iloc[-1]
    summary = {
        "network": settings.network,
        "parameters": len(state.best),
        "training_patches": len(training),
        "validation_patches": len(validation),
        "val_psnr_start": first["val_psnr"],
        "val_psnr_last": last["val_psnr"],
        "val_psnr_kept": kept["val_psnr"],
        "kept_step": int(kept["step"]),
        "steps": int(last["step"]),
        "settings": asdict(settings),
        "backend": keras.backend.backend(),
        "devices": [device.name],
    }
    write_file(out_summary, json.dumps(summary, indent=2) + "\n")
    Path(checkpoint).unlink(missing_ok=True)
    log.info(
        "kept step %d of %d: validation PSNR %.3f dB (start %.3f dB)",
        kept["step"], last["step"], kept["val_psnr"], first["val_psnr"],
    )  # fmt: skip
