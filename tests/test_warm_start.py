import numpy as np
import pytest

from deepsr import model as networks
from deepsr import warm_start
from deepsr.errors import InputError


class Pool:
    """As deepsr.training.Pool, in memory."""

    def __init__(self, drafts, target):
        self.drafts, self.target, self.shape = drafts, target, drafts.shape[1:]

    def __getitem__(self, indices):
        return self.drafts[indices], self.target[indices]


def noise_pool(n=60, drafts=2, size=24):
    """White-noise drafts whose target is a known linear filter of them."""
    rng = np.random.default_rng(0)
    x = rng.integers(60, 196, (n, drafts, size, size), dtype=np.uint8)
    y = 10 + 0.5 * x[:, 0] + 0.25 * np.roll(x[:, 1], (2, -3), axis=(1, 2)) + 0.1 * np.roll(x[:, 0], 1, axis=2)
    return Pool(x, np.round(y).astype(np.uint8))


def test_recovers_a_known_filter():
    pool = noise_pool()
    kernel, bias = warm_start.fit_filter(pool, np.arange(60), seed=1)
    expected = np.zeros((11, 11, 2))
    expected[5, 5, 0], expected[5, 4, 0], expected[3, 8, 1] = 0.5, 0.1, 0.25
    assert np.abs(kernel - expected).max() < 5e-3
    assert bias == pytest.approx(10 / 255, abs=0.02)


def test_identical_drafts_and_flat_patches_do_not_break_it():
    x = np.full((5, 3, 20, 20), 100, np.uint8)
    kernel, bias = warm_start.fit_filter(Pool(x, x[:, 0]), np.arange(5), seed=1)
    assert np.isfinite(kernel).all()
    assert kernel.sum() * 100 / 255 + bias == pytest.approx(100 / 255, abs=1e-3)


def test_network_equals_the_filter_at_the_start():
    rng = np.random.default_rng(3)
    kernel = rng.normal(0, 0.02, (11, 11, 2)).astype(np.float32)
    kernel[5, 5] += 0.5
    model = networks.build_deepsr(2)
    start = [rng.normal(0, 0.05, w.shape) for w in model.weights]
    model.set_weights(warm_start.embed(start, kernel, np.float32(0.02)))
    x = rng.random((1, 60, 60, 2), np.float32)
    out = np.asarray(model([x[..., :1], x[..., 1:]]))[0, :, :, 0]
    windows = np.lib.stride_tricks.sliding_window_view(x[0], (11, 11), axis=(0, 1))
    expected = np.einsum("ijcxy,xyc->ij", windows, kernel) + 0.02
    assert np.abs(out[5:-5, 5:-5] - expected).max() < 3e-3


def test_patches_smaller_than_the_filter():
    x = np.zeros((4, 1, 10, 10), np.uint8)
    with pytest.raises(InputError, match="smaller than the 11-pixel filter"):
        warm_start.fit_filter(Pool(x, x[:, 0]), np.arange(4), seed=1)
