"""Writing enlarged frames to mp4 files of H.264."""

from contextlib import contextmanager

import av
import numpy as np
from av.video.reformatter import ColorRange

from deepsr.errors import InputError

MAX_PIXELS = 139_264 * 256  # of an enlarged frame, 8192x4352: the most of any H.264 level (ITU-T H.264, table A-1)


def enlarged_size(source, width, height, scale):
    """(width, height) of the enlarged frame, made even. Raises InputError if it is too large."""
    if width * height * scale**2 > MAX_PIXELS:
        raise InputError(
            f"{source}: {width}x{height} at scale {scale} exceeds {MAX_PIXELS / 1e6:.1f} million pixels, the most that "
            "H.264 allows; choose a smaller scale, or crop the source."
        )
    return width * scale // 2 * 2, height * scale // 2 * 2


@contextmanager
def writer(path, plan, size, scale, crf, preset):
    """Gives write(number, y, cb, cr), which encodes frame `number` of the plan (uint8 planes, 4:2:0) to an mp4 file.

    size: (width, height) of the frames, `scale` times the plan's. crf, preset: of libx264.
    """
    # Without B-frames packets lie in order of presentation, so parts are joined by putting one after the other. One
    # thread and a short look-ahead: the same bytes for any number of cores, and less memory for large frames.
    options = {"crf": str(crf), "preset": preset, "bf": "0", "rc-lookahead": "10", "threads": "1"}
    with av.open(f"file:{path}", "w", format="mp4") as container:
        stream = container.add_stream("libx264", rate=plan.rate, options=options)
        stream.width, stream.height = size
        stream.pix_fmt = "yuv420p"
        if plan.matrix:
            *turn, right, down, unit = plan.matrix  # the shift is in pixels
            stream.set_display_matrix([*turn, right * scale, down * scale, unit])
        codec = stream.codec_context
        codec.time_base = plan.time_base
        if plan.aspect:
            codec.sample_aspect_ratio = plan.aspect
        codec.color_range = ColorRange.JPEG if plan.full_range else ColorRange.MPEG
        codec.colorspace, codec.color_primaries, codec.color_trc = plan.colour

        def write(number, *planes):
            packed = np.concatenate([plane.ravel() for plane in planes]).reshape(-1, size[0])
            frame = av.VideoFrame.from_ndarray(packed, "yuv420p")
            frame.pts, frame.time_base = plan.pts[number] - plan.pts[0], plan.time_base
            container.mux(stream.encode(frame))

        yield write
        container.mux(stream.encode())
