"""The sound of an enlarged video: copied from the source where mp4 can hold it, otherwise encoded as AAC."""

import io
import logging
from itertools import chain, pairwise, tee

import av
from av.error import FFmpegError

from deepsr.video.decode import open_video, packets
from deepsr.video.times import increasing

COPY, ENCODE, DROP = "copy", "aac", "none"
LAYOUTS = {1: "mono", 2: "stereo", 6: "5.1", 8: "7.1"}  # by the number of channels
log = logging.getLogger("deepsr")


def treatments(container):
    """What becomes of each audio track of a video (av container): a list of COPY, ENCODE and DROP.

    Each is tried out on an empty mp4 file.
    """
    return [next((way for way in (COPY, ENCODE) if _is_possible(track, way)), DROP) for track in container.streams.audio]


def warn_of_losses(container, source):
    """Tell in the log which audio tracks of a video (av container) are not copied."""
    for number, (track, treatment) in enumerate(zip(container.streams.audio, treatments(container), strict=True), 1):
        kind = track.codec_context.name if track.codec_context else "unknown"
        if treatment == ENCODE:
            log.warning("%s: audio of kind %s has no place in mp4 and is encoded as AAC.", source, kind)
        elif treatment == DROP:
            log.warning("%s: audio track %d, of kind %s, cannot be put into mp4 and is left out.", source, number, kind)


def add_track(target, track, treatment):
    """Add a track for an audio track of the source to the mp4 file `target` (av container), and return it."""
    if treatment == COPY:
        added = target.add_stream_from_template(track)
    else:
        codec = _decoder(track)
        added = target.add_stream("aac", rate=min(codec.sample_rate, 48000), layout=codec.layout.name)
    added.metadata.update(track.metadata)
    return added


def track_packets(source, number, treatment, added, start):
    """Yield the packets of audio track `number` of the source for the track `added`, up to the first that cannot be read.

    start: time in the source, in seconds, from which theirs are counted. They have durations, and their time stamps
    increase, whatever the source says.
    """
    with open_video(source) as container:
        track = container.streams.audio[number]
        sound = _in_order(packets(container, track, []), track)
        if treatment == ENCODE:
            sound = _in_order(_encode(sound, track, added, source), added)
        for packet in sound:
            shift = round(start / packet.time_base)
            packet.stream, packet.dts, packet.pts = added, packet.dts - shift, packet.pts - shift
            yield packet


def _is_possible(track, treatment):
    codec = track.codec_context
    if codec is None:
        return False
    try:
        with av.open(io.BytesIO(), "w", format="mp4") as trial:
            # PCM can be written to mp4, but hardly any player takes it from there.
            known = not codec.name.startswith("pcm") and {codec.name, codec.codec.canonical_name} & trial.supported_codecs
            if treatment == COPY and not known:
                return False
            add_track(trial, track, treatment)
            trial.start_encoding()
        return True
    except (FFmpegError, ValueError):
        return False


def _decoder(track):
    """The track's codec context, with a layout where the file tells the number of channels only."""
    codec = track.codec_context
    codec.layout = LAYOUTS.get(codec.channels, codec.layout.name)
    return codec


def _in_order(sound, track):
    """Those packets that hold data, with increasing time stamps and durations."""
    codec = track.codec_context
    sound, twin = tee(packet for packet in sound if packet is not None and packet.size)
    first = next(twin, None)
    if first is None:
        return
    distance = first.duration or max(1, round((codec.frame_size or 1024) / (codec.sample_rate or 48000) / first.time_base))
    stamps = (packet.pts if packet.dts is None else packet.dts for packet in chain([first], twin))
    timed = zip(sound, increasing(stamps, distance), strict=True)
    for (packet, time), (_, following) in pairwise(chain(timed, [(None, None)])):
        distance = distance if following is None else following - time
        packet.pts = packet.dts = time
        packet.duration = packet.duration or distance
        yield packet


def _encode(sound, track, added, source):
    """The packets of the track `added` for those of another codec. What cannot be decoded is left out; the log tells it."""
    _decoder(track)
    lost = 0
    for packet in chain(sound, [None]):  # None empties decoder and encoder
        try:
            frames = [*track.decode(packet), *([None] if packet is None else [])]
            yield from [coded for frame in frames for coded in added.encode(frame)]
        except (FFmpegError, ValueError):
            lost += 1
    if lost:
        log.warning("%s: %d damaged packets of its sound are left out.", source, lost)
