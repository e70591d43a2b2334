"""The training loop, over all steps of all epochs."""

import logging
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from keras import ops

from deepsr.errors import InputError
from deepsr.progress import progress
from deepsr.train.objective import objectives
from deepsr.train.optimizer import Optimizer
from deepsr.train.start import save_model

log = logging.getLogger("deepsr")

CHECKPOINT_EVERY = 20  # seconds; a checkpoint is also written after each validation
HISTORY = "epoch", "step", "loss", "psnr", "val_psnr", "learning_rate", "patches_per_s"


@dataclass
class State:
    """All that a training changes. Vectors are float32 (P,), where P is the number of weights; none is changed in place."""

    weights: np.ndarray
    average: np.ndarray  # exponential average of the weights, which is what is validated and kept
    mean: np.ndarray  # Adam's moments
    square: np.ndarray
    best: np.ndarray  # the average with the best validation so far
    step: int = 0  # steps done
    sums: np.ndarray = field(default_factory=lambda: np.zeros(3))  # since the last validation: loss, error, patches
    history: np.ndarray = field(default_factory=lambda: np.empty((0, len(HISTORY))))  # a row for each validation

    @property
    def best_row(self):
        """The number of the history's row that `best` belongs to: the first with the highest validation PSNR."""
        return int(np.argmax(self.history[:, HISTORY.index("val_psnr")]))


def begin(weights):
    """The state of a training that begins with a vector of weights."""
    zero = np.zeros_like(weights)
    return State(weights, weights, zero, zero, weights)


class Loop:
    """The loop over the steps."""

    def __init__(self, network, model, pool, validation, batches, settings, device, start):
        """network: `deepsr.networks.base.Network`; model: the Keras model that it has built; pool: `deepsr.train.pool.Pool`;
        validation: indices of its validation patches; batches: `deepsr.train.pool.Batches`; device: see
        `deepsr.train.devices`; start: `deepsr.networks.base.Start`.
        """
        self.model, self.pool, self.validation, self.batches = model, pool, validation, batches
        self.settings, self.device = settings, device
        self.total = settings.epochs * batches.per_epoch
        training, errors = objectives(network, model, settings)
        self.gradient, self.errors = device.gradient(training), device.compiled(errors)
        self.optimizer = Optimizer(start, settings, self.total, device.compiled)

    def run(self, state, save, out_model):
        """Train until the last step; this changes `state` (`State`).

        save: is called now and then to write a checkpoint; out_model: path of the network. If the loss or its gradient is
        not finite, the last good weights are written beside it, and InputError is raised.
        """
        if not len(state.history):
            self._validate(state, np.nan)
        bar = progress(total=self.total, initial=state.step, desc="train", unit="step")
        saved = began = time.monotonic()
        patches = 0  # since `began`
        for count, batch in prefetch(self._load, range(state.step, self.total)):
            loss, error, gradient = self.gradient(state.weights, batch)
            if not (np.isfinite(float(loss)) and self.optimizer.update(state, gradient, count)):
                self._give_up(state, Path(out_model))
            state.step += 1
            state.sums = state.sums + [float(loss), float(error), count]
            patches += count
            bar.update()
            validates = state.step % self.settings.validate_every == 0 or state.step == self.total
            if validates:
                self._validate(state, patches / (time.monotonic() - began))
                began, patches = time.monotonic(), 0
            if validates or time.monotonic() - saved > CHECKPOINT_EVERY:
                save()
                saved = time.monotonic()
        bar.close()

    def _load(self, step):
        """The number of patches in the batch of a step, and the batch, placed on the device."""
        drafts, target = self.batches[step]
        return len(target), self.device.place(drafts, target)

    def _give_up(self, state, out_model):
        kept = out_model.with_name(f"{out_model.stem}.last-good{out_model.suffix}")
        save_model(self.model, state.weights, kept)
        epoch, step = divmod(state.step, self.batches.per_epoch)
        raise InputError(
            f"the loss is not finite in epoch {epoch + 1}, step {step + 1}; lower learning_rate "
            f"(the last good weights are in {kept})."
        )

    def _validate(self, state, patches_per_s):
        """Validate, add a row to the history, and keep the averaged weights if they are the best so far."""
        loss, error, patches = state.sums
        row = {
            "epoch": round(state.step / self.batches.per_epoch, 4),
            "step": state.step,
            "loss": loss / patches if patches else np.nan,
            "psnr": psnr(error / patches) if patches else np.nan,
            "val_psnr": self._quality(state.average),
            "learning_rate": self.optimizer.rate(state.step) if patches else np.nan,
            "patches_per_s": round(patches_per_s, 1),
        }
        state.history = np.vstack([state.history, [row[name] for name in HISTORY]])
        state.sums = np.zeros(3)
        if state.best_row == len(state.history) - 1:
            state.best = state.average
        log.info("%s", ", ".join(f"{key} {value:.6g}" for key, value in row.items() if np.isfinite(value)))

    def _quality(self, weights):
        """PSNR in dB of the clipped prediction on the validation patches: per clip, then the mean over the clips."""

        def errors(indices):
            batch = self.device.place(*self.pool[indices])
            return np.asarray(ops.convert_to_numpy(self.errors(weights, *batch)))

        size = self.device.validated_at_once
        parts = [self.validation[i : i + size] for i in range(0, len(self.validation), size)]
        found = np.nan_to_num(np.concatenate(self.device.each(errors, parts)), nan=np.inf)
        clips = self.pool.clip[self.validation]
        return float(np.mean([psnr(np.mean(found[clips == clip], dtype=np.float64)) for clip in np.unique(clips)]))


def psnr(error):
    """PSNR in dB of a mean squared error of pixels in [0, 1]; infinite if there is none."""
    return float("inf") if error == 0 else float(-10 * np.log10(error))


def prefetch(load, items):
    """Yield the result of `load` for each item. A thread loads the next one while the caller works on one."""
    with ThreadPoolExecutor(1) as thread:
        coming = None
        for item in items:
            following = thread.submit(load, item)
            if coming:
                yield coming.result()
            coming = following
        if coming:
            yield coming.result()
