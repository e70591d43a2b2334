"""Training: a plain loop over batches, whose gradients come from the devices of `deepsr.train.devices`.

All weights are one flat vector, which makes the optimizer one function and a checkpoint a handful of arrays. A batch
is loaded while the one before it is computed. Data order and augmentation are functions of the seed and the epoch
alone: a killed training continues exactly.
"""

import collections
import csv
import hashlib
import json
import logging
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path

import keras
import numpy as np
from keras import ops

from deepsr.drafts import patches
from deepsr.errors import InputError
from deepsr.files import atomic
from deepsr.networks import linear_filter, network, spectra
from deepsr.progress import progress
from deepsr.train import devices, normal_matrix
from deepsr.train import vector as networks

log = logging.getLogger("deepsr")

CHECKPOINT_EVERY = 20  # seconds
STATE = "weights", "average", "mean", "square", "best", "best_epoch", "step", "sums", "history"  # of the loop
BETA1, BETA2, EPSILON = 0.9, 0.999, 1e-7  # Adam (Kingma & Ba, ICLR 2015), as in Keras


@dataclass(frozen=True, kw_only=True)
class Settings:
    """What decides the numbers of a training, beside the data."""

    network: str  # a name of `deepsr.networks.NETWORKS`
    scale: int  # ratio of HR to LR sides
    seed: int
    epochs: int  # 0: the start itself, e.g. the closed-form linear filter
    batch_size: int
    learning_rate: float
    schedule: str  # "constant" or "cosine" (falls to zero at the last step)
    warmup_steps: int  # the rate rises linearly over this many steps
    precision: str  # "float32", or "mixed_bfloat16": the wide layers in bfloat16, weights and the rest in float32
    loss: str  # "mse", "charbonnier", "l1_tv", or "relative": the squared error over that of the bicubic frame
    tv_weight: float  # weight of the total variation in "l1_tv"
    warm_start: bool  # begin as the best linear filter, and train as the network's start says
    augment: bool  # flips and rotations by 90 degrees
    average: float  # decay of the exponential average of the weights; 0: none
    border: int  # pixels at a patch's edge that do not count: the network sees zero padding there
    patches: int | None  # how many are drawn from the training pool; None: all


