"""Reading videos: files, their frames, packets and planes, and folders of frames."""

from itertools import islice
from pathlib import Path

import av
import numpy as np
from av.error import FFmpegError
from av.video.reformatter import ColorRange

from deepsr.data.frames import decode
from deepsr.errors import InputError
from deepsr.video.encode import enlarged_size
from deepsr.video.fields import deinterlaced

# Containers that hold the frames themselves. Left out are playlists, which name other files and addresses, and formats that
# take any text for pictures.
FORMATS = (
    "mov,mp4,m4a,3gp,3g2,mj2,matroska,webm,avi,mpeg,mpegts,mpegvideo,m4v,h264,hevc,ogg,flv,asf,gif,apng,nut,mxf,ivf,dv,"
    "wtv,yuv4mpegpipe"
)


def open_video(source):
    """The av container of a video file. Raises InputError if it is no video, or lacks its index."""
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
    """The video stream, set to decode in one thread, so that damaged frames look the same in every run.

    Raises InputError if there is none, if its codec is unknown, and if its frames are too large.
    """
    stream = container.streams.best("video")
    if stream is None or av.stream.Disposition.attached_pic in stream.disposition:
        raise InputError(f"{source}: holds no video; give a file with pictures that move.")
    if stream.codec_context is None:
        raise InputError(f"{source}: its video is of a kind that cannot be decoded; convert it to a common one.")
    enlarged_size(source, stream.codec_context.width, stream.codec_context.height, 1)
    stream.thread_type = "NONE"
    return stream


def read_frames(source, images=None, deinterlace=None, first=0, damage=None):
    """Yield the frames (av.VideoFrame) of a video file from number `first`, or of a folder if it is told its `images`.

    images: names of the frames in the folder `source`, or None for a file. The number of a folder's frame is its time stamp.
    deinterlace: from deepsr.video.fields.bwdif_arguments, for a file.
    Packets of a file that cannot be decoded are skipped, and their errors are added to the list `damage`, if there is one.
    """
    if images is None:
        frames = _decode_file(source, [] if damage is None else damage)
        yield from islice(deinterlaced(frames, deinterlace, source) if deinterlace else frames, first, None)
        return
    for number in range(first, len(images)):
        frame = av.VideoFrame.from_ndarray(read_image(Path(source, images[number])), "bgr24")
        frame.pts = number
        yield frame


def read_image(path):
    """A still image, turned upright as its EXIF data say: uint8 (H, W, 3), BGR. Raises InputError if it is damaged."""
    try:
        data = Path(path).read_bytes()
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror}); check the path.") from error
    return decode(data, path, upright=True)


def _decode_file(source, damage):
    with open_video(source) as container:
        stream = video_stream(container, source)
        for packet in packets(container, stream, damage):
            if packet is not None and not packet.size and packet.pts is not None:
                continue  # Theora's sign for "the same picture again"; decoding it would end the decoder
            try:
                frames = stream.decode(packet)
            except FFmpegError as error:
                damage.append(error)
            else:
                yield from frames


def packets(container, stream, damage):
    """The packets up to the first that cannot be read, and then None or an empty packet, which empties the decoder."""
    try:
        yield from container.demux(stream)
    except (FFmpegError, IndexError) as error:  # the latter is PyAV's for streams that the header does not announce
        damage.append(error)
        yield None


def count_frames(path):
    """The number of frames (packets) of a video file, without decoding them."""
    with open_video(path) as container:
        return sum(packet.size > 0 for packet in container.demux(video_stream(container, path)))


def pixel_aspect(path):
    """Width of a pixel over its height (Fraction) in a video file, or None if it does not say."""
    with open_video(path) as container:
        return video_stream(container, path).sample_aspect_ratio or None


def is_rgb(pixels):
    """Whether an av.VideoFormat holds red, green and blue, directly or in a palette."""
    return pixels.is_rgb or pixels.has_palette


def _is_gray(pixels):
    return len(pixels.components) <= 2 and not is_rgb(pixels)


def is_full_range(frame):
    """Whether a frame's luma is in 0..255 rather than 16..235 if `planes` keeps its range.

    RGB becomes luma in 16..235, whatever range its file names. Where a file names none, grey formats have full range and all
    others have not, as in FFmpeg.
    """
    if is_rgb(frame.format):
        return False
    if frame.color_range in (ColorRange.MPEG, ColorRange.JPEG):
        return frame.color_range == ColorRange.JPEG
    return frame.format.name.startswith("yuvj") or _is_gray(frame.format)


def planes(frame, full_range, bits=8):
    """The planes Y, Cb, Cr of an av.VideoFrame in full range (0..2^bits - 1) or limited range. RGB is converted by BT.601.

    The planes are uint8 if `bits` is 8, and uint16 if it is 10.
    """
    pixels, width, height = frame.format, frame.width, frame.height
    depth, kind = ("", np.uint8) if bits == 8 else (f"{bits}le", np.uint16)
    how = {
        "src_color_range": ColorRange.JPEG if is_full_range(frame) or is_rgb(pixels) else ColorRange.MPEG,
        "dst_color_range": ColorRange.JPEG if full_range else ColorRange.MPEG,
    }
    if _is_gray(pixels):
        neutral = np.full(((height + 1) // 2, (width + 1) // 2), 1 << (bits - 1), kind)
        return _samples(frame.reformat(format=f"gray{depth}", **how).planes[0], kind), neutral, neutral
    if is_rgb(pixels) and pixels.components[0].bits < 8:
        frame = frame.reformat(format="rgb24")  # the way to yuv444p makes 5 bits darker
    if is_rgb(pixels):
        name, how["dst_colorspace"] = "yuv444p", "ITU601"
    else:
        subsampling = round(width / pixels.chroma_width(width)), round(height / pixels.chroma_height(height))
        name = {(2, 2): "yuv420p", (2, 1): "yuv422p"}.get(subsampling, "yuv444p")
    return tuple(_samples(plane, kind) for plane in frame.reformat(format=name + depth, **how).planes)


def _samples(plane, kind):
    rows = np.frombuffer(plane, kind).reshape(-1, plane.line_size // np.dtype(kind).itemsize)
    return rows[: plane.height, : plane.width].copy()
