"""From high-resolution (HR) to low-resolution (LR) frames, and the bicubic enlargement that is the baseline.

DEGRADATIONS holds two kinds of steps. Every chain (deepsr.data.chains) begins with one that makes frames small:
  bicubic  anti-aliased, as MATLAB's imresize (Keys kernel with a = -0.5, widened by the scale when shrinking, mirrored
           borders); the protocol of the literature and of REDS' own X4 frames
  cv2      OpenCV's INTER_CUBIC (a = -0.75, no anti-aliasing); the protocol of the article of 2021; differs from the first by
           1.3 dB on the same frames
  blur     the literature's "BD": Gaussian blur, then every `scale`th pixel (Jo et al., DUF, CVPR 2018)
The steps after that change the LR frames of a clip (deepsr.data.damage): noise and codec.
"""

from collections.abc import Callable
from functools import lru_cache, partial
from typing import NamedTuple

import cv2
import numpy as np

from deepsr.data.damage import Damage, add_noise, encode_and_decode, keys_of_codec


class Shrinking(NamedTuple):
    """A way to make frames small, and the bicubic enlargement that belongs to it.

    shrink: function(image, scale), float32 (H, W[, 3]) -> float32 (H/scale, W/scale[, 3]); enlarge: the other way round.
    takes_uint8: whether both take uint8 images, too, and round them in their own way. Otherwise `to_uint8` rounds.
    keeps_corner: whether the centre of the first LR pixel is that of the first HR pixel. Otherwise their corners meet.
    """

    shrink: Callable
    enlarge: Callable
    takes_uint8: bool = False
    keeps_corner: bool = False


def degrade(hr, scale, kind):
    """LR frame of an HR frame: uint8 (H, W) or (H, W, 3), sides divisible by `scale` -> uint8 (H/scale, W/scale[, 3]).

    kind: in all functions here, the name of a Shrinking in DEGRADATIONS.
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
    return DEGRADATIONS[kind].shrink(image, scale)


def enlarge(image, scale, kind):
    """`upscale` without rounding: float32 (h, w[, 3]) -> float32 (h*scale, w*scale[, 3])."""
    return DEGRADATIONS[kind].enlarge(image, scale)


def lanczos(lr, scale, kind):
    """Lanczos-3 enlargement, a second baseline: uint8 (h, w[, 3]) -> uint8 (h*scale, w*scale[, 3])."""
    return to_uint8(interpolate(lr.astype(np.float32), scale, "lanczos", DEGRADATIONS[kind].keeps_corner))


def interpolate(image, scale, name, keeps_corner=False):
    """Enlarge by interpolation: float32 (h, w[, 3]) -> float32 (h*scale, w*scale[, 3]).

    name: bicubic (the kernel of Keys, IEEE TASSP 1981, with a = -0.5) or lanczos (Lanczos-3); keeps_corner: see Shrinking.
    """
    height, width = image.shape[:2]
    wide = np.empty((height, width * scale, *image.shape[2:]), np.float32)
    full = np.empty((height * scale, width * scale, *image.shape[2:]), np.float32)
    filters = _phases(scale, name, keeps_corner)
    for phase, (taps, anchor) in enumerate(filters):
        wide[:, phase::scale] = _filter(image, taps, 1, anchor)
    for phase, (taps, anchor) in enumerate(filters):
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
    half = 2 * scale - (scale + 1) % 2 / 2  # even scales: pixel centres lie half a pixel off the LR centre
    kernel = _keys(np.arange(-half, half + 0.1) / scale).astype(np.float32)
    kernel = kernel / kernel.sum()
    first = (scale - 1) // 2  # the output pixel's centre lies (scale - 1) / 2 after its first input pixel
    anchor = (len(kernel) - 1) // 2
    narrow = np.ascontiguousarray(_filter(image, kernel, 1, anchor)[:, first::scale])
    return np.ascontiguousarray(_filter(narrow, kernel, 0, anchor)[first::scale])


def _shrink_blurred(image, scale):
    """As the published code of DUF and BasicSR: 13 taps, sigma 0.4 times the scale, mirrored about the border's pixels."""
    kernel = cv2.getGaussianKernel(13, 0.4 * scale, cv2.CV_32F)
    blurred = cv2.sepFilter2D(image, cv2.CV_32F, kernel, kernel, borderType=cv2.BORDER_REFLECT_101)
    return np.ascontiguousarray(blurred[::scale, ::scale])


def _shrink_opencv(image, scale):
    height, width = image.shape[:2]
    return cv2.resize(image, (width // scale, height // scale), interpolation=cv2.INTER_CUBIC)


def _enlarge_opencv(image, scale):
    height, width = image.shape[:2]
    return cv2.resize(image, (width * scale, height * scale), interpolation=cv2.INTER_CUBIC)


def _in_8_bits(function, image, scale, kind):
    """`shrink` or `enlarge` of a uint8 image, rounded to uint8."""
    if DEGRADATIONS[kind].takes_uint8:
        return function(image, scale, kind)
    return to_uint8(function(image.astype(np.float32), scale, kind))


@lru_cache
def _phases(scale, name, keeps_corner):
    """The filter for each of the `scale` positions of an output pixel within an LR pixel: its normalised taps, and the
    number of the tap that falls on this LR pixel.
    """
    kernel, support = (_keys, 2) if name == "bicubic" else (_lanczos3, 3)
    filters = []
    for phase in range(scale):
        offset = (phase if keeps_corner else phase + 0.5 - scale / 2) / scale  # from the LR pixel's centre, in LR pixels
        first = int(np.floor(offset)) - support + 1
        taps = kernel(offset - np.arange(first, first + 2 * support)).astype(np.float32)
        filters.append((taps / taps.sum(), -first))
    return filters


def _keys(x):
    x = np.abs(x)
    inner, outer = 1.5 * x**3 - 2.5 * x**2 + 1, -0.5 * x**3 + 2.5 * x**2 - 4 * x + 2
    return np.where(x <= 1, inner, np.where(x < 2, outer, 0))


def _lanczos3(x):
    return np.where(np.abs(x) < 3, np.sinc(x) * np.sinc(x / 3), 0)


DEGRADATIONS = {
    "bicubic": Shrinking(_shrink_antialiased, partial(interpolate, name="bicubic")),
    "cv2": Shrinking(_shrink_opencv, _enlarge_opencv, takes_uint8=True),
    "blur": Shrinking(_shrink_blurred, partial(interpolate, name="bicubic", keeps_corner=True), keeps_corner=True),
    "noise": Damage(add_noise),
    "codec": Damage(encode_and_decode, keys_of_codec),
}
SHRINKING = [name for name, entry in DEGRADATIONS.items() if isinstance(entry, Shrinking)]