class Pool:
    """The patches of several clips as one sequence, read from disk as needed."""

    def __init__(self, paths):
        """Open shards of `deepsr.drafts.patches`. Raises InputError if their patches differ in shape."""
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

    shards: npz files of `deepsr.drafts.patches`, one per clip; settings: dict with the fields of `Settings`;
    out_model: `.keras`; out_history: CSV, one row per epoch, epoch 0 is the start; out_summary: JSON;
    checkpoint: npz that a killed training continues from, deleted at the end; threads: CPU threads;
    gpus: number of GPUs to use (0: none is touched); start_weights: `.keras` file of the same network to start from.

    The weights written are those of the epoch with the best validation PSNR, the start (epoch 0) included.
    Raises InputError for unusable input, and for a loss that is not finite (the last good weights are kept).
    """
    settings = Settings(**settings)
    pool = Pool(shards)
    training, validation = _choose(pool, settings)
    device = devices.choose(threads, gpus, min(settings.batch_size, len(training)))
    fingerprint = _fingerprint(shards, settings, start_weights, device)
    model = network(settings.network).build(pool.shape[0], settings.scale)
    state = _resume(checkpoint, fingerprint)
    try:
        start = _start(model, pool, training, settings, start_weights)
        loop = _Loop(model, pool, training, validation, settings, device, start)
        if state is None:
            state = loop.begin(networks.flatten(start.weights))
        loop.run(state, lambda: _save_checkpoint(checkpoint, state, fingerprint), Path(out_model))
    except Exception as error:
        if not devices.out_of_memory(error):
            raise
        raise InputError(
            f"training.batch_size: {settings.batch_size} patches do not fit into the memory of "
            f"{', '.join(device.names)}; choose less."
        ) from error
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
        "devices": device.names,
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

    def __init__(self, model, pool, training, validation, settings, device, start):
        self.model, self.pool, self.settings, self.device = model, pool, settings, device
        self.training, self.validation = training, validation
        objective, errors = _objective(model, settings)
        self.gradient, self.errors = device.gradient(objective), devices.compiled(errors)
        self.adam = devices.compiled(_adam(start))
        self.steps = -(-len(training) // settings.batch_size)  # per epoch
        self.shown = None, None, None

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
        seen = 0
        for count, batch in _ahead(self._load, range(state["step"], total)):
            epoch, step = divmod(state["step"], self.steps)
            loss, error, gradient = self.gradient(state["weights"], batch)
            finite, updated = self._update(state, gradient, count)
            loss, error = float(loss) / count, float(error) / count
            if not (np.isfinite(loss) and finite):
                kept = out_model.with_name(f"{out_model.stem}.last-good{out_model.suffix}")
                _save_model(self.model, state["weights"], kept)
                raise InputError(
                    f"the loss is not finite in epoch {epoch + 1}, step {step + 1}; lower learning_rate "
                    f"(the last good weights are in {kept})."
                )
            state |= updated
            state["sums"] = state["sums"] + [loss, error]
            state["step"] += 1
            seen += count
            bar.update()
            ends = step + 1 == self.steps
            if ends:
                self._close_epoch(state, epoch + 1, seen / (time.monotonic() - began))
                began, seen = time.monotonic(), 0
            if ends or time.monotonic() - saved > CHECKPOINT_EVERY:
                save()
                saved = time.monotonic()
        bar.close()

    def _load(self, n):
        """How many patches step n = 0, 1, ... has, and the patches, placed on the devices."""
        epoch, step = divmod(n, self.steps)
        if self.shown[0] != epoch:
            rng = np.random.default_rng([self.settings.seed, 2, epoch])
            order = rng.permutation(len(self.training))
            self.shown = epoch, order, rng.integers(0, 8 if self.settings.augment else 1, len(order))
        _, order, views = self.shown
        part = slice(step * self.settings.batch_size, (step + 1) * self.settings.batch_size)
        drafts, target = self.pool[self.training[order[part]]]
        for view in np.unique(views[part]):
            rows = views[part] == view
            drafts[rows], target[rows] = _view(drafts[rows], view), _view(target[rows], view)
        return len(target), self.device.place(drafts, target)

    def _update(self, state, gradient, count):
        """What a step changes in the state, and whether the gradient is finite."""
        n = state["step"] + 1
        decay = min(self.settings.average, n / (n + 10))  # short at first, to forget the start
        scalars = self.rate(n), 1 - BETA1**n, 1 - BETA2**n, decay, count
        names = "weights", "average", "mean", "square"
        finite, arrays = self.adam(*(state[name] for name in names), gradient, *map(np.float32, scalars))
        return bool(finite), dict(zip(names, arrays, strict=True))

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

        step = self.device.part
        parts = [self.validation[i : i + step] for i in range(0, len(self.validation), step)]
        found = np.concatenate(self.device.each(errors, parts))
        clips = self.pool.clip[self.validation]
        return float(np.mean([_psnr(np.mean(found[clips == clip], dtype=np.float64)) for clip in np.unique(clips)]))


def _psnr(error):
    return float("inf") if error == 0 else float(-10 * np.log10(error))


def _view(image, view):
    """One of the eight views of a square image (..., p, p): rotated by 90 degrees `view % 4` times, then flipped."""
    image = np.rot90(image, view % 4, axes=(-2, -1))
    return image[..., ::-1] if view >= 4 else image


def _objective(model, settings):
    """Two functions of (weights (P,), drafts uint8 (m, D, p, p), target uint8 (m, p, p)).

    The first gives loss (m,) and mean squared error (m,) of each patch; the second, always in float32, each patch's
    mean squared error of the clipped prediction. `border` pixels do not count.
    """
    shapes = networks.shapes(model)
    inside = slice(settings.border, -settings.border or None)

    def predict(weights, drafts, target, dtype):
        x = ops.transpose(ops.cast(drafts, "float32") / 255, (0, 2, 3, 1))
        y = network(settings.network).forward(model, networks.split(weights, shapes), x, dtype)
        return y[:, inside, inside], ops.cast(target, "float32")[:, inside, inside] / 255

    def objective(weights, drafts, target):
        y, truth = predict(weights, drafts, target, settings.precision.removeprefix("mixed_"))
        square = ops.square(y - truth)
        error = ops.mean(square, axis=(1, 2))
        if settings.loss == "mse":
            loss = error
        elif settings.loss == "relative":  # PSNR counts ratios: smooth and textured patches weigh alike
            bicubic = ops.cast(drafts[:, -1, inside, inside], "float32") / 255
            reference = ops.mean(ops.square(bicubic - truth), axis=(1, 2))
            loss = error / (reference + normal_matrix.SMOOTH / 255**2)
        elif settings.loss == "charbonnier":  # Lai et al., CVPR 2017
            loss = ops.mean(ops.sqrt(square + 1e-6), axis=(1, 2))
        else:  # Liao et al., ICCV 2015: L1 and total variation
            variation = ops.mean(ops.abs(y[:, 1:] - y[:, :-1]), axis=(1, 2))
            variation += ops.mean(ops.abs(y[:, :, 1:] - y[:, :, :-1]), axis=(1, 2))
            loss = ops.mean(ops.abs(y - truth), axis=(1, 2)) + settings.tv_weight * variation
        return loss, error

    def errors(weights, drafts, target):
        y, truth = predict(weights, drafts, target, "float32")
        return ops.mean(ops.square(ops.clip(y, 0, 1) - truth), axis=(1, 2))

    return objective, errors


def _adam(start):
    """One step of Adam, in the coordinates and at the rates of the start, and of the average of the weights.

    A function of four vectors (P,), the gradient's sum (P,) and five scalars: learning rate, what corrects the two
    moments, decay of the average, and patches in the sum. Returns whether the gradient is finite, and the four vectors.
    """
    rates, first = networks.flatten(start.rates), start.weights[0].size

    def whitened(vector, matrix):
        kernel, rest = ops.split(vector, [first])
        return ops.concatenate([ops.reshape(ops.matmul(matrix, ops.reshape(kernel, (len(matrix), -1))), (-1,)), rest])

    def adam(weights, average, mean, square, gradient, rate, mean_share, square_share, decay, count):
        finite = ops.all(ops.isfinite(gradient))
        gradient = gradient / count
        if start.whitening is not None:
            gradient = whitened(gradient, start.whitening.T)
        mean = BETA1 * mean + (1 - BETA1) * gradient
        square = BETA2 * square + (1 - BETA2) * gradient * gradient
        step = rates * (mean / mean_share) / (ops.sqrt(square / square_share) + EPSILON)
        if start.whitening is not None:
            step = whitened(step, start.whitening)
        weights = weights - rate * step
        return finite, (weights, decay * average + (1 - decay) * weights, mean, square)

    return adam


def _ahead(load, items):
    """`load` of each item in turn; the next one is loaded in a thread while the caller is at work on one."""
    with ThreadPoolExecutor(1) as thread:
        coming = collections.deque()
        for item in items:
            coming.append(thread.submit(load, item))
            if len(coming) > 1:
                yield coming.popleft().result()
        while coming:
            yield coming.popleft().result()


def _choose(pool, settings):
    """Indices of the training patches and of the validation patches."""
    training, validation = np.flatnonzero(~pool.validation), np.flatnonzero(pool.validation)
    if not len(training):
        raise InputError("the training clips hold only validation patches; set patches.validation_frames to less.")
    if not len(validation):
        raise InputError("the training clips hold no validation patches; set patches.validation_frames to 1 or more.")
    if pool.shape[1] - 2 * settings.border < (2 if settings.loss == "l1_tv" else 1):  # variation needs neighbours
        raise InputError(
            f"training.border: {settings.border} leaves too little of patches of {pool.shape[1]} pixels; choose less."
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
    """What a training begins with: weights, step scales and coordinates (`deepsr.networks.base.Start`)."""
    rng = np.random.default_rng([settings.seed, 3])
    weights = [_glorot(rng, w.shape) if len(w.shape) > 1 else np.zeros(w.shape) for w in model.weights]
    architecture, normal = network(settings.network), None
    if settings.warm_start:
        relative = settings.loss == "relative"
        normal = normal_matrix.normal_matrix(pool, training, architecture.filter_size, relative, settings.seed)
    start = architecture.start(model, weights, normal, settings.seed)
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
    if not all(np.isfinite(w).all() for w in weights):
        raise InputError(f"{path}: holds weights that are not finite numbers; start from another network.")
    return weights


def _save_model(model, vector, path):
    model.set_weights([np.asarray(w) for w in networks.split(vector, [w.shape for w in model.weights])])
    with atomic(path) as part:
        model.save(part)


def _fingerprint(shards, settings, start_weights, device):
    """What a checkpoint must agree with to be continued: {"settings", "data", "code", "devices"} -> text."""
    files = [*shards, *([start_weights] if start_weights else [])]
    modules = [Path(module.__file__) for module in (devices, linear_filter, networks, normal_matrix, patches, spectra)] + [
        Path(__file__)
    ]
    backend = keras.backend.backend()
    versions = [keras.__version__, backend, version(backend), np.__version__]
    return {
        "settings": json.dumps(asdict(settings)),
        "data": " ".join(_sha256(file) for file in files),
        "code": " ".join([*map(_sha256, modules), *versions]),
        "devices": " ".join(sorted(set(device.names))),  # threads of a CPU do not change the numbers, GPUs do
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
            state, theirs = {name: file[name] for name in STATE}, json.loads(str(file["fingerprint"]))
        state |= {"step": int(state["step"]), "best_epoch": int(state["best_epoch"]), "history": str(state["history"])}
    except Exception as error:  # a damaged file can fail in any way that zipfile and numpy know
        log.warning("%s: the checkpoint is damaged (%s); training begins anew.", path, error)
        return None
    differing = [part for part in fingerprint if fingerprint[part] != theirs.get(part)]
    if differing:
        log.warning("%s: the checkpoint is of other %s; training begins anew.", path, " and ".join(differing))
        return None
    log.info("%s: training continues at step %d", path, state["step"])
    return state


def _write_history(history, path):
    with atomic(path) as part, open(part, "w", newline="") as file:
        writer = csv.DictWriter(file, history[0], lineterminator="\n")
        writer.writeheader()
        writer.writerows(history)
