"""Training: a plain loop over fixed micro-batches, the same numbers on any number of CPU threads.

The gradient of a batch is the sum, in a fixed order, of the gradients of micro-batches of MICRO patches; each is
computed by one thread, several at once. So the number of threads changes the speed, never the weights. The
optimizer is NumPy on one flat vector of all weights, which makes a checkpoint a handful of arrays. Data order and
augmentation are functions of the seed and the epoch alone: a killed training continues exactly.
"""

import contextlib
import csv
import hashlib
import itertools
import json
import logging
import os
import time
import zipfile
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path

import keras
import numpy as np
from keras import ops

from deepsr import model as networks
from deepsr import patches, spectra, warm_start
from deepsr.errors import InputError
from deepsr.files import atomic
from deepsr.progress import progress

log = logging.getLogger("deepsr")

MICRO = 2  # patches per gradient on a CPU: decides rounding, so it is no setting
CHECKPOINT_EVERY = 20  # seconds
BETA1, BETA2, EPSILON = 0.9, 0.999, 1e-7  # Adam (Kingma & Ba, ICLR 2015), as in Keras


@dataclass(frozen=True, kw_only=True)
class Settings:
    """What decides the numbers of a training, beside the data."""

    network: str  # "deepsr" or "srcnn"
    seed: int
    epochs: int  # 0: the start itself, e.g. the closed-form linear filter
    batch_size: int
    learning_rate: float
    schedule: str  # "constant" or "cosine" (falls to zero at the last step)
    warmup_steps: int  # the rate rises linearly over this many steps
    loss: str  # "mse", "charbonnier", "l1_tv", or "relative": the squared error over that of the bicubic frame
    tv_weight: float  # weight of the total variation in "l1_tv"
    warm_start: bool  # begin as the best linear filter, and train as `deepsr.warm_start` says
    augment: bool  # flips and rotations by 90 degrees
    average: float  # decay of the exponential average of the weights; 0: none
    border: int  # pixels at a patch's edge that do not count: the network sees zero padding there
    patches: int | None  # how many are drawn from the training pool; None: all


class Pool:
    """The patches of several clips as one sequence, read from disk as needed."""

    def __init__(self, paths):
        """Open shards of `deepsr.patches`. Raises InputError if their patches differ in shape."""
        self.shards = [patches.open_shard(path) for path in paths]
        self.shape = self.shards[0].drafts.shape[1:]  # (D, p, p)
        for path, shard in zip(paths, self.shards, strict=True):
            if shard.drafts.shape[1:] != self.shape:
                raise InputError(
                    f"{path}: its patches are {shard.drafts.shape[1:]}, those of {paths[0]} {self.shape} "
                    "(drafts, height, width); make all with the same settings."
                )
        counts = [len(shard.drafts) for shard in self.shards]
        self.clip = np.repeat(np.arange(len(counts)), counts)
        self.row = np.concatenate([np.arange(count) for count in counts])
        self.validation = np.concatenate([shard.validation for shard in self.shards])

    def __getitem__(self, indices):
        """Drafts uint8 (n, D, p, p) and targets uint8 (n, p, p) of an array of indices."""
        found = [(self.shards[self.clip[i]], self.row[i]) for i in indices]
        return np.stack([s.drafts[row] for s, row in found]), np.stack([s.target[row] for s, row in found])


