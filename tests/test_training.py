import csv
import json
import os
import signal
import subprocess
import sys
import textwrap
import time

import numpy as np
import pytest

from deepsr.drafts.patches import save
from deepsr.errors import InputError
from deepsr.networks.base import Start
from deepsr.train import devices, training

SETTINGS = {
    "network": "deepsr",
    "scale": 4,
    "seed": 1,
    "epochs": 2,
    "batch_size": 4,
    "learning_rate": 1e-3,
    "schedule": "cosine",
    "warmup_steps": 2,
    "precision": "float32",
    "loss": "mse",
    "tv_weight": 0.01,
    "warm_start": True,
    "augment": True,
    "average": 0.9,
    "border": 2,
    "patches": None,
}


@pytest.fixture(scope="module")
def shards(tmp_path_factory):
    """Two clips of smooth random patches whose first draft is a blur of the target."""
    folder = tmp_path_factory.mktemp("shards")
    rng = np.random.default_rng(0)
    for name in "ab":
        target = rng.integers(0, 256, (14, 26, 26)).astype(np.float64)
        for axis in (1, 2):
            target = (target + np.roll(target, 1, axis)) / 2
        blur = (target + np.roll(target, 1, 1) + np.roll(target, 1, 2)) / 3
        drafts = np.stack([blur, np.roll(blur, 1, 1)], 1)
        validation = np.arange(14) >= 11
        save(folder / f"{name}.npz", drafts=drafts.astype("u1"), target=target.astype("u1"), validation=validation)
    return [str(folder / f"{name}.npz") for name in "ab"]


def train(shards, folder, threads=1, start_weights=None, **changes):
    folder.mkdir(exist_ok=True)
    outputs = [str(folder / name) for name in ("model.keras", "history.csv", "summary.json", "checkpoint.npz")]
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


# What a process of its own runs: `call` trains as `train` above, on the given backend.
PROGRAM = """
    import json, logging, sys
    from deepsr.train import training
    logging.basicConfig(level="INFO")
    training.CHECKPOINT_EVERY = 0
    shards, settings, outputs, options = json.loads(sys.argv[1])
    training.train(shards, settings, *outputs, **options)
"""


def start(shards, folder, backend="tensorflow", changes=None, **options):
    folder.mkdir(exist_ok=True)
    outputs = [str(folder / name) for name in ("model.keras", "history.csv", "summary.json", "checkpoint.npz")]
    arguments = json.dumps([shards, SETTINGS | (changes or {}), outputs, options])
    return subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(PROGRAM), arguments],
        env=os.environ | {"KERAS_BACKEND": backend},
        stderr=subprocess.PIPE,
        text=True,
    )


def finish(process):
    _, errors = process.communicate()
    assert process.returncode == 0, errors
    return errors


def test_same_numbers_whatever_the_threads_and_after_a_kill(shards, tmp_path):
    changes = {"epochs": 3, "average": 0.99, "loss": "relative"}
    finish(start(shards, tmp_path / "one", threads=1, changes=changes))
    finish(start(shards, tmp_path / "two", threads=2, changes=changes))
    process = start(shards, tmp_path / "killed", threads=3, changes=changes)
    checkpoint = tmp_path / "killed" / "checkpoint.npz"
    while process.poll() is None:  # in the middle of the second epoch
        if checkpoint.exists() and np.load(checkpoint)["step"] >= 8:
            process.send_signal(signal.SIGKILL)
            break
        time.sleep(0.002)
    process.communicate()
    assert process.returncode == -signal.SIGKILL
    assert "continues at step" in finish(start(shards, tmp_path / "killed", threads=1, changes=changes))
    assert not checkpoint.exists()
    weights, history, _ = results(tmp_path / "one")
    for other in ("two", "killed"):
        assert same(weights, results(tmp_path / other)[0])
        assert history == results(tmp_path / other)[1]


def test_trains_on_jax_with_the_same_result(shards, tmp_path):
    pytest.importorskip("jax")
    train(shards, tmp_path / "start", epochs=0)
    common = {"start_weights": str(tmp_path / "start" / "model.keras"), "changes": {"warm_start": False}}
    finish(start(shards, tmp_path / "tf", **common))
    finish(start(shards, tmp_path / "jax", backend="jax", **common))
    theirs, ours = results(tmp_path / "tf"), results(tmp_path / "jax")
    assert ours[2]["backend"] == "jax"
    assert float(ours[1][-1]["loss"]) == pytest.approx(float(theirs[1][-1]["loss"]), rel=1e-3)
    assert ours[2]["val_psnr_last"] == pytest.approx(theirs[2]["val_psnr_last"], abs=0.01)


