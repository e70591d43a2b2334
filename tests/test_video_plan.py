import os
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np
import pytest
from videos import MOTION, SINGLE, enlarge, probe, refusal, scene, write

from deepsr.drafts import recurrent
from deepsr.errors import InputError
from deepsr.video.examine import find_cuts, plan_video
from deepsr.video.plan import read_plan, write_plan
from deepsr.video.source import choose_experiment, find_source


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


def test_a_plan_outlives_its_file(tmp_path):
    source = write(
        tmp_path / "in.mkv", scene(9) + scene(5, seed=1), audio=["flac"], sample_aspect_ratio=Fraction(16, 15), rotation=90
    )
    plan = plan_video(source)
    write_plan(plan, tmp_path / "plan.json")
    assert read_plan(tmp_path / "plan.json") == plan
    assert (plan.frames, plan.cuts, plan.aspect) == (14, (9,), Fraction(16, 15))
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


@pytest.mark.parametrize("name", ["with space's.mp4", "-dash.mp4", "a:b%03d.mp4", "ünïcödé 日本.mp4", "http:x.mp4"])
def test_awkward_names(tmp_path, name, monkeypatch):
    monkeypatch.chdir(tmp_path)
    source = Path(name)
    os.rename(write(tmp_path / "in.mp4", scene(3)), source)
    plan, _ = enlarge(source, Path("."))
    assert plan.frames == 3


def test_the_source_of_a_name(tmp_path):
    folder = tmp_path / "videos"
    (folder / "beach").mkdir(parents=True)
    for name in ("holiday.mp4", "holiday.srt", "holiday.NFO", "cat.jpg", "two.mp4", "two.mkv", "v1.2.mov"):
        (folder / name).touch()
    os.mkfifo(folder / "pipe.mp4")
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
        ("pipe", False, "pipe.mp4: is neither a file nor a folder"),
        ("two", False, "two.mkv and two.mp4 have the same name .*; rename one, or name one's path under videos.files"),
        ("cat", False, "is a still image; ask for cat_x2.png"),
        ("holiday", True, "is a video; ask for holiday_x2.mp4"),
        ("beach", True, "is a video"),
    ]:
        with pytest.raises(InputError, match=message):
            find(name, still)
    with pytest.raises(InputError, match="holds no video"):
        find_source("x", tmp_path / "missing", {}, False)


@pytest.mark.parametrize("there, asked", [("cafe\u0301.mp4", "caf\u00e9"), ("caf\u00e9.mp4", "cafe\u0301")])
def test_an_accent_may_be_written_in_either_way(tmp_path, there, asked):
    (tmp_path / there).touch()
    assert find_source(asked, tmp_path, {}, False) == tmp_path / there


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
    assert choose_experiment(experiments, ["deepsr", "small"]) == "deepsr"
    assert choose_experiment(experiments, ["deepsr", "small"], 2) == "small"
    assert choose_experiment(experiments, ["single", "small"], 4) == "single"
    for wanted, scale, message in [
        (["single", "small"], 3, "videos.experiments: none has scale 3"),
        (["single"], 2, "has scale 2"),
        (["article"], 4, "article is an oracle.*ground truth"),
        (["depsr"], 4, "names 'depsr', which is none of article, deepsr"),
    ]:
        with pytest.raises(InputError, match=message):
            choose_experiment(experiments, wanted, scale)


def test_parts_are_whole_blocks_and_no_frame_is_left_out(tmp_path, monkeypatch):
    monkeypatch.setattr(recurrent, "BLOCK", 32)
    plan = plan_video(write(tmp_path / "in.mp4", scene(3)), 25)
    for frames, parts, lengths in (
        (250, 8, [32] * 7 + [26]),
        (40, 8, [32, 8] + [0] * 6),
        (300, 4, [96] * 3 + [12]),
        (1, 2, [1, 0]),
    ):
        longer = replace(plan, pts=tuple(range(frames)))
        shares = [longer.part(part, parts) for part in range(parts)]
        assert [len(share) for share in shares] == lengths
        assert [t for share in shares for t in share] == list(range(frames))