def train(shards, settings, out_model, out_history, out_summary, checkpoint, threads=1, gpus=0, start_weights=None):
    """Train a network on patches; write it with its history and a summary.

    shards: npz files of `deepsr.patches`, one per clip; settings: dict with the fields of `Settings`;
    out_model: `.keras`; out_history: CSV, one row per epoch, epoch 0 is the start; out_summary: JSON;
    checkpoint: npz that a killed training continues from, deleted at the end; threads: CPU threads;
    gpus: number of GPUs to use (0: none is touched); start_weights: `.keras` file of the same network to start from.

    The weights written are those of the epoch with the best validation PSNR, the start (epoch 0) included.
    Raises InputError for unusable input, and for a loss that is not finite (the last good weights are kept).
    """
    settings = Settings(**settings)
    devices = _devices(threads, gpus)
    pool = Pool(shards)
    training, validation = _choose(pool, settings)
    fingerprint = _fingerprint(shards, settings, start_weights)
    model = networks.NETWORKS[settings.network](pool.shape[0])
    start = _start(model, pool, training, settings, start_weights)
    loop = _Loop(model, pool, training, validation, settings, devices, start)
    state = _resume(checkpoint, fingerprint)
    if state is None:
        state = loop.begin(networks.flatten(start.weights))
    loop.run(state, lambda: _save_checkpoint(checkpoint, state, fingerprint), Path(out_model))
    _save_model(model, state["best"], out_model)
    history = json.loads(state["history"])
    _write_history(history, out_history)
    best = history[int(state["best_epoch"])]
    summary = {
        "network": settings.network,
        "parameters": len(state["best"]),
        "training_patches": len(training),
        "validation_patches": len(validation),
        "val_psnr_start": history[0]["val_psnr"],
        "val_psnr_last": history[-1]["val_psnr"],
        "val_psnr_kept": best["val_psnr"],
        "kept_epoch": best["epoch"],
        "steps": history[-1]["step"],
        "settings": asdict(settings),
        "backend": keras.backend.backend(),
        "devices": [str(device or "cpu") for device in devices],
    }
    with atomic(out_summary) as part:
        part.write_text(json.dumps(summary, indent=2) + "\n")
    Path(checkpoint).unlink(missing_ok=True)
    log.info(
        "kept epoch %d of %d: validation PSNR %.3f dB (start %.3f dB)",
        best["epoch"], settings.epochs, best["val_psnr"], history[0]["val_psnr"],
    )  # fmt: skip


