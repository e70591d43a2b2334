import numpy as np
import pytest
from videos import (
    MBAFF,
    MOTION,
    MPEG2,
    PLAIN,
    SINGLE,
    enlarge,
    enlarged_in_parts,
    first_times,
    interlaced,
    probe,
    scene,
    sound,
    times,
    write,
)  # fmt: skip

from deepsr.errors import InputError
from deepsr.evaluate.metrics import psnr
from deepsr.video.decode import read_frames
from deepsr.video.examine import plan_video


def lumas(source, plan):
    return [frame.to_ndarray(format="gray") for frame in read_frames(source, plan.images, plan.deinterlace)]


def truth_of(frames, folder):
    source = write(folder / "truth.mkv", frames)
    return lumas(source, plan_video(source))


def quality(pictures, truth):
    """Mean PSNR, without the first and last pictures, which have one neighbour only, and without a border."""
    inner = slice(8, -8)
    pairs = list(zip(pictures, truth, strict=True))[2:-2]
    return np.mean([psnr(a[inner, inner] / 255, b[inner, inner] / 255) for a, b in pairs])


@pytest.mark.parametrize("name, codec", [("in.mpg", MPEG2), ("in.ts", MPEG2), ("in.mp4", MBAFF), ("in.mkv", MBAFF)])
@pytest.mark.parametrize("order", ["top", "bottom"])
def test_pictures_are_those_that_were_interlaced(tmp_path, caplog, name, codec, order):
    frames = scene(40, 96, 128, step=2)
    source, truth = interlaced(tmp_path / name, frames, codec, order), truth_of(frames, tmp_path)
    plans = {way: plan_video(source, deinterlace=way) for way in ("auto", "frames", "fields", "off")}
    assert {way: plan.frames for way, plan in plans.items()} == {"auto": 20, "frames": 20, "fields": 40, "off": 20}
    assert {way: plan.rate for way, plan in plans.items()} == {"auto": 25, "frames": 25, "fields": 50, "off": 25}
    combed = quality(lumas(source, plans["off"]), truth[::2])
    for way in ("auto", "frames"):
        assert quality(lumas(source, plans[way]), truth[::2]) > combed + 6
    assert quality(lumas(source, plans["fields"]), truth) > combed + 6
    for message in ("looks interlaced", "looks progressive", "guessed"):
        assert message not in caplog.text


def test_an_order_of_fields_that_is_wrongly_told_is_mended(tmp_path):
    frames = scene(40, 96, 128, step=2)
    truth = truth_of(frames, tmp_path)
    for order, told in (("top", "bff"), ("bottom", "tff")):
        source = interlaced(tmp_path / "in.mkv", frames, MBAFF, order, told)
        assert quality(lumas(source, plan_video(source, deinterlace="fields")), truth) > 30


@pytest.mark.parametrize("way, pictures", [("auto", 20), ("fields", 40)])
def test_sound_stays_in_step(tmp_path, way, pictures):
    source = interlaced(tmp_path / "in.ts", scene(40, 96, 128, step=2), audio=True)
    plan, enlarged = enlarge(source, tmp_path, deinterlace=way)
    before, after = first_times(source), first_times(enlarged)
    assert after["video"] - after["audio"] == pytest.approx(before["video"] - before["audio"], abs=2e-3)
    assert probe(enlarged, "nb_read_frames", "avg_frame_rate") == [str(pictures), f"{25 * pictures // 20}/1"]
    assert np.diff(times(enlarged)) == pytest.approx(0.8 / pictures, abs=1e-4)
    assert float(plan.last_duration * plan.time_base) == pytest.approx(0.8 / pictures, abs=1e-4)
    assert sound(enlarged) == sound(source) != []


def test_a_progressive_video_stays_as_it_is(tmp_path, caplog):
    source = write(tmp_path / "in.mp4", scene(30, 96, 128, step=2))
    auto, off = plan_video(source), plan_video(source, deinterlace="off")
    assert (auto.pts, auto.time_base, auto.rate) == (off.pts, off.time_base, off.rate)
    assert all(np.array_equal(a, b) for a, b in zip(lumas(source, auto), lumas(source, off), strict=True))
    assert "interlace" not in caplog.text


@pytest.mark.parametrize("way, pictures", [("auto", 50), ("fields", 100)])
def test_a_video_that_becomes_interlaced_midway(tmp_path, way, pictures):
    frames = scene(60, 96, 128, step=2)
    plain = write(tmp_path / "a.ts", frames[:30], "mpeg2video", bit_rate=8_000_000)
    both = tmp_path / "both.ts"
    both.write_bytes(plain.read_bytes() + interlaced(tmp_path / "b.ts", frames[20:]).read_bytes())
    plan = plan_video(both, deinterlace=way)
    assert plan.frames == pictures
    distances = np.diff([float(pts * plan.time_base) for pts in plan.pts])
    assert distances[:20] == pytest.approx(2 / pictures, abs=1e-3)
    assert distances[-18:] == pytest.approx(2 / pictures, abs=1e-3)
    if way == "auto":
        raw, shown = lumas(both, plan_video(both, deinterlace="off")), lumas(both, plan)
        assert all(np.array_equal(a, b) for a, b in zip(raw[:30], shown[:30], strict=True))
        assert not np.array_equal(raw[40], shown[40])


@pytest.mark.parametrize("way", ["auto", "fields"])
@pytest.mark.parametrize("drafts", [SINGLE, MOTION])
def test_parts_are_what_one_piece_is(tmp_path, way, drafts):
    source = interlaced(tmp_path / "in.mpg", scene(12, 48, 64, step=2) + scene(10, 48, 64, seed=1, step=2))
    settings = {"drafts": drafts, "deinterlace": way, "predict": lambda drafts: drafts[0] / 255}
    enlarged_in_parts(source, tmp_path, (1, 2, 5), **settings)


def test_wrong_flags_are_named(tmp_path, caplog):
    frames = scene(40, 96, 128, step=2)
    for way, named in (("auto", True), ("off", True), ("frames", False), ("fields", False)):
        caplog.clear()
        plan_video(interlaced(tmp_path / "in.mkv", frames, PLAIN, told="prog"), deinterlace=way)
        assert ("looks interlaced, although it does not say so" in caplog.text) == named, way
    twice = [frame for frame in frames for _ in range(2)]  # both fields of one moment
    for way, named in (("auto", True), ("off", False), ("frames", True), ("fields", True)):
        caplog.clear()
        plan_video(interlaced(tmp_path / "in.mkv", twice, MBAFF), deinterlace=way)
        assert ("claims to be interlaced, but looks progressive" in caplog.text) == named, way


def test_too_small_to_deinterlace_is_refused(tmp_path):
    source = write(tmp_path / "in.mkv", scene(3, 2, 2))
    with pytest.raises(InputError, match="in.mkv: 2x2 is too small to deinterlace; set"):
        plan_video(source, deinterlace="fields")
    assert plan_video(source).frames == 3
