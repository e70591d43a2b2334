import numpy as np
import pytest

from deepsr.networks.spectra import transforms


@pytest.mark.parametrize("rows, size", [(1, 1), (1, 3), (4, 3), (5, 3), (24, 11), (25, 11), (50, 9)])
def test_products_of_spectra_are_a_correlation(rows, size):
    rng = np.random.default_rng(rows)
    column, taps = rng.normal(size=rows + size - 1), rng.normal(size=size)
    forward, kernel, inverse = transforms(rows, size)

    (re, im), parts = (forward @ column).reshape(-1, 2).T, (kernel @ taps).reshape(-1, 2, 2)
    products = np.stack([re, im], 1)[:, None] * parts

    np.testing.assert_allclose(inverse @ products.sum(2).ravel(), np.correlate(column, taps), atol=1e-5)
    np.testing.assert_allclose(forward[0::2] @ column, np.fft.rfft(column).real, atol=1e-5)
    np.testing.assert_allclose(forward[1::2] @ column, np.fft.rfft(column).imag, atol=1e-5)
