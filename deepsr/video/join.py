"""Enlarged parts and what else the source holds, put together into one video, or one zip file of PNG images."""

import heapq
import logging
import zipfile
from contextlib import ExitStack
from pathlib import Path

import av
from av.error import FFmpegError

from deepsr.data.zips import open_zip
from deepsr.errors import InputError
from deepsr.files import atomic, sha256
from deepsr.video.decode import count_frames, open_video, pixel_aspect
from deepsr.video.encode import tell_looks
from deepsr.video.sound import DROP, add_track, copy_extras, track_packets, tracks, treatments

log = logging.getLogger("deepsr")


def join_parts(source, plan, parts, output):
    """Put the enlarged parts (paths, in order) and the tracks of `source` together in the mp4 or mkv file `output`.

    Pictures are copied as they were encoded and get the plan's time stamps. Audio tracks are copied bit by bit or encoded
    as AAC (deepsr.video.sound). Damaged packets, which the file does not take, are left out, and the log says how many.
    Raises InputError if a part lacks frames, and if the file is no longer the one that was planned.
    """
    if plan.images is None and sha256(source) != plan.sha256:
        raise InputError(f"{source}: is another file than when it was planned; run again so that it is planned anew.")
    kind = {".mp4": "mp4", ".mkv": "matroska"}[Path(output).suffix]
    if kind == "matroska" and plan.is_mirrored:
        log.warning("%s: mkv cannot say that a video is to be mirrored; ask for an .mp4 file.", source)
    with atomic(output) as file:
        try:
            _write(source, plan, parts, file, kind)
        except OSError:  # a full disk
            raise
        except FFmpegError as error:
            raise InputError(
                f"{source}: what it holds beside its pictures cannot be put into {kind} ({error}); ask for an mp4 file "
                "instead of an mkv file, or the other way round."
            ) from error
        if plan.aspect and abs((pixel_aspect(file) or 1) / plan.aspect - 1) > 0.01:
            log.warning("%s: mkv of this codec cannot say that pixels are not square; ask for an .mp4 file.", source)
        if (frames := count_frames(file)) != plan.frames:
            raise InputError(f"{output}: {frames} of {plan.frames} frames could be joined; give another copy of {source}.")


def join_pictures(plan, parts, output):
    """Put the PNG images of all parts (zip files, in order) together in the zip file `output`.

    Raises InputError if a part is damaged or lacks images.
    """
    with atomic(output) as file, zipfile.ZipFile(file, "w", zipfile.ZIP_STORED) as target:
        for part, path in enumerate(parts):
            if not (numbers := plan.part(part, len(parts))):
                continue
            with open_zip(path) as archive:
                if len(names := archive.namelist()) != len(numbers):
                    raise InputError(f"{path}: does not hold the {len(numbers)} frames planned; delete it and run again.")
                for name in names:
                    target.writestr(zipfile.ZipInfo(name), archive.read(name))


def _write(source, plan, parts, file, kind):
    with ExitStack() as stack:
        # bitexact: mkv files would hold random numbers otherwise
        options = {"movflags": "+faststart"} if kind == "mp4" else {"fflags": "+bitexact"}
        target = stack.enter_context(av.open(f"file:{file}", "w", format=kind, options=options))
        filled = [path for part, path in enumerate(parts) if plan.part(part, len(parts))]
        first = stack.enter_context(open_video(filled[0])).streams.video[0]
        stream = target.add_stream_from_template(first, opaque=True)  # as packets: AV1's decoder cannot encode
        if kind == "mp4":
            stream.codec_context.codec_tag = first.codec_context.codec_tag
        stream.time_base, stream.codec_context.framerate = plan.time_base, plan.rate
        tell_looks(stream.codec_context, plan)  # not every codec's bitstream holds them
        queues = [_pictures(plan, parts, stream, first.codec_context.extradata)]
        if plan.images is None:
            origin = stack.enter_context(open_video(source))
            copy_extras(origin, target, plan.start)
            for number, (track, treatment) in enumerate(zip(tracks(origin), treatments(origin, kind), strict=True)):
                if treatment != DROP:
                    added = add_track(target, track, treatment)
                    queues.append(track_packets(source, number, treatment, added, plan.start))
        target.start_encoding()
        lost = 0
        # The packets are handed over in order of time, since the muxer holds them back until it has some of every stream. So
        # it may report a packet's error when it takes a later one, which is written nevertheless (seen with E-AC-3 sound).
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
