"""Enlarged parts into one video with its sound, and a comparison with bicubic enlargement."""

import heapq
import logging
from contextlib import ExitStack
from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np
from av.error import FFmpegError

from deepsr.data.degradation import upscale
from deepsr.errors import InputError
from deepsr.files import atomic
from deepsr.progress import progress
from deepsr.video.stream import decode, enlarged_size, open_video, packets, part_range, planes, writer

LAYOUTS = {1: "mono", 2: "stereo", 6: "5.1", 8: "7.1"}  # by the number of channels
log = logging.getLogger("deepsr")


def join_parts(source, plan, parts, output):
    """Put the enlarged parts (paths, in order) and the sound of `source` together in the mp4 file `output`.

    Pictures are copied as they were encoded and get the time stamps of the source. Every audio track whose format mp4
    can hold is copied bit by bit; others are encoded as AAC, and the log says so. Raises InputError if a part lacks
    frames.
    """
    filled = [path for part, path in enumerate(parts) if part_range(plan, part, len(parts))]
    with ExitStack() as stack:
        file = stack.enter_context(atomic(output))
        target = stack.enter_context(av.open(f"file:{file}", "w", format="mp4", options={"movflags": "+faststart"}))
        first = stack.enter_context(open_video(filled[0])).streams.video[0]
        stream = target.add_stream_from_template(first)
        stream.time_base = Fraction(plan["time_base"])
        packets = [_pictures(plan, parts, stream, first.codec_context.extradata)]
        if plan["index"] is None:
            origin = stack.enter_context(open_video(source))
            target.metadata.update(origin.metadata)
            if tracks := _sound(origin, target, source):
                packets.append(_sound_packets(origin, tracks, Fraction(plan["start"])))
        # In order of time, as the muxer holds packets back until it has some of every stream.
        for packet in heapq.merge(*packets, key=lambda packet: float(packet.dts * packet.time_base)):
            target.mux(packet)


def compare_video(source, plan, enlarged, output, *, scale, degradation, crf=18, preset="medium"):
    """Write the mp4 file `output`: bicubic on the left, the enlarged video on the right of a line moving to and fro.

    enlarged: path of what `join_parts` made of source and plan. Without sound; a rotated video is shown upright.
    degradation: whose matching bicubic enlargement is shown (see deepsr.data.degradation.upscale).
    """
    turns = round(plan["rotation"] / 90) % 4
    width, height = enlarged_size(source, plan["width"], plan["height"], scale)
    if turns % 2:
        width, height = height, width
        plan = {**plan, "aspect": plan["aspect"] and str(1 / Fraction(plan["aspect"]))}
    originals, seconds = decode(source, plan["index"], 0, []), Fraction(plan["time_base"])
    pairs = zip(originals, decode(enlarged, None, 0, []), strict=True)
    with atomic(output) as file, writer(file, plan, width, height, None, scale, crf, preset) as write:
        for i, (small, large) in enumerate(progress(pairs, plan["frames"], f"compare {Path(source).name}", "frame")):
            bicubic = upscale(planes(small)[0], scale, degradation)[: large.height, : large.width]
            bicubic, y, u, v = (np.rot90(plane, turns) for plane in (bicubic, *planes(large)))
            time = float((plan["pts"][i] - plan["pts"][0]) * seconds)
            write(i, _split(bicubic, y, 0.5 + 0.4 * np.sin(2 * np.pi * time / 8)), u, v)


def _pictures(plan, parts, stream, extradata):
    """The packets of all parts with the source's time stamps, counted from the start of the file."""
    time_base = Fraction(plan["time_base"])  # not the stream's, which the muxer changes
    start = round(Fraction(plan["start"]) / time_base)
    ends = [*plan["pts"][1:], plan["pts"][-1] + plan["last_duration"]]
    for part, path in enumerate(parts):
        numbers = part_range(plan, part, len(parts))
        if not numbers:
            continue
        with open_video(path) as container:
            try:
                if container.streams.video[0].codec_context.extradata != extradata:
                    raise ValueError("made with other settings than the first part")
                for i, packet in zip(numbers, filter(_holds_data, container.demux(video=0)), strict=True):
                    packet.stream, packet.time_base = stream, time_base
                    packet.pts = packet.dts = plan["pts"][i] - start
                    packet.duration = ends[i] - plan["pts"][i]
                    yield packet
            except ValueError as error:  # FFmpeg's errors of damaged data are of this kind, too
                raise InputError(
                    f"{path}: does not hold the {len(numbers)} frames planned ({error}); delete it and run again."
                ) from error


def _sound(origin, target, source):
    """Add the audio tracks of `origin` to `target`: a dict from the number of a stream to its new track."""
    tracks = {}
    for track in origin.streams.audio:
        codec = track.codec_context
        # PCM can be written to mp4, but hardly any player takes it from there.
        if not codec.name.startswith("pcm") and {codec.name, codec.codec.canonical_name} & target.supported_codecs:
            tracks[track.index] = target.add_stream_from_template(track)
        else:
            log.warning("%s: audio of kind %s has no place in mp4 and is encoded as AAC.", source, codec.name)
            codec.layout = LAYOUTS.get(codec.channels, codec.layout.name)  # some files only tell the number
            rate = min(codec.sample_rate, 48000)
            tracks[track.index] = target.add_stream("aac", rate=rate, layout=codec.layout.name)
        tracks[track.index].metadata.update(track.metadata)
    return tracks


def _sound_packets(origin, tracks, start):
    """The audio packets for the new tracks, counted from `start` (seconds), up to the first that cannot be read."""
    for packet in packets(origin, origin.streams.audio, []):
        if packet is None:
            break
        track = tracks[packet.stream.index]
        copied = track.codec_context.name == packet.stream.codec_context.name
        for sound in [packet] if copied else _encode_sound(packet, track):
            if _holds_data(sound):
                shift = round(start / sound.time_base)
                sound.stream, sound.dts = track, sound.dts - shift
                sound.pts = sound.dts if sound.pts is None else sound.pts - shift
                yield sound


def _encode_sound(packet, track):
    """Packets of a new track; an empty packet ends it. What cannot be decoded is left out."""
    try:
        frames = packet.decode()
    except FFmpegError:
        frames = []
    for frame in frames:
        yield from track.encode(frame)
    if not _holds_data(packet):
        yield from track.encode(None)


def _holds_data(packet):
    return packet.size > 0


def _split(left, right, share):
    """`left` up to `share` of the width, then `right`: uint8 luma (H, W) with their names and a thin line between."""
    height, width = right.shape
    line = round(share * width)
    halves = []
    for picture, name, corner in ((left, "bicubic", 0), (right, "DeepSR", 1)):
        picture = np.ascontiguousarray(picture)
        size, thickness = height / 900, max(1, height // 600)
        (across, down), _ = cv2.getTextSize(name, cv2.FONT_HERSHEY_SIMPLEX, size, thickness)
        place = (width - across - down if corner else down, height - down)
        for grey, stroke in ((16, thickness + 2), (235, thickness)):
            cv2.putText(picture, name, place, cv2.FONT_HERSHEY_SIMPLEX, size, grey, stroke, cv2.LINE_AA)
        halves.append(picture)
    joined = np.hstack([halves[0][:, :line], halves[1][:, line:]])
    joined[:, line - 1 : line + 1] = 235
    return joined
