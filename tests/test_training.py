import signal
import threading
import types

import numpy as np
import pandas as pd
import pytest
from rounding import assert_close, in_float64, tolerance
from small_training import SETTINGS, begin_process, psnr_tolerance, results, same, settings_with, shards, train  # noqa: F401

from deepsr.drafts.patches import save
from deepsr.errors import InputError
from deepsr.networks import network
from deepsr.networks.base import Start
from deepsr.registry import NETWORKS
from deepsr.train import loop, training
from deepsr.train.devices import Cpu
from deepsr.train.loop import HISTORY, Loop, State, begin, prefetch, psnr
from deepsr.train.pool import Batches, Pool, choose
from deepsr.train.vector import flatten


def finish(process):
    _, errors = process.communicate()
    assert process.returncode == 0, errors
    return errors


@pytest.mark.slow
@pytest.mark.parametrize("name", NETWORKS)
def test_same_numbers_whatever_the_threads_and_after_a_kill(shards, tmp_path, name):  # noqa: F811
    changes = {"network": name, "epochs": 3, "average": 0.99, "loss": "relative", "validate_every": 5}
    finish(begin_process(shards, tmp_path / "one", threads=1, changes=changes))
    process = begin_process(shards, tmp_path / "killed", threads=3, changes=changes, last=8)  # in the second epoch
    process.communicate()
    assert process.returncode == -signal.SIGKILL
    assert "continues at step 8" in finish(begin_process(shards, tmp_path / "killed", threads=2, changes=changes))
    assert not (tmp_path / "killed" / "checkpoint.npz").exists()
    one, killed = results(tmp_path / "one"), results(tmp_path / "killed")
    assert same(one[0], killed[0]) and one[1:] == killed[1:]


@pytest.mark.slow
def test_trains_on_jax_with_the_same_result(shards, tmp_path):  # noqa: F811
    train(shards, tmp_path / "start", epochs=0)
    common = {"start_weights": str(tmp_path / "start" / "model.keras"), "changes": {"warm_start": False}}
    finish(begin_process(shards, tmp_path / "tf", **common))
    finish(begin_process(shards, tmp_path / "jax", environment={"KERAS_BACKEND": "jax"}, **common))
    theirs, ours = results(tmp_path / "tf"), results(tmp_path / "jax")
    assert ours[2]["backend"] == "jax"
    allowed = psnr_tolerance(shards, tmp_path, common["start_weights"], warm_start=False)
    for our, their, limit in zip(ours[1], theirs[1], allowed, strict=True):
        assert float(our["val_psnr"]) == pytest.approx(float(their["val_psnr"]), abs=limit)


def test_history_and_summary(shards, tmp_path):  # noqa: F811
    weights, history, summary = train(shards, tmp_path, warm_start=False, epochs=3, validate_every=7, average=0.0)
    table = pd.read_csv(tmp_path / "history.csv")
    assert tuple(table.columns) == HISTORY
    assert table["step"].tolist() == [0, 7, 14, 18] and [row["step"] for row in history] == ["0", "7", "14", "18"]
    assert table["epoch"].tolist() == [0, 1.1667, 2.3333, 3]
    assert table.loc[0, ["loss", "psnr", "learning_rate", "patches_per_s"]].isna().all()
    assert (table.loc[1:, "patches_per_s"] > 0).all()
    cosine = [1e-3 * (1 + np.cos(np.pi * (step - 1) / 18)) / 2 for step in (7, 14, 18)]
    assert table["learning_rate"].tolist()[1:] == pytest.approx(cosine)
    kept = table.loc[table["val_psnr"].idxmax()]
    assert kept["val_psnr"] > table["val_psnr"][0] + 1
    expected = {
        "network": "deepsr",
        "parameters": sum(weight.size for weight in weights),
        "training_patches": 22,
        "validation_patches": 6,
        "val_psnr_start": table["val_psnr"].iloc[0],
        "val_psnr_last": table["val_psnr"].iloc[-1],
        "val_psnr_kept": kept["val_psnr"],
        "kept_step": kept["step"],
        "steps": 18,
        "settings": SETTINGS | {"warm_start": False, "epochs": 3, "validate_every": 7, "average": 0.0},
        "backend": "tensorflow",
        "devices": ["cpu"],
    }
    assert summary == expected


def test_loss_is_the_mean_over_the_patches_since_the_last_validation(shards, tmp_path):  # noqa: F811
    """With a learning rate of next to nothing every patch has the loss that it has at the start."""
    changes = {"learning_rate": 1e-30, "augment": False, "warm_start": False, "loss": "charbonnier"}
    train(shards, tmp_path, epochs=1, validate_every=6, **changes)
    table, pool, model = pd.read_csv(tmp_path / "history.csv"), Pool(shards), model_in_float64()

    def means(weights):
        y, truth = predicted(model, weights, *pool[np.flatnonzero(~pool.validation)])
        return [np.array([np.mean(np.sqrt((y - truth) ** 2 + 1e-6)), -10 * np.log10(np.mean((y - truth) ** 2))])]

    expected, allowed = tolerance(means, keras_model(tmp_path / "model.keras").get_weights())
    assert_close([[table["loss"][1], table["psnr"][1]]], expected, allowed)


