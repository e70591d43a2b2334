"""Making the plan of a video: its frames, time stamps, cuts and looks."""

import logging
import re
import struct
from fractions import Fraction
from itertools import pairwise
from pathlib import Path

import av
import cv2
import numpy as np

from deepsr.data.frames import index_images, list_images
from deepsr.errors import InputError
from deepsr.files import sha256
from deepsr.progress import progress
from deepsr.video.decode import is_full_range, is_rgb, open_video, planes, read_frames, video_stream
from deepsr.video.fields import bwdif_arguments, pictures_per_frame
from deepsr.video.plan import Plan, preview_length
from deepsr.video.sound import warn_of_losses
from deepsr.video.times import increasing

RGB, BT709, UNSPECIFIED, BT601 = 0, 1, 2, 6  # code points of the matrix (ITU-T H.273)
log = logging.getLogger("deepsr")


def plan_video(source, rate=25, deinterlace="auto"):
    """The plan of a video, which is decoded once for it.

    source: path of a video file, or of a folder of images, which is shown at `rate` frames a second.
    deinterlace: for a file, a key of deepsr.video.fields.WAYS.
    Raises InputError if nothing in it can be decoded as video, or if the frames change their size. The log warns of damage,
    of wrong interlacing flags, of time stamps that cannot be used, and of what the enlarged video will not keep.
    """
    source = Path(source)
    fields, announced, from_first = _folder(source, rate) if source.is_dir() else _header(source, deinterlace)
    stamps, distances, last, damage = [], [], None, []
    frames = read_frames(source, fields["images"], fields["deinterlace"], 0, damage)
    for frame in progress(frames, desc=f"read {source.name}", unit="frame"):
        if not stamps:
            fields |= _looks(source, frame)
        if frame.time_base:
            fields["time_base"] = min(fields["time_base"], frame.time_base)  # half of the file's once it is deinterlaced
        _check_size(source, frame, len(stamps), fields["width"], fields["height"])
        luma = planes(frame, fields["full_range"])[0]
        thumbnail = cv2.resize(luma, (64, 36), interpolation=cv2.INTER_AREA).astype(np.float32)
        distances.append(0.0 if last is None else float(np.abs(thumbnail - last).mean()))
        stamps.append((frame.pts, frame.dts, frame.time_base or fields["time_base"]))
        last, last_duration = thumbnail, frame.duration
    if not stamps:
        raise InputError(f"{source}: holds no frame that can be decoded; it is damaged or truncated, get it again.")
    cuts = find_cuts(distances)
    busiest = find_busiest(distances, cuts, preview_length(fields["rate"]))
    plan = Plan(**fields | _times(source, fields, stamps, last_duration), cuts=cuts, busiest=busiest)
    seconds = float((plan.pts[-1] - plan.pts[0] + plan.last_duration) * plan.time_base)
    late = 0 if from_first else max(0, plan.start, plan.pts[0] * plan.time_base)
    if damage or announced > late + seconds + 1:
        log.warning(
            "%s: truncated or damaged? It announces %.1f s and its video lasts %.1f s, with errors in %d places; "
            "the %d frames that can be decoded are used.",
            *(source, announced, seconds, len(damage), plan.frames),
        )
    return plan


def find_cuts(distances):
    """Numbers (a tuple) of the frames that begin a new shot.

    distances: per frame, the mean absolute difference of its luma (0..255) to that of the frame before, both averaged
    to 64x36 pixels; 0 for the first. A cut stands out from its surroundings: above 10, and above twice the median of
    the 3 distances before and the 3 after it, so that a fast pan is not taken for a cut.
    """
    cuts = []
    for i in range(1, len(distances)):
        around = distances[max(i - 3, 1) : i] + distances[i + 1 : i + 4]
        if distances[i] > 10 and distances[i] > 2 * np.median(around or [0]):
            cuts.append(i)
    return tuple(cuts)


def find_busiest(distances, cuts, length):
    """Number of the first of the `length` frames in a row that move most. Cuts are no motion. distances: see `find_cuts`."""
    motion = np.array(distances)
    motion[list(cuts)] = 0
    return int(np.convolve(motion, np.ones(length), "valid").argmax()) if length < len(motion) else 0


def _folder(source, rate):
    """The fields of a plan that a folder of images tells, as a dict, and 0 for the duration (see `_header`)."""
    names = list_images(source)
    if not names:
        raise InputError(f"{source}: holds no frames; put images there whose names sort in order of time.")
    rate = Fraction(str(rate))
    times = {"time_base": 1 / rate, "start": Fraction(0), "rate": rate}
    looks = {"images": tuple(names), "deinterlace": None, "aspect": None}
    return {"sha256": index_images(source, names)["sha256"]} | looks | times, 0, True


