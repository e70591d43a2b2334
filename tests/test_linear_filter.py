import numpy as np
import pytest
from scipy import linalg

from deepsr.errors import InputError
from deepsr.networks import chain, linear_filter, network
from deepsr.train import normal_matrix


class Pool:
    """As deepsr.train.pool.Pool, in memory."""

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


def best_filter(pool, indices, relative=False):
    drafts = pool.shape[0]
    return linear_filter.solve_filter(normal_matrix.normal_matrix(pool, indices, 11, relative, seed=1), 11, drafts)


@pytest.mark.parametrize("relative", [False, True])
def test_recovers_a_known_filter(relative):
    kernel, bias = best_filter(noise_pool(), np.arange(60), relative)
    expected = np.zeros((11, 11, 2))
    expected[5, 5, 0], expected[5, 4, 0], expected[3, 8, 1] = 0.5, 0.1, 0.25
    assert np.abs(kernel - expected).max() < 5e-3
    assert bias == pytest.approx(10 / 255, abs=0.02)


def test_identical_drafts_and_flat_patches_do_not_break_it():
    x = np.full((5, 3, 20, 20), 100, np.uint8)
    pool = Pool(x, x[:, 0])
    kernel, bias = best_filter(pool, np.arange(5))
    assert kernel.sum() * 100 / 255 + bias == pytest.approx(100 / 255, abs=1e-3)
    model = network("deepsr").build(3, 4)
    normal = normal_matrix.normal_matrix(pool, np.arange(5), 11, True, 1)
    start = network("deepsr").start(model, model.get_weights(), normal, seed=1)
    assert all(np.isfinite(weight).all() for weight in start.weights)


def test_the_filter_is_that_of_ridge_regression():
    """An independent library, on the rows themselves; the penalty pulls towards the mean of the drafts."""
    rng = np.random.default_rng(5)
    x = rng.normal(100, 1, (400, 50))
    y = x @ rng.normal(0, 0.2, 50) + 7 + rng.normal(0, 1, 400)
    rows = np.column_stack([x, np.ones(400), y])
    kernel, bias = linear_filter.solve_filter(rows.T @ rows, 5, 2)
    prior = np.zeros(50)
    prior[24:26] = 0.5
    augmented = np.vstack([np.column_stack([x, np.ones(400)]), np.sqrt(0.3 * 400) * np.eye(51)[:50]])
    expected = linalg.lstsq(augmented, np.append(y - x @ prior, np.zeros(50)))[0]
    np.testing.assert_allclose(kernel.ravel(), prior + expected[:50], atol=1e-6)
    assert bias == pytest.approx(expected[50] / 255, rel=1e-5)


@pytest.mark.parametrize("unit", [1, 1e-6])
def test_whitening_leaves_weak_directions_weak(unit):
    """By hand: variances 3 and 1 of independent windows, the mean eigenvalue 2; a fifth of it, and the variance of
    rounding to whole grey levels, is added to both.
    """
    variance = np.array([3.0, 1.0]) * unit
    mean = np.array([10.0, 20.0])
    normal = np.zeros((4, 4))
    normal[:2, :2] = 8 * (np.diag(variance) * 255**2 + np.outer(mean, mean))
    normal[:2, 2] = normal[2, :2] = 8 * mean
    normal[2, 2] = 8
    matrix, effective = linear_filter.whiten(normal)
    white = variance / (variance + 0.4 * unit + 1 / 12 / 255**2)
    np.testing.assert_allclose(matrix.T @ np.diag(variance) @ matrix, np.diag(sorted(white)), atol=1e-5)
    assert effective == pytest.approx(max(1, np.sum(white)), rel=1e-4)
    normal[:2, :2] = 8 * np.outer(mean, mean)  # nothing varies
    assert linear_filter.whiten(normal)[1] == 1


def test_the_relative_loss_prefers_the_patches_that_bicubic_gets_right():
    """Half the patches are nearly right and want the identity; the others, hopeless, want a darker picture."""
    rng = np.random.default_rng(0)
    x = rng.integers(100, 256, (80, 1, 20, 20), dtype=np.uint8)
    y = x[:, 0].copy()
    y[::2] //= 2
    plain, relative = (best_filter(Pool(x, y), np.arange(80), relative)[0][5, 5, 0] for relative in (False, True))
    assert abs(plain - 0.75) < 0.05
    assert relative > 0.95


