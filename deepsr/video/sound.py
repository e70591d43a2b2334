"""What an enlarged video holds beside its pictures: sound, subtitles, chapters and attachments of the source.

They are copied where the file can hold them; other sound is encoded as AAC.
"""

import io
import logging
from itertools import chain, pairwise, tee

import av
from av.error import FFmpegError

from deepsr.video.decode import open_video, packets
from deepsr.video.times import increasing

COPY, ENCODE, DROP = "copy", "aac", "none"
LAYOUTS = {1: "mono", 2: "stereo", 6: "5.1", 8: "7.1"}  # by the number of channels
# What AAC can hold: samples a second, and layouts by the number of channels.
AAC_RATES = (8000, 11025, 12000, 16000, 22050, 24000, 32000, 44100, 48000)
AAC_LAYOUTS = LAYOUTS | {3: "3.0", 4: "4.0", 5: "5.0"}
MP4_KEYS = {"major_brand", "minor_version", "compatible_brands"}  # what an mp4 file says of itself
log = logging.getLogger("deepsr")


def treatments(container, kind):
    """What becomes of each of the `tracks` of a video (av container): a list of COPY, ENCODE and DROP.

    kind: of the file that is written, mp4 or matroska. Each is tried out on an empty file of this kind.
    """
    ways = {"audio": (COPY, ENCODE), "subtitle": (COPY,)}
    return [next((way for way in ways[track.type] if _is_possible(track, way, kind)), DROP) for track in tracks(container)]


def tracks(container):
    """The audio tracks of a video (av container), then its subtitle tracks."""
    return [*container.streams.audio, *container.streams.subtitles]


def warn_of_losses(container, source):
    """Warn of sound, subtitles and attachments of a video (av container) that mp4 or mkv cannot hold, and tell which can."""
    kinds = treatments(container, "mp4"), treatments(container, "matroska")
    for track, in_mp4, in_mkv in zip(tracks(container), *kinds, strict=True):
        codec = track.codec_context.name if track.codec_context else "unknown"
        hint = "; ask for an .mkv file, which keeps it" if in_mkv == COPY else ""
        if in_mp4 == ENCODE:
            log.warning("%s: audio of kind %s has no place in mp4 and is encoded as AAC%s.", source, codec, hint)
        elif in_mp4 == DROP:
            log.warning(
                "%s: %s track %d, of kind %s, cannot be put into mp4 and is left out%s.",
                *(source, track.type, track.index, codec, hint),
            )
        elif in_mkv == DROP:
            log.warning(
                "%s: %s track %d, of kind %s, cannot be put into mkv; ask for an .mp4 file, which keeps it.",
                *(source, track.type, track.index, codec),
            )
    if container.streams.attachments:
        log.warning("%s: its attachments have no place in mp4; ask for an .mkv file, which keeps them.", source)


def add_track(target, track, treatment):
    """Add a track to the file `target` (av container) for a track of the source, and return it."""
    if treatment == COPY:
        added = target.add_stream_from_template(track)
    else:
        codec = _decoder(track)
        rate = next((rate for rate in AAC_RATES if rate >= codec.sample_rate), AAC_RATES[-1])
        added = target.add_stream("aac", rate=rate, layout=AAC_LAYOUTS.get(codec.channels, "stereo"))
    added.metadata.update(track.metadata)
    added.disposition = track.disposition
    return added


def track_packets(source, number, treatment, added, start):
    """Yield the packets of track `number` of the source for the track `added`, up to the first that cannot be read.

    start: the time in the source, in seconds, that becomes 0. Packets of sound get increasing time stamps and durations,
    even if the source has none; subtitles without a time stamp are left out.
    """
    with open_video(source) as container:
        track = tracks(container)[number]
        found = packets(container, track, [])
        if track.type == "subtitle":
            found = (packet for packet in found if packet is not None and packet.size and packet.pts is not None)
        else:
            found = _in_order(found, track)
            if treatment == ENCODE:
                found = _in_order(_encode(found, track, added, source), added)
        for packet in found:
            shift = round(start / packet.time_base)
            packet.stream, packet.pts = added, packet.pts - shift
            packet.dts = packet.pts
            yield packet


def copy_extras(origin, target, start):
    """Copy metadata, chapters and attachments of a video to the file `target` (av containers), which may leave them out.

    start: see `track_packets`.
    """
    target.metadata.update({key: text for key, text in origin.metadata.items() if key.lower() not in MP4_KEYS})
    shifted = []
    for chapter in origin.chapters():
        shift = round(start / chapter["time_base"])
        begin, end = max(0, chapter["start"] - shift), chapter["end"] - shift  # mkv takes no time before 0
        if begin < end:
            shifted.append(chapter | {"start": begin, "end": end})
    target.set_chapters(shifted)
    if target.format.name == "matroska":
        for attachment in origin.streams.attachments:
            target.add_attachment(attachment.name, attachment.mimetype, attachment.data)


def _is_possible(track, treatment, kind):
    codec = track.codec_context
    if codec is None:
        return False
    try:
        with av.open(io.BytesIO(), "w", format=kind) as trial:
            # PCM and Vorbis can be written to mp4, but hardly any player takes them from there.
            unplayable = kind == "mp4" and codec.name.startswith(("pcm", "vorbis"))
            known = not unplayable and {codec.name, codec.codec.canonical_name} & trial.supported_codecs
            if treatment == COPY and not known:
                return False
            add_track(trial, track, treatment)
            trial.start_encoding()
        return True
    except (FFmpegError, ValueError):
        return False


def _decoder(track):
    """The track's codec context. If the file tells only the number of channels, it gets the usual layout for it."""
    codec = track.codec_context
    codec.layout = LAYOUTS.get(codec.channels, codec.layout.name)
    return codec


def _in_order(sound, track):
    """The packets that hold data, with increasing time stamps and with durations."""
    codec = track.codec_context
    # The packets twice: the second time for their time stamps, which are put in order before the packets are yielded.
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
    """Encode packets of another codec for the track `added`. The log says how many of them cannot be decoded."""
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
