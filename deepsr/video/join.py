"""Enlarged parts and the sound of the source, put together into one video."""

import heapq
import logging
from contextlib import ExitStack

import av
from av.error import FFmpegError

from deepsr.errors import InputError
from deepsr.files import atomic
from deepsr.video.decode import count_frames, open_video
from deepsr.video.sound import DROP, add_track, track_packets, treatments

log = logging.getLogger("deepsr")


def join_parts(source, plan, parts, output):
    """Put the enlarged parts (paths, in order) and the sound of `source` together in the mp4 file `output`.

    Pictures are copied as they were encoded and get the plan's time stamps. Audio tracks are copied bit by bit or encoded
    as AAC (deepsr.video.sound); what of them mp4 does not take, damaged packets, is left out, and the log says how much.
    Raises InputError if a part lacks frames.
    """
    with atomic(output) as file:
        _write(source, plan, parts, file)
        if (frames := count_frames(file)) != plan.frames:
            raise InputError(f"{output}: {frames} of {plan.frames} frames could be joined; give another copy of {source}.")


def _write(source, plan, parts, file):
    with ExitStack() as stack:
        target = stack.enter_context(av.open(f"file:{file}", "w", format="mp4", options={"movflags": "+faststart"}))
        filled = [path for part, path in enumerate(parts) if plan.part(part, len(parts))]
        first = stack.enter_context(open_video(filled[0])).streams.video[0]
        stream = target.add_stream_from_template(first)
        stream.time_base = plan.time_base
        queues = [_pictures(plan, parts, stream, first.codec_context.extradata)]
        if plan.images is None:
            origin = stack.enter_context(open_video(source))
            target.metadata.update(origin.metadata)
            for number, (track, treatment) in enumerate(zip(origin.streams.audio, treatments(origin), strict=True)):
                if treatment != DROP:
                    added = add_track(target, track, treatment)
                    queues.append(track_packets(source, number, treatment, added, plan.start))
        lost = 0
        # In order of time, as the muxer holds packets back until it has some of every stream. So an error may be told when
        # a later packet is handed over, which is written nevertheless: E-AC-3 between pictures shows it.
        for packet in heapq.merge(*queues, key=lambda packet: packet.dts * packet.time_base):
            try:
                target.mux(packet)
            except OSError:  # a full disk
                raise
            except FFmpegError:
                lost += 1
        if lost:
            log.warning("%s: %d damaged packets of its sound are left out.", source, lost)


def _pictures(plan, parts, stream, extradata):
    """The packets of all parts with the plan's time stamps, counted from the start of the file."""
    start = round(plan.start / plan.time_base)
    ends = [*plan.pts[1:], plan.pts[-1] + plan.last_duration]
    for part, path in enumerate(parts):
        numbers = plan.part(part, len(parts))
        if not numbers:
            continue
        with open_video(path) as container:
            try:
                if container.streams.video[0].codec_context.extradata != extradata:
                    raise ValueError("made with other settings than the first part")
                held = (packet for packet in container.demux(video=0) if packet.size)
                for number, packet in zip(numbers, held, strict=True):
                    packet.stream, packet.time_base = stream, plan.time_base  # not the stream's, which the muxer changes
                    packet.pts = packet.dts = plan.pts[number] - start
                    packet.duration = ends[number] - plan.pts[number]
                    yield packet
            except (FFmpegError, ValueError) as error:
                raise InputError(
                    f"{path}: does not hold the {len(numbers)} frames planned ({error}); delete it and run again."
                ) from error
