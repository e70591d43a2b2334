import json
import logging
import os
from fractions import Fraction
from functools import partial

import cv2
import numpy as np
import pytest
from videos import MOTION, SINGLE, bicubic, decode, enlarge, probe, scene, times, write

from deepsr.data.degradation import upscale
from deepsr.names import digest
from deepsr.progress import progress
from deepsr.video.estimate import planned_estimate, sentence
from deepsr.video.examine import find_busiest, plan_video
from deepsr.video.plan import write_plan
from deepsr.video.preview import preview_video
from deepsr.video.progress import STALE, _counts, video_progress


def preview(source, folder, predict=bicubic, drafts=SINGLE, **encoding):
    """The plan, the paths of the preview's video and picture, and its facts."""
    plan = plan_video(source)
    files = [folder / name for name in ("preview.mp4", "preview.png", "facts.json")]
    encoding = {"crf": 16, "preset": "medium"} | encoding
    settings = {"scale": 2, "degradation": "bicubic", "drafts": drafts, "predict": predict, "threads": 2, "parts": 1}
    facts = preview_video(source, plan, *files, **settings, **encoding)
    assert json.loads(files[2].read_text()) == facts
    return plan, *files[:2], facts


def test_the_busiest_place():
    assert find_busiest([0, 1, 1, 5, 6, 1, 1], (), 2) == 3
    assert find_busiest([0, 1, 1, 5, 90, 1, 1], (4,), 2) == 2  # a cut is no motion
    assert find_busiest([0, 1, 2], (), 3) == find_busiest([0, 1, 2], (), 5) == 0
    assert find_busiest([0, 1, 1, 1, 9], (), 2) == 3


def test_a_preview_shows_the_busiest_three_seconds(tmp_path):
    calm, busy = scene(30, 48, 64, step=0), scene(40, 48, 64, step=3)
    source = write(tmp_path / "in.mp4", calm + busy + calm, rate=10)
    plan, video, picture, _ = preview(source, tmp_path, predict=lambda drafts: np.zeros(drafts.shape[1:]), crf=0)
    assert 28 <= plan.busiest <= 42 and len(plan.busiest_frames()) == 30
    assert probe(video, "nb_read_frames", "width", "height") == ["30", 128, 96]
    assert times(video) == pytest.approx(np.arange(30) / 10)
    enlarged = decode(video)
    for number, (y, _, _) in zip(plan.busiest_frames(), enlarged, strict=True):
        expected = 16 + upscale(cv2.cvtColor((calm + busy + calm)[number], cv2.COLOR_BGR2GRAY), 2, "bicubic") * (219 / 255)
        assert np.abs(y[:70, :20] - expected[:70, :20]).mean() < 3  # left of the line, above the names
        assert (y[:70, -10:] == 16).all()
    both = cv2.imread(str(picture))
    middle = (calm + busy + calm)[plan.busiest + 15]
    assert both.shape == (96, 256, 3)
    assert np.abs(both[:80, :128].astype(int) - upscale(middle, 2, "bicubic")[:80]).mean() < 3  # above the names
    assert both[80:, 128:192].max() + 50 < both[80:, 192:].max()  # the right one is at the right, on black
    assert both[:, 128:].mean() < both[:, :128].mean() / 2


def test_the_picture_is_as_wide_as_a_player_shows_it(tmp_path):
    """The pixels of anamorphic video are no squares; of turned video, their height is what is stretched or shrunk."""
    for rotation, width in ((0, 2 * 96 * 1.5), (90, 2 * 128 / 1.5)):
        source = write(tmp_path / "in.mp4", scene(3, 64, 48), rotation=rotation, sample_aspect_ratio=Fraction(3, 2))
        _, _, picture, _ = preview(source, tmp_path)
        assert cv2.imread(str(picture)).shape[1] == pytest.approx(width, abs=2)


