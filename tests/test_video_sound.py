import shutil
import subprocess
from dataclasses import replace

import av
import numpy as np
import pytest
from videos import enlarge, first_times, probe, scene, sound, times, write

from deepsr.errors import InputError
from deepsr.video.join import join_parts


@pytest.mark.parametrize(
    "name, tracks, copied",
    [
        ("in.mp4", [], []),
        ("in.mkv", ["aac", "flac", "ac3"], [True, True, True]),
        ("in.mkv", ["libopus", "libmp3lame"], [True, True]),
        ("in.ts", ["mp2", "mp2"], [True, True]),
        ("in.avi", ["pcm_s16le"], [False]),
        ("in.avi", ["pcm_u8"], [False]),
        ("in.avi", ["pcm_u8", "ac3"], [False, True]),
    ],
)
def test_every_audio_track_is_copied_or_encoded_as_aac(tmp_path, caplog, name, tracks, copied):
    source = write(tmp_path / name, scene(25), audio=tracks)
    _, enlarged = enlarge(source, tmp_path)
    before, after = sound(source), sound(enlarged)
    assert [a == b for a, b in zip(before, after, strict=True)] == copied
    assert caplog.text.count("encoded as AAC") == copied.count(False)
    with av.open(str(enlarged)) as container:
        for track in container.streams.audio:
            assert float(track.duration * track.time_base) == pytest.approx(1, abs=0.1)


@pytest.mark.parametrize(
    "rate, channels, kept", [(11024, 1, 11025), (22254, 2, 24000), (96000, 2, 48000), (48000, 4, 48000)]
)
def test_sound_that_aac_cannot_hold_as_it_is_becomes_what_it_can(tmp_path, rate, channels, kept):
    """Old cameras and computers have odd sample rates; recordings of four channels are quadrophonic."""
    source = tmp_path / "in.mov"
    layout = {1: "mono", 2: "stereo", 4: "quad"}[channels]
    tone = f"sine=f=440:d=1:r={rate},aformat=channel_layouts={layout}"
    command = ["ffmpeg", "-v", "error", "-f", "lavfi", "-i", "testsrc2=d=1:s=64x48:r=25", "-f", "lavfi", "-i", tone]
    subprocess.run([*command, "-c:v", "mjpeg", "-c:a", "pcm_s16be", source], check=True)
    _, enlarged = enlarge(source, tmp_path)
    with av.open(str(enlarged)) as container:
        track = container.streams.audio[0]
        codec = track.codec_context
        assert (codec.name, codec.sample_rate, codec.channels) == ("aac", kept, channels)
        assert float(track.duration * track.time_base) == pytest.approx(1, abs=0.1)
        heard = np.concatenate([frame.to_ndarray()[0] for frame in container.decode(track)])
    spectrum = np.abs(np.fft.rfft(heard))
    assert spectrum.argmax() * kept / len(heard) == pytest.approx(440, abs=2)


def test_vorbis_becomes_aac_in_mp4_and_is_copied_to_mkv(tmp_path):
    source = tmp_path / "in.mkv"
    command = ["ffmpeg", "-v", "error", "-f", "lavfi", "-i", "testsrc2=d=1:s=64x48:r=25", "-f", "lavfi", "-i", "sine=d=1"]
    subprocess.run([*command, "-c:v", "libx264", "-c:a", "libvorbis", source], check=True)
    for ending, kind in (("mp4", "aac"), ("mkv", "vorbis")):
        with av.open(str(enlarge(source, tmp_path, ending=ending)[1])) as container:
            assert container.streams.audio[0].codec_context.codec.canonical_name == kind


def test_sound_longer_than_the_pictures_is_no_damage(tmp_path, caplog):
    command = ["ffmpeg", "-v", "error", "-f", "lavfi", "-i", "testsrc2=d=1:s=64x48:r=25", "-f", "lavfi", "-i", "sine=d=4"]
    for ending in ("avi", "mkv", "mp4"):
        source = tmp_path / f"in.{ending}"
        subprocess.run([*command, "-c:v", "mpeg4", "-c:a", "libmp3lame", source], check=True)
        assert enlarge(source, tmp_path)[0].frames == 25
    assert caplog.text == ""