def test_improves_on_its_start(shards, tmp_path):
    weights, history, summary = train(shards, tmp_path, warm_start=False, epochs=3)
    assert [row["epoch"] for row in history] == ["0", "1", "2", "3"]
    assert summary["val_psnr_kept"] > summary["val_psnr_start"] + 1
    assert sum(w.size for w in weights) == summary["parameters"]


def test_never_below_its_start(shards, tmp_path):
    before = train(shards, tmp_path / "start", epochs=0)[0]
    weights, history, summary = train(shards, tmp_path / "bad", epochs=1, learning_rate=0.3, average=0.0)
    assert float(history[1]["val_psnr"]) < float(history[0]["val_psnr"])
    assert summary["kept_epoch"] == 0
    assert summary["val_psnr_kept"] == summary["val_psnr_start"]
    assert same(weights, before)


def test_warm_start_beats_every_single_draft(shards, tmp_path):
    _, history, summary = train(shards, tmp_path, epochs=0)
    errors = []
    for shard in map(np.load, shards):
        drafts, target = shard["drafts"][shard["validation"]] / 255, shard["target"][shard["validation"]] / 255
        errors.append(np.mean((drafts - target[:, None])[..., 2:-2, 2:-2] ** 2, axis=(0, 2, 3)))
    assert len(history) == 1
    assert summary["val_psnr_start"] > np.mean(-10 * np.log10(errors), axis=0).max() + 3


def test_other_settings_or_data_or_a_damaged_checkpoint_are_not_continued(shards, tmp_path, caplog):
    caplog.set_level("INFO")
    fresh = train(shards, tmp_path / "fresh", epochs=1)[0]
    folder = tmp_path / "again"
    folder.mkdir()
    checkpoint = folder / "checkpoint.npz"
    good = training._fingerprint(shards, training.Settings(**SETTINGS | {"epochs": 1}), None, devices.Cpu(1))
    state = dict.fromkeys(training.STATE, 0)
    for part in ("settings", "data", "code", "devices"):
        np.savez(checkpoint, **state, fingerprint=json.dumps(good | {part: "another"}))
        assert same(train(shards, folder, epochs=1)[0], fresh)
        assert f"checkpoint is of other {part}; training begins anew" in caplog.text
    np.savez(checkpoint, fingerprint=json.dumps(good))
    for content in (b"", b"PK\x03\x04 nonsense", checkpoint.read_bytes()):  # the last lacks all but its fingerprint
        checkpoint.write_bytes(content)
        caplog.clear()
        assert same(train(shards, folder, epochs=1)[0], fresh)
        assert "checkpoint is damaged" in caplog.text


def test_fingerprint_knows_the_data(shards, tmp_path):
    settings = training.Settings(**SETTINGS)
    arrays = dict(np.load(shards[0]))
    arrays["target"][0, 0, 0] ^= 1
    save(tmp_path / "a.npz", **arrays)
    one = training._fingerprint(shards, settings, None, devices.Cpu(1))
    other = training._fingerprint([str(tmp_path / "a.npz"), shards[1]], settings, None, devices.Cpu(2))
    assert [part for part in one if one[part] != other[part]] == ["data"]


def test_a_loss_that_is_not_finite_stops_with_the_last_good_weights(shards, tmp_path):
    import keras

    with pytest.raises(InputError, match="not finite in epoch 1, step 2.*lower learning_rate.*last-good.keras"):
        train(shards, tmp_path, epochs=1, learning_rate=1e38, average=0.0, warmup_steps=0)
    weights = keras.saving.load_model(tmp_path / "model.last-good.keras").get_weights()
    assert all(np.isfinite(w).all() for w in weights)
    assert not (tmp_path / "model.keras").exists()


@pytest.mark.parametrize("loss", ["mse", "charbonnier", "l1_tv", "relative"])
@pytest.mark.parametrize("network", ["deepsr", "srcnn"])
def test_gradient_is_the_slope_of_the_loss(shards, loss, network):
    settings = training.Settings(**SETTINGS | {"loss": loss, "network": network, "tv_weight": 0.1})
    model = training.networks.NETWORKS[network](2)
    gradient = devices.Cpu(1).gradient(training._objective(model, settings)[0])
    rng = np.random.default_rng(0)
    weights = training.networks.flatten([rng.normal(0, 0.05, w.shape) for w in model.weights])
    pool = training.Pool(shards)
    batch = pool[np.arange(2)]
    slope = gradient(weights, batch)[2]
    direction = slope / np.linalg.norm(slope)
    step = np.float32(1e-2 / np.linalg.norm(slope))
    ahead, behind = (gradient(weights + s * step * direction, batch)[0] for s in (1, -1))
    assert (ahead - behind) / (2 * step) == pytest.approx(np.linalg.norm(slope), rel=0.05)


