"""Interlaced video: a frame holds two fields, the lines of two moments. Here it becomes pictures of one moment each."""

import logging
from itertools import islice

import av
from av.error import FFmpegError

from deepsr.errors import InputError

# The values of `videos: deinterlace`, and the arguments of libavfilter's bwdif that they stand for. On the demo's three
# videos, 50 progressive frames a second interlaced to 25, bwdif's pictures have 1.4 to 4.6 dB more than yadif's.
WAYS = {
    "auto": "mode=send_frame:deint=interlaced",
    "frames": "mode=send_frame:deint=all",
    "fields": "mode=send_field:deint=all",
    "off": None,
}
LOOK = 200  # frames that are looked at to find wrong flags
log = logging.getLogger("deepsr")


def deinterlaced(frames, arguments, source):
    """Yield the frames (av.VideoFrame) of a video, deinterlaced. Time stamps of those that bwdif made are in half units.

    arguments: of bwdif, from `bwdif_arguments`. With deint=interlaced, frames are left as they are up to the first one that
    says that it is interlaced, so a progressive video does not change. Raises InputError for frames that are too small.
    """
    graph, kind = None, None
    for frame in frames:
        if graph and kind != (frame.width, frame.height, frame.format.name):
            yield from _pulled(graph, None)
            graph = None
        if graph is None and (frame.interlaced_frame or "deint=all" in arguments):
            graph, kind = _graph(frame, f"bwdif={arguments}", source), (frame.width, frame.height, frame.format.name)
        if graph is None:
            yield frame
        else:
            yield from _pulled(graph, frame)
    if graph:
        yield from _pulled(graph, None)


def bwdif_arguments(frames, way, source):
    """Arguments of bwdif for a video whose first frames are given, or None if it is not to be deinterlaced.

    way: a key of WAYS. Which field comes first is taken from the pictures (libavfilter's idet) if they show it, since files
    name the wrong one at times. The log warns if the pictures contradict the flags of the frames.
    """
    flagged, seen, facts, graph = 0, 0, {}, None
    for frame in islice(frames, LOOK):
        if graph is None:
            graph, kind = _graph(frame, "idet", source), (frame.width, frame.height, frame.format.name)
        if kind != (frame.width, frame.height, frame.format.name):
            break
        flagged, seen = flagged + frame.interlaced_frame, seen + 1
        for looked in _pulled(graph, frame):
            facts = looked.metadata
    top, bottom, whole = (float(facts.get(f"lavfi.idet.multiple.{name}", 0)) for name in ("tff", "bff", "progressive"))
    if top + bottom > max(8, whole) and flagged == 0 and way in ("auto", "off"):
        log.warning(
            "%s: looks interlaced, although it does not say so; set `videos: deinterlace: frames`, or fields.", source
        )
    if whole > 8 and whole > 9 * (top + bottom) and 2 * flagged > seen and way != "off":
        log.warning(
            "%s: claims to be interlaced, but looks progressive; `videos: deinterlace: off` keeps its full sharpness.",
            source,
        )
    order = "tff" if top > max(8, 4 * bottom) else "bff" if bottom > max(8, 4 * top) else "auto"
    return WAYS[way] and f"{WAYS[way]}:parity={order}"


def pictures_per_frame(arguments):
    """The number of pictures that bwdif makes of a frame."""
    return 2 if arguments and "send_field" in arguments else 1


def _graph(frame, description, source):
    """A libavfilter graph of one filter, which is described as `name` or `name=arguments`, for frames like this one."""
    graph = av.filter.Graph()
    nodes = [
        graph.add_buffer(
            width=frame.width, height=frame.height, format=frame.format, time_base=frame.time_base or av.time_base
        ),
        graph.add(*description.split("=", 1)),
        graph.add("buffersink"),
    ]
    try:
        graph.link_nodes(*nodes).configure()
    except FFmpegError as error:
        raise InputError(
            f"{source}: {frame.width}x{frame.height} is too small to deinterlace; set `videos: deinterlace: off`."
        ) from error
    return graph


def _pulled(graph, frame):
    """Hand a frame to a graph, or None after the last one, and yield the frames that come out."""
    graph.push(frame)
    while True:
        try:
            yield graph.pull()
        except (BlockingIOError, EOFError):
            return
