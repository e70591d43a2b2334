"""Video files: reading their frames, packets and planes, and writing frames, as streams."""

import json
from contextlib import contextmanager
from fractions import Fraction
from itertools import islice

import av
import numpy as np
from av.error import FFmpegError

from deepsr.data.frames import open_clip
from deepsr.errors import InputError

# Containers that hold the frames themselves. Playlists are left out, since they name other files and addresses, and so
# are the formats that take any text for pictures.
FORMATS = (
    "mov,mp4,m4a,3gp,3g2,mj2,matroska,webm,avi,mpeg,mpegts,mpegvideo,m4v,h264,hevc,ogg,flv,asf,gif,apng,nut,mxf,ivf,dv,"
    "wtv,yuv4mpegpipe"
)
MAX_PIXELS = 139_264 * 256  # of an enlarged frame, 8192x4352: the most of any H.264 level (ITU-T H.264, table A-1)
BT709, BT601, LIMITED, FULL, UNSPECIFIED = 1, 6, 1, 2, 2  # code points of matrix and range (ITU-T H.273; FFmpeg)


def read_plan(path):
    """The plan (deepsr.video.upscale.plan_video) in a JSON file. Raises InputError if it is damaged."""
    try:
        with open(path, encoding="utf-8") as file:
            return json.load(file)
    except (OSError, ValueError) as error:
        raise InputError(f"{path}: is damaged ({error}); delete it and run again.") from error


def open_video(source):
    """The av container of a video file. Raises InputError if it is none, or lacks what is needed to read it."""
    try:
        return av.open(
            f"file:{source}",
            options={"format_whitelist": FORMATS, "protocol_whitelist": "file"},
            metadata_errors="replace",
        )
    except FFmpegError as error:
        raise InputError(
            f"{source}: cannot be opened as a video ({error.strerror}); it is missing, of another kind, or cut off "
            "before its index."
        ) from error


def video_stream(container, source):
    """The video stream, set to decode in one thread, so that damaged frames look the same in every run."""
    stream = container.streams.best("video")
    if stream is None or av.stream.Disposition.attached_pic in stream.disposition:
        raise InputError(f"{source}: holds no video; give a file with pictures that move.")
    enlarged_size(source, stream.codec_context.width, stream.codec_context.height, 1)
    stream.thread_type = "NONE"
    return stream


def decode(source, index, first, damage):
    """The frames (av.VideoFrame) of a file, or of the folder that `index` describes, from number `first`.

    What cannot be decoded is passed over and its error is added to the list `damage`.
    """
    if index is None:
        yield from islice(_decode_file(source, damage), first, None)
        return
    clip = open_clip(index)
    for i in range(first, len(clip)):
        frame = av.VideoFrame.from_ndarray(clip[i], "bgr24")
        frame.pts = i
        yield frame


def _decode_file(source, damage):
    with open_video(source) as container:
        stream = video_stream(container, source)
        for packet in packets(container, stream, damage):
            try:
                frames = stream.decode(packet)
            except FFmpegError as error:
                damage.append(error)
            else:
                yield from frames


def packets(container, streams, damage):
    """The packets up to the first that cannot be read; last, None or an empty packet, which empties the decoder."""
    try:
        yield from container.demux(streams)
    except FFmpegError as error:
        damage.append(error)
        yield None


def is_rgb(pixels):
    """Whether an av.VideoFormat tells red, green and blue, be it by way of a palette."""
    return pixels.is_rgb or pixels.has_palette


def _is_gray(pixels):
    return len(pixels.components) <= 2 and not is_rgb(pixels)


def is_full_range(frame):
    """Whether luma is 0..255 rather than 16..235. Where nothing is said, as FFmpeg has it: only grey formats."""
    if frame.color_range in (LIMITED, FULL):
        return frame.color_range == FULL
    return frame.format.name.startswith("yuvj") or _is_gray(frame.format)


def planes(frame):
    """The planes Y, Cb, Cr of an av.VideoFrame, uint8 of the video's own range; of RGB, as BT.601 of limited range."""
    pixels, width, height = frame.format, frame.width, frame.height
    if _is_gray(pixels):
        neutral = np.full(((height + 1) // 2, (width + 1) // 2), 128, np.uint8)
        return _plane(frame.reformat(format="gray").planes[0]), neutral, neutral
    if is_rgb(pixels):
        frame = frame.reformat(format="yuv444p", dst_colorspace="ITU601", src_color_range=FULL, dst_color_range=LIMITED)
    else:
        subsampling = round(width / pixels.chroma_width(width)), round(height / pixels.chroma_height(height))
        name = {(2, 2): "yuv420p", (2, 1): "yuv422p"}.get(subsampling, "yuv444p")
        range_ = FULL if is_full_range(frame) else LIMITED
        frame = frame.reformat(format=name, src_color_range=range_, dst_color_range=range_)
    return tuple(_plane(plane) for plane in frame.planes)


def _plane(plane):
    rows = np.frombuffer(plane, np.uint8).reshape(-1, plane.line_size)
    return rows[: plane.height, : plane.width].copy()


def enlarged_size(source, width, height, scale):
    """(width, height) of the enlarged frame, made even. Raises InputError if it is too large."""
    if width * height * scale**2 > MAX_PIXELS:
        raise InputError(
            f"{source}: {width}x{height} at scale {scale} exceeds {MAX_PIXELS / 1e6:.1f} million pixels, the most that "
            "H.264 allows; choose a smaller scale, or crop the source."
        )
    return width * scale // 2 * 2, height * scale // 2 * 2


def part_range(plan, part, parts):
    """Numbers of the frames of one of `parts` equal shares of a video, 0 <= part < parts; may be empty."""
    return range(plan["frames"] * part // parts, plan["frames"] * (part + 1) // parts)


@contextmanager
def writer(path, plan, width, height, matrix, scale, crf, preset):
    """Gives write(number, y, cb, cr), which encodes frame `number` of the plan (uint8 planes, 4:2:0) to an mp4 file.

    matrix: display matrix (9 int) or None; its shift in pixels is multiplied by `scale`. crf, preset: of libx264.
    """
    # Without B-frames packets lie in order of presentation, so parts are joined by putting one after the other. One
    # thread and a short look-ahead: the same bytes for any number of cores, and less memory for large frames.
    options = {"crf": str(crf), "preset": preset, "bf": "0", "rc-lookahead": "10", "threads": "1"}
    with av.open(f"file:{path}", "w", format="mp4") as container:
        stream = container.add_stream("libx264", rate=Fraction(plan["rate"]), options=options)
        stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
        if matrix:
            stream.set_display_matrix([*matrix[:6], matrix[6] * scale, matrix[7] * scale, matrix[8]])
        codec = stream.codec_context
        codec.time_base = Fraction(plan["time_base"])
        if plan["aspect"]:
            codec.sample_aspect_ratio = Fraction(plan["aspect"])
        codec.color_range = FULL if plan["full_range"] else LIMITED
        codec.colorspace, codec.color_primaries, codec.color_trc = plan["colour"]

        def write(number, *planes):
            packed = np.concatenate([plane.ravel() for plane in planes]).reshape(-1, width)
            frame = av.VideoFrame.from_ndarray(packed, "yuv420p")
            frame.pts, frame.time_base = plan["pts"][number] - plan["pts"][0], codec.time_base
            container.mux(stream.encode(frame))

        yield write
        container.mux(stream.encode())
