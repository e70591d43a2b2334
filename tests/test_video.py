import json
import logging
import os
import shutil
import subprocess
import sys
from dataclasses import replace
from fractions import Fraction
from functools import partial
from pathlib import Path

import av
import cv2
import numpy as np
import pytest
from chains import chain_file
from PIL import Image

from deepsr.data.degradation import degrade, upscale
from deepsr.data.frames import luma
from deepsr.drafts.ensemble import Drafts
from deepsr.errors import InputError
from deepsr.evaluate.metrics import psnr
from deepsr.networks.inference import Predictor, predict_frame
from deepsr.video.compare import compare_video
from deepsr.video.enlarge import _enlarge_chroma, upscale_image, upscale_part
from deepsr.video.examine import find_cuts, plan_video
from deepsr.video.join import join_parts
from deepsr.video.plan import read_plan, write_plan
from deepsr.video.source import choose_experiment, find_source
from deepsr.video.times import increasing

ROOT = Path(__file__).parent.parent
SINGLE = {"kind": "bicubic"}
SETTING = {"flow": "dis", "alpha": 20, "radius": 2, "trust": 12, "iterations": 1}
MOTION = {"kind": "motion", "settings": [SETTING]}


def scene(n, height=48, width=64, seed=0, step=1):
    """A smooth random picture in colour that moves to the left, `step` pixels a frame: n uint8 (height, width, 3)."""
    rng = np.random.default_rng(seed)
    noise = rng.normal(0, 1, (height, width + n * step, 3)).astype(np.float32)
    fine, coarse = cv2.GaussianBlur(noise, (0, 0), 1.5)[..., :1], cv2.GaussianBlur(noise, (0, 0), 12)
    picture = np.clip(128 + 40 * fine / fine.std() + 20 * coarse / coarse.std(), 20, 235).astype(np.uint8)
    return [np.ascontiguousarray(picture[:, i * step : i * step + width]) for i in range(n)]


def write(path, frames, codec="libx264", pixels="yuv420p", rate=25, pts=None, time_base=None, audio=(), **settings):
    """A video file of BGR frames, lossless where the codec can be, and of tones, a track for each codec in `audio`."""
    options = {"qp": "0"} if codec == "libx264" else {}
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=rate, options=options)
        stream.height, stream.width = frames[0].shape[:2]
        stream.pix_fmt = pixels
        if "rotation" in settings:
            stream.set_display_rotation(settings.pop("rotation"))
        if "matrix" in settings:
            stream.set_display_matrix(settings.pop("matrix"))
        for name, value in settings.items():
            setattr(stream.codec_context, name, value)
        if time_base:
            stream.codec_context.time_base = time_base
        tracks = [container.add_stream(name, rate=48000, layout="stereo") for name in audio]
        for i, bgr in enumerate(frames):
            frame = av.VideoFrame.from_ndarray(bgr, "bgr24").reformat(
                format=pixels, dst_colorspace="ITU601", dst_color_range=settings.get("color_range", 1)
            )
            frame.pts, frame.time_base = (pts or range(len(frames)))[i], time_base or 1 / Fraction(rate)
            container.mux(stream.encode(frame))
        for number, track in enumerate(tracks):
            time = np.arange(int(48000 * len(frames) / rate))
            tone = (8000 * np.sin(time * (0.05 + 0.02 * number))).astype(np.int16)
            sound = av.AudioFrame.from_ndarray(np.repeat(tone, 2)[None], "s16", "stereo")
            sound.sample_rate, sound.pts, sound.time_base = 48000, 0, Fraction(1, 48000)
            container.mux(track.encode(sound))
        for stream in container.streams:
            container.mux(stream.encode(None))
    return path


def bicubic(drafts):
    """A network that hands the enlarged target through."""
    return drafts[-1] / np.float32(255)


def enlarge(source, folder, scale=2, parts=3, drafts=SINGLE, predict=bicubic, crf=0, rate=25):
    """All steps on one video: the plan, by way of JSON, and the path of the enlarged video."""
    write_plan(plan_video(source, rate), folder / "plan.json")
    plan = read_plan(folder / "plan.json")
    settings = {"scale": scale, "degradation": "bicubic", "crf": crf, "preset": "ultrafast"}
    pieces = [folder / f"part{part}.mp4" for part in range(parts)]
    for part, piece in enumerate(pieces):
        upscale_part(source, plan, part, parts, piece, drafts=drafts, predict=predict, **settings)
    join_parts(source, plan, pieces, folder / "enlarged.mp4")
    return plan, folder / "enlarged.mp4"


