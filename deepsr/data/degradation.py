"""From high-resolution (HR) to low-resolution (LR) frames, and the bicubic enlargement that is the baseline.

Two kinds (DEGRADATIONS), since they differ by 1.3 dB on the same frames:
  bicubic  anti-aliased, as MATLAB's imresize (Keys kernel with a = -0.5, widened by the scale when shrinking, mirrored
           borders); the protocol of the literature and of REDS' own X4 frames
  cv2      OpenCV's INTER_CUBIC (a = -0.75, no anti-aliasing); the protocol of the article of 2021
"""

from collections.abc import Callable
from functools import lru_cache, partial
from typing import NamedTuple

import cv2
import numpy as np


class Degradation(NamedTuple):
    """How LR frames come about, and the enlargement that belongs to it.

    shrink: function(image, scale), float32 (H, W[, 3]) -> float32 (H/scale, W/scale[, 3]); enlarge: the other way round.
    takes_uint8: whether they also take uint8 images, which they round in their own way; others are rounded by `to_uint8`.
    """

    shrink: Callable
    enlarge: Callable
    takes_uint8: bool = False


def degrade(hr, scale, kind):
    """LR frame of an HR frame: uint8 (H, W) or (H, W, 3), sides divisible by `scale` -> uint8 (H/scale, W/scale[, 3]).

    kind: a key of DEGRADATIONS, here and below; ValueError for another.
    """
    return _in_8_bits(shrink, hr, scale, kind)


def upscale(lr, scale, kind):
    """Bicubic enlargement of an LR frame, the baseline: uint8 (h, w) or (h, w, 3) -> uint8 (h*scale, w*scale[, 3])."""
    return _in_8_bits(enlarge, lr, scale, kind)


def shrink(image, scale, kind):
    """`degrade` without rounding: float32 (H, W[, 3]) -> float32 (H/scale, W/scale[, 3])."""
    height, width = image.shape[:2]
    if height % scale or width % scale:
        raise ValueError(f"sides {height}x{width} are not divisible by the scale {scale}")
    return _named(kind).shrink(image, scale)


def enlarge(image, scale, kind):
    """`upscale` without rounding: float32 (h, w[, 3]) -> float32 (h*scale, w*scale[, 3])."""
    return _named(kind).enlarge(image, scale)


def lanczos(lr, scale):
    """Lanczos-3 enlargement, a second baseline: uint8 (h, w[, 3]) -> uint8 (h*scale, w*scale[, 3])."""
    return to_uint8(interpolate(lr.astype(np.float32), scale, "lanczos"))


def interpolate(image, scale, name):
    """Enlarge by interpolation: float32 (h, w[, 3]) -> float32 (h*scale, w*scale[, 3]).

    name: bicubic (the kernel of Keys) or lanczos (Lanczos-3).
    """
    height, width = image.shape[:2]
    wide = np.empty((height, width * scale, *image.shape[2:]), np.float32)
    full = np.empty((height * scale, width * scale, *image.shape[2:]), np.float32)
    kernel = _kernel(scale, name)
    phases = []
    for phase in range(scale):  # of the kernel around an output pixel, only what falls on input pixels counts
        first = scale // 2 - phase + (len(kernel) - 1) // 2
        taps = kernel[first % scale :: scale]
        phases.append((taps / taps.sum(), first // scale))
    for phase, (taps, anchor) in enumerate(phases):
        wide[:, phase::scale] = _filter(image, taps, 1, anchor)
    for phase, (taps, anchor) in enumerate(phases):
        full[phase::scale] = _filter(wide, taps, 0, anchor)
    return full


def crop_to_scale(frame, scale):
    """Cut rows at the bottom and columns at the right so that both sides are divisible by `scale`."""
    height, width = frame.shape[:2]
    return frame[: height - height % scale, : width - width % scale]


def to_uint8(image):
    """Round half up and clip to 0..255, as MATLAB's uint8()."""
    return np.clip(np.floor(image + 0.5), 0, 255).astype(np.uint8)


def _filter(image, kernel, axis, anchor):
    """Correlate along one axis with a kernel whose element `anchor` meets the output pixel, float32, borders mirrored."""
    one = np.ones(1, np.float32)
    kernels, anchors = ((kernel, one), (anchor, 0)) if axis == 1 else ((one, kernel), (0, anchor))
    return cv2.sepFilter2D(image, cv2.CV_32F, *kernels, anchor=anchors, borderType=cv2.BORDER_REFLECT)


def _shrink_antialiased(image, scale):
    """Filter with the interpolation kernel, widened by the scale, and take every `scale`th sample."""
    kernel = _kernel(scale, "bicubic")
    kernel = kernel / kernel.sum()
    first = (scale - 1) // 2  # the output pixel's centre lies (scale - 1) / 2 after its first input pixel
    anchor = (len(kernel) - 1) // 2
    narrow = np.ascontiguousarray(_filter(image, kernel, 1, anchor)[:, first::scale])
    return np.ascontiguousarray(_filter(narrow, kernel, 0, anchor)[first::scale])


def _shrink_opencv(image, scale):
    height, width = image.shape[:2]
    return cv2.resize(image, (width // scale, height // scale), interpolation=cv2.INTER_CUBIC)


def _enlarge_opencv(image, scale):
    height, width = image.shape[:2]
    return cv2.resize(image, (width * scale, height * scale), interpolation=cv2.INTER_CUBIC)


def _named(kind):
    if kind not in DEGRADATIONS:
        raise ValueError(f"unknown degradation {kind!r}; known: {', '.join(DEGRADATIONS)}")
    return DEGRADATIONS[kind]


def _in_8_bits(function, image, scale, kind):
    """`shrink` or `enlarge` of a uint8 image, rounded to uint8."""
    if _named(kind).takes_uint8:
        return function(image, scale, kind)
    return to_uint8(function(image.astype(np.float32), scale, kind))


@lru_cache
def _kernel(scale, name):
    """Samples of an interpolation kernel, symmetric, `scale` per LR pixel; not normalised.

    name: bicubic (Keys, IEEE TASSP 1981, with a = -0.5) or lanczos (Lanczos-3).
    """
    support = 2 if name == "bicubic" else 3
    half = support * scale - (scale + 1) % 2 / 2  # even scales: pixel centres lie half a pixel off the LR centre
    x = np.abs(np.arange(-half, half + 0.1) / scale)
    if name == "bicubic":
        inner, outer = 1.5 * x**3 - 2.5 * x**2 + 1, -0.5 * x**3 + 2.5 * x**2 - 4 * x + 2
        return np.where(x <= 1, inner, np.where(x < 2, outer, 0)).astype(np.float32)
    return np.where(x < 3, np.sinc(x) * np.sinc(x / 3), 0).astype(np.float32)


DEGRADATIONS = {
    "bicubic": Degradation(_shrink_antialiased, partial(interpolate, name="bicubic")),
    "cv2": Degradation(_shrink_opencv, _enlarge_opencv, takes_uint8=True),
}
