import numpy as np
import pytest
from rounding import EPS
from scipy.signal import correlate
from small_training import bfloat16_works

from deepsr.networks import spectral_form
from deepsr.networks.spectra import transforms


@pytest.mark.parametrize("rows, size", [(1, 1), (1, 3), (4, 3), (5, 3), (24, 11), (25, 11), (50, 9)])
def test_products_of_spectra_are_a_correlation(rows, size):
    rng = np.random.default_rng(rows)
    column, taps = rng.normal(size=rows + size - 1), rng.normal(size=size)
    forward, kernel, inverse = transforms(rows, size)
    assert {matrix.dtype for matrix in (forward, kernel, inverse)} == {np.dtype(np.float32)}

    def product(forward, kernel, inverse):
        (re, im), parts = (forward @ column).reshape(-1, 2).T, (kernel @ taps).reshape(-1, 2, 2)
        return inverse @ (np.stack([re, im], 1)[:, None] * parts).sum(2).ravel()

    # The matrices are rounded to float32; the sums here are in float64.
    magnitude = len(forward) * np.abs(column).sum() * np.abs(taps).sum() / (rows + size - 1)
    np.testing.assert_allclose(
        product(forward, kernel, inverse), np.correlate(column, taps), rtol=0, atol=4 * EPS * magnitude
    )
    spectrum, magnitude = np.fft.rfft(column), np.abs(column).sum()
    np.testing.assert_allclose(forward[0::2] @ column, spectrum.real, rtol=0, atol=EPS * magnitude)
    np.testing.assert_allclose(forward[1::2] @ column, spectrum.imag, rtol=0, atol=EPS * magnitude)


def convolution(x, kernel):
    """Zero-padded convolution as networks mean it, (m, H, W, C), (k, k, C, F) -> (m, H, W, F), in float64, by SciPy."""
    r = kernel.shape[0] // 2
    padded = np.pad(x.astype(np.float64), [(0, 0), (r, r), (r, r), (0, 0)])
    filters = range(kernel.shape[3])
    return np.stack([[correlate(p, kernel[..., f], "valid", "direct")[..., 0] for p in padded] for f in filters], -1)


@pytest.mark.parametrize(
    "size, channels, filters", [(1, 3, 2), (5, 2, 3), (11, 3, 2), (3, 6, 1), (9, 2, 1), (7, 1, 1), (25, 1, 1)]
)
@pytest.mark.parametrize("height, width", [(12, 9), (3, 14), (1, 1)])
def test_each_form_of_a_convolution_is_one(size, channels, filters, height, width):
    rng = np.random.default_rng(size)
    x = rng.normal(size=(2, height, width, channels)).astype(np.float32)
    kernel = rng.normal(size=(size, size, channels, filters)).astype(np.float32)
    found = np.asarray(spectral_form._convolve(x, kernel))
    exact, magnitude = convolution(x, kernel), convolution(np.abs(x), np.abs(kernel))
    # Spectra mix all rows of a column: its whole magnitude counts.
    np.testing.assert_array_less(np.abs(found - exact), 8 * EPS * magnitude.max())


def test_in_bfloat16_wide_layers_lose_digits_and_narrow_ones_do_not():
    import keras

    if not bfloat16_works():
        return

    rng = np.random.default_rng(0)
    layers = [keras.layers.Conv2D(4, 3, padding="same", activation="tanh"), keras.layers.Conv2D(1, 3, padding="same")]
    layers += [keras.layers.Conv2DTranspose(1, 5, padding="same")]
    model = keras.Sequential([keras.Input((8, 8, 2)), *layers])
    x = rng.random((1, 8, 8, 2), np.float32)
    single, half = (
        np.asarray(spectral_form.forward(model, model.get_weights(), x, dtype)) for dtype in ("float32", "bfloat16")
    )
    assert single.dtype == half.dtype == np.float32 and single.shape == (1, 8, 8)
    assert 1e-5 < np.abs(single - half).max() / np.abs(single).max() < 2e-2