def test_transport_stream_with_aac_keeps_its_sound(tmp_path):
    # Here each packet carries its own header (ADTS), which mp4 keeps once for all of them.
    source = write(tmp_path / "in.ts", scene(12), audio=["aac"])
    _, enlarged = enlarge(source, tmp_path)
    before, after = sound(source)[0], sound(enlarged)[0]
    assert [packet[-len(kept) :] for packet, kept in zip(before, after, strict=True)] == after
    assert np.diff(times(enlarged)) == pytest.approx(1 / 25, abs=1e-3)


def test_sound_and_pictures_stay_together(tmp_path):
    """A file that starts late, as broadcasts do, starts at 0 with the same lag between the two."""
    source = write(tmp_path / "in.ts", scene(12), audio=["mp2"], pts=[i + 100 for i in range(12)])
    _, enlarged = enlarge(source, tmp_path)

    def lag(path):
        with av.open(str(path)) as container:
            first = {packet.stream.type: packet for packet in reversed([p for p in container.demux() if p.size])}
        return float(first["video"].pts * first["video"].time_base - first["audio"].pts * first["audio"].time_base)

    assert times(source)[0] > 1
    assert lag(enlarged) == pytest.approx(lag(source), abs=1e-3)


def remux(source, target, change):
    """Copy a video file packet by packet after `change(packet, number)`, a number for each packet of a kind."""
    with av.open(str(source)) as old, av.open(str(target), "w") as new:
        streams = {stream: new.add_stream_from_template(stream) for stream in old.streams}
        numbers = dict.fromkeys(old.streams, 0)
        for packet in old.demux():
            if packet.size:
                change(packet, numbers[packet.stream])
                numbers[packet.stream] += 1
                packet.stream = streams[packet.stream]
                new.mux(packet)
    return target


@pytest.mark.parametrize("name", ["in.ts", "in.mkv"])
def test_one_bad_time_stamp_moves_nothing(tmp_path, caplog, name):
    """A file that starts at 10 s, with one time stamp twice."""

    def late(packet, number):
        packet.dts += round(10 / packet.time_base)
        packet.pts = packet.dts
        if packet.stream.type == "video":  # later than dts, so that a duplicate may be written
            packet.pts = packet.dts + round((0.08 if number != 7 else 0.04) / packet.time_base)

    source = remux(write(tmp_path / name, scene(25), audio=["mp2"]), tmp_path / f"late_{name}", late)
    assert times(source)[7] == times(source)[6] > 10
    _, enlarged = enlarge(source, tmp_path)
    assert "1 time stamps of its frames are missing or out of order" in caplog.text
    assert "truncated" not in caplog.text
    before, after = first_times(source), first_times(enlarged)
    assert after["video"] - after["audio"] == pytest.approx(before["video"] - before["audio"], abs=2e-3)
    assert np.diff(times(enlarged)) == pytest.approx(1 / 25, abs=1e-3)
    assert abs(after["audio"]) < 0.03


@pytest.mark.parametrize("audio", [["mp2"], ["aac", "ac3"]])
def test_two_recordings_in_one_file(tmp_path, audio):
    once = write(tmp_path / "a.ts", scene(50), audio=audio)
    twice = tmp_path / "c.ts"
    twice.write_bytes(once.read_bytes() * 2)
    plan, enlarged = enlarge(twice, tmp_path)
    assert plan.frames == 100
    assert times(enlarged)[-1] == pytest.approx(99 / 25, abs=0.1)
    for before, after in zip(sound(twice), sound(enlarged), strict=True):
        assert len(after) == len(before)
    with av.open(str(enlarged)) as container:
        for track in container.streams.audio:
            assert float(track.duration * track.time_base) == pytest.approx(4, abs=0.15)


@pytest.mark.parametrize("name, codec", [("in.mkv", "alac"), ("in.nut", "flac"), ("in.mkv", "flac"), ("in.nut", "mp2")])
def test_the_last_sound_is_kept_where_packets_have_no_duration(tmp_path, name, codec):
    source = write(tmp_path / name, scene(25), audio=[codec])
    _, enlarged = enlarge(source, tmp_path)
    assert sound(enlarged) == sound(source) != []