def decode(path):
    """Planes Y, Cb, Cr of all frames, by PyAV without deepsr."""
    with av.open(str(path)) as container:
        frames = [frame.to_ndarray() for frame in container.decode(video=0)]
        height, width = container.streams.video[0].height, container.streams.video[0].width
    quarter = height * width // 4
    return [
        (
            frame[:height],
            frame.ravel()[4 * quarter : 5 * quarter].reshape(height // 2, -1),
            frame.ravel()[5 * quarter :].reshape(height // 2, -1),
        )
        for frame in frames
    ]


def sound(path):
    """Per audio track, its packets' bytes."""
    with av.open(str(path)) as container:
        tracks = {track.index: [] for track in container.streams.audio}
        for packet in container.demux(container.streams.audio) if tracks else ():
            if packet.size:
                tracks[packet.stream.index].append(bytes(packet))
    return list(tracks.values())


def probe(path, *entries):
    """What ffprobe says of the first video stream, every frame counted."""
    assert shutil.which("ffprobe"), "install ffmpeg: the tests ask ffprobe for a second opinion"
    command = ["ffprobe", "-v", "error", "-select_streams", "v:0", "-count_frames", "-of", "json", "-show_streams"]
    told = json.loads(subprocess.run([*command, str(path)], check=True, capture_output=True).stdout)["streams"][0]
    return [told.get(entry) for entry in entries]


def times(path):
    """Seconds at which the video's frames are shown."""
    with av.open(str(path)) as container:
        return [float(frame.pts * frame.time_base) for frame in container.decode(video=0)]


@pytest.mark.parametrize("parts", [1, 3, 16])
def test_frames_duration_and_sound_are_kept(tmp_path, parts):
    source = write(tmp_path / "in.mp4", scene(12), audio=["aac"])
    _, enlarged = enlarge(source, tmp_path, parts=parts)
    count, width, height, rate, duration = probe(enlarged, "nb_read_frames", "width", "height", "avg_frame_rate", "duration")
    assert (count, width, height, rate) == ("12", 128, 96, "25/1")
    assert float(duration) == pytest.approx(12 / 25, abs=1e-3)
    assert times(enlarged) == pytest.approx(times(source), abs=1e-4)
    assert sound(enlarged) == sound(source) != []


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


def first_times(path):
    """Seconds at which each kind of track starts."""
    with av.open(str(path)) as container:
        packets = [packet for packet in container.demux() if packet.size]
        return {packet.stream.type: float(packet.pts * packet.time_base) for packet in reversed(packets)}


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


@pytest.mark.parametrize(
    "stamps, times",
    [
        ([0, 40, 47, 140, 5000], [0, 40, 47, 140, 5000]),
        ([-40, 0, 40], [-40, 0, 40]),
        ([], []),
        ([None, None, None], [0, 40, 80]),
        ([None, None, 1000, 1040], [920, 960, 1000, 1040]),
        ([1000, None, None, 1120], [1000, 1040, 1080, 1120]),
        ([0, 40, 40, 120], [0, 40, 80, 120]),  # twice
        ([0, 40, 9999, 120, 160], [0, 40, 80, 120, 160]),  # far ahead
        ([0, 80, 40, 120], [0, 20, 40, 120]),  # exchanged
        ([0, 40, 40], [0, 40, 80]),
        ([0, 40, 80, 80, 80, 81, 120], [0, 40, 80, 84, 88, 104, 120]),  # more frames than there is time for
        ([1000, 1040, 0, 40, 80], [1000, 1040, 1080, 1120, 1160]),  # two recordings
        ([1000, 1040, 500, 540, 0, 40], [1000, 1040, 1080, 1120, 1160, 1200]),
        ([1000, 1040, 500, 540, 700], [1000, 1040, 1080, 1120, 1280]),
        ([1000, 1040, 0, 40, 40, 120], [1000, 1040, 1080, 1120, 1160, 1200]),
        ([400, 0, 40], [400, 404, 444]),  # ten steps back
        ([401, 0, 40], [401, 441, 481]),
        ([0, 40, 0, 120], [0, 40, 80, 120]),
        ([1000, 1040, 0, 9999, 80], [1000, 1040, 1080, 1120, 1160]),
        ([0, 40, 90000, 90040], [0, 40, 90000, 90040]),  # a gap
    ],
)
def test_time_stamps_in_order(stamps, times):
    assert list(increasing(stamps, 40)) == times


def test_time_stamps_of_a_coarse_clock():
    assert list(increasing([5, 5, 5, 6, 7, 8, 12], 1)) == [5, 6, 7, 8, 9, 10, 12]


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


@pytest.mark.parametrize(
    "name, codec, audio",
    [
        ("in.ts", "libx264", ["mp2"]),
        ("in.ts", "mpeg2video", ["aac", "ac3"]),
        ("in.mkv", "libx264", ["aac", "eac3"]),
        ("in.avi", "mpeg4", ["libmp3lame", "pcm_s16le"]),
        ("in.nut", "mpeg4", ["flac"]),
        ("in.mp4", "libx264", ["aac"]),
    ],
)
def test_damaged_files_are_enlarged_or_refused(tmp_path, name, codec, audio):
    """Bytes changed, blanked, cut off and doubled at random: never a traceback, and every frame planned is joined."""
    data = write(tmp_path / name, scene(25), codec, audio=audio).read_bytes()
    joined = 0
    for seed in range(6):
        rng = np.random.default_rng(seed)
        damaged = bytearray(data)
        for place in rng.integers(len(data) // 20, len(data), 3 ** (seed % 4)):
            damaged[place] = rng.integers(256)
        blank = rng.integers(len(data))
        damaged[blank : blank + 3000 * (seed % 2)] = bytes(len(damaged[blank : blank + 3000 * (seed % 2)]))
        damaged = damaged * 2 if seed % 3 == 0 else damaged[: round(len(data) * rng.uniform(0.5, 1))]
        (tmp_path / name).write_bytes(damaged)
        try:
            plan_video(tmp_path / name)
        except InputError:
            continue
        plan, enlarged = enlarge(tmp_path / name, tmp_path, parts=2)
        assert probe(enlarged, "nb_read_frames") == [str(plan.frames)]
        joined += 1
    assert joined >= (4 if name != "in.mp4" else 1)  # whose index lies at its end


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
    plan, enlarged = enlarge(source, tmp_path)
    assert plan.sound == ("none", "copy")
    assert "audio track 1, of kind unknown, cannot be put into mp4 and is left out" in caplog.text
    assert sound(enlarged) == sound(source)[1:]


@pytest.mark.parametrize("parts", [1, 4])
def test_variable_frame_rate_is_kept(tmp_path, parts):
    pts = [0, 40, 47, 140, 180, 400, 407, 1000]
    source = write(tmp_path / "in.mkv", scene(8), pts=pts, time_base=Fraction(1, 1000))
    plan, enlarged = enlarge(source, tmp_path, parts=parts)
    assert plan.pts == tuple(pts)
    assert times(enlarged) == pytest.approx([t / 1000 for t in pts], abs=1e-6)


def test_frames_without_time_stamps_get_a_constant_rate(tmp_path, caplog):
    source = write(tmp_path / "in.h264", scene(8))
    _, enlarged = enlarge(source, tmp_path)
    assert times(enlarged) == pytest.approx([i / 25 for i in range(8)], abs=1e-4)


def test_rotation_aspect_colour_and_metadata_are_kept(tmp_path):
    source = write(
        tmp_path / "in.mp4", scene(5), rotation=90, sample_aspect_ratio=Fraction(16, 15), colorspace=1,
        color_primaries=1, color_trc=1, color_range=1,
    )  # fmt: skip
    _, enlarged = enlarge(source, tmp_path)
    entries = "sample_aspect_ratio", "color_space", "color_primaries", "color_transfer", "color_range"
    assert probe(enlarged, *entries) == ["16:15", "bt709", "bt709", "bt709", "tv"]
    for path in (source, enlarged):
        assert probe(path, "side_data_list")[0][0]["rotation"] == 90
    assert probe(enlarged, "pix_fmt") == ["yuv420p"]


def test_players_guess_the_same_colours_after_as_before(tmp_path):
    """A small video without colour tags is taken for BT.601, a large one for BT.709: enlarging must not cross over."""
    source = write(tmp_path / "in.mp4", scene(2, 288, 352))
    assert probe(source, "color_space") == [None]
    _, enlarged = enlarge(source, tmp_path, scale=4)
    assert probe(enlarged, "color_space") == ["smpte170m"]


def test_luma_and_chroma_that_claim_to_be_rgb_are_not_believed(tmp_path):
    source = write(tmp_path / "in.mkv", scene(2), "ffv1", colorspace=0)
    assert probe(source, "color_space", "pix_fmt") == ["gbr", "yuv420p"]
    _, enlarged = enlarge(source, tmp_path)
    assert probe(enlarged, "color_space") == ["smpte170m"]


@pytest.mark.parametrize("scale", [2, 3, 4])
@pytest.mark.parametrize(
    "codec, pixels, size, settings",
    [
        ("libx264", "yuv420p", (48, 64), {}),
        ("libx264", "yuv420p", (48, 64), {"color_range": 2}),
        ("ffv1", "yuv420p", (47, 63), {}),
        ("libx264", "yuv444p", (47, 63), {}),
        ("libx264", "yuv422p", (48, 64), {}),
        ("libx264", "gray", (48, 64), {"color_range": 2}),
        ("ffv1", "gray", (47, 63), {}),
        ("libx264", "yuv420p10le", (48, 64), {}),
        ("ffv1", "gray10le", (48, 64), {}),
        ("ffv1", "bgra", (31, 17), {}),
        ("libx264", "yuv420p", (2, 2), {}),
    ],
)
def test_kinds_of_pictures(tmp_path, caplog, scale, codec, pixels, size, settings):
    """Whatever the samples, the result shows what cubic interpolation of the colours shows."""
    frames = scene(3, *size)
    source = write(tmp_path / "in.mkv", frames, codec, pixels, **settings)
    plan, enlarged = enlarge(source, tmp_path, scale=scale, parts=1)
    height, width = (side * scale // 2 * 2 for side in size)
    assert probe(enlarged, "width", "height", "nb_read_frames") == [width, height, "3"]
    assert ("has 10 bits" in caplog.text) == ("10" in pixels)
    with av.open(str(enlarged)) as container:
        shown = [frame.to_ndarray(format="bgr24") for frame in container.decode(video=0)]
    for before, after in zip(frames, shown, strict=True):
        expected = upscale(before, scale, "bicubic")[:height, :width]
        if "gray" in pixels:
            expected, after = luma(expected), luma(after)
        difference = np.abs(after.astype(int) - expected)
        assert np.median(difference) <= 3, np.median(difference)


@pytest.mark.parametrize(
    "name, codec, pixels",
    [
        ("in.mkv", "libx264rgb", "rgb24"),
        ("in.mov", "png", "rgb24"),
        ("in.apng", "apng", "rgba"),
        ("in.mkv", "ffv1", "bgr0"),
        ("in.gif", "gif", "pal8"),
    ],
)
@pytest.mark.parametrize("color_range", [0, 1, 2])
def test_rgb_keeps_its_contrast(tmp_path, name, codec, pixels, color_range):
    """Whatever range the file claims: black and white are that for the network, and in the result."""
    frame = np.repeat(np.linspace(0, 255, 64).round().astype(np.uint8), 3).reshape(1, 64, 3).repeat(48, axis=0)
    source = write(tmp_path / name, [frame] * 2, codec, pixels if codec != "gif" else "gray", color_range=color_range)
    seen = []

    def predict(drafts):
        seen.extend([drafts[-1].min(), 255 - drafts[-1].max()])
        return bicubic(drafts)

    _, enlarged = enlarge(source, tmp_path, predict=predict)
    assert len(seen) == 4 and max(seen) <= 3
    with av.open(str(enlarged)) as container:
        shown = next(container.decode(video=0)).to_ndarray(format="bgr24")
    assert np.abs(shown.astype(int) - upscale(frame, 2, "bicubic")).max() <= 8


def test_a_range_that_changes_midway_is_converted(tmp_path):
    bright = [frame // 8 + 210 for frame in scene(12)]
    limited, full = (write(tmp_path / f"{i}.ts", bright, color_range=i) for i in (1, 2))
    both = tmp_path / "both.ts"
    both.write_bytes(limited.read_bytes() + full.read_bytes())
    _, enlarged = enlarge(both, tmp_path)
    levels = [int(np.median(y)) for y, _, _ in decode(enlarged)]
    assert len(levels) == 24 and np.ptp(levels) <= 2, levels


@pytest.mark.parametrize("color_range, known", [(1, [0, 0, 100, 255, 255]), (2, [9, 16, 102, 235, 240])])
def test_the_network_knows_full_range_only(tmp_path, color_range, known):
    levels = [9, 16, 102, 235, 240]
    greys = [np.full((48, 64, 3), level, np.uint8) for level in levels]
    source = write(tmp_path / "in.mkv", greys, "ffv1", "gray", color_range=color_range)
    seen = []

    def predict(drafts):
        seen.append(np.unique(drafts).tolist())
        return bicubic(drafts)

    _, enlarged = enlarge(source, tmp_path, predict=predict)
    assert seen == [[level] for level in known]
    shown = levels if color_range == 2 else [16, 16, 102, 235, 235]
    assert [np.unique(y).tolist() for y, _, _ in decode(enlarged)] == [[level] for level in shown]


@pytest.mark.parametrize("scale", [2, 3, 4])
@pytest.mark.parametrize("across, down", [(1, 1), (2, 1), (2, 2)])
def test_chroma_stays_where_it_was(scale, across, down):
    """A ramp across and down keeps its value at every point; positions are H.264's default, left and between rows."""
    height, width = 24, 40
    y, x = np.mgrid[: height // down, : width // across].astype(float)
    ramp = 3 * (x * across) + 2 * (y * down + (down - 1) / 2)
    enlarged = _enlarge_chroma(ramp.astype(np.uint8), (height, width), scale, (height * scale, width * scale))
    assert enlarged.shape == (height * scale // 2, width * scale // 2)
    j, i = np.mgrid[: enlarged.shape[0], : enlarged.shape[1]].astype(float)
    expected = 3 * ((2 * i + 0.5) / scale - 0.5) + 2 * ((2 * j + 1) / scale - 0.5)
    inner = (slice(2 * scale, -2 * scale),) * 2
    assert np.abs(enlarged[inner] - expected[inner]).max() < 1.1


def test_parts_are_what_an_unsplit_run_makes(tmp_path):
    """Borders of parts leave no trace: not in a shot, at a cut, nor beside one."""
    source = write(tmp_path / "in.mp4", scene(9) + scene(8, seed=1))
    results = []
    for parts in (1, 2, 5, 17, 20):
        folder = tmp_path / str(parts)
        folder.mkdir()
        plan, enlarged = enlarge(source, folder, parts=parts, drafts=MOTION, predict=lambda drafts: drafts[0] / 255)
        assert plan.cuts == (9,)
        results.append(decode(enlarged))
    for result in results[1:]:
        assert len(result) == len(results[0]) == 17
        for one, other in zip(results[0], result, strict=True):
            assert all(np.array_equal(a, b) for a, b in zip(one, other, strict=True))


def test_drafts_may_be_made_in_blocks_of_a_shot(tmp_path, monkeypatch):
    """A kind of drafts that works on blocks of 4 frames, counted from the shot's start, with 2 frames to run in."""
    lengths = []

    def block(t, n):
        return max(t // 4 * 4 - 2, 0), min(t // 4 * 4 + 4, n)

    class Blocks:
        def __init__(self, spec, scale, degradation, lr, n):
            lengths.append(n)
            self.n, self.lr, self.scale, self.known = n, lr, scale, {}

        def __getitem__(self, t):
            if block(t, self.n) not in self.known:
                frames = [self.lr(i) for i in range(*block(t, self.n))]
                self.known = {block(t, self.n): np.mean(frames, axis=0).astype(np.uint8) + np.uint8(self.n)}
            return cv2.resize(self.known[block(t, self.n)], None, fx=self.scale, fy=self.scale)[None]

    monkeypatch.setattr("deepsr.video.enlarge.Drafts", Blocks)
    monkeypatch.setattr(
        "deepsr.video.enlarge.needed_frames", lambda spec, first, stop, n: (block(first, n)[0], block(stop - 1, n)[1])
    )
    source = write(tmp_path / "in.mp4", scene(11) + scene(6, seed=1))
    whole = decode(enlarge(source, tmp_path, parts=1)[1])
    assert lengths == [11, 6]
    for parts in (2, 5, 17):
        split = decode(enlarge(source, tmp_path, parts=parts)[1])
        assert all(
            np.array_equal(a, b) for one, other in zip(whole, split, strict=True) for a, b in zip(one, other, strict=True)
        )
    assert set(lengths) == {11, 6}


def test_the_window_never_crosses_a_cut(tmp_path):
    """What is shown before a cut makes no difference after it."""
    last = scene(4, seed=2)
    results = []
    for seed in (0, 1):
        folder = tmp_path / str(seed)
        folder.mkdir()
        source = write(folder / "in.mp4", scene(6, seed=seed) + last)
        _, enlarged = enlarge(source, folder, drafts=MOTION, predict=lambda drafts: drafts[0] / 255)
        results.append([y for y, _, _ in decode(enlarged)])
    assert not np.array_equal(results[0][5], results[1][5])
    assert all(np.array_equal(a, b) for a, b in zip(results[0][6:], results[1][6:], strict=True))


def test_cuts():
    """Distances measured on film: a cut between two calm shots, one at the end of a fast pan, and no cut in a pan."""
    calm = [1.6, 2.5, 1.5, 46.7, 1.6, 1.3, 1.6]
    pan = [15.0, 17.2, 18.0, 19.8, 19.8, 19.8, 51.0, 2.0, 1.2, 1.1]
    assert find_cuts([0.0, *calm]) == (4,)
    assert find_cuts([0.0, *pan]) == (7,)
    assert find_cuts([0.0, *pan[:6], *pan[5::-1]]) == ()
    assert find_cuts([0.0] * 20) == ()
    assert find_cuts([0.0, 40.0]) == (1,)
    assert find_cuts([0.0, 1, 1, 80, 80, 1, 1]) == (3, 4)  # a flash
    assert find_cuts([]) == ()


def test_quick_motion_is_no_cut(tmp_path):
    assert plan_video(write(tmp_path / "in.mp4", scene(20, step=6))).cuts == ()


def network(path, n_drafts, channels=8):
    """A small network with weights near the identity of the target."""
    rng = np.random.default_rng(0)
    shapes = [
        (11, n_drafts, channels, "tanh"),
        (1, channels, channels, "tanh"),
        (3, channels, 1, "tanh"),
        (25, 1, 1, "linear"),
    ]
    layers = []
    for i, (size, inputs, outputs, activation) in enumerate(shapes):
        kernel = rng.normal(0, 1e-3, (size, size, inputs, outputs)).astype(np.float32)
        kernel[size // 2, size // 2, -1, 0] += 0.5 if i < 3 else 8
        kind = "conv" if i < 3 else "deconv"
        layers.append((kind, kernel, np.zeros(outputs, np.float32), activation))
    return chain_file(path, layers)


def test_video_scores_what_evaluation_says(tmp_path):
    hr = [luma(frame) for frame in scene(7, 192, 256, step=2)]
    lr = [degrade(frame, 4, "bicubic") for frame in hr]
    predict = partial(predict_frame, Predictor(network(tmp_path / "network.onnx", 2)))
    drafts = Drafts(MOTION, 4, "bicubic", lambda i: lr[i], len(lr))
    direct = [np.rint(255 * predict(drafts[t])).astype(np.uint8) for t in range(len(lr))]
    source = write(tmp_path / "in.mp4", [cv2.cvtColor(frame, cv2.COLOR_GRAY2BGR) for frame in lr])
    _, enlarged = enlarge(source, tmp_path, scale=4, drafts=MOTION, predict=predict)
    shown = [np.rint((y.astype(float) - 16) * 255 / 219).clip(0, 255).astype(np.uint8) for y, _, _ in decode(enlarged)]
    for truth, one, other in zip(hr, direct, shown, strict=True):
        assert psnr(truth, other) == pytest.approx(psnr(truth, one), abs=0.05)


MEMORY = """
import re, sys
from functools import partial
from deepsr.video.enlarge import upscale_part
from deepsr.video.examine import plan_video
from deepsr.video.join import join_parts
from deepsr.video.plan import read_plan, write_plan
from deepsr.networks.inference import Predictor, predict_frame
source, network, output = sys.argv[1:]
write_plan(plan_video(source), output + ".json")
plan = read_plan(output + ".json")
upscale_part(source, plan, 0, 1, output, scale=2, degradation="cv2", drafts={"kind": "bicubic"},
             predict=partial(predict_frame, Predictor(network)), preset="ultrafast")
join_parts(source, plan, [output], output + ".joined.mp4")
print(plan.frames, re.search(r"VmHWM:\\s*(\\d+)", open("/proc/self/status").read())[1])  # ru_maxrss is the parent's too
"""


def test_memory_does_not_grow_with_the_length(tmp_path):
    """10% are less than the frames that the longer video has more, even before they are enlarged."""
    net = network(tmp_path / "network.onnx", 1, channels=1)
    peaks = []
    for n in (30, 300):
        source = write(tmp_path / f"{n}.mp4", scene(10, 180, 320) * (n // 10), audio=["aac"])
        command = [sys.executable, "-c", MEMORY, source, net, tmp_path / f"{n}_x2.mp4"]
        told = subprocess.run(command, check=True, capture_output=True, text=True, cwd=ROOT).stdout.split()
        assert told[0] == str(n)
        peaks.append(int(told[1]))
    assert 0.1 * peaks[0] < 270 * 180 * 320 * 1.5 / 1024
    assert peaks[1] < 1.1 * peaks[0], peaks


def refusal(source, **settings):
    with pytest.raises(InputError) as error:
        plan = plan_video(source)
        settings = {"scale": 2, "degradation": "bicubic", "drafts": SINGLE, "predict": bicubic} | settings
        upscale_part(source, plan, 0, 1, source.parent / "out.mp4", **settings)
    assert not list(source.parent.glob("*out*"))
    return str(error.value)


def test_what_is_no_video_is_refused(tmp_path):
    text = tmp_path / "notes.mp4"
    text.write_text("Dear diary,\n" * 1000)
    assert "notes.mp4: cannot be opened as a video" in refusal(text)
    empty = tmp_path / "empty.mp4"
    empty.touch()
    assert "empty.mp4: cannot be opened as a video" in refusal(empty)
    assert "missing.mp4: cannot be opened as a video" in refusal(tmp_path / "missing.mp4")
    subtitles = tmp_path / "subtitles.mp4"
    subtitles.write_text("1\n00:00:01,000 --> 00:00:02,000\nHello\n")
    assert "subtitles.mp4: cannot be opened" in refusal(subtitles)
    folder = tmp_path / "folder"
    folder.mkdir()
    assert "folder: holds no frames" in refusal(folder)


def test_a_playlist_cannot_pull_in_other_files(tmp_path):
    write(tmp_path / "secret.ts", scene(5))
    for text in ("#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:1,\nsecret.ts\n", "ffconcat version 1.0\nfile secret.ts\n"):
        playlist = tmp_path / "playlist.mp4"
        playlist.write_text(text)
        assert "playlist.mp4: cannot be opened as a video" in refusal(playlist)


def test_video_of_unknown_kind_is_refused(tmp_path):
    source = write(tmp_path / "in.avi", scene(5), "mpeg4")
    source.write_bytes(source.read_bytes().replace(b"FMP4", b"ZZZZ"))
    assert "in.avi: its video is of a kind that cannot be decoded" in refusal(source)


def test_sound_alone_is_refused(tmp_path):
    path = tmp_path / "song.mp4"
    with av.open(str(path), "w") as container:
        track = container.add_stream("aac", rate=48000, layout="mono")
        frame = av.AudioFrame.from_ndarray(np.zeros((1, 4096), np.int16), "s16", "mono")
        frame.sample_rate = 48000
        container.mux([*track.encode(frame), *track.encode(None)])
    assert "song.mp4: holds no video" in refusal(path)


def test_truncated_files(tmp_path, caplog):
    """What can be decoded is enlarged, with a warning; an mp4 file that lost its index is refused."""
    rng = np.random.default_rng(0)
    noise = [rng.integers(0, 256, (48, 64, 3), dtype=np.uint8) for _ in range(75)]
    whole = write(tmp_path / "whole.mkv", noise, audio=["aac"])
    cut = tmp_path / "cut.mkv"
    cut.write_bytes(whole.read_bytes()[: whole.stat().st_size // 2])
    plan, enlarged = enlarge(cut, tmp_path)
    assert 20 < plan.frames < 55
    assert probe(enlarged, "nb_read_frames") == [str(plan.frames)]
    assert "cut.mkv: truncated or damaged?" in caplog.text
    whole = write(tmp_path / "whole.mp4", noise)
    lost = tmp_path / "lost.mp4"
    lost.write_bytes(whole.read_bytes()[:-2000])
    assert "lost.mp4: cannot be opened as a video" in refusal(lost)


def test_damage_in_the_middle_is_passed_over(tmp_path, caplog):
    source = write(tmp_path / "in.ts", scene(50), codec="mpeg2video")
    data = bytearray(source.read_bytes())
    middle = len(data) // 2
    data[middle : middle + 4000] = bytes(4000)
    source.write_bytes(data)
    plan, enlarged = enlarge(source, tmp_path)
    assert 25 < plan.frames <= 50
    assert probe(enlarged, "nb_read_frames") == [str(plan.frames)]


def test_change_of_size_is_refused(tmp_path):
    small, large = write(tmp_path / "a.ts", scene(5)), write(tmp_path / "b.ts", scene(5, 96, 128))
    both = tmp_path / "both.ts"
    both.write_bytes(small.read_bytes() + large.read_bytes())
    assert "both.ts: changes from 64x48 to 128x96 at frame 5" in refusal(both)


def test_too_large_is_refused_before_any_work(tmp_path):
    source = write(tmp_path / "in.mp4", scene(2, 1200, 1920), codec="mpeg4")
    assert "1920x1200 at scale 4 exceeds 35.7 million pixels" in refusal(source, scale=4)


def test_oracle_drafts_are_refused(tmp_path):
    source = write(tmp_path / "in.mp4", scene(3))
    message = refusal(source, drafts={"kind": "gaussian", "sigmas": [1.5], "kernel": 5})
    assert "ground truth" in message


def test_a_video_that_lost_frames_since_it_was_planned_is_refused(tmp_path):
    plan = plan_video(write(tmp_path / "in.mp4", scene(9)))
    source = write(tmp_path / "in.mp4", scene(5))
    with pytest.raises(InputError, match="fewer frames than when it was planned"):
        upscale_part(source, plan, 1, 2, tmp_path / "x.mp4", scale=2, degradation="bicubic", drafts=SINGLE, predict=bicubic)


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


def test_a_plan_outlives_its_file(tmp_path):
    source = write(
        tmp_path / "in.mkv", scene(9) + scene(5, seed=1), audio=["flac"], sample_aspect_ratio=Fraction(16, 15), rotation=90
    )
    plan = plan_video(source)
    write_plan(plan, tmp_path / "plan.json")
    assert read_plan(tmp_path / "plan.json") == plan
    assert (plan.frames, plan.cuts, plan.sound, plan.aspect) == (14, (9,), ("copy",), Fraction(16, 15))
    folder = tmp_path / "folder"
    folder.mkdir()
    for i in range(3):
        cv2.imwrite(str(folder / f"{i}.png"), scene(1)[0])
    plan = plan_video(folder, 29.97)
    write_plan(plan, tmp_path / "plan.json")
    assert read_plan(tmp_path / "plan.json") == plan
    assert (plan.images, plan.rate) == (("0.png", "1.png", "2.png"), Fraction(2997, 100))


@pytest.mark.parametrize(
    "damage",
    [
        lambda text: text[: len(text) // 2],
        lambda text: "",
        lambda text: "[]",
        lambda text: text.replace('"width"', '"wide"'),
        lambda text: text.replace('"pts": [0, ', '"pts": [9, '),
        lambda text: text.replace('"pts": [0, 1', '"pts": [0, 0'),
        lambda text: text.replace('"pts": [0, ', '"pts": ["0", '),
        lambda text: text.replace('"rate": "25"', '"rate": "1/0"'),
        lambda text: text.replace('"rate": "25"', '"rate": "fast"'),
        lambda text: text.replace('"rate": "25", ', ""),
        lambda text: text + "\udc80",
    ],
)
def test_a_damaged_plan_is_refused(tmp_path, damage):
    path = tmp_path / "plan.json"
    write_plan(plan_video(write(tmp_path / "in.avi", scene(3), "mpeg4")), path)
    whole = path.read_text()
    assert damage(whole) != whole
    path.write_bytes(damage(whole).encode(errors="surrogateescape"))
    with pytest.raises(InputError, match="plan.json: is damaged .*delete it and run again"):
        read_plan(path)


def test_folder_of_frames(tmp_path):
    folder = tmp_path / "in"
    folder.mkdir()
    frames = scene(12)
    for i, frame in enumerate(frames):
        cv2.imwrite(str(folder / f"frame{i}.png"), frame)
    plan, enlarged = enlarge(folder, tmp_path, rate=30)
    assert probe(enlarged, "nb_read_frames", "avg_frame_rate", "color_space") == ["12", "30/1", "smpte170m"]
    for frame, (y, _, _) in zip(frames, decode(enlarged), strict=True):
        expected = 16 + upscale(luma(frame), 2, "bicubic") * (219 / 255)
        assert np.abs(y - expected).max() < 5 and np.abs(y - expected).mean() < 1


def photograph(path, image, orientation):
    """A JPEG file of a BGR image that is to be turned as EXIF's `orientation` says."""
    exif = Image.Exif()
    exif[0x0112] = orientation
    Image.fromarray(image[..., ::-1]).save(path, exif=exif, quality=95, subsampling=0)


def test_frames_of_a_folder_are_turned_as_their_exif_data_say(tmp_path):
    folder = tmp_path / "in"
    folder.mkdir()
    image = scene(1, 48, 64)[0]
    for i in range(3):
        photograph(folder / f"{i}.jpg", np.rot90(image), 6)  # 6: to be turned by a quarter, clockwise
    _, enlarged = enlarge(folder, tmp_path)
    assert probe(enlarged, "width", "height") == [128, 96]
    expected = 16 + upscale(luma(image), 2, "bicubic") * (219 / 255)
    assert np.abs(decode(enlarged)[0][0] - expected).mean() < 2
    photograph(folder / "1.jpg", np.rot90(image), 1)
    assert "changes from 64x48 to 48x64 at frame 1" in refusal(folder)


def test_a_still_image_too_large_is_refused_by_its_size_as_shown(tmp_path):
    settings = {"scale": 4, "degradation": "bicubic", "drafts": SINGLE, "predict": bicubic}
    for orientation, size in ((1, "3000x1000"), (6, "1000x3000")):
        photograph(tmp_path / "in.jpg", np.zeros((1000, 3000, 3), np.uint8), orientation)
        with pytest.raises(InputError, match=f"in.jpg: {size} at scale 4 exceeds"):
            upscale_image(tmp_path / "in.jpg", tmp_path / "out.png", **settings)


def test_still_image(tmp_path):
    image = scene(1, 33, 41)[0]
    cv2.imwrite(str(tmp_path / "in.png"), np.dstack([image, np.full(image.shape[:2], 200, np.uint8)]))
    settings = {"scale": 3, "degradation": "bicubic", "drafts": MOTION, "predict": bicubic}
    upscale_image(tmp_path / "in.png", tmp_path / "out.png", **settings)
    enlarged = cv2.imread(str(tmp_path / "out.png"), cv2.IMREAD_UNCHANGED)
    assert enlarged.shape == (99, 123, 3)
    assert np.abs(enlarged.astype(int) - upscale(image, 3, "bicubic")).mean() < 2
    (tmp_path / "notes.png").write_text("Dear diary")
    for name in ("notes.png", "missing.png"):
        with pytest.raises(InputError, match=name):
            upscale_image(tmp_path / name, tmp_path / "x.png", **settings)
    with pytest.raises(InputError, match="ground truth"):
        oracle = {"kind": "gaussian", "sigmas": [1.5], "kernel": 5}
        upscale_image(tmp_path / "in.png", tmp_path / "x.png", **{**settings, "drafts": oracle})


# Display matrices: a point (x, y) is shown at (a x + c y, b x + d y) for [a, b, 0, c, d, 0, 0, 0, 1], which are counted
# in units of 1/65536, the 1 in units of 1/2^30.
TURNS = [
    (1, 0, 0, 1),
    (0, 1, -1, 0),
    (-1, 0, 0, -1),
    (0, -1, 1, 0),
    (-1, 0, 0, 1),
    (1, 0, 0, -1),
    (0, 1, 1, 0),
    (0, -1, -1, 0),
]


@pytest.mark.parametrize("a, b, c, d", TURNS)
def test_comparison_shows_both_upright(tmp_path, a, b, c, d):
    matrix = [a << 16, b << 16, 0, c << 16, d << 16, 0, 0, 0, 1 << 30]
    source = write(tmp_path / "in.mp4", scene(10, 72, 128), matrix=matrix, sample_aspect_ratio=Fraction(4, 3), audio=["aac"])
    plan, enlarged = enlarge(source, tmp_path, predict=lambda drafts: np.zeros(drafts.shape[1:]))
    output = tmp_path / "compare.mp4"
    compare_video(source, plan, enlarged, output, scale=2, degradation="bicubic", crf=0, preset="ultrafast")
    upright = probe(output, "width", "height", "sample_aspect_ratio", "side_data_list", "nb_read_frames")
    size = [256, 144, "4:3"] if b == 0 else [144, 256, "3:4"]
    assert upright == [*size, None, "10"]
    assert times(output) == pytest.approx(times(source), abs=1e-4)
    # As a player shows it: FFmpeg itself turns the source.
    command = ["ffmpeg", "-v", "error", "-i", str(source), "-f", "rawvideo", "-pix_fmt", "gray", "-"]
    raw = subprocess.run(command, check=True, capture_output=True).stdout
    shown = np.frombuffer(raw, np.uint8).reshape(10, size[1] // 2, size[0] // 2)
    for before, (y, _, _) in zip(shown, decode(output), strict=True):
        line = round(size[0] * 0.55)  # 0.5 to 0.6 in the first 0.4 s
        rows = slice(0, size[1] * 3 // 4)  # above the names
        assert (y[rows, line + 25 :] == 16).all()  # the black that this network makes
        left = y[rows, : line - 25].astype(int)
        wide = upscale(before, 2, "bicubic")[rows, : line - 25]
        expected = 16 + wide * (219 / 255)
        assert min(np.abs(left - wide).mean(), np.abs(left - expected).mean()) < 2


def test_a_comparison_with_half_a_video_is_refused(tmp_path):
    plan, enlarged = enlarge(write(tmp_path / "in.mp4", scene(9)), tmp_path)
    for half, held in ((write(tmp_path / "half.mp4", scene(4, 96, 128)), 4), (tmp_path / "empty.mp4", None)):
        half.touch()
        message = f"holds {held} of 9 frames; delete it" if held else "cannot be opened"
        with pytest.raises(InputError, match=message):
            compare_video(tmp_path / "in.mp4", plan, half, tmp_path / "x.mp4", scale=2, degradation="bicubic")
    assert not (tmp_path / "x.mp4").exists()


def test_pictures_that_cannot_be_joined_are_noticed(tmp_path):
    """Were the muxer to refuse pictures, the result would lack them."""
    source = write(tmp_path / "in.mp4", scene(9))
    plan, _ = enlarge(source, tmp_path, parts=1)
    wrong = replace(plan, pts=(*plan.pts[:5], plan.pts[2], *plan.pts[6:]))
    with pytest.raises(InputError, match="x.mp4: 8 of 9 frames could be joined"):
        join_parts(source, wrong, [tmp_path / "part0.mp4"], tmp_path / "x.mp4")
    assert not (tmp_path / "x.mp4").exists()


@pytest.mark.parametrize("name", ["with space's.mp4", "-dash.mp4", "a:b%03d.mp4", "ünïcödé 日本.mp4", "http:x.mp4"])
def test_awkward_names(tmp_path, name, monkeypatch):
    monkeypatch.chdir(tmp_path)
    source = Path(name)
    os.rename(write(tmp_path / "in.mp4", scene(3)), source)
    plan, _ = enlarge(source, Path("."))
    assert plan.frames == 3


def test_progress_is_reported(tmp_path, monkeypatch, caplog):
    monkeypatch.setattr("deepsr.progress.LOG_EVERY", 0)
    caplog.set_level(logging.INFO)
    enlarge(write(tmp_path / "holiday.mp4", scene(6)), tmp_path, parts=2)
    assert "holiday.mp4, part 2 of 2" in caplog.text and "frame/s" in caplog.text


def test_the_source_of_a_name(tmp_path):
    folder = tmp_path / "videos"
    (folder / "beach").mkdir(parents=True)
    for name in ("holiday.mp4", "cat.jpg", "two.mp4", "two.mkv", "v1.2.mov"):
        (folder / name).touch()
    files = {"far": "/elsewhere/away.avi"}

    def find(name, still=False):
        return str(find_source(name, folder, files, still)).removeprefix(f"{folder}/")

    assert [find(name) for name in ("holiday", "beach", "v1.2", "far")] == [
        "holiday.mp4",
        "beach",
        "v1.2.mov",
        "/elsewhere/away.avi",
    ]
    assert find("cat", still=True) == "cat.jpg"
    for name, still, message in [
        ("nothing", False, "holds no video called nothing"),
        ("two", False, "two.mkv and two.mp4 have the same name"),
        ("cat", False, "is a still image; ask for cat_x2.png"),
        ("holiday", True, "is a video; ask for holiday_x2.mp4"),
        ("beach", True, "is a video"),
    ]:
        with pytest.raises(InputError, match=message):
            find(name, still)
    with pytest.raises(InputError, match="holds no video"):
        find_source("x", tmp_path / "missing", {}, False)


def test_the_home_folder_may_be_written_as_a_tilde(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / "films").mkdir()
    (tmp_path / "films/holiday.mp4").touch()
    assert find_source("holiday", "~/films", {}, False) == tmp_path / "films/holiday.mp4"
    assert find_source("far", "videos", {"far": "~/away.avi"}, False) == tmp_path / "away.avi"


def test_the_experiment_that_enlarges():
    experiments = {
        "article": {"scale": 4, "drafts": {"kind": "gaussian"}},
        "deepsr": {"scale": 4, "drafts": MOTION},
        "single": {"scale": 4, "drafts": SINGLE},
        "small": {"scale": 2, "drafts": SINGLE},
    }
    assert choose_experiment(experiments, None) == "deepsr"
    assert choose_experiment(experiments, None, 2) == "small"
    assert choose_experiment(experiments, ["single", "small"], 4) == "single"
    for wanted, scale, message in [
        (None, 3, "no experiment for videos has scale 3"),
        (["single"], 2, "has scale 2"),
        (["article"], 4, "article is an oracle.*ground truth"),
        (["depsr"], 4, "names 'depsr', which is none of article, deepsr"),
    ]:
        with pytest.raises(InputError, match=message):
            choose_experiment(experiments, wanted, scale)
