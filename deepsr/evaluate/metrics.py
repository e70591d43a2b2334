"""PSNR and SSIM, and the three colour spaces in which video super-resolution is scored.

y         luma in full range (0..255), the article's: PSNR = 10 log10(w h / sum of squared differences), peak 1
y_matlab  luma as MATLAB's rgb2ycbcr gives it (16..235), 8-bit; the literature's. The same picture reads about 1.3 dB higher
rgb       8-bit RGB, all channels together; the toolboxes' protocol for REDS
"""

import cv2
import numpy as np

COLOR_SPACES = ("y", "y_matlab", "rgb")
WINDOW, SIGMA = 11, 1.5  # of SSIM, Wang et al., IEEE TIP 2004, section III-B


def psnr(a, b, border=0, peak=1.0):
    """Peak signal-to-noise ratio in dB of two images of one shape, (H, W) or (H, W, 3), values 0..peak.

    border: pixels cut off at each side first. Equal images give inf.
    """
    a, b = _pair(a, b, border)
    error = np.mean((a - b) ** 2)
    return float("inf") if error == 0 else float(10 * np.log10(peak**2 / error))


def ssim(a, b, border=0, peak=1.0):
    """Structural similarity of two images of one shape, (H, W) or (H, W, 3) (mean over channels), values 0..peak.

    11x11 Gaussian window with sigma 1.5, K1 = 0.01, K2 = 0.03, mean over the region where the window fits (Wang et al.,
    "Image quality assessment: from error visibility to structural similarity", IEEE TIP 2004).
    NaN if an image is smaller than the window.
    """
    a, b = _pair(a, b, border)
    if min(a.shape[:2]) < WINDOW:
        return float("nan")
    if a.ndim == 3:  # one channel at a time needs a third of the memory
        return float(np.mean([ssim(a[..., i], b[..., i], peak=peak) for i in range(a.shape[2])]))

    def mean(x):
        kernel = cv2.getGaussianKernel(WINDOW, SIGMA)
        half = WINDOW // 2
        return cv2.sepFilter2D(x, cv2.CV_64F, kernel, kernel)[half:-half, half:-half]

    mean_a, mean_b = mean(a), mean(b)
    var_a, var_b = mean(a * a) - mean_a**2, mean(b * b) - mean_b**2
    covariance = mean(a * b) - mean_a * mean_b
    c1, c2 = (0.01 * peak) ** 2, (0.03 * peak) ** 2
    similarity = ((2 * mean_a * mean_b + c1) * (2 * covariance + c2)) / ((mean_a**2 + mean_b**2 + c1) * (var_a + var_b + c2))
    return float(similarity.mean())


def in_color_space(y, chroma, space):
    """The picture as a colour space scores it, values 0..1.

    y: full-range luma, float (H, W) in 0..1, not rounded; chroma: uint8 (H, W, 2), full-range Cr and Cb as OpenCV orders
    them. Returns float (H, W) for y (not rounded, as the article scores it), 8-bit steps for y_matlab, and
    (H, W, 3) in 8-bit steps for rgb.
    """
    if space == "y":
        return y
    if space == "y_matlab":
        return np.floor(16 + 219 * y + 0.5).astype(np.float64) / 255
    return to_bgr(y, chroma) / 255.0


def to_bgr(y, chroma):
    """Colour picture, uint8 (H, W, 3) BGR, of full-range luma (float in 0..1) and chroma (uint8 (H, W, 2), Cr Cb)."""
    luma = np.floor(y * 255 + 0.5).astype(np.uint8)
    return cv2.cvtColor(np.dstack([luma, chroma]), cv2.COLOR_YCrCb2BGR)


def _pair(a, b, border):
    if a.shape != b.shape:
        raise ValueError(f"images of shapes {a.shape} and {b.shape} cannot be compared")
    height, width = a.shape[:2]
    if 2 * border >= min(height, width):
        raise ValueError(f"a border of {border} pixels leaves nothing of a {width}x{height} image")
    inside = (slice(border, height - border), slice(border, width - border))
    return a[inside].astype(np.float64, copy=False), b[inside].astype(np.float64, copy=False)
