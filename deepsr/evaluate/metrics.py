"""The metrics of the table, and the colour spaces in which video super-resolution is scored.

METRICS is the one place to add a metric: the columns of all tables, the report and the figures follow from it.
"""

from collections.abc import Callable
from dataclasses import dataclass

import cv2
import numpy as np

from deepsr.evaluate import temporal

METHODS = {"bicubic": "bicubic", "deepsr": "DeepSR", "lanczos": "Lanczos"}  # that enlarge a frame, and their names in titles
COLOR_SPACES = {"y": "Y", "y_matlab": "Y in MATLAB's range", "rgb": "RGB"}  # see `in_color_space`
WINDOW, SIGMA = 11, 1.5  # of SSIM, Wang et al., IEEE TIP 2004, section III-B
LUMA_WEIGHTS = np.array([[24966.0, 128553.0, 65481.0]])  # of B, G and R in thousandths; BT.601, MATLAB's rgb2ycbcr


@dataclass(frozen=True)
class Metric:
    """How a metric is computed and shown.

    function: (a, b, border) -> float, for two float images of one shape, (H, W) or (H, W, 3), with values 0..1; `border`
    pixels at each side do not count; title, unit ("" if there is none) and form (a number format): for tables and
    figures; better: "higher" or "lower"; temporal: whether it is computed from each frame and the one before it, by a
    function of other arguments (deepsr.evaluate.temporal), and only where `evaluation: temporal` asks for it.
    """

    title: str
    function: Callable
    unit: str
    form: str
    better: str
    temporal: bool = False


def psnr(a, b, border=0):
    """Peak signal-to-noise ratio in dB of two images of one shape, (H, W) or (H, W, 3), values 0..1.

    border: pixels cut off at each side first. Equal images give inf.
    """
    a, b = inside(a, b, border)
    error = np.mean((a - b) ** 2)
    return float("inf") if error == 0 else float(10 * np.log10(1 / error))


def ssim(a, b, border=0):
    """Structural similarity of two images of one shape, (H, W) or (H, W, 3) (mean over channels), values 0..1.

    11x11 Gaussian window with sigma 1.5, K1 = 0.01, K2 = 0.03, mean over the region where the window fits (Wang et al.,
    "Image quality assessment: from error visibility to structural similarity", IEEE TIP 2004).
    NaN if an image is smaller than the window. Agrees with scikit-image's `structural_similarity` to 1e-12. It is 2.0 times
    (480x272) to 2.8 times (1280x720, two threads) as fast, since OpenCV filters; SSIM is a large part of scoring.
    """
    a, b = inside(a, b, border)
    if min(a.shape[:2]) < WINDOW:
        return float("nan")
    if a.ndim == 3:  # one channel at a time needs a third of the memory
        return float(np.mean([ssim(a[..., i], b[..., i]) for i in range(a.shape[2])]))

    def mean(x):
        kernel = cv2.getGaussianKernel(WINDOW, SIGMA)
        half = WINDOW // 2
        return cv2.sepFilter2D(x, cv2.CV_64F, kernel, kernel)[half:-half, half:-half]

    mean_a, mean_b = mean(a), mean(b)
    var_a, var_b = mean(a * a) - mean_a**2, mean(b * b) - mean_b**2
    covariance = mean(a * b) - mean_a * mean_b
    c1, c2 = 0.01**2, 0.03**2
    similarity = ((2 * mean_a * mean_b + c1) * (2 * covariance + c2)) / ((mean_a**2 + mean_b**2 + c1) * (var_a + var_b + c2))
    return float(similarity.mean())


METRICS = {
    "psnr": Metric("PSNR", psnr, "dB", ".2f", "higher"),
    "ssim": Metric("SSIM", ssim, "", ".4f", "higher"),
    "tof": Metric("tOF", temporal.tof, "pixels", ".3f", "lower", temporal=True),
    "warp": Metric("Warping error", temporal.warping_error, "grey levels", ".2f", "lower", temporal=True),
}


def in_color_space(y, bgr, space):
    """A picture as a colour space scores it, float64 or float32, values 0..1.

    y: full-range luma, float (H, W) in 0..1, not rounded; bgr: the picture, uint8 (H, W, 3). The spaces are
      y         (H, W): `y` as it is, the article's of 2021, PSNR = 10 log10(w h / sum of squared differences)
      y_matlab  (H, W): luma 16..235 of the RGB picture, rounded to 8 bits, as MATLAB's rgb2ycbcr makes it of uint8; most
                papers use it. The same error gives about 1.3 dB more than in y. Python toolboxes that do not round give
                0.002 dB more at 22 dB.
      rgb       (H, W, 3): all channels together, the toolboxes' protocol for REDS
    """
    if space == "y":
        return y
    if space == "y_matlab":
        # Whole numbers, so that halves are rounded up exactly.
        weighted = cv2.transform(bgr.astype(np.float64), LUMA_WEIGHTS)
        return (16 + np.floor((weighted + 127500) / 255000)) / 255
    return bgr / 255.0


def chroma(bgr):
    """Cr and Cb of a picture, full range: uint8 (H, W, 3) BGR -> uint8 (H, W, 2)."""
    return cv2.cvtColor(bgr, cv2.COLOR_BGR2YCrCb)[..., 1:]


def to_bgr(y, chroma):
    """Colour picture, uint8 (H, W, 3) BGR, of full-range luma (float in 0..1) and chroma (uint8 (H, W, 2), Cr Cb)."""
    luma = np.floor(y * 255 + 0.5).astype(np.uint8)
    return cv2.cvtColor(np.dstack([luma, chroma]), cv2.COLOR_YCrCb2BGR)


def inside(a, b, border):
    """Two images of one shape as float64, `border` pixels cut off at each side. Raises ValueError if nothing is left."""
    if a.shape != b.shape:
        raise ValueError(f"images of shapes {a.shape} and {b.shape} cannot be compared")
    height, width = a.shape[:2]
    if 2 * border >= min(height, width):
        raise ValueError(f"a border of {border} pixels leaves nothing of a {width}x{height} image")
    cut = (slice(border, height - border), slice(border, width - border))
    return a[cut].astype(np.float64, copy=False), b[cut].astype(np.float64, copy=False)
