"""What is done to the LR frames of a clip after they have been made small: noise, and a video codec.

A step of a chain (deepsr.data.chains) is a dict of settings, {"noise": 5} or {"codec": "h264", "crf": 28}. Here each is a
function of the frames, an iterable of uint8 (h, w, 3) BGR, the step, and a seed, a list of integers, that yields new frames.
"""

from collections.abc import Callable
from fractions import Fraction
from itertools import chain
from typing import NamedTuple

import numpy as np


class Damage(NamedTuple):
    """A step after the shrinking one.

    apply: function(frames, step, seed), as above; keys: function(step) that returns the keys that the step must have and
    those that it may have, without the key that names it.
    """

    apply: Callable
    keys: Callable = lambda step: ((), ())


class Codec(NamedTuple):
    """FFmpeg's names of an encoder and its decoder, the step's key for the quality, the encoder's options for it, and those
    that are always set.
    """

    encoder: str
    decoder: str
    quality: str
    options: tuple
    fixed: dict


CODECS = {
    # With its assembly, x264 rounds by where its memory lies, and does not write the same video twice.
    "h264": Codec("libx264", "h264", "crf", ("crf",), {"x264-params": "asm=0"}),
    "mpeg2": Codec("mpeg2video", "mpeg2video", "quantiser", ("qmin", "qmax"), {}),  # one quantiser for all frames
}


def add_noise(frames, step, seed):
    """Gaussian noise with a standard deviation of step["noise"] grey levels, in each colour alone."""
    for number, frame in enumerate(frames):
        noise = np.random.default_rng([*seed, number]).standard_normal(frame.shape, np.float32)
        yield np.clip(np.rint(frame + step["noise"] * noise), 0, 255).astype(np.uint8)


def keys_of_codec(step):
    """The keys of a step {"codec": name, ...}: see Damage."""
    return (CODECS[step["codec"]].quality,), ("gop",)


def encode_and_decode(frames, step, seed):
    """Encode the frames as a video, 8 bits, 4:2:0, BT.601, limited range, and decode it.

    step: codec, a key of CODECS; its quality; and, if wanted, gop, the most frames from one key frame to the next. Without
    it the encoder decides: 250 for H.264, 12 for MPEG-2. The seed is not used, since nothing is random.
    """
    import av  # needed by jobs only, and slow to import

    codec, frames = CODECS[step["codec"]], iter(frames)
    first = next(frames)
    height, width = first.shape[:2]
    encoder, decoder = av.CodecContext.create(codec.encoder, "w"), av.CodecContext.create(codec.decoder, "r")
    encoder.width, encoder.height = width + width % 2, height + height % 2  # 4:2:0 has even sides
    encoder.pix_fmt, encoder.framerate, encoder.time_base = "yuv420p", Fraction(25), Fraction(1, 25)
    encoder.thread_count = 1  # with another number of threads, x264 writes another video
    encoder.gop_size = step.get("gop", encoder.gop_size)
    encoder.options = codec.fixed | dict.fromkeys(codec.options, str(step[codec.quality]))

    def packets():
        for number, frame in enumerate(chain([first], frames)):
            even = np.pad(frame, ((0, height % 2), (0, width % 2), (0, 0)), mode="edge")
            # By way of 4:4:4, here and on the way back: FFmpeg's short cut truncates, white becomes (250, 253, 251).
            picture = av.VideoFrame.from_ndarray(even, "bgr24").reformat(format="yuv444p", dst_colorspace="ITU601")
            picture = picture.reformat(format="yuv420p")
            picture.pts = number
            yield from encoder.encode(picture)
        yield from encoder.encode(None)
        yield None  # empties the decoder

    for packet in packets():
        for picture in decoder.decode(packet):
            picture = picture.reformat(format="yuv444p").reformat(format="bgr24", src_colorspace="ITU601")
            yield np.ascontiguousarray(picture.to_ndarray()[:height, :width])
