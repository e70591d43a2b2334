"""How far apart two float32 computations of the same network may be, whatever the order in which they sum.

Every product in a network has one weight as a factor. A sum of float32 products is therefore off by about what the exact
sum changes when each weight changes by float32's rounding, times sqrt(n) if its n products are added one by one. The
tests compare with float64 and allow this, whatever the instruction set and the number of threads.
"""

import keras
import numpy as np

FACTOR = 64  # root of 4,608, the most terms of a sum; 17 was the most seen, with oneDNN held to SSE4.1, AVX2 and AVX-512
EPS = np.finfo(np.float32).eps


def in_float64(build):
    """The Keras model that `build()` makes, in float64."""
    policy = keras.config.dtype_policy()
    keras.config.set_dtype_policy("float64")
    try:
        return build()
    finally:
        keras.config.set_dtype_policy(policy)


def tolerance(function, weights):
    """The exact result of `function(weights)`, a list of float64 arrays, and for each array the error that is allowed."""
    weights = [np.asarray(weight, np.float64) for weight in weights]
    exact = function(weights)
    allowed = np.zeros(len(exact))
    for seed in range(3):
        rng = np.random.default_rng(seed)
        changed = function([weight * (1 + EPS * rng.uniform(-1, 1, weight.shape)) for weight in weights])
        allowed = np.maximum(allowed, [np.abs(a - b).max() for a, b in zip(exact, changed, strict=True)])
    assert all(array.dtype == np.float64 for array in exact) and (allowed > 0).all()
    return exact, FACTOR * allowed


def assert_close(found, exact, allowed):
    """Fails, and says how much of the allowed error there is, if an array differs by more."""
    for one, other, limit in zip(found, exact, allowed, strict=True):
        assert np.shape(one) == np.shape(other)
        difference = np.abs(one - other).max()
        assert difference <= limit, f"{difference:.3g} where {limit:.3g} is allowed"
