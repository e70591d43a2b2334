import types
from itertools import product

import numpy as np
import pytest
from conftest import mostly_slow
from rounding import assert_close, in_float64, tolerance
from small_training import settings_with, shards  # noqa: F401

from deepsr.errors import InputError
from deepsr.networks import network
from deepsr.registry import LOSSES, NETWORKS
from deepsr.train.devices import Cpu
from deepsr.train.losses import loss_function
from deepsr.train.objective import objectives
from deepsr.train.pool import Pool
from deepsr.train.vector import flatten, shapes, split


def by_hand(loss, y, truth, bicubic):
    """The loss of one patch, in float64."""
    error = y - truth
    if loss == "mse":
        return np.mean(error**2)
    if loss == "relative":
        return np.mean(error**2) / (np.mean((bicubic - truth) ** 2) + 65 / 255**2)
    if loss == "charbonnier":
        return np.mean(np.sqrt(error**2 + 1e-6))
    if loss == "l1_tv":
        return np.mean(np.abs(error)) + 0.25 * (np.mean(np.abs(np.diff(y, axis=0))) + np.mean(np.abs(np.diff(y, axis=1))))
    raise AssertionError(f"{loss} has no test: write its formula here")


@pytest.mark.parametrize("loss", LOSSES)
def test_a_loss_equals_its_formula(loss):
    patches = np.random.default_rng(0).random((3, 4, 7, 9))  # prediction, truth and bicubic frame of four patches
    patches[2, 0] = patches[1, 0] + 1e-3  # a patch that bicubic gets nearly right
    found = loss_function(loss)(*patches.astype(np.float32), settings_with(tv_weight=0.25))
    assert found.shape == (4,)
    expected = [by_hand(loss, *patches[:, i]) for i in range(4)]
    # Sums of 63 positive terms in float32: each addition rounds by 2**-24 of the sum.
    np.testing.assert_allclose(np.asarray(found), expected, rtol=64 * 2**-24)


@pytest.fixture(scope="module")
def batch(shards):  # noqa: F811
    return Pool(shards)[np.arange(2)]


def random_weights(model):
    rng = np.random.default_rng(0)
    return flatten([rng.normal(0, 0.05, shape) for shape in shapes(model)])


# Always each loss with one network, and each network with one loss.
PAIRS = sorted(product(LOSSES, NETWORKS), key=lambda pair: pair[0] != "mse" and pair[1] != "srcnn")


@pytest.mark.parametrize("loss, name", mostly_slow(PAIRS, len(LOSSES) + len(NETWORKS) - 1))
def test_gradient_is_the_slope_of_the_loss(batch, loss, name):
    model = network(name).build(2, 4)
    gradient = Cpu(1).gradient(objectives(network(name), model, settings_with(loss=loss, tv_weight=0.1))[0])
    weights = random_weights(model)
    slope = gradient(weights, batch)[2]
    direction = slope / np.linalg.norm(slope)
    step = np.float32(1e-2 / np.linalg.norm(slope))
    after, before = (gradient(weights + sign * step * direction, batch)[0] for sign in (1, -1))
    assert (after - before) / (2 * step) == pytest.approx(np.linalg.norm(slope), rel=0.05)


@pytest.mark.parametrize("loss", [lambda y, *others: y[0, 0, 0], lambda y, *others: y[..., 0]], ids=["one", "many"])
def test_a_loss_that_does_not_give_one_number_for_each_patch_is_refused(monkeypatch, batch, loss):
    monkeypatch.setattr("deepsr.train.objective.loss_function", lambda name: loss)
    model = network("srcnn").build(2, 4)
    training, _ = objectives(network("srcnn"), model, settings_with())
    with pytest.raises(InputError, match="loss gives the shape .* for 2 patches; it must give one number for each patch"):
        training(random_weights(model), *batch)


@pytest.mark.parametrize("border", [0, 3])
def test_objectives_are_those_of_the_keras_model_inside_the_border(batch, border):
    drafts, target = batch
    model = network("deepsr").build(2, 4)
    weights = 8 * random_weights(model)  # so that many pixels are beyond 0 and 1
    training, validation = objectives(network("deepsr"), model, settings_with(border=border, loss="relative"))
    (loss, error), clipped = training(weights, drafts, target), validation(weights, drafts, target)
    exact = in_float64(lambda: network("deepsr").build(2, 4))
    inside = np.s_[:, border : 28 - border, border : 28 - border]
    x, truth = drafts / 255, target[inside] / 255
    reference = np.mean((x[:, 1][inside] - truth) ** 2, axis=(1, 2)) + 65 / 255**2

    def by_hand(weights):
        exact.set_weights(weights)
        y = np.asarray(exact([x[:, 0, ..., None], x[:, 1, ..., None]]))[..., 0][inside]
        assert (y < -0.1).any() and (y > 1.1).any()
        errors = np.mean((y - truth) ** 2, axis=(1, 2))
        return [errors / reference, errors, np.mean((np.clip(y, 0, 1) - truth) ** 2, axis=(1, 2))]

    expected, allowed = tolerance(by_hand, [np.asarray(weight) for weight in split(weights, shapes(model))])
    assert_close([np.asarray(array) for array in (loss, error, clipped)], expected, allowed)


def test_the_bicubic_frame_is_the_last_draft_and_only_the_training_is_in_bfloat16():
    rng, precisions = np.random.default_rng(1), []

    class FirstDraft:
        def forward(self, model, weights, x, dtype):
            precisions.append(dtype)
            return x[..., 0]

    settings = settings_with(loss="relative", border=0, precision="mixed_bfloat16")
    training, validation = objectives(FirstDraft(), types.SimpleNamespace(weights=[np.zeros(1), np.zeros(1)]), settings)
    drafts, target = rng.integers(0, 256, (4, 3, 7, 9)), rng.integers(0, 256, (4, 7, 9))
    loss = training(np.zeros(2, np.float32), drafts, target)[0]
    validation(np.zeros(2, np.float32), drafts, target)
    expected = [by_hand("relative", d[0] / 255, t / 255, d[2] / 255) for d, t in zip(drafts, target, strict=True)]
    np.testing.assert_allclose(np.asarray(loss), expected, rtol=70 * 2**-23)  # two sums of 63 positive terms, and pixels
    assert precisions == ["bfloat16", "float32"]


def test_border_does_not_count(batch):
    model = network("deepsr").build(2, 4)
    training, validation = objectives(network("deepsr"), model, settings_with(border=2))
    weights, (drafts, target) = random_weights(model), batch
    changed = target.copy()
    changed[:, :2] = changed[:, -2:] = changed[:, :, :2] = changed[:, :, -2:] = 0
    for function in (lambda y: training(weights, drafts, y)[0], lambda y: validation(weights, drafts, y)):
        assert np.array_equal(function(target), function(changed))
        inner = changed.copy()
        inner[:, 2, 2] ^= 255
        assert not np.array_equal(function(target), function(inner))
