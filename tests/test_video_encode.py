import io
import os
import subprocess
import zipfile
from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np
import pytest
from videos import bicubic, decode, enlarge, probe, scene, sound, times, write

from deepsr.data.degradation import upscale
from deepsr.data.frames import luma
from deepsr.errors import InputError
from deepsr.video.encode import CODECS, check_container
from deepsr.video.examine import plan_video
from deepsr.video.join import join_pictures

BT2020, PQ, HLG = 9, 16, 18


def smooth(n, height=48, width=64, bits=10):
    """Luma of n smooth pictures in the limited range of `bits`, uint16: steps finer than those of 8 bits."""
    y, x = np.mgrid[:height, :width]
    ramp = [0.45 + 0.08 * np.sin((x + 2 * i) / 40) * np.cos(y / 30) for i in range(n)]
    return [np.rint((16 + 219 * picture) * 2 ** (bits - 8)).astype(np.uint16) for picture in ramp]


def write_deep(path, lumas, codec="ffv1", **tags):
    """A 10-bit video file, lossless, of grey pictures."""
    height, width = lumas[0].shape
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=25, options={"qp": "0"} if codec == "libx264" else {})
        stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p10le"
        for name, value in tags.items():
            setattr(stream.codec_context, name, value)
        for luma in lumas:
            packed = np.concatenate([luma, np.full((height // 2, width), 512, np.uint16)])
            container.mux(stream.encode(av.VideoFrame.from_ndarray(packed, "yuv420p10le")))
        container.mux(stream.encode())
    return path


def deep_luma(path):
    """Luma of all frames of a 10-bit file, uint16, by PyAV without deepsr."""
    with av.open(str(path)) as container:
        planes = [frame.planes[0] for frame in container.decode(video=0)]
        rows = [np.frombuffer(plane, np.uint16).reshape(-1, plane.line_size // 2) for plane in planes]
        return [row[: plane.height, : plane.width] for row, plane in zip(rows, planes, strict=True)]


@pytest.mark.parametrize("transfer, name", [(PQ, "smpte2084"), (HLG, "arib-std-b67")])
@pytest.mark.parametrize("codec", CODECS)
@pytest.mark.parametrize("ending", ["mp4", "mkv"])
def test_ten_bits_and_their_tags_are_kept(tmp_path, codec, ending, transfer, name):
    tags = {"colorspace": BT2020, "color_primaries": BT2020, "color_trc": transfer, "color_range": 1}
    pictures = smooth(4)
    source = write_deep(tmp_path / "in.mkv", pictures, **tags)
    _, enlarged = enlarge(source, tmp_path, codec=codec, crf=4, ending=ending)
    told = probe(enlarged, "pix_fmt", "color_space", "color_primaries", "color_transfer", "color_range", "nb_read_frames")
    assert told == ["yuv420p10le", "bt2020nc", "bt2020", name, "tv", "4"]
    for small, large in zip(pictures, deep_luma(enlarged), strict=True):
        expected = cv2.resize(small.astype(np.float32), None, fx=2, fy=2, interpolation=cv2.INTER_CUBIC)
        error = np.abs(large - expected)[4:-4, 4:-4]
        assert error.mean() < 1  # steps of 8 bits are 4 apart
        assert len(np.unique(large)) > 60  # 8 bits would have 36 at most


def test_full_range_and_peaks_of_ten_bits(tmp_path):
    """Black and white stay black and white, and cubic interpolation does not run over."""
    stripes = np.where(np.arange(64) // 8 % 2, 1023, 0).astype(np.uint16) * np.ones((48, 1), np.uint16)
    source = write_deep(tmp_path / "in.mkv", [stripes] * 2, color_range=2)
    plan, enlarged = enlarge(source, tmp_path, codec="ffv1", ending="mkv")
    assert (plan.bits, plan.full_range) == (10, True)
    assert np.unique(deep_luma(enlarged)[0])[[0, -1]].tolist() == [0, 1023]


@pytest.mark.parametrize("kind, named", [("yuv420p10le", False), ("yuv420p12le", True), ("yuv444p", False)])
def test_more_bits_than_ten_are_told(tmp_path, caplog, kind, named):
    plan = plan_video(write(tmp_path / "in.mkv", scene(2), "ffv1", kind))
    assert plan.bits == (8 if kind == "yuv444p" else 10)
    assert ("has 12 bits a sample, the result has 10" in caplog.text) == named


KINDS = [(codec, ending) for codec in ("h264", "hevc", "av1") for ending in ("mp4", "mkv")] + [("ffv1", "mkv")]


@pytest.mark.parametrize("codec, ending", KINDS)
def test_frame_rate_range_and_colours_are_told_whatever_the_codec(tmp_path, codec, ending):
    source = write(tmp_path / "in.mp4", scene(5), rate=Fraction(30000, 1001), color_range=2, colorspace=1)
    _, enlarged = enlarge(source, tmp_path, codec=codec, crf=12, ending=ending)
    assert probe(enlarged, "avg_frame_rate", "color_range", "color_space") == ["30000/1001", "pc", "bt709"]


@pytest.mark.parametrize("codec, ending", KINDS)
def test_pixels_that_are_not_square_stay_so_or_it_is_told(tmp_path, caplog, codec, ending):
    source = write(tmp_path / "in.mp4", scene(5), sample_aspect_ratio=Fraction(16, 11))
    _, enlarged = enlarge(source, tmp_path, codec=codec, crf=12, ending=ending)
    kept = probe(enlarged, "sample_aspect_ratio") == ["16:11"]
    assert kept != ("cannot say that pixels are not square; ask for an .mp4 file" in caplog.text)
    assert kept or (codec, ending) in (("av1", "mkv"), ("ffv1", "mkv"))


@pytest.mark.parametrize("ending", ["mp4", "mkv"])
def test_a_dv_tape_is_enlarged(tmp_path, ending):
    """Interlaced PAL with a time code, as a camera gives it."""
    command = ["ffmpeg", "-v", "error", "-f", "lavfi", "-i", "testsrc2=d=0.12:s=720x576:r=25", "-f", "lavfi", "-i"]
    subprocess.run([*command, "sine=d=0.12:r=48000", "-target", "pal-dv", tmp_path / "in.dv"], check=True)
    plan, enlarged = enlarge(tmp_path / "in.dv", tmp_path, ending=ending)
    assert plan.rate == 25
    assert probe(enlarged, "nb_read_frames", "avg_frame_rate", "sample_aspect_ratio") == ["3", "25/1", "16:15"]
    assert np.diff(times(enlarged)) == pytest.approx(1 / 25, abs=1e-3)


@pytest.mark.parametrize("ending", ["mp4", "mkv"])
def test_a_video_with_a_time_code_is_enlarged(tmp_path, ending):
    """As cameras and tapes have it; an mp4 file makes a track of it, for which it has to know the frame rate."""
    plain = write(tmp_path / "plain.mp4", scene(10))
    command = ["ffmpeg", "-v", "error", "-i", plain, "-c", "copy", "-metadata:s:v", "timecode=01:00:00:00"]
    subprocess.run([*command, "-metadata", "timecode=01:00:00:00", tmp_path / "in.mkv"], check=True)
    _, enlarged = enlarge(tmp_path / "in.mkv", tmp_path, ending=ending)
    assert probe(enlarged, "nb_read_frames", "avg_frame_rate") == ["10", "25/1"]
    with av.open(str(enlarged)) as container:
        told = {key.lower(): text for part in (container, *container.streams) for key, text in part.metadata.items()}
    assert told["timecode"] == "01:00:00:00"
    assert ("minor_version" in told) == (ending == "mp4")  # what an mp4 file says of itself has no place in mkv


@pytest.mark.parametrize("codec, name", [("h264", "h264"), ("hevc", "hevc"), ("av1", "av1"), ("ffv1", "ffv1")])
def test_codecs_give_every_frame_at_its_time_and_the_same_bytes(tmp_path, codec, name):
    pts = [0, 40, 47, 140, 180, 400, 407, 1000]
    source = write(tmp_path / "in.mkv", scene(8), pts=pts, time_base=Fraction(1, 1000), audio=["flac"])
    files = []
    for parts in (3, 3, 1):
        _, enlarged = enlarge(source, tmp_path, parts=parts, codec=codec, crf=12, ending="mkv")
        assert probe(enlarged, "codec_name", "pix_fmt", "nb_read_frames") == [name, "yuv420p", "8"]
        assert times(enlarged) == pytest.approx([t / 1000 for t in pts], abs=1e-3)
        files.append(enlarged.read_bytes())
    assert files[0] == files[1]
    shown = [y for y, _, _ in decode(enlarged)]
    exact = [y for y, _, _ in decode(enlarge(source, tmp_path, codec="ffv1", ending="mkv")[1])]
    for one, other in zip(shown, exact, strict=True):
        assert np.abs(one.astype(int) - other).mean() < 2


def test_encoding_does_not_make_a_process_of_root_a_real_time_one(tmp_path):
    """The AV1 encoder asks for that. It would take the processor from everything else."""
    threads = []

    def predict(drafts):
        threads.append([os.sched_getscheduler(int(thread.name)) for thread in Path("/proc/self/task").glob("*")])
        return bicubic(drafts)

    enlarge(write(tmp_path / "in.mp4", scene(3)), tmp_path, parts=1, predict=predict, codec="av1")
    assert len(threads) == 3 and {kind for kinds in threads for kind in kinds} == {os.SCHED_OTHER}


def test_hevc_is_called_hvc1_in_mp4(tmp_path):
    """Apple's players take HEVC under this name alone."""
    _, enlarged = enlarge(write(tmp_path / "in.mp4", scene(3)), tmp_path, codec="hevc")
    assert probe(enlarged, "codec_tag_string") == ["hvc1"]


def test_lossless_video_is_refused_in_mp4():
    with pytest.raises(InputError, match="videos.codec ffv1 plays hardly anywhere from mp4; ask .* with .mkv"):
        check_container("ffv1", "mp4")
    for codec, ending in [("ffv1", "mkv"), ("h264", "mp4"), ("av1", "mp4"), ("ffv1", "zip")]:
        check_container(codec, ending)


def rich(path, folder):
    """An mkv file with two languages, PCM, subtitles, chapters and an attached font, by FFmpeg."""
    write(folder / "plain.mkv", scene(50), audio=["aac"])
    (folder / "s.srt").write_text("1\n00:00:00,500 --> 00:00:01,000\nHello\n\n2\n00:00:01,200 --> 00:00:01,900\nBye\n")
    (folder / "chapters.txt").write_text(
        ";FFMETADATA1\ntitle=Holiday\n[CHAPTER]\nTIMEBASE=1/1000\nSTART=0\nEND=1000\ntitle=Beach\n"
        "[CHAPTER]\nTIMEBASE=1/1000\nSTART=1000\nEND=2000\ntitle=Hills\n"
    )
    (folder / "font.ttf").write_bytes(bytes(range(256)))
    inputs = ["-i", "plain.mkv", "-i", "s.srt", "-i", "chapters.txt", "-f", "lavfi", "-i", "sine=duration=2"]
    maps = ["-map", "0", "-map", "3:a", "-map", "1", "-map_metadata", "2", "-map_chapters", "2"]
    kinds = ["-c", "copy", "-c:a:1", "pcm_s16le", "-metadata:s:a:1", "language=fre", "-metadata:s:s:0", "language=ger"]
    attached = ["-attach", "font.ttf", "-metadata:s:t", "mimetype=application/x-truetype-font"]
    command = ["ffmpeg", "-v", "error", "-y", *inputs, *maps, *kinds, *attached, str(path)]
    subprocess.run(command, check=True, cwd=folder)
    return path


def held(path):
    """(chapters as (title, start in s), subtitle texts with their times, attachments) of a file."""
    with av.open(str(path)) as container:
        chapters = [(c["metadata"]["title"], float(c["start"] * c["time_base"])) for c in container.chapters()]
        texts, wanted = [], container.streams.subtitles
        for packet in container.demux(*wanted) if wanted else ():
            if packet.size:
                texts.append((bytes(packet).decode(), float(packet.pts * packet.time_base)))
        return chapters, texts, [(a.name, bytes(a.data)) for a in container.streams.attachments]


def test_mkv_keeps_all_that_a_file_holds(tmp_path, caplog):
    source = rich(tmp_path / "in.mkv", tmp_path)
    _, enlarged = enlarge(source, tmp_path, ending="mkv")
    assert sound(enlarged) == sound(source) and len(sound(source)) == 2
    assert held(enlarged) == held(source)
    chapters, texts, attachments = held(enlarged)
    assert (chapters, texts[0]) == ([("Beach", 0.0), ("Hills", 1.0)], ("Hello", 0.5))
    assert attachments == [("font.ttf", bytes(range(256)))]
    with av.open(str(enlarged)) as container:
        assert [track.language for track in container.streams.audio] == [None, "fre"]
        assert container.streams.subtitles[0].language == "ger"
        assert container.metadata["title"] == "Holiday"


def test_chapters_of_a_source_that_begins_late_begin_at_its_first_frame(tmp_path):
    """Times before 0 are none for mkv; a chapter that ends before the first frame is left out."""
    (tmp_path / "chapters.txt").write_text(
        ";FFMETADATA1\n[CHAPTER]\nTIMEBASE=1/1000\nSTART=0\nEND=300\ntitle=Before\n"
        "[CHAPTER]\nTIMEBASE=1/1000\nSTART=300\nEND=700\ntitle=Beach\n"
        "[CHAPTER]\nTIMEBASE=1/1000\nSTART=700\nEND=1500\ntitle=Hills\n"
    )
    write(tmp_path / "plain.mkv", scene(25), audio=["aac"])
    inputs = ["-itsoffset", "0.5", "-i", "plain.mkv", "-i", "chapters.txt"]
    maps = ["-map", "0", "-map_metadata", "1", "-map_chapters", "1"]
    command = ["ffmpeg", "-v", "error", *inputs, *maps, "-copyts", "-c", "copy", "in.mkv"]
    subprocess.run(command, check=True, cwd=tmp_path)
    source, begun = tmp_path / "in.mkv", pytest.approx(0.2, abs=0.03)  # of the chapter Hills: at 0.7 s, half a second less
    for ending in ("mkv", "mp4"):
        _, enlarged = enlarge(source, tmp_path, ending=ending)
        assert held(enlarged)[0] == [("Beach", 0.0), ("Hills", begun)]
        assert len(decode(enlarged)) == 25


def test_extras_that_the_file_does_not_take_are_told(tmp_path, monkeypatch):
    """A header that cannot be written, here for a chapter before 0, is no damaged packet."""

    def early_chapter(origin, target, start):
        times = {"id": 1, "start": -500, "end": 500, "time_base": Fraction(1, 1000)}
        target.set_chapters([times | {"metadata": {"title": "Early"}}])

    monkeypatch.setattr("deepsr.video.join.copy_extras", early_chapter)
    source = write(tmp_path / "in.mkv", scene(5))
    with pytest.raises(
        InputError, match="in.mkv: what it holds beside its pictures cannot be put into matroska .*; ask for"
    ):
        enlarge(source, tmp_path, ending="mkv")


def test_subtitles_of_mp4_are_told_to_have_no_place_in_mkv(tmp_path, caplog):
    write(tmp_path / "plain.mp4", scene(25))
    (tmp_path / "s.srt").write_text("1\n00:00:00,100 --> 00:00:00,900\nHello\n")
    command = ["ffmpeg", "-v", "error", "-i", "plain.mp4", "-i", "s.srt", "-c", "copy", "-c:s", "mov_text", "in.mp4"]
    subprocess.run(command, check=True, cwd=tmp_path)
    _, enlarged = enlarge(tmp_path / "in.mp4", tmp_path)
    assert "subtitle track 1, of kind mov_text, cannot be put into mkv; ask for an .mp4 file, which keeps it" in caplog.text
    assert any("Hello" in text for text, _ in held(enlarged)[1])


def test_what_mp4_cannot_hold_is_told(tmp_path, caplog):
    source = rich(tmp_path / "in.mkv", tmp_path)
    _, enlarged = enlarge(source, tmp_path)
    assert "audio of kind pcm_s16le has no place in mp4 and is encoded as AAC; ask for an .mkv file" in caplog.text
    assert "subtitle track" in caplog.text and "cannot be put into mp4 and is left out; ask for an .mkv file" in caplog.text
    assert "its attachments have no place in mp4" in caplog.text
    chapters, texts, attachments = held(enlarged)
    assert [title for title, _ in chapters] == ["Beach", "Hills"]
    assert attachments == [] and len(sound(enlarged)) == 2


def test_mirroring_that_mkv_cannot_tell_is_said(tmp_path, caplog):
    mirrored = [-1 << 16, 0, 0, 0, 1 << 16, 0, 0, 0, 1 << 30]
    for matrix, named in ((mirrored, True), ([0, 1 << 16, 0, -1 << 16, 0, 0, 0, 0, 1 << 30], False)):
        caplog.clear()
        source = write(tmp_path / "in.mp4", scene(3), matrix=matrix)
        _, enlarged = enlarge(source, tmp_path, ending="mkv")
        assert ("mkv cannot say that a video is to be mirrored" in caplog.text) == named
    assert probe(enlarged, "side_data_list")[0][0]["rotation"] == probe(source, "side_data_list")[0][0]["rotation"]


def pictures(path):
    with zipfile.ZipFile(path) as archive:
        images = {name: archive.read(name) for name in archive.namelist()}
    return {name: cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED) for name, data in images.items()}


def test_a_folder_becomes_a_video_or_images_of_the_same_names(tmp_path):
    folder = tmp_path / "in"
    folder.mkdir()
    frames = scene(12)
    for i, frame in enumerate(frames):
        cv2.imwrite(str(folder / f"b{i}.tif"), frame)
    _, enlarged = enlarge(folder, tmp_path, rate=30)
    assert probe(enlarged, "nb_read_frames", "avg_frame_rate", "color_space") == ["12", "30/1", "smpte170m"]
    for frame, (y, _, _) in zip(frames, decode(enlarged), strict=True):
        expected = 16 + upscale(luma(frame), 2, "bicubic") * (219 / 255)
        assert np.abs(y - expected).max() < 5 and np.abs(y - expected).mean() < 1
    files = []
    for parts in (1, 5, 20):
        _, enlarged = enlarge(folder, tmp_path, parts=parts, ending="zip")
        files.append(enlarged.read_bytes())
    assert files[0] == files[1] == files[2]
    found = pictures(enlarged)
    assert list(found) == [f"b{i}.png" for i in range(12)]
    for frame, image in zip(frames, found.values(), strict=True):
        assert image.shape == (96, 128, 3)
        difference = np.abs(image.astype(int) - upscale(frame, 2, "bicubic"))
        assert np.median(difference) <= 1 and difference.mean() < 2


def test_images_of_a_video_are_numbered_and_deep_ones_have_sixteen_bits(tmp_path):
    source = write_deep(tmp_path / "in.mkv", smooth(3), color_range=1)
    found = pictures(enlarge(source, tmp_path, ending="zip")[1])
    assert list(found) == ["000000.png", "000001.png", "000002.png"]
    image = found["000000.png"]
    assert image.dtype == np.uint16 and len(np.unique(image[..., 1])) > 60
    expected = (cv2.resize(smooth(1)[0].astype(np.float32), None, fx=2, fy=2, interpolation=cv2.INTER_CUBIC) - 64) / 876
    assert np.abs(image[4:-4, 4:-4, 1] / 65535 - expected[4:-4, 4:-4]).mean() < 0.002


def test_a_damaged_part_of_images_is_refused(tmp_path):
    plan, _ = enlarge(write(tmp_path / "in.mp4", scene(9)), tmp_path, ending="zip")
    parts = [tmp_path / f"part{i}.zip" for i in range(3)]
    empty = io.BytesIO()
    zipfile.ZipFile(empty, "w").close()
    for damage in (b"", parts[1].read_bytes()[:-100], empty.getvalue()):
        parts[1].write_bytes(damage)
        with pytest.raises(InputError, match="part1.zip"):
            join_pictures(plan, parts, tmp_path / "x.zip")
    assert not (tmp_path / "x.zip").exists()
