from fractions import Fraction

import av
import numpy as np
import pytest
from videos import bicubic, decode, enlarge, probe, scene, times, write

from deepsr.data.degradation import upscale
from deepsr.data.frames import luma
from deepsr.video.decode import planes
from deepsr.video.times import increasing


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
    assert plan.bits == (10 if "10" in pixels else 8)
    with av.open(str(enlarged)) as container:
        shown = [frame.to_ndarray(format="bgr24") for frame in container.decode(video=0)]
    for before, after in zip(frames, shown, strict=True):
        expected = upscale(before, scale, "bicubic")[:height, :width]
        if "gray" in pixels:
            expected, after = luma(expected), luma(after)
        difference = np.abs(after.astype(int) - expected)
        assert np.median(difference) <= 3, np.median(difference)


def test_rgb_of_five_bits_is_as_bright_as_of_eight():
    frame = av.VideoFrame.from_ndarray(scene(1)[0], "bgr24").reformat(format="rgb555le")
    shown = planes(frame, False)[0].astype(int)
    red, green, blue = np.moveaxis(frame.to_ndarray(format="rgb24").astype(float), 2, 0)
    assert np.abs(shown - (16 + (65.481 * red + 128.553 * green + 24.966 * blue) / 255)).max() <= 1


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
