"""Super-resolution of video files, as streams: memory does not grow with the length.

A plan is made first (`plan_video`), then any number of parts are enlarged independently (`upscale_part`) and put
together without encoding them again (`join_parts`). Frames are known by their number in order of presentation, and
every part decodes the file from its start: that costs little beside the network, needs no index, and gives every part
the very frames that an unsplit run sees, whatever the container. Luma goes through the network; Cb and Cr are enlarged
by cubic interpolation.

Output: H.264 of 8 bits, 4:2:0, in mp4. Time stamps, pixel aspect, rotation, colour tags, sound and metadata are kept;
subtitles are not.
"""

import hashlib
import logging
import struct
from fractions import Fraction
from itertools import pairwise
from pathlib import Path

import av
import cv2
import numpy as np

from deepsr.data.degradation import upscale
from deepsr.data.frames import image_size, index_images, list_images
from deepsr.drafts.ensemble import Drafts, radius
from deepsr.errors import InputError
from deepsr.files import atomic
from deepsr.progress import progress
from deepsr.video.stream import (
    BT601,
    BT709,
    UNSPECIFIED,
    decode,
    enlarged_size,
    is_full_range,
    is_rgb,
    open_video,
    part_range,
    planes,
    video_stream,
    writer,
)

log = logging.getLogger("deepsr")


def plan_video(source, rate=25):
    """What the later steps must know about a video, as a dict that JSON can hold. Decodes it once.

    source: path of a video file, or of a folder of images, which is shown at `rate` frames a second.
    Keys: frames (their number), width, height; cuts, the numbers of the first frames of shots but the very first; pts,
    last_duration in units of time_base; rate, frames a second on average; start, of the file in seconds (these three
    as fractions in text); aspect of a pixel (fraction in text or None); matrix (display matrix, 9 int, or None) and
    rotation (degrees anticlockwise); full_range (bool); colour, [matrix, primaries, transfer] as of ITU-T H.273;
    index (see deepsr.data.frames) of a folder's images or None; sha256.
    Raises InputError if nothing in it can be decoded as video, or if the frames change their size. Warns of damage,
    interlacing, time stamps that cannot be used, and of what is not kept.
    """
    source = Path(source)
    plan, announced = _header(source, rate)
    pts, distances, last, damage = [], [], None, []
    for frame in progress(decode(source, plan["index"], 0, damage), desc=f"read {source.name}", unit="frame"):
        if not pts:
            plan |= _picture(source, frame)
        if (frame.width, frame.height) != (plan["width"], plan["height"]):
            raise InputError(
                f"{source}: changes from {plan['width']}x{plan['height']} to {frame.width}x{frame.height} at frame "
                f"{len(pts)}; split it there and enlarge the parts one by one."
            )
        thumbnail = cv2.resize(planes(frame)[0], (64, 36), interpolation=cv2.INTER_AREA).astype(np.float32)
        distances.append(0.0 if last is None else float(np.abs(thumbnail - last).mean()))
        pts.append(frame.pts)
        last, last_duration = thumbnail, frame.duration
    if not pts:
        raise InputError(f"{source}: holds no frame that can be decoded; it is damaged or truncated, get it again.")
    if None in pts or any(b <= a for a, b in pairwise(pts)):
        log.warning("%s: lacks time stamps, or their order; shown at %s frames a second.", source, plan["rate"])
        plan["time_base"], plan["start"] = str(1 / Fraction(plan["rate"])), "0"
        pts, last_duration = list(range(len(pts))), 1
    last_duration = last_duration or max(1, round(1 / Fraction(plan["rate"]) / Fraction(plan["time_base"])))
    plan |= {"frames": len(pts), "pts": pts, "last_duration": last_duration, "cuts": find_cuts(distances)}
    seconds = float((pts[-1] - pts[0] + last_duration) * Fraction(plan["time_base"]))
    if damage or announced > seconds + 1:
        log.warning(
            "%s: truncated or damaged? It announces %.1f s and its video lasts %.1f s, with errors in %d places; "
            "the %d frames that can be decoded are used.",
            source,
            announced,
            seconds,
            len(damage),
            len(pts),
        )
    return plan