class _Loop:
    """The loop over epochs and steps. Its state is a dict of arrays, all that a checkpoint needs."""

    def __init__(self, model, pool, training, validation, settings, devices, start):
        self.model, self.pool, self.settings, self.devices = model, pool, settings, devices
        self.training, self.validation = training, validation
        self.rates, self.whitening = networks.flatten(start.rates), start.whitening
        self.first = slice(0, start.weights[0].size)
        self.gradient, self.errors = _compiled(model, settings)
        self.steps = -(-len(training) // settings.batch_size)  # per epoch
        self.micro = MICRO if devices == [None] * len(devices) else -(-settings.batch_size // len(devices))
        self.lanes = ThreadPoolExecutor(len(devices))

    def begin(self, weights):
        zero = np.zeros_like(weights)
        state = {"weights": weights, "average": weights, "mean": zero, "square": zero, "best": weights}
        state |= {"best_epoch": 0, "step": 0, "sums": np.zeros(2), "history": "[]"}
        self._close_epoch(state, 0, 0.0)
        return state

    def run(self, state, save, out_model):
        s = self.settings
        total = s.epochs * self.steps
        bar = progress(total=total, initial=int(state["step"]), desc="train", unit="step")
        saved = began = time.monotonic()
        began_at = state["step"]
        while state["step"] < total:
            epoch, step = divmod(int(state["step"]), self.steps)
            batch, views = self._batch(epoch, step)
            loss, error, gradient = self._gradient(state["weights"], batch, views)
            if not (np.isfinite(loss) and np.isfinite(gradient).all()):
                kept = out_model.with_name(f"{out_model.stem}.last-good{out_model.suffix}")
                _save_model(self.model, state["weights"], kept)
                raise InputError(
                    f"the loss is not finite in epoch {epoch + 1}, step {step + 1}; lower learning_rate "
                    f"(the last good weights are in {kept})."
                )
            self._update(state, gradient)
            state["sums"] = state["sums"] + [loss, error]
            state["step"] += 1
            bar.update()
            ends = step + 1 == self.steps
            if ends:
                rate = s.batch_size * (state["step"] - began_at) / (time.monotonic() - began)
                self._close_epoch(state, epoch + 1, rate)
                began, began_at = time.monotonic(), state["step"]
            if ends or time.monotonic() - saved > CHECKPOINT_EVERY:
                save()
                saved = time.monotonic()
        bar.close()

    def _batch(self, epoch, step):
        """Patch indices of a step and, for each, which of the eight flips and rotations it is shown in."""
        rng = np.random.default_rng([self.settings.seed, 2, epoch])
        order = rng.permutation(len(self.training))
        views = rng.integers(0, 8 if self.settings.augment else 1, len(order))
        part = slice(step * self.settings.batch_size, (step + 1) * self.settings.batch_size)
        return self.training[order[part]], views[part]

    def _gradient(self, weights, batch, views):
        """Mean loss, mean squared error and gradient (P,) of a batch."""

        def micro(i, device):
            drafts, target = self.pool[batch[i : i + self.micro]]
            for k, view in enumerate(views[i : i + self.micro]):
                drafts[k], target[k] = _view(drafts[k], view), _view(target[k], view)
            with keras.device(device) if device else contextlib.nullcontext():
                return [np.asarray(ops.convert_to_numpy(r)) for r in self.gradient(weights, drafts, target)]

        parts = self.lanes.map(micro, range(0, len(batch), self.micro), itertools.cycle(self.devices))
        loss, error, gradient = 0.0, 0.0, np.zeros_like(weights)
        for part in parts:
            loss, error = loss + float(part[0]), error + float(part[1])
            gradient += part[2]
        return loss / len(batch), error / len(batch), gradient / np.float32(len(batch))

    def _update(self, state, gradient):
        """One step of Adam, in the coordinates and at the rates of the start, and of the average of the weights."""
        s, n = self.settings, int(state["step"]) + 1
        gradient[self.first] = self._whitened(gradient[self.first], ops.transpose)
        state["mean"] = BETA1 * state["mean"] + (1 - BETA1) * gradient
        state["square"] = BETA2 * state["square"] + (1 - BETA2) * gradient * gradient
        root = np.sqrt(state["square"] / np.float32(1 - BETA2**n))
        step = self.rates * (state["mean"] / np.float32(1 - BETA1**n)) / (root + np.float32(EPSILON))
        step[self.first] = self._whitened(step[self.first])
        state["weights"] = state["weights"] - np.float32(self.rate(n)) * step
        decay = np.float32(min(s.average, n / (n + 10)))  # short at first, to forget the start
        state["average"] = decay * state["average"] + (1 - decay) * state["weights"]

    def _whitened(self, kernel, turn=lambda matrix: matrix):
        """The whitening matrix, or its transpose, times the first kernel."""
        if self.whitening is None:
            return kernel
        product = ops.matmul(turn(self.whitening), kernel.reshape(len(self.whitening), -1))
        return ops.convert_to_numpy(product).ravel()

    def rate(self, n):
        """Learning rate of step n = 1, 2, ..."""
        s = self.settings
        rate = s.learning_rate * min(1.0, n / max(1, s.warmup_steps))
        if s.schedule == "cosine":
            rate *= 0.5 * (1 + np.cos(np.pi * (n - 1) / (s.epochs * self.steps)))
        return rate

    def _close_epoch(self, state, epoch, patches_per_s):
        """Validate, keep the weights if they are the best so far, and add a row to the history."""
        quality = self._validate(state["average"])
        history = json.loads(state["history"])
        if epoch and not quality > history[int(state["best_epoch"])]["val_psnr"]:
            pass
        else:
            state["best"], state["best_epoch"] = state["average"], epoch
        loss, error = state["sums"] / self.steps
        row = {
            "epoch": epoch,
            "step": int(state["step"]),
            "loss": loss if epoch else None,
            "psnr": _psnr(error) if epoch else None,
            "val_psnr": quality,
            "learning_rate": float(self.rate(int(state["step"]))) if epoch else None,
            "patches_per_s": round(patches_per_s, 1) if epoch else None,
        }
        state["history"], state["sums"] = json.dumps([*history, row]), np.zeros(2)
        log.info("%s", ", ".join(f"{k} {v:.6g}" for k, v in row.items() if v is not None))

    def _validate(self, weights):
        """PSNR in dB of the clipped prediction on the validation patches: per clip, then the mean over clips."""

        def errors(indices):
            return np.asarray(ops.convert_to_numpy(self.errors(weights, *self.pool[indices])))

        step = max(self.micro, 4)
        parts = [self.validation[i : i + step] for i in range(0, len(self.validation), step)]
        found = np.concatenate(list(self.lanes.map(errors, parts)))
        clips = self.pool.clip[self.validation]
        return float(np.mean([_psnr(np.mean(found[clips == clip], dtype=np.float64)) for clip in np.unique(clips)]))


def _psnr(error):
    return float(-10 * np.log10(error)) if error > 0 else float("inf")


def _view(image, view):
    """One of the eight views of a square image (..., p, p): rotated by 90 degrees `view % 4` times, then flipped."""
    image = np.rot90(image, view % 4, axes=(-2, -1))
    return image[..., ::-1] if view >= 4 else image


def _compiled(model, settings):
    """Two compiled functions of (weights (P,), drafts uint8 (m, D, p, p), target uint8 (m, p, p)).

    The first gives the sums over patches of mean loss and mean squared error, and the gradient of the former;
    the second each patch's mean squared error of the clipped prediction. `border` pixels do not count.
    """
    shapes = [tuple(weight.shape) for weight in model.weights]
    inside = slice(settings.border, -settings.border or None)

    def predict(weights, drafts, target):
        x = ops.transpose(ops.cast(drafts, "float32") / 255, (0, 2, 3, 1))
        y = networks.forward(model, networks.split(weights, shapes), x)
        return y[:, inside, inside], ops.cast(target, "float32")[:, inside, inside] / 255

    def objective(weights, drafts, target):
        y, truth = predict(weights, drafts, target)
        square = ops.square(y - truth)
        error = ops.mean(square, axis=(1, 2))
        if settings.loss == "mse":
            loss = error
        elif settings.loss == "relative":  # PSNR counts ratios: smooth and textured patches weigh alike
            bicubic = ops.cast(drafts[:, -1, inside, inside], "float32") / 255
            reference = ops.mean(ops.square(bicubic - truth), axis=(1, 2))
            loss = error / (reference + warm_start.SMOOTH / 255**2)
        elif settings.loss == "charbonnier":  # Lai et al., CVPR 2017
            loss = ops.mean(ops.sqrt(square + 1e-6), axis=(1, 2))
        else:  # Liao et al., ICCV 2015: L1 and total variation
            variation = ops.mean(ops.abs(y[:, 1:] - y[:, :-1]), axis=(1, 2))
            variation += ops.mean(ops.abs(y[:, :, 1:] - y[:, :, :-1]), axis=(1, 2))
            loss = ops.mean(ops.abs(y - truth), axis=(1, 2)) + settings.tv_weight * variation
        return ops.sum(loss), ops.sum(error)

    def errors(weights, drafts, target):
        y, truth = predict(weights, drafts, target)
        return ops.mean(ops.square(ops.clip(y, 0, 1) - truth), axis=(1, 2))

    if keras.backend.backend() == "jax":
        import jax

        value_and_grad = jax.jit(jax.value_and_grad(objective, has_aux=True))

        def gradient(*arguments):
            (loss, error), slope = value_and_grad(*arguments)
            return loss, error, slope

        return gradient, jax.jit(errors)

    import tensorflow as tf

    @tf.function(autograph=False)
    def gradient(weights, drafts, target):
        with tf.GradientTape() as tape:
            tape.watch(weights)
            loss, error = objective(weights, drafts, target)
        return loss, error, tape.gradient(loss, weights)

    return gradient, tf.function(errors, autograph=False)


def _devices(threads, gpus):
    """One entry per lane of the loop: None for a CPU thread, "gpu:i" for a GPU.

    A CPU lane is one thread; there are no more lanes than CPUs this process may run on.
    """
    lanes = max(1, min(threads, len(os.sched_getaffinity(0))))
    if gpus == 0:
        os.environ["CUDA_VISIBLE_DEVICES"] = "-1"  # before the first use of the backend, which looks for GPUs
    if keras.backend.backend() == "jax":
        import jax

        if gpus == 0:
            jax.config.update("jax_platforms", "cpu")
        found = [device for device in jax.devices() if device.platform == "gpu"]
    else:
        import tensorflow as tf

        try:
            tf.config.threading.set_intra_op_parallelism_threads(1)
            tf.config.threading.set_inter_op_parallelism_threads(lanes)
        except RuntimeError:
            log.warning("TensorFlow is already running: its number of threads stays as it is.")
        found = tf.config.list_physical_devices("GPU") if gpus else []
        for device in found:
            tf.config.experimental.set_memory_growth(device, True)
    if gpus > len(found):
        log.warning("%d GPUs were asked for and %d are there.", gpus, len(found))
    devices = [f"gpu:{i}" for i in range(min(gpus, len(found)))] or [None] * lanes
    log.info("training on %s", ", ".join(filter(None, devices)) or f"CPU, {lanes} threads")
    return devices


def _choose(pool, settings):
    """Indices of the training patches and of the validation patches."""
    training, validation = np.flatnonzero(~pool.validation), np.flatnonzero(pool.validation)
    if not len(validation):
        raise InputError("the training clips hold no validation patches; set patches.validation_frames to 1 or more.")
    if 2 * settings.border >= pool.shape[1]:
        raise InputError(
            f"training.border: {settings.border} leaves nothing of patches of {pool.shape[1]} pixels; choose less."
        )
    if settings.patches is not None:
        if settings.patches > len(training):
            raise InputError(
                f"training.patches: {settings.patches} are asked for but the training clips give {len(training)}; "
                "ask for fewer, or cut more patches per frame."
            )
        chosen = np.random.default_rng([settings.seed, 0]).choice(training, settings.patches, replace=False)
        training = np.sort(chosen)
    return training, validation


def _start(model, pool, training, settings, start_weights):
    """What a training begins with: weights, step scales and coordinates (`warm_start.Start`)."""
    rng = np.random.default_rng([settings.seed, 3])
    weights = [_glorot(rng, w.shape) if len(w.shape) > 1 else np.zeros(w.shape) for w in model.weights]
    start = warm_start.Start(weights, [np.ones(w.shape) for w in weights], None)
    if settings.warm_start:
        start = warm_start.make(model, weights, pool, training, settings.loss == "relative", settings.seed)
    return start if start_weights is None else start._replace(weights=_load_weights(start_weights, model))


def _glorot(rng, shape):
    """Uniform random kernel (Glorot & Bengio, AISTATS 2010), the usual start in Keras."""
    limit = np.sqrt(6 / (shape[0] * shape[1] * (shape[2] + shape[3])))
    return rng.uniform(-limit, limit, shape)


def _load_weights(path, model):
    """Weights of a `.keras` file; nothing in it is executed."""
    try:
        weights = keras.saving.load_model(path, compile=False, safe_mode=True).get_weights()
    except Exception as error:  # Keras raises many kinds on a damaged or hostile file
        raise InputError(f"{path}: is not a Keras model that can be read ({type(error).__name__}).") from error
    if [w.shape for w in weights] != [tuple(w.shape) for w in model.weights]:
        raise InputError(f"{path}: holds another network than the one to train, or other drafts.")
    return weights


def _save_model(model, vector, path):
    model.set_weights([np.asarray(w) for w in networks.split(vector, [w.shape for w in model.weights])])
    with atomic(path) as part:
        model.save(part)


def _fingerprint(shards, settings, start_weights):
    """What a checkpoint must agree with to be continued: {"settings", "data", "code"} -> text."""
    files = [*shards, *([start_weights] if start_weights else [])]
    modules = [Path(module.__file__) for module in (networks, patches, spectra, warm_start)] + [Path(__file__)]
    versions = [keras.__version__, keras.backend.backend(), np.__version__]
    return {
        "settings": json.dumps(asdict(settings)),
        "data": " ".join(_sha256(file) for file in files),
        "code": " ".join([*map(_sha256, modules), *versions]),
    }


def _sha256(path):
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _save_checkpoint(path, state, fingerprint):
    with atomic(path) as part, open(part, "wb") as file:
        np.savez(file, fingerprint=json.dumps(fingerprint), **state)


def _resume(path, fingerprint):
    """The state in a checkpoint, or None if there is none, it is damaged or does not belong to this training."""
    if not Path(path).exists():
        return None
    try:
        with np.load(path) as file:
            state = dict(file)
        theirs = json.loads(str(state.pop("fingerprint")))
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile) as error:
        log.warning("%s: the checkpoint is damaged (%s); training begins anew.", path, error)
        return None
    differing = [part for part in fingerprint if fingerprint[part] != theirs.get(part)]
    if differing:
        log.warning("%s: the checkpoint is of other %s; training begins anew.", path, " and ".join(differing))
        return None
    state |= {"step": int(state["step"]), "best_epoch": int(state["best_epoch"]), "history": str(state["history"])}
    log.info("%s: training continues at step %d", path, state["step"])
    return state


def _write_history(history, path):
    with atomic(path) as part, open(part, "w", newline="") as file:
        writer = csv.DictWriter(file, history[0], lineterminator="\n")
        writer.writeheader()
        writer.writerows(history)
