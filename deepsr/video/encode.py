"""Writing enlarged frames: to video files of several codecs, or to zip files of PNG images."""

import os
import zipfile
from collections.abc import Callable
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import NamedTuple

import av
import cv2
import numpy as np
from av.video.reformatter import ColorRange

from deepsr.errors import InputError

MAX_PIXELS = 139_264 * 256  # of an enlarged frame, 8192x4352: the most of any H.264 level (ITU-T H.264, table A-1)
PRESETS = "ultrafast", "superfast", "veryfast", "faster", "fast", "medium", "slow", "slower", "veryslow"
os.environ.setdefault("SVT_LOG", "1")  # the AV1 encoder prints errors alone


class Codec(NamedTuple):
    """How frames are encoded.

    encoder: FFmpeg's name; options: function from the config's crf and preset to the encoder's options; in_mp4: whether
    players play it from mp4; tag: the codec's name in mp4, if players do not know the one that FFmpeg writes.
    """

    encoder: str
    options: Callable
    in_mp4: bool = True
    tag: str | None = None


# No frame refers to a later one, so that packets are in order of presentation and parts can be put one after the other.
# There is one thread, so that the bytes are the same for any number of cores. The short look-ahead of h264 spares memory.
CODECS = {
    "h264": Codec(
        "libx264",
        lambda crf, preset: {"crf": f"{crf}", "preset": preset, "bf": "0", "rc-lookahead": "10", "threads": "1"},
    ),
    "hevc": Codec(
        "libx265",
        lambda crf, preset: {
            "crf": f"{crf}",
            "preset": preset,
            "x265-params": "bframes=0:pools=none:frame-threads=1:no-wpp=1:log-level=error:info=0",
        },
        tag="hvc1",
    ),
    "av1": Codec(
        "libsvtav1",
        lambda crf, preset: {
            "crf": f"{crf}",
            "preset": f"{12 - PRESETS.index(preset)}",
            "svtav1-params": "lp=1:pred-struct=1",
        },
    ),
    "ffv1": Codec(  # lossless
        "ffv1", lambda crf, preset: {"level": "3", "g": "1", "slices": "4", "slicecrc": "1", "threads": "1"}, in_mp4=False
    ),
}


def check_container(codec, ending):
    """Raise InputError if players do not play a codec (a key of CODECS) from a file with this ending."""
    if ending == "mp4" and not CODECS[codec].in_mp4:
        raise InputError(f"config: videos.codec {codec} plays hardly anywhere from mp4; ask for the same name with .mkv.")


def enlarged_size(source, width, height, scale):
    """(width, height) of the enlarged frame, made even. Raises InputError if it is too large."""
    if width * height * scale**2 > MAX_PIXELS:
        raise InputError(
            f"{source}: {width}x{height} at scale {scale} exceeds {MAX_PIXELS / 1e6:.1f} million pixels, the most that "
            "H.264 allows; choose a smaller scale, or crop the source."
        )
    return width * scale // 2 * 2, height * scale // 2 * 2


@contextmanager
def video_writer(path, plan, size, scale, codec="h264", crf=18, preset="medium"):
    """Gives write(number, y, cb, cr), which encodes frame `number` of the plan (planes, 4:2:0) to an mp4 file.

    The planes are uint8, or uint16 if the plan has more than 8 bits. size: (width, height) of the frames, `scale` times the
    plan's. codec: a key of CODECS. crf, preset: of the encoder.
    """
    pixels, how = _pixels(plan), CODECS[codec]
    with av.open(f"file:{path}", "w", format="mp4") as container:
        stream = container.add_stream(how.encoder, rate=plan.rate, options=how.options(crf, preset))
        stream.width, stream.height = size
        stream.pix_fmt = pixels
        if plan.matrix:
            *turn, right, down, unit = plan.matrix  # the shift is in pixels
            stream.set_display_matrix([*turn, right * scale, down * scale, unit])
        context = stream.codec_context
        if how.tag:
            context.codec_tag = how.tag
        context.time_base = plan.time_base
        tell_looks(context, plan)
        context.open()
        _leave_real_time()

        def write(number, *planes):
            frame = _frame(planes, size, pixels)
            frame.pts, frame.time_base = plan.pts[number] - plan.pts[0], plan.time_base
            container.mux(stream.encode(frame))

        yield write
        container.mux(stream.encode())


def tell_looks(context, plan):
    """Tell the av codec context of a video stream the pixel aspect, range and colours of a plan's frames."""
    if plan.aspect:
        context.sample_aspect_ratio = plan.aspect
    context.color_range = ColorRange.JPEG if plan.full_range else ColorRange.MPEG
    context.colorspace, context.color_primaries, context.color_trc = plan.colour


@contextmanager
def picture_writer(path, plan, size):
    """Gives write(number, y, cb, cr) as `video_writer` does, which adds a PNG image to a zip file.

    Images of a folder keep their names; the frames of a video are called by their number. A video of more than 8 bits
    becomes images of 16 bits.
    """
    deep = plan.bits > 8
    with zipfile.ZipFile(path, "w", zipfile.ZIP_STORED) as archive:

        def write(number, *planes):
            bgr = _frame(planes, size, _pixels(plan)).to_ndarray(
                format="bgr48le" if deep else "bgr24",
                src_color_range=ColorRange.JPEG if plan.full_range else ColorRange.MPEG,
                src_colorspace={1: "ITU709", 9: "BT2020"}.get(plan.colour[0], "ITU601"),
            )
            stem = plan.images[number].rpartition(".")[0] if plan.images else f"{number:06d}"
            archive.writestr(zipfile.ZipInfo(f"{stem}.png"), cv2.imencode(".png", bgr)[1].tobytes())

        yield write


def _leave_real_time():
    """Give threads of this process that have become real-time ones the usual priority again.

    The AV1 encoder makes all of them real-time if the user is root, which takes the processor from everything else.
    """
    for thread in Path("/proc/self/task").glob("*"):
        with suppress(ProcessLookupError):  # it has just ended
            if os.sched_getscheduler(int(thread.name)) == os.SCHED_FIFO:
                os.sched_setscheduler(int(thread.name), os.SCHED_OTHER, os.sched_param(0))


def _pixels(plan):
    return "yuv420p" if plan.bits == 8 else f"yuv420p{plan.bits}le"


def _frame(planes, size, pixels):
    packed = np.concatenate([plane.ravel() for plane in planes]).reshape(-1, size[0])
    return av.VideoFrame.from_ndarray(packed, pixels)