def test_a_preview_tells_how_far_it_is(tmp_path, monkeypatch, caplog):
    monkeypatch.setattr("deepsr.progress.LOG_EVERY", 0)
    caplog.set_level(logging.INFO)
    preview(write(tmp_path / "in.mp4", scene(10)), tmp_path)
    assert "preview of in.mp4: 100% 20/20" in caplog.text  # 10 by the network, and these by bicubic interpolation


def test_the_picture_is_upright(tmp_path):
    source = write(tmp_path / "in.mp4", scene(3, 48, 64), rotation=90)
    _, _, picture, _ = preview(source, tmp_path)
    assert cv2.imread(str(picture)).shape == (128, 192, 3)


@pytest.mark.parametrize("codec", ["h264", "hevc", "av1", "ffv1"])
def test_the_size_on_disk_is_known_before(tmp_path, codec):
    """Within 25%, for a video of calm and of busy shots."""
    noise = np.random.default_rng(0).integers(0, 60, (40, 48, 64, 3), dtype=np.uint8)
    frames = scene(120, step=1) + [f // 2 + n for f, n in zip(scene(40, step=3, seed=1), noise, strict=True)]
    frames += scene(160, step=0, seed=2) + scene(80, step=2, seed=3)
    source = write(tmp_path / "in.mkv", frames)
    _, _, _, facts = preview(source, tmp_path, codec=codec, preset="ultrafast")
    enlarge(source, tmp_path, parts=1, codec=codec, crf=16)
    assert facts["bytes"] == pytest.approx(os.path.getsize(tmp_path / "part0.mp4"), rel=0.25)


def test_the_size_of_pieces_without_the_network_grows_as_that_of_the_shown_frames(tmp_path):
    """The network, which here sharpens, enlarges the shown frames alone."""
    calls = []

    def sharpened(drafts):
        calls.append(len(drafts))
        luma = bicubic(drafts)
        return luma + 3 * (luma - cv2.GaussianBlur(luma, None, 1.5))

    source = write(tmp_path / "in.mp4", scene(400, step=1))
    plan, _, _, facts = preview(source, tmp_path, sharpened, preset="ultrafast")
    assert len(calls) == len(plan.busiest_frames()) == 75
    enlarge(source, tmp_path, parts=1, predict=sharpened, crf=16)
    assert facts["bytes"] == pytest.approx(os.path.getsize(tmp_path / "part0.mp4"), rel=0.25)
    assert preview(source, tmp_path, preset="ultrafast")[3]["bytes"] < facts["bytes"] / 1.5


@pytest.mark.parametrize("frames", [1, 2, 5, 60, 300])
def test_the_time_of_a_frame_is_that_of_the_busiest(tmp_path, monkeypatch, frames):
    """By a clock that goes on by 2 s for each frame, and by 100 s for the first, which is left out of many."""
    clock = [0.0]
    monkeypatch.setattr("deepsr.video.preview.time.perf_counter", lambda: clock[0])

    def predict(drafts):
        clock[0] += 2 if clock[0] else 100
        return bicubic(drafts)

    plan, _, _, facts = preview(write(tmp_path / "in.mp4", scene(frames)), tmp_path, predict, MOTION)
    expected = {1: 100, 2: 51, 5: (100 + 4 * 2) / 5}.get(frames, 2)
    assert facts["seconds_per_frame"] == pytest.approx(expected)
    assert (facts["threads"], facts["pixels"]) == (2, 128 * 96)


@pytest.mark.parametrize(
    "frames, seconds, parts, cpus, text",
    [
        (1000, 0.05, 8, 2, "1000 frames will take about 50 s on this machine (--cores 2)"),
        (1000, 0.6, 8, 8, "1000 frames will take about 2 min on this machine (--cores 8)"),
        (90_000, 2, 8, 64, "90000 frames will take about 6 h 15 min on this machine (--cores 16)"),
        (90_000, 2, 1, 64, "90000 frames will take about 50 h 0 min on this machine (--cores 2)"),
        (3, 0.01, 8, 1, "3 frames will take about 1 s on this machine (--cores 2)"),
    ],
)
def test_what_the_whole_will_take_in_words(monkeypatch, frames, seconds, parts, cpus, text):
    monkeypatch.setattr("deepsr.video.estimate.cpus", lambda: cpus)
    assert sentence(frames, seconds, 12_300_000, parts, 2) == f"{text} and 12.3 MB on disk, without sound"


def test_what_is_told_while_planning(tmp_path, monkeypatch):
    monkeypatch.setattr("deepsr.video.estimate.cpus", lambda: 2)
    unknown = f"a: how long it will take is not known yet; {tmp_path}/a_preview.mp4 shows"
    assert planned_estimate(tmp_path, "a", 2, 8).startswith(unknown)
    write_plan(plan_video(write(tmp_path / "in.mp4", scene(200))), tmp_path / "a.json")
    assert planned_estimate(tmp_path, "a", 2, 8).startswith(unknown)
    (tmp_path / "previews").mkdir()
    facts = {"seconds_per_frame": 1.2, "bytes": 5_000_000, "pixels": 4 * 64 * 48, "threads": 2}
    (tmp_path / "previews/b.json").write_text(json.dumps(facts | {"pixels": 8 * 64 * 48}))
    told = planned_estimate(tmp_path, "a", 2, 8)
    assert told.startswith("a: 200 frames will take about 2 min on this machine (--cores 2), judging by another video;")
    (tmp_path / "previews/a.json").write_text(json.dumps(facts))
    disk = "on this machine (--cores 2) and {} MB on disk, without sound."
    assert planned_estimate(tmp_path, "a", 2, 8).endswith(f"about 4 min {disk.format(5)}")
    # 5 MB * 4^0.75
    assert planned_estimate(tmp_path, "a", 4, 8).endswith(f"about 16 min {disk.format(14.1)}")
    for damaged in ("", "{}", "[]", '{"seconds_per_frame": 1'):
        (tmp_path / "previews/a.json").write_text(damaged)
        assert planned_estimate(tmp_path, "a", 2, 8) == told


def test_one_part_tells_how_far_all_are(tmp_path, monkeypatch, caplog):
    monkeypatch.setattr("deepsr.progress.LOG_EVERY", 0)
    monkeypatch.setattr("deepsr.video.progress.progress", partial(progress, mininterval=0, miniters=1))
    caplog.set_level(logging.INFO)
    lengths, settings = [3, 3, 4], {"crf": 16}

    def work(part):
        return video_progress(tmp_path / f"{part}.mp4", part, lengths, "holiday.mp4", settings)

    with work(0) as first, work(1) as second:
        caplog.clear()
        second()
        assert "1/10" in caplog.text  # the first has not begun
        first()
        assert "2/10" in caplog.text
        caplog.clear()
        second()
        assert caplog.text == ""  # the first one tells it
        first()
        assert "4/10" in caplog.text
        first(), second()
        assert "5/10" in caplog.text
    caplog.clear()
    (tmp_path / "0.mp4").touch()
    (tmp_path / "1.mp4").touch()
    with work(2) as third:
        third()
        assert "7/10" in caplog.text


def test_what_is_left_of_other_runs_is_not_counted(tmp_path):
    lengths = [3, 3]

    def work(part, settings):
        return video_progress(tmp_path / f"{part}.mp4", part, lengths, "x", settings)

    with work(0, "old") as step:
        step()
    assert not (tmp_path / ".0.count").exists()  # interrupted
    with work(0, "old") as step:
        step(), step(), step()
    (tmp_path / "0.mp4").touch()

    def begun_with(settings):
        return _counts([tmp_path / ".0.count"], digest(settings))

    assert (begun_with("old"), begun_with("new")) == ([3], [0])
    (tmp_path / "0.mp4").unlink()
    assert begun_with("old") == [3]
    os.utime(tmp_path / ".0.count", (0, 0))
    assert STALE < 3600 and begun_with("old") == [0]
    (tmp_path / ".0.count").write_text("damaged")
    assert begun_with("old") == [0]