def test_validation_is_the_mean_over_clips_of_the_psnr_of_clipped_predictions(shards, tmp_path):  # noqa: F811
    arrays = dict(np.load(shards[0]))
    arrays["target"][:] = 255 * (arrays["target"] > 128)  # beyond which predictions reach
    save(tmp_path / "c.npz", **arrays | {"validation": np.arange(14) >= 5})
    summary = train([*shards, str(tmp_path / "c.npz")], tmp_path, warm_start=True, epochs=0)[2]
    pool, model = Pool([*shards, tmp_path / "c.npz"]), model_in_float64()

    def mean_over_clips(weights):
        qualities = []
        for clip in range(3):
            y, truth = predicted(model, weights, *pool[np.flatnonzero(pool.validation & (pool.clip == clip))])
            qualities.append(-10 * np.log10(np.mean((np.clip(y, 0, 1) - truth) ** 2)))
        return [np.array([np.mean(qualities)])]

    assert summary["validation_patches"] == 15
    expected, allowed = tolerance(mean_over_clips, keras_model(tmp_path / "model.keras").get_weights())
    assert_close([[summary["val_psnr_start"]]], expected, allowed)


def keras_model(path):
    import keras

    return keras.saving.load_model(path)


def model_in_float64():
    return in_float64(lambda: network("deepsr").build(2, 4))


def predicted(model, weights, drafts, target):
    """Prediction and truth inside the border of SETTINGS, in float64."""
    model.set_weights(weights)
    x = drafts / 255
    y = np.asarray(model([x[:, 0, ..., None], x[:, 1, ..., None]]))[..., 0]
    return y[:, 2:-2, 2:-2], target[:, 2:-2, 2:-2] / 255


def test_the_best_of_all_validations_is_kept_the_first_of_equals(shards, tmp_path, monkeypatch):  # noqa: F811
    seen = []

    def quality(self, weights):
        seen.append(np.array(weights))
        return [20.0, 21.0, 25.0, 25.0, 23.0][len(seen) - 1]

    monkeypatch.setattr(Loop, "_quality", quality)
    weights, _, summary = train(shards, tmp_path, validate_every=3)
    assert np.array_equal(flatten(weights), seen[2])
    assert summary["kept_step"] == 6 and summary["val_psnr_kept"] == 25
    assert (summary["val_psnr_start"], summary["val_psnr_last"]) == (20, 23)


def test_a_prediction_without_numbers_is_the_worst(shards, tmp_path, monkeypatch):  # noqa: F811
    real = Loop._quality
    monkeypatch.setattr(Loop, "_quality", lambda self, weights: real(self, np.full_like(weights, np.nan)))
    train(shards, tmp_path, epochs=0)
    assert pd.read_csv(tmp_path / "history.csv")["val_psnr"].tolist() == [-np.inf]


def test_speed_is_patches_over_the_time_without_validations(shards, tmp_path, monkeypatch):  # noqa: F811
    """On a clock that a batch moves by 2 seconds and a validation by 100."""
    clock = types.SimpleNamespace(now=0.0, monotonic=lambda: clock.now)
    monkeypatch.setattr(loop, "time", clock)
    real_gradient, real_quality = Cpu.gradient, Loop._quality

    def gradient(self, objective):
        def later(weights, batch):
            clock.now += 2
            return function(weights, batch)

        function = real_gradient(self, objective)
        return later

    def quality(self, weights):
        clock.now += 100
        return real_quality(self, weights)

    monkeypatch.setattr(Cpu, "gradient", gradient)
    monkeypatch.setattr(Loop, "_quality", quality)
    train(shards, tmp_path, epochs=1, validate_every=3)
    assert pd.read_csv(tmp_path / "history.csv")["patches_per_s"].tolist()[1:] == [2.0, 1.7]  # 12 and 10 in 6 seconds


def test_psnr():
    assert psnr(0) == np.inf
    assert psnr(0.01) == pytest.approx(20)
    assert psnr(np.inf) == -np.inf


def test_improves_on_its_start(shards, tmp_path):  # noqa: F811
    summary = train(shards, tmp_path, warm_start=False, epochs=3)[2]
    assert summary["val_psnr_kept"] > summary["val_psnr_start"] + 1


def test_never_below_its_start(shards, tmp_path):  # noqa: F811
    before = train(shards, tmp_path / "start", epochs=0)[0]
    weights, history, summary = train(shards, tmp_path / "bad", epochs=1, learning_rate=0.3, average=0.0)
    assert float(history[1]["val_psnr"]) < float(history[0]["val_psnr"])
    assert summary["kept_step"] == 0
    assert summary["val_psnr_kept"] == summary["val_psnr_start"]
    assert same(weights, before)