def find_cuts(distances):
    """Numbers of the frames that begin a new shot.

    distances: per frame, the mean absolute difference of its luma (0..255) to that of the frame before, both averaged
    to 64x36 pixels; 0 for the first. A cut stands out from its surroundings: above 10, and above twice the median of
    the 3 distances before and the 3 after it, so that a fast pan is not taken for a cut.
    """
    cuts = []
    for i in range(1, len(distances)):
        around = distances[max(i - 3, 1) : i] + distances[i + 1 : i + 4]
        if distances[i] > 10 and distances[i] > 2 * np.median(around or [0]):
            cuts.append(i)
    return cuts


def upscale_part(source, plan, part, parts, output, *, scale, degradation, drafts, predict, crf=18, preset="medium"):
    """Write one of `parts` equal shares of a video, enlarged, to the mp4 file `output` (an empty file if the share is).

    source, plan: as of `plan_video`. degradation, drafts: settings as of deepsr.data.degradation and deepsr.drafts.ensemble.
    predict: function from drafts, uint8 (D, H, W), full range, to the frame's luma, float (H, W) in 0..1.
    crf, preset: quality (0 = lossless) and speed of libx264. The temporal window crosses the borders of shares, never a
    cut. With scale 3, the last row or column of an odd side is dropped: 4:2:0 video has even sides.
    Raises InputError for oracle drafts, for frames too large, and if the video has fewer frames than were planned.
    """
    width, height = enlarged_size(source, plan["width"], plan["height"], scale)
    numbers = part_range(plan, part, parts)
    if not numbers:
        with atomic(output) as file:
            file.touch()
        return
    frames = _Window(source, plan, max(numbers.start - radius(drafts), 0), 2 * radius(drafts) + 2)
    bar = progress(total=len(numbers), desc=f"{Path(source).name}, part {part + 1} of {parts}", unit="frame")
    with atomic(output) as file, writer(file, plan, width, height, plan["matrix"], scale, crf, preset) as write:
        for start, stop in pairwise([0, *plan["cuts"], plan["frames"]]):
            shot = Drafts(
                drafts, scale, degradation, lambda i, start=start: _full_range(frames[start + i][0], plan), stop - start
            )
            for i in range(max(start, numbers.start), min(stop, numbers.stop)):
                luma = _video_range(predict(shot[i - start]), plan)[:height, :width]
                y, *chroma = frames[i]
                write(i, luma, *(_enlarge_chroma(c, y.shape, scale, luma.shape) for c in chroma))
                bar.update(1)
    bar.close()


def upscale_image(source, output, *, scale, degradation, drafts, predict):
    """Enlarge a still image, seen as a video of one frame, to the PNG file `output`, 8 bits, without transparency.

    Arguments as of `upscale_part`. Raises InputError for oracle drafts and for what is no image or too large a one.
    """
    try:
        data = Path(source).read_bytes()
    except OSError as error:
        raise InputError(f"{source}: cannot be read ({error.strerror}); check the path.") from error
    enlarged_size(source, *image_size(data, source), scale)
    image = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)  # turned upright, as its EXIF data say
    if image is None:
        raise InputError(f"{source}: cannot be decoded, the file is truncated or damaged; get it again.")
    y, *chroma = cv2.split(cv2.cvtColor(image, cv2.COLOR_BGR2YCrCb))
    luma = predict(Drafts(drafts, scale, degradation, lambda i: y, 1)[0])
    planes = [np.rint(255 * np.clip(luma, 0, 1)).astype(np.uint8)] + [upscale(c, scale, degradation) for c in chroma]
    with atomic(output) as file:
        file.write_bytes(cv2.imencode(".png", cv2.cvtColor(cv2.merge(planes), cv2.COLOR_YCrCb2BGR))[1])


class _Window:
    """Planes of a video's frames by number, decoded as they are asked for; only the last `keep` are held."""

    def __init__(self, source, plan, first, keep):
        self._source, self._keep = source, keep
        self._frames = enumerate(decode(source, plan["index"], first, []), first)
        self._held = {}

    def __getitem__(self, number):
        while number not in self._held:
            try:
                i, frame = next(self._frames)
            except StopIteration:
                raise InputError(
                    f"{self._source}: has fewer frames than when it was planned; run again so that it is planned anew."
                ) from None
            self._held[i] = planes(frame)
            self._held.pop(i - self._keep, None)
        return self._held[number]


