import keras
import numpy as np
import pytest
from rounding import EPS
from small_training import settings_with

from deepsr.networks.base import Start
from deepsr.train.devices import Cpu
from deepsr.train.loop import begin
from deepsr.train.optimizer import Optimizer
from deepsr.train.vector import flatten, split

SHAPES = [(2, 2, 3, 5), (5,), (1, 1, 5, 4)]  # of a first kernel with 12 inputs, its bias, and a second kernel
SIZE = 60 + 5 + 20
CHANGES = {"schedule": "constant", "warmup_steps": 0, "average": 0.0, "learning_rate": 0.01}


def vectors(seed, number):
    """Random vectors of which no element is near zero, where Adam's steps hang on the rounding."""
    rng = np.random.default_rng(seed)
    return (rng.uniform(0.5, 2, (number, SIZE)) * rng.choice([-1, 1], (number, SIZE))).astype(np.float32)


def optimizer(total, rates=1.0, whitening=None, **changes):
    rates = split(np.broadcast_to(np.float32(rates), (SIZE,)), SHAPES)
    start = Start([np.zeros(shape, np.float32) for shape in SHAPES], rates, whitening)
    return Optimizer(start, settings_with(**CHANGES | changes), total, Cpu(1).compiled)


def steps(gradients, rates=1.0, whitening=None, count=1, **changes):
    """The weights at the start, and the state after a step for each of the gradients."""
    adam = optimizer(len(gradients), rates, whitening, **changes)
    weights = vectors(1, 1)[0]
    state = begin(weights)
    for gradient in gradients:
        assert adam.update(state, gradient, count)
        state.step += 1
    return weights, state


def test_steps_are_those_of_adam_in_keras():
    gradients = vectors(2, 6)
    before, state = steps(gradients, count=4)
    variable = keras.Variable(before)
    theirs = keras.optimizers.Adam(0.01)
    for gradient in gradients:
        theirs.apply([keras.ops.convert_to_tensor(gradient / 4)], [variable])
    np.testing.assert_allclose(state.weights, keras.ops.convert_to_numpy(variable), rtol=0, atol=8 * 2**-23 * 2)
    assert np.abs(state.weights - before).max() > 0.02


def test_a_tiny_gradient_takes_a_smaller_step():
    """At a gradient of Adam's epsilon, half of the rate."""
    before, state = steps(np.full((1, SIZE), 1e-7, np.float32))
    # The weights, of at most 2, are rounded to float32 before and after.
    np.testing.assert_allclose(before - state.weights, 0.005, rtol=0, atol=2 * EPS)


def test_the_first_kernel_is_trained_in_the_coordinates_of_the_start():
    """Adam by hand, in float64, on u where kernel = whitening @ u: then the gradient of u is whitening.T @ gradient."""
    rng = np.random.default_rng(3)
    whitening = (np.eye(12) + 0.3 * rng.normal(size=(12, 12))).astype(np.float32)
    gradients = vectors(4, 4)
    weights, state = steps(gradients, whitening=whitening)
    mean, square = np.zeros(SIZE), np.zeros(SIZE)
    expected = weights.astype(np.float64)
    for n, gradient in enumerate(gradients, 1):
        gradient = gradient.astype(np.float64)
        gradient[:60] = (whitening.T @ gradient[:60].reshape(12, 5)).ravel()
        mean, square = 0.9 * mean + 0.1 * gradient, 0.999 * square + 0.001 * gradient**2
        change = mean / (1 - 0.9**n) / (np.sqrt(square / (1 - 0.999**n)) + 1e-7)
        change[:60] = (whitening @ change[:60].reshape(12, 5)).ravel()
        expected -= 0.01 * change
    # A step's product sums 12 terms of about 1, times 0.01; float32 rounds each, and Adam's quotients of small sums more.
    np.testing.assert_allclose(state.weights, expected, rtol=0, atol=2e-6)
    assert np.abs(state.weights - weights)[:60].max() > 0.02


def test_weights_at_rate_zero_stay_bit_by_bit_and_rates_scale_the_steps():
    rates = np.ones(SIZE)
    rates[10:40], rates[70:] = 0, 0.5
    before, state = steps(vectors(5, 9), rates, average=0.77)
    plain = steps(vectors(5, 9), average=0.77)[1]
    for vector in (state.weights, state.average):
        assert np.array_equal(vector[10:40], before[10:40])
        assert (np.asarray(vector)[40:] != before[40:]).all()
    assert np.array_equal(state.weights[40:70], plain.weights[40:70])
    atol = 9 * 2 * EPS  # each of the nine steps rounds weights of at most 2, once on either side
    np.testing.assert_allclose(state.weights[70:] - before[70:], 0.5 * (plain.weights - before)[70:], rtol=0, atol=atol)


def test_the_average_forgets_the_start_and_then_decays():
    gradients = vectors(6, 12)
    average = before = steps([])[0].astype(np.float64)
    for n in range(1, 13):
        decay = min(0.5, n / (n + 10))
        average = decay * average + (1 - decay) * steps(gradients[:n], average=0.5)[1].weights
    # A step rounds three times, by at most half of EPS, and halves what has been rounded before.
    np.testing.assert_allclose(steps(gradients, average=0.5)[1].average, average, rtol=0, atol=2 * 1.5 * EPS * 2)
    assert np.abs(average - before).max() > 0.05


def test_without_an_average_it_is_the_weights():
    state = steps(vectors(7, 5), average=0.0)[1]
    assert np.array_equal(state.average, state.weights)


@pytest.mark.parametrize("bad", [np.inf, -np.inf, np.nan])
def test_a_gradient_that_is_not_finite_changes_nothing(bad):
    state = steps(vectors(8, 2))[1]
    before = dict(vars(state))
    gradient = vectors(9, 1)[0]
    gradient[-1] = bad
    assert optimizer(9).update(state, gradient, 1) is False
    assert all(vars(state)[name] is before[name] for name in before)


@pytest.mark.parametrize(
    "schedule, warmup, step, expected",
    [
        ("constant", 0, 1, 1), ("constant", 0, 12, 1), ("constant", 1, 1, 1),
        ("constant", 4, 1, 0.25), ("constant", 4, 3, 0.75), ("constant", 4, 4, 1), ("constant", 4, 5, 1),
        ("cosine", 0, 1, 1), ("cosine", 0, 4, (1 + np.sqrt(0.5)) / 2), ("cosine", 0, 7, 0.5),
        ("cosine", 0, 12, (1 + np.cos(np.pi * 11 / 12)) / 2), ("cosine", 8, 4, (1 + np.sqrt(0.5)) / 4),
    ],
)  # fmt: skip
def test_learning_rate(schedule, warmup, step, expected):
    rate = optimizer(12, schedule=schedule, warmup_steps=warmup, learning_rate=0.3).rate(step)
    assert rate == pytest.approx(0.3 * expected)


def test_flatten_and_split_are_inverse():
    arrays = [np.random.default_rng(0).random(shape, np.float32) for shape in SHAPES]
    vector = flatten(arrays)
    assert vector.shape == (SIZE,) and vector.dtype == np.float32
    for one, other in zip(arrays, split(vector, SHAPES), strict=True):
        np.testing.assert_array_equal(one, np.asarray(other))
