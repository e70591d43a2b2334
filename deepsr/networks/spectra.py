"""A convolution by products of spectra along one axis, as matrices: the transforms run at a matrix product's speed."""

import numpy as np


def transforms(rows, size):
    """Three float32 matrices that turn a convolution of columns into products of their Fourier series.

    rows: of a column of the output; size: rows of the kernel. A column of the input has `rows + size - 1` rows (its
    padding included), so that nothing wraps around, and n = (rows + size - 1) // 2 + 1 frequencies.

    forward: (2n, rows + size - 1), from an input column to the real and the imaginary part of each frequency.
    kernel: (4n, size), from a kernel column to four factors for each frequency: two for the real part of the product and two
    for its imaginary part. It is conjugated, since the "convolution" of libraries is a correlation.
    inverse: (rows, 2n), from the parts of the products to the output column.
    """
    length = rows + size - 1
    frequency = np.arange(length // 2 + 1)[:, None]
    angle = 2 * np.pi * frequency * np.arange(length) / length
    cos, sin = np.cos(angle), np.sin(angle)
    # A real column's frequencies k and length - k are conjugate: they count twice, unless they are the same one.
    times = np.where(frequency % (length / 2) == 0, 1, 2)[..., None]
    forward = np.stack([cos, -sin], 1)
    kernel = np.stack([cos, -sin, sin, cos], 1)[..., :size]
    inverse = (times / length * forward[..., :rows]).reshape(-1, rows).T
    return [np.ascontiguousarray(m, np.float32) for m in (forward.reshape(-1, length), kernel.reshape(-1, size), inverse)]