def _header(source, rate):
    """The keys of a plan that the file's header tells, and the duration it announces in seconds."""
    if source.is_dir():
        names = list_images(source)
        if not names:
            raise InputError(f"{source}: holds no frames; put images there whose names sort in order of time.")
        index, rate = index_images(source, names), Fraction(str(rate))
        time = {"time_base": str(1 / rate), "rate": str(rate), "start": "0"}
        return {"sha256": index["sha256"], "index": index, "aspect": None} | time, 0
    with open_video(source) as container:
        stream = video_stream(container, source)
        aspect, rate = stream.sample_aspect_ratio, stream.average_rate or stream.guessed_rate or rate
        if container.streams.subtitles:
            log.warning("%s: its subtitles are not kept.", source)
        with open(source, "rb") as file:
            sha256 = hashlib.file_digest(file, "sha256").hexdigest()
        return {
            "sha256": sha256,
            "index": None,
            "time_base": str(stream.time_base),
            "rate": str(rate),
            "start": str(Fraction(container.start_time or 0, av.time_base)),
            "aspect": str(aspect) if aspect else None,
        }, (container.duration or 0) / av.time_base


def _picture(source, frame):
    """The keys of a plan that the first frame tells; warns of what the enlarged video will lack."""
    if frame.interlaced_frame:
        log.warning("%s: is interlaced: lines of two moments are enlarged as one picture; deinterlace it.", source)
    if frame.format.components[0].bits > 8:
        log.warning("%s: has %d bits a sample, the result has 8.", source, frame.format.components[0].bits)
    matrix = frame.side_data.get("DISPLAYMATRIX")
    colour = [frame.colorspace, frame.color_primaries, frame.color_trc]
    if is_rgb(frame.format):
        colour[0] = BT601
    elif colour[0] == UNSPECIFIED:
        # Players guess by the size of the frame; the enlarged one must not make them guess otherwise.
        colour[0] = BT709 if frame.width >= 1280 or frame.height > 576 else BT601
    return {
        "width": frame.width,
        "height": frame.height,
        "matrix": list(struct.unpack("9i", bytes(matrix))) if matrix else None,
        "rotation": frame.rotation,
        "full_range": is_full_range(frame),
        "colour": colour,
    }


def _full_range(y, plan):
    """Luma of the video's range as the network knows it: full range, uint8; below black and above white is lost."""
    if plan["full_range"]:
        return y
    table = np.rint((np.arange(256) - 16) * (255 / 219)).clip(0, 255).astype(np.uint8)
    return table[y]


def _video_range(luma, plan):
    """The network's luma, float in 0..1, in the video's range, uint8."""
    low, span = (0, 255) if plan["full_range"] else (16, 219)
    return np.rint(low + span * np.clip(luma, 0, 1)).astype(np.uint8)


def _enlarge_chroma(plane, shape, scale, enlarged):
    """Chroma plane of a frame whose luma has `shape` -> that of the luma shape `enlarged`, 4:2:0, cubic interpolation.

    Chroma samples lie on the left luma sample of a pair and halfway between two rows, as in MPEG-2 and its successors.
    """
    across, down = round(shape[1] / plane.shape[1]), round(shape[0] / plane.shape[0])
    # The pixel at x of the enlarged frame lies at (x + 0.5) / scale - 0.5 in the small one, and chroma sample i of the
    # enlarged frame at x = 2 i across and 2 i + 0.5 down.
    x = [2 / scale / across, 0, (0.5 / scale - 0.5) / across]
    y = [0, 2 / scale / down, (1 / scale - 0.5 - (down - 1) / 2) / down]
    size = enlarged[1] // 2, enlarged[0] // 2
    flags = cv2.INTER_CUBIC | cv2.WARP_INVERSE_MAP
    return cv2.warpAffine(plane, np.array([x, y]), size, flags=flags, borderMode=cv2.BORDER_REPLICATE)