@pytest.mark.parametrize("relative", [False, True])
def test_sums_are_exact(relative):
    pool = noise_pool()
    one = normal_matrix.normal_matrix(pool, np.arange(60), 11, relative, seed=1)
    assert np.array_equal(one, np.round(one))
    assert one.max() < 2**53
    assert np.array_equal(one, one.T)


def test_whitened_windows_are_white():
    """Neighbouring drafts that are nearly equal have variances far apart; in the new coordinates they have not."""
    pool = noise_pool(200)
    pool.drafts[:, 1] = np.clip(pool.drafts[:, 0].astype(int) + pool.drafts[:, 1] // 16, 0, 255)
    matrix, effective = linear_filter.whiten(normal_matrix.normal_matrix(pool, np.arange(200), 3, False, seed=1))
    windows = np.lib.stride_tricks.sliding_window_view(pool.drafts / 255, (3, 3), axis=(2, 3))
    rows = windows.transpose(0, 2, 3, 4, 5, 1).reshape(-1, 18)
    before, after = (np.linalg.eigvalsh(np.cov(x.T)) for x in (rows, rows @ matrix))
    assert before.max() / before.min() > 100
    assert after.max() < 1.1
    assert after.sum() == pytest.approx(effective, rel=0.05)
    white = np.cov((rows @ matrix).T)
    assert np.abs(white - np.diag(np.diag(white))).max() < 0.05


@pytest.mark.parametrize("name", ["deepsr", "srcnn"])
def test_steps_of_a_chain_are_small_where_they_move_every_pixel(name):
    """The filter's own path: a hundredth of what its values are; where the features get their say: a tenth."""
    model = network(name).build(2, 4)
    size = network(name).filter_size
    _, rates = chain.embed(model, model.get_weights(), np.zeros((size, size, 2)), 0)
    eps = {"deepsr": 0.1, "srcnn": 1}[name]
    for rate in rates[:4]:
        assert rate[..., 0] == pytest.approx(0.01 * eps) and (rate[..., 1:] == 1).all()
    assert rates[4] == pytest.approx(0.1 * eps)
    for rate in rates[5:]:
        assert rate == pytest.approx(0.01 * eps)


def test_random_features_use_their_activation():
    """The other channels of the first layer see the image's structure, not its brightness."""
    pool = noise_pool()
    model = network("deepsr").build(2, 4)
    normal = normal_matrix.normal_matrix(pool, np.arange(60), 11, False, 1)
    start, again, other = (network("deepsr").start(model, model.get_weights(), normal, seed) for seed in (1, 1, 2))
    x = pool.drafts[:8].transpose(0, 2, 3, 1) / np.float32(255)
    weights = [start.weights[0], start.weights[1]]
    windows = np.lib.stride_tricks.sliding_window_view(x, (11, 11), axis=(1, 2))
    before_tanh = np.einsum("nijcxy,xycf->nijf", windows, weights[0][..., 1:], optimize=True) + weights[1][1:]
    assert np.abs(before_tanh.mean()) < 0.05
    assert before_tanh.std() == pytest.approx(chain.GAIN, rel=0.15)
    assert np.array_equal(start.weights[0], again.weights[0]) and not np.array_equal(start.weights[0], other.weights[0])
    assert np.array_equal(start.whitening, linear_filter.whiten(normal)[0])


def test_patches_smaller_than_the_filter():
    x = np.zeros((4, 1, 10, 10), np.uint8)
    with pytest.raises(InputError, match="smaller than the 11-pixel filter"):
        best_filter(Pool(x, x[:, 0]), np.arange(4))


def test_a_patch_as_large_as_the_filter_is_one_window():
    """Then there is nothing to choose: every patch is a row, its middle pixel the target."""
    x = np.random.default_rng(5).integers(0, 256, (9, 2, 5, 5)).astype(np.uint8)
    y = 255 - x[:, 0]
    found = normal_matrix.normal_matrix(Pool(x, y), np.arange(len(x)), 5, False, seed=1)
    rows = np.hstack([x.transpose(0, 2, 3, 1).reshape(len(x), -1), np.ones((len(x), 1)), y[:, 2, 2, None]]).astype(float)
    assert (found == rows.T @ rows).all()
    with pytest.raises(InputError, match="patches of 5 pixels are smaller than the 7-pixel filter"):
        normal_matrix.normal_matrix(Pool(x, y), np.arange(len(x)), 7, False, seed=1)