def _header(source, deinterlace):
    """What the header and the first frames of a file tell.

    Returns the fields of a plan, as a dict; the duration in seconds; and whether this is counted from the first picture, or
    from the start of the file, which may be earlier.
    """
    arguments = bwdif_arguments(read_frames(source), deinterlace, source)
    with open_video(source) as container:
        stream = video_stream(container, source)
        warn_of_losses(container, source)
        if stream.metadata.get("alpha_mode") == "1":  # of WebM, beside the pictures
            log.warning("%s: its transparency is not kept.", source)
        # Of a raw DV tape the average is told as 60,000.
        rate = min(filter(None, (stream.average_rate, stream.guessed_rate)), default=Fraction(25))
        if len(container.streams.video) > 1:
            log.warning("%s: holds %d streams of pictures; the best one is enlarged.", source, len(container.streams.video))
        return {
            "sha256": sha256(source),
            "images": None,
            "deinterlace": arguments,
            "time_base": stream.time_base,
            "start": Fraction(container.start_time or 0, av.time_base),
            "rate": rate * pictures_per_frame(arguments),
            "aspect": stream.sample_aspect_ratio or None,
        }, *_duration(container, stream)


def _duration(container, stream):
    """How long the pictures last by what the file says, or else all that it holds, and from where that is counted."""
    if stream.duration:
        return float(stream.duration * stream.time_base), True
    if told := re.fullmatch(r"(\d+):(\d+):(\d+\.\d+)", stream.metadata.get("DURATION", "")):  # Matroska
        hours, minutes, seconds = map(float, told.groups())
        return 3600 * hours + 60 * minutes + seconds, False
    return (container.duration or 0) / av.time_base, False


def _looks(source, frame):
    """The fields of a plan that the first frame tells, as a dict. The log warns of what the enlarged video will lack."""
    bits = frame.format.components[0].bits
    if bits > 10:
        log.warning("%s: has %d bits a sample, the result has 10.", source, bits)
    if any(part.is_alpha for part in frame.format.components) and frame.to_ndarray(format="rgba")[..., 3].min() < 255:
        log.warning("%s: its transparency is not kept.", source)
    if any(frame.side_data.get(kind) for kind in ("MASTERING_DISPLAY_METADATA", "DYNAMIC_HDR_PLUS", "DOVI_METADATA")):
        log.warning("%s: what it says of the display it was mastered on is not kept; its colour tags are.", source)
    matrix = frame.side_data.get("DISPLAYMATRIX")
    colour = [frame.colorspace, frame.color_primaries, frame.color_trc]
    if is_rgb(frame.format) or colour[0] == RGB:
        colour[0] = BT601
    elif colour[0] == UNSPECIFIED:
        # Players guess it from the size of the frame, and would guess otherwise for the enlarged frame.
        colour[0] = BT709 if frame.width >= 1280 or frame.height > 576 else BT601
    return {
        "width": frame.width,
        "height": frame.height,
        "matrix": struct.unpack("9i", bytes(matrix)) if matrix else None,
        "bits": 8 if bits <= 8 else 10,
        "full_range": is_full_range(frame),
        "colour": tuple(colour),
    }


def _check_size(source, frame, number, width, height):
    if (frame.width, frame.height) != (width, height):
        raise InputError(
            f"{source}: changes from {width}x{height} to {frame.width}x{frame.height} at frame {number}; split it there "
            "and enlarge the parts one by one."
        )


def _times(source, fields, stamps, last_duration):
    """When the frames are shown, as a dict of the plan's fields: at their time stamps, where these are usable.

    stamps: (time of presentation, of decoding, unit in seconds) of each frame; the times may be None.
    """
    time_base, rate = fields["time_base"], fields["rate"]
    stamps, decoding, units = zip(*stamps, strict=True)
    # In AVI files with B-frames, times of presentation are out of order, and frames are shown at those of decoding.
    if _disorder(decoding) < _disorder(stamps) > len(stamps) / 10:
        stamps = decoding
    stamps = [None if stamp is None else round(stamp * unit / time_base) for stamp, unit in zip(stamps, units, strict=True)]
    if set(stamps) == {None}:
        log.warning("%s: lacks time stamps; shown at %s frames a second.", source, rate)
        time_base, last_duration = 1 / rate, 1
        stamps = range(round(fields["start"] * rate), round(fields["start"] * rate) + len(stamps))
    step = max(1, round(1 / rate / time_base))
    pts = tuple(increasing(stamps, step))
    if changed := sum(before != after for before, after in zip(stamps, pts, strict=True)):
        log.warning("%s: %d time stamps of its frames are missing or out of order, and are guessed.", source, changed)
    return {"time_base": time_base, "pts": pts, "last_duration": last_duration or step}


def _disorder(stamps):
    """How many of the time stamps are missing or do not come after the one before."""
    return stamps.count(None) + sum(None not in pair and pair[1] <= pair[0] for pair in pairwise(stamps))
