"""The table of odd videos in docs/video.md, row by row: what it says is what happens."""

import re
import shlex
import subprocess
from pathlib import Path

import numpy as np
import pytest
from videos import MBAFF, PLAIN, enlarge, interlaced, probe, scene, sound

from deepsr.data.degradation import upscale
from deepsr.errors import InputError

PAGE = Path(__file__).parent.parent / "docs/video.md"
CLIP = "-f lavfi -i testsrc2=d=1:s=64x48:r=25"
H264 = "-c:v libx264 -qp 0 -pix_fmt yuv420p"
TONE = "-f lavfi -i sine=d=1"


def joined(*names):
    """A step that puts files one after the other, the last name."""

    def join(folder):
        (folder / names[-1]).write_bytes(b"".join((folder / name).read_bytes() for name in names[:-1]))

    return join


def changed(name, change):
    """A step that changes a file's bytes."""

    def edit(folder):
        (folder / name).write_bytes(change((folder / name).read_bytes()))

    return edit


# Name of the odd video in the page -> the steps that make it, the last of which writes the file `in.*`. A text is the
# arguments of FFmpeg.
ODDITIES = {
    "phone clip, variable frame rate, to be turned": [
        f"{CLIP} {TONE} -vf 'setpts=(N+0.3*mod(N\\,3))/25/TB' -fps_mode vfr {H264} -c:a aac upright.mp4",
        "-i upright.mp4 -c copy -metadata:s:v rotate=90 in.mp4",
    ],
    "H.264 with B-frames in AVI": [f"{CLIP} {TONE} -c:v libx264 -qp 2 -pix_fmt yuv420p -c:a libmp3lame in.avi"],
    "pictures that stand still in Ogg": [
        "-f lavfi -i testsrc2=d=0.04:s=64x48:r=25 -vf loop=24:1,setpts=N/25/TB -c:v libtheora -q:v 10 in.ogv"
    ],
    "RGB of 5 bits": [f"{CLIP} -c:v rawvideo -pix_fmt rgb555le in.mov"],
    "edit list that cuts off the start": [
        f"{CLIP} {H264} -g 25 -bf 2 whole.mp4",
        "-ss 0.4 -i whole.mp4 -c copy in.mp4",
    ],
    "negative start time": [f"{CLIP} {TONE} {H264} -c:a aac -avoid_negative_ts disabled in.mkv"],
    "start at ten hours, as in broadcasts": [f"{CLIP} {TONE} {H264} -c:a mp2 -output_ts_offset 36000 in.ts"],
    "broken group of pictures at the start": [
        f"{CLIP} -c:v mpeg2video -q:v 2 -g 10 -bf 2 whole.ts",
        changed("whole.ts", lambda data: data[188 * 12 :]),
        joined("whole.ts", "in.ts"),
    ],
    "cover art as a second video stream": [
        f"{CLIP} {H264} plain.mp4",
        "-f lavfi -i color=red:s=32x32 -frames:v 1 cover.png",
        "-i plain.mp4 -i cover.png -map 0 -map 1 -c copy -disposition:v:1 attached_pic in.mp4",
    ],
    "two video streams": [f"{CLIP} -f lavfi -i testsrc2=d=1:s=32x32 -map 0 -map 1 {H264} in.mkv"],
    "4:2:2": [f"{CLIP} -c:v ffv1 -pix_fmt yuv422p in.mkv"],
    "4:4:4": [f"{CLIP} -c:v ffv1 -pix_fmt yuv444p in.mkv"],
    "4:1:1, as in DV of 60 Hz": [f"{CLIP} -c:v ffv1 -pix_fmt yuv411p in.mkv"],
    "full range": [f"{CLIP} -vf scale=out_range=full {H264} -color_range pc in.mp4"],
    "RGB": [f"{CLIP} -c:v libx264rgb -qp 0 in.mkv"],
    "12 bits": [f"{CLIP} -c:v ffv1 -pix_fmt yuv420p12le in.mkv"],
    "odd sides": ["-f lavfi -i testsrc2=d=1:s=63x47:r=25 -c:v ffv1 -pix_fmt yuv420p in.mkv"],
    "interlaced H.264 (MBAFF)": [
        f"-f lavfi -i testsrc2=d=1:s=64x48:r=50 -vf tinterlace=4,setfield=tff {H264} -flags +ildct+ilme in.mp4"
    ],
    "anamorphic PAL, interlaced MPEG-2": [
        "-f lavfi -i testsrc2=d=0.4:s=720x576:r=50 -vf tinterlace=4,setfield=tff,setsar=16/11 -c:v mpeg2video -q:v 2 "
        "-flags +ildct+ilme in.mpg"
    ],
    "interlaced, but says progressive": [
        lambda folder: interlaced(folder / "in.mp4", scene(40, 96, 128, step=2), PLAIN, told="prog")
    ],
    "progressive, but says interlaced": [
        lambda folder: interlaced(
            folder / "in.mp4", [frame for frame in scene(20, 96, 128, step=2) for _ in range(2)], MBAFF
        )
    ],
    "mono": [f"{CLIP} {TONE} {H264} -c:a aac -ac 1 in.mp4"],
    "5.1": [f"{CLIP} {TONE} {H264} -c:a ac3 -ac 6 in.mkv"],
    "several languages": [f"{CLIP} {TONE} {TONE} -map 0 -map 1 -map 2 {H264} -c:a aac -metadata:s:a:1 language=fra in.mkv"],
    "sound that mp4 cannot hold": [f"{CLIP} {TONE} {H264} -c:a pcm_s16le in.mkv"],
    "WebM with alpha": ["-f lavfi -i testsrc2=d=1:s=64x48,format=yuva420p -c:v libvpx-vp9 -lossless 1 in.webm"],
    "GIF": [f"{CLIP} in.gif"],
    "APNG": [f"{CLIP} -plays 0 in.apng"],
    "one frame": [f"{CLIP} -frames:v 1 {H264} in.mp4"],
    "no time stamps": [f"{CLIP} {H264} -bsf:v h264_mp4toannexb in.h264"],
    "two recordings in one file": [f"{CLIP} {TONE} {H264} -c:a mp2 a.ts", joined("a.ts", "a.ts", "in.ts")],
    "cut off in the middle": [
        f"-f lavfi -i testsrc2=d=4:s=64x48:r=25 {H264} in.mkv",
        changed("in.mkv", lambda data: data[: len(data) // 2]),
    ],
    "mp4 without its index": [f"{CLIP} {H264} in.mp4", changed("in.mp4", lambda data: data[:-2000])],
    "size that changes midway": [
        f"{CLIP} {H264} a.ts",
        f"-f lavfi -i testsrc2=d=1:s=96x64:r=25 {H264} b.ts",
        joined("a.ts", "b.ts", "in.ts"),
    ],
    "codec that nobody knows": [
        f"{CLIP} -c:v mpeg4 in.avi",
        changed("in.avi", lambda data: data.replace(b"FMP4", b"ZZZZ")),
    ],
    "sound alone": [f"{TONE} -c:a aac in.mp4"],
    "file of 0 bytes": [lambda folder: (folder / "in.mp4").touch()],
    "text called .mp4": [lambda folder: (folder / "in.mp4").write_text("Dear diary,\n" * 1000)],
}


def rows():
    """{odd video: what happens} of the page's table."""
    lines = [line.strip("|").split("|") for line in PAGE.read_text().splitlines() if line.startswith("| ")]
    return {cells[0].strip(): cells[1].strip() for cells in lines if len(cells) == 2 and cells[0].strip() in ODDITIES}


def make(steps, folder):
    for step in steps:
        if callable(step):
            step(folder)
        else:
            subprocess.run(["ffmpeg", "-v", "error", "-y", *shlex.split(step)], check=True, cwd=folder)
    return next(folder.glob("in.*"))


def shown(path, *filters):
    """The frames that FFmpeg shows of a file, as RGB."""
    width, height = probe(path, "width", "height")
    command = ["ffmpeg", "-v", "fatal", "-noautorotate", "-i", str(path), "-map", "0:v:0", *filters]
    command += shlex.split("-fps_mode passthrough -f rawvideo -pix_fmt rgb24 -")
    raw = subprocess.run(command, check=True, capture_output=True).stdout
    return np.frombuffer(raw, np.uint8).reshape(-1, height, width, 3)


def spans(path):
    """Seconds from the first frame to each, as FFmpeg tells."""
    command = ["ffprobe", "-v", "fatal", "-select_streams", "v:0", "-show_entries", "frame=best_effort_timestamp_time"]
    told = subprocess.run([*command, "-of", "csv=p=0", str(path)], check=True, capture_output=True, text=True).stdout
    times = [float(line.strip(",")) for line in told.split() if line.strip(",") not in ("", "N/A")]
    return np.array(times) - times[0] if times else np.array([])


def test_the_page_tells_all_of_them():
    assert set(rows()) == set(ODDITIES) and len(ODDITIES) >= 25


@pytest.mark.parametrize("name", ODDITIES)
def test_what_the_page_says_is_what_happens(tmp_path, caplog, name):
    """A row says `right`, or `refused: "sentence"`; what else stands in quotes is said in the log."""
    source, told = make(ODDITIES[name], tmp_path), rows()[name]
    sentences = re.findall('"([^"]*)"', told)
    if told.startswith("refused"):
        with pytest.raises(InputError) as error:
            enlarge(source, tmp_path)
        assert sentences and all(sentence in str(error.value) for sentence in sentences), error.value
        return
    assert told.startswith("right")
    plan, enlarged = enlarge(source, tmp_path)
    for sentence in sentences:
        assert sentence in caplog.text
    if not sentences:
        assert caplog.text == ""
    filters = ("-vf", "bwdif=mode=send_frame:deint=interlaced") if "interlaced" in name else ()  # as it is told
    before, after = shown(source, *filters), shown(enlarged)
    assert len(after) == len(before) == plan.frames
    for small, large in zip(before, after, strict=True):
        expected = upscale(small, 2, "bicubic")
        assert np.median(np.abs(large.astype(int) - expected)) <= 6
    if "AVI" in name:  # ffprobe shows the first frame by another clock than the others
        assert np.diff(spans(enlarged)) == pytest.approx(1 / 25, abs=2e-3)
    elif "recordings" not in name and "time stamps" not in name:
        assert spans(enlarged) == pytest.approx(spans(source), abs=2e-3)
    assert len(sound(enlarged)) == len(sound(source))
    for entry in ("sample_aspect_ratio", "side_data_list"):
        if probe(source, entry) not in ([None], ["0:1"]):
            assert (probe(enlarged, entry) == probe(source, entry)) or entry == "side_data_list"
    if name.startswith("phone"):
        assert [probe(path, "side_data_list")[0][0]["rotation"] for path in (source, enlarged)] == [90, 90]