def test_warm_start_beats_every_single_draft(shards, tmp_path):  # noqa: F811
    _, history, summary = train(shards, tmp_path, epochs=0)
    errors = []
    for shard in map(np.load, shards):
        drafts, target = shard["drafts"][shard["validation"]] / 255, shard["target"][shard["validation"]] / 255
        errors.append(np.mean((drafts - target[:, None])[..., 2:-2, 2:-2] ** 2, axis=(0, 2, 3)))
    assert len(history) == 1
    assert summary["val_psnr_start"] > np.mean(-10 * np.log10(errors), axis=0).max() + 3


class Skipping:
    """A residual network on the LR grid, beside a linear filter that is not trained."""

    filter_size = 3

    def build(self, n_drafts, scale):
        import keras
        from keras import layers

        inputs = [keras.Input((None, None, 1)) for _ in range(n_drafts)]
        x = layers.Concatenate()(inputs)
        skip = layers.Conv2D(1, 3, padding="same", name="linear_skip")(x)
        x = layers.Conv2D(8, scale, strides=scale)(x)
        x = layers.Add()([x, layers.PReLU(shared_axes=[1, 2])(layers.Dense(8)(x))])
        x = layers.Conv2DTranspose(1, scale, strides=scale)(x)
        return keras.Model(inputs, layers.Add()([skip, x]))

    def forward(self, model, weights, x, dtype="float32"):
        return model.stateless_call(weights, [], [x[..., :1], x[..., 1:]])[0][..., 0]

    def start(self, model, weights, normal, seed):
        rates = [float("linear_skip" not in variable.path) * np.ones(variable.shape) for variable in model.weights]
        return Start(weights, rates, None)


def test_any_network_trains_and_what_has_rate_zero_stays_bit_by_bit(shards, tmp_path, monkeypatch):  # noqa: F811
    monkeypatch.setattr(training.networks, "network", lambda name: Skipping())
    weights = train(shards, tmp_path, epochs=3, learning_rate=0.01)
    before = train(shards, tmp_path / "start", epochs=0)[0]
    frozen = ["linear_skip" in variable.path for variable in keras_model(tmp_path / "model.keras").weights]
    assert 0 < sum(frozen) < len(frozen)
    assert [np.array_equal(a, b) for a, b in zip(weights[0], before, strict=True)] == frozen
    assert weights[2]["val_psnr_kept"] > weights[2]["val_psnr_start"] + 3


def test_a_loss_that_is_not_finite_stops_with_the_last_good_weights(shards, tmp_path):  # noqa: F811
    with pytest.raises(InputError, match="not finite in epoch 1, step 2.*lower learning_rate.*last-good.keras"):
        train(shards, tmp_path, epochs=1, learning_rate=1e38, average=0.0, warmup_steps=0)
    weights = keras_model(tmp_path / "model.last-good.keras").get_weights()
    assert all(np.isfinite(weight).all() for weight in weights)
    assert not (tmp_path / "model.keras").exists()


@pytest.mark.parametrize("bad", ["loss", "gradient"])
def test_either_a_loss_or_a_gradient_that_is_not_finite_stops(shards, tmp_path, monkeypatch, bad):  # noqa: F811
    calls = []
    real = Cpu.gradient

    def gradient(self, objective):
        function = real(self, objective)

        def broken(weights, batch):
            calls.append(1)
            loss, error, slope = function(weights, batch)
            if len(calls) == 9:  # the third step of the second epoch
                return (np.nan, error, slope) if bad == "loss" else (loss, error, np.full_like(slope, np.inf))
            return loss, error, slope

        return broken

    monkeypatch.setattr(Cpu, "gradient", gradient)
    with pytest.raises(InputError, match="not finite in epoch 2, step 3"):
        train(shards, tmp_path)
    assert len(calls) == 9


def test_the_next_batch_is_loaded_during_the_work_on_one():
    loaded = [threading.Event() for _ in range(4)]

    def load(item):
        loaded[item].set()
        return 10 * item

    for item, result in enumerate(prefetch(load, range(4))):
        assert result == 10 * item
        assert loaded[min(item + 1, 3)].wait(10)
        assert not any(event.is_set() for event in loaded[item + 2 :])
    assert list(prefetch(load, range(0))) == []
    assert list(prefetch(load, [3])) == [30]


def test_a_loop_without_steps_only_validates(shards, tmp_path):  # noqa: F811
    settings = settings_with(epochs=0)
    pool = Pool(shards)
    chosen, validation = choose(pool, settings)
    net = network("srcnn")
    model = net.build(2, 4)
    weights = Start(model.get_weights(), [np.ones(weight.shape) for weight in model.weights], None)
    state = begin(flatten(weights.weights))
    trainer = Loop(net, model, pool, validation, Batches(pool, chosen, settings), settings, Cpu(1), weights)
    trainer.run(state, None, tmp_path / "unused.keras")
    assert isinstance(state, State) and len(state.history) == 1 and state.step == 0
    trainer.run(state, None, tmp_path / "unused.keras")
    assert len(state.history) == 1