def test_damaged_sound_between_pictures_costs_itself_only(tmp_path, caplog):
    """The muxer notices what is wrong with E-AC-3 when it is handed the next picture."""
    source = write(tmp_path / "in.mkv", scene(50), audio=["eac3"])
    data = source.read_bytes()
    for packet in sound(source)[0][5:40:7]:
        data = data.replace(packet, b"\xff" * 8 + packet[8:])
    source.write_bytes(data)
    _, enlarged = enlarge(source, tmp_path)
    assert "5 damaged packets of its sound are left out" in caplog.text
    assert probe(enlarged, "nb_read_frames") == ["50"]
    assert len(sound(enlarged)[0]) == len(sound(source)[0]) - 5


def test_sound_of_unknown_kind_is_left_out(tmp_path, caplog):
    source = write(tmp_path / "in.avi", scene(5), "mpeg4", audio=["libmp3lame", "ac3"])
    data = source.read_bytes()
    kind = data.index(b"\x55\x00", data.index(b"auds"))  # the WAVE format tag of MP3
    source.write_bytes(data[:kind] + b"\xee\xee" + data[kind + 2 :])
    _, enlarged = enlarge(source, tmp_path)
    assert "audio track 1, of kind unknown, cannot be put into mp4 and is left out" in caplog.text
    assert sound(enlarged) == sound(source)[1:]


def test_metadata_are_kept(tmp_path):
    source = write(tmp_path / "in.mkv", scene(3))
    titled = tmp_path / "titled.mkv"
    with av.open(str(source)) as old, av.open(str(titled), "w") as new:
        new.metadata["title"] = "Holiday"
        stream = new.add_stream_from_template(old.streams.video[0])
        for packet in old.demux(video=0):
            if packet.size:
                packet.stream = stream
                new.mux(packet)
    _, enlarged = enlarge(titled, tmp_path)
    with av.open(str(enlarged)) as container:
        assert container.metadata["title"] == "Holiday"


def test_parts_of_other_settings_are_refused(tmp_path):
    source = write(tmp_path / "in.mp4", scene(9))
    plan, _ = enlarge(source, tmp_path)
    parts = [tmp_path / f"part{i}.mp4" for i in range(3)]
    enlarge(source, tmp_path, crf=30)
    other = parts[1].read_bytes()
    enlarge(source, tmp_path, crf=0)
    parts[1].write_bytes(other)
    with pytest.raises(InputError, match="part1.mp4: .*made with other settings"):
        join_parts(source, plan, parts, tmp_path / "x.mp4")


def test_a_source_that_was_replaced_while_it_was_enlarged_is_noticed(tmp_path):
    source = write(tmp_path / "in.mp4", scene(9))
    plan, _ = enlarge(source, tmp_path)
    write(source, scene(9, seed=1))
    with pytest.raises(InputError, match="in.mp4: is another file than when it was planned; run again"):
        join_parts(source, plan, [tmp_path / f"part{i}.mp4" for i in range(3)], tmp_path / "x.mp4")
    assert not (tmp_path / "x.mp4").exists()


def test_damaged_part_is_refused(tmp_path):
    source = write(tmp_path / "in.mp4", scene(9))
    plan, _ = enlarge(source, tmp_path)
    parts = [tmp_path / f"part{i}.mp4" for i in range(3)]
    shutil.copy(parts[1], parts[2])
    join_parts(source, plan, parts, tmp_path / "same.mp4")
    with pytest.raises(InputError, match="part0.mp4: does not hold the 4 frames"):
        join_parts(source, replace(plan, pts=tuple(range(10))), parts[:2] + parts[:1], tmp_path / "x.mp4")
    parts[1].write_bytes(parts[1].read_bytes()[:300])
    with pytest.raises(InputError, match="part1.mp4"):
        join_parts(source, plan, parts, tmp_path / "x.mp4")
    parts[1].write_bytes(b"")
    with pytest.raises(InputError, match="part1.mp4"):
        join_parts(source, plan, parts, tmp_path / "x.mp4")
    assert not (tmp_path / "x.mp4").exists()


def test_pictures_that_cannot_be_joined_are_noticed(tmp_path):
    """Were the muxer to refuse pictures, the result would lack them."""
    source = write(tmp_path / "in.mp4", scene(9))
    plan, _ = enlarge(source, tmp_path, parts=1)
    wrong = replace(plan, pts=(*plan.pts[:5], plan.pts[2], *plan.pts[6:]))
    with pytest.raises(InputError, match="x.mp4: 8 of 9 frames could be joined"):
        join_parts(source, wrong, [tmp_path / "part0.mp4"], tmp_path / "x.mp4")
    assert not (tmp_path / "x.mp4").exists()