def test_border_does_not_count(shards):
    settings = training.Settings(**SETTINGS)
    model = training.networks.build_deepsr(2)
    objective, errors = training._objective(model, settings)
    gradient = devices.Cpu(1).gradient(objective)
    weights = training.networks.flatten([np.full(w.shape, 0.001) for w in model.weights])
    drafts, target = training.Pool(shards)[np.arange(2)]
    changed = target.copy()
    changed[:, :2] = changed[:, -2:] = changed[:, :, :2] = changed[:, :, -2:] = 0
    assert gradient(weights, (drafts, target))[0] == gradient(weights, (drafts, changed))[0]
    assert np.array_equal(errors(weights, drafts, target), errors(weights, drafts, changed))
    changed[:, 2, 2] ^= 255
    assert gradient(weights, (drafts, target))[0] != gradient(weights, (drafts, changed))[0]


def test_views_are_the_eight_symmetries():
    image = np.arange(9).reshape(1, 3, 3)
    views = {training._view(image, view).tobytes() for view in range(8)}
    assert len(views) == 8
    assert image.tobytes() in views


def test_patches_are_drawn_once_and_never_from_validation(shards):
    pool = training.Pool(shards)
    training_patches, validation = training._choose(pool, training.Settings(**SETTINGS | {"patches": 9}))
    assert len(set(training_patches)) == 9
    assert not pool.validation[training_patches].any()
    assert pool.validation[validation].all() and len(validation) == 6


@pytest.mark.parametrize(
    "changes, message",
    [
        ({"patches": 23}, "23 are asked for but the training clips give 22"),
        ({"border": 13}, "training.border: 13 leaves too little"),
        ({"border": 13, "loss": "l1_tv"}, "training.border: 13 leaves too little"),
    ],
)
def test_bad_settings(shards, tmp_path, changes, message):
    with pytest.raises(InputError, match=message):
        train(shards, tmp_path, **changes)


def test_clips_without_validation_or_of_other_patches(shards, tmp_path):
    arrays = dict(np.load(shards[0]))
    save(tmp_path / "none.npz", **arrays | {"validation": np.zeros(14, bool)})
    with pytest.raises(InputError, match="no validation patches"):
        train([str(tmp_path / "none.npz")], tmp_path)
    save(tmp_path / "one.npz", **arrays | {"drafts": arrays["drafts"][:, :1]})
    with pytest.raises(InputError, match=r"one.npz: its patches are \(1, 26, 26\)"):
        train([shards[0], str(tmp_path / "one.npz")], tmp_path)


def test_start_weights_of_another_network_or_no_model(shards, tmp_path):
    train(shards, tmp_path / "srcnn", network="srcnn", warm_start=False, epochs=0)
    other = tmp_path / "srcnn" / "model.keras"
    with pytest.raises(InputError, match="model.keras: holds another network"):
        train(shards, tmp_path, start_weights=str(other))
    model = training.networks.build_deepsr(2)
    model.set_weights([np.full(w.shape, np.nan) for w in model.weights])
    model.save(tmp_path / "nan.keras")
    with pytest.raises(InputError, match="nan.keras: holds weights that are not finite"):
        train(shards, tmp_path, start_weights=str(tmp_path / "nan.keras"))
    other.write_bytes(b"")
    with pytest.raises(InputError, match="model.keras: is not a Keras model"):
        train(shards, tmp_path, start_weights=str(other))


def test_one_step_equals_adam_of_keras(shards, tmp_path):
    import keras

    before = train(shards, tmp_path / "before", epochs=0)[0]
    rate = 1e-3
    changes = {"epochs": 1, "batch_size": 8, "schedule": "constant", "warmup_steps": 0, "average": 0.0}
    changes |= {"augment": False, "border": 0, "learning_rate": rate, "warm_start": False, "patches": 8}
    model = training.networks.build_deepsr(2)
    model.set_weights(before)
    settings = training.Settings(**SETTINGS | changes)
    pool = training.Pool(shards)
    chosen, validation = training._choose(pool, settings)
    start = Start(before, [np.ones(w.shape) for w in before], None)
    loop = training._Loop(model, pool, chosen, validation, settings, devices.Cpu(1), start)
    state = loop.begin(training.networks.flatten(before))
    loop.run(state, lambda: None, tmp_path / "unused.keras")

    drafts, target = pool[chosen]
    model.compile(keras.optimizers.Adam(rate), "mse")
    model.set_weights(before)
    model.train_on_batch([drafts[:, i, :, :, None] / 255 for i in range(2)], target[..., None] / 255)
    expected = training.networks.flatten(model.get_weights())
    moved = np.abs(state["weights"] - expected) / rate
    assert np.quantile(moved, 0.99) < 0.05  # where a gradient is close to zero, rounding decides the sign of Adam's step
