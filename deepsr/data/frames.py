"""Clips: sequences of frames, read one at a time from a folder of images or from inside a zip file.

A clip is described by its index, a plain dict that `index_images` makes and that is stored as JSON:
  container  path of the folder or zip file
  members    names of the frames in it, in order of time
  height, width  of every frame, in pixels
  sha256     of the frames' bytes, for provenance and so that changed frames re-run what depends on them
"""

import hashlib
import io
import re
import zipfile
from pathlib import Path

import cv2
import numpy as np
from PIL import Image

from deepsr.data.zips import open_zip
from deepsr.errors import InputError
from deepsr.files import atomic

SUFFIXES = (".png", ".jpg", ".jpeg", ".bmp", ".tif", ".tiff", ".webp")
MAX_SIDE = 8192  # pixels; an image that claims more is refused before it is decoded


class Clip:
    """Frames of one clip: `len(clip)`, `clip.height`, `clip.width`, `clip[i]` -> uint8 (height, width, 3) in BGR order."""

    def __init__(self, index):
        self._container = Path(index["container"])
        self._members = index["members"]
        self.height, self.width = index["height"], index["width"]
        self._read = _reader(self._container)

    def __len__(self):
        return len(self._members)

    def __getitem__(self, i):
        name = f"{self._container}/{self._members[i]}"
        frame = decode(self._read(self._members[i]), name)
        if frame.shape[:2] != (self.height, self.width):
            raise InputError(
                f"{name}: is {frame.shape[1]}x{frame.shape[0]} but the clip's first frame was {self.width}x{self.height}; "
                "all frames of a clip must have one size."
            )
        return frame


def open_clip(index):
    """The clip that an index (see the module) describes."""
    return Clip(index)


def list_images(folder):
    """Names of the images in a folder, in natural order (frame2 before frame10), without hidden files."""
    return _images(path.name for path in Path(folder).iterdir())


def list_members(container, prefix="", frames=None):
    """Names of a clip's frames: the images of a folder, or of a zip file below `prefix` (not in folders further down).

    frames: how many there must be, if that is known. Raises InputError if there are none or fewer.
    """
    if Path(container).is_dir():
        names = list_images(container)
    else:
        inside = (name for name in open_zip(container).namelist() if name.startswith(prefix))
        names = [prefix + name for name in _images(name[len(prefix) :] for name in inside) if "/" not in name]
    place = f"{container}/{prefix}" if prefix else container
    if not names:
        raise InputError(f"{place}: holds no frames ({', '.join(SUFFIXES)}); put the clip's frames there.")
    if frames is not None and len(names) < frames:
        raise InputError(f"{place}: holds {len(names)} frames, {frames} are expected; get the clip again.")
    return names


def natural_key(name):
    """Sort key that compares runs of digits as numbers."""
    return [(0, int(part), part) if part.isdecimal() else (1, 0, part) for part in re.split(r"(\d+)", name) if part]


def index_images(container, members):
    """Index of the clip whose frames are `members` of a folder or zip file.

    Every frame's bytes are hashed and its size is read from its header. Raises InputError naming the frame that is missing,
    unreadable, too large or of another size than the first.
    """
    container = Path(container)
    read, digest, first = _reader(container), hashlib.sha256(), None
    for member in members:
        data, name = read(member), f"{container}/{member}"
        digest.update(len(data).to_bytes(8, "little"))
        digest.update(data)
        size = image_size(data, name)
        if first is None:
            first = size
        if size != first:
            raise InputError(
                f"{name}: is {size[1]}x{size[0]} but the clip's first frame is {first[1]}x{first[0]}; "
                "all frames of a clip must have one size."
            )
    return {
        "container": str(container),
        "members": list(members),
        "height": first[0],
        "width": first[1],
        "sha256": digest.hexdigest(),
    }


def decode(data, name, upright=False):
    """Decode an image file's bytes to uint8 (H, W, 3) BGR; 16-bit and grey images are converted. `name` is for messages.

    upright: whether to turn the image as its EXIF data say, which images of data sets are not.
    """
    image_size(data, name)
    flags = cv2.IMREAD_COLOR | (0 if upright else cv2.IMREAD_IGNORE_ORIENTATION)
    frame = cv2.imdecode(np.frombuffer(data, np.uint8), flags)
    if frame is None:
        raise InputError(f"{name}: cannot be decoded, the file is truncated or damaged; replace it or remove the clip.")
    return frame


def image_size(data, name):
    """(height, width) in pixels from the header of an image file's bytes, without decoding it. `name` is for messages."""
    try:
        with Image.open(io.BytesIO(data)) as image:
            width, height = image.size
    except Image.DecompressionBombError:
        width = height = MAX_SIDE + 1
    except Exception as error:  # Pillow's readers raise many kinds on a damaged header
        raise InputError(f"{name}: is not an image that can be read; replace it or remove it.") from error
    if max(height, width) > MAX_SIDE:
        raise InputError(f"{name}: is larger than {MAX_SIDE} pixels on a side; remove it or scale it down.")
    return height, width


def luma(frame):
    """Full-range luma: uint8 (H, W, 3) BGR -> uint8 (H, W), Y = 0.299 R + 0.587 G + 0.114 B (BT.601)."""
    return cv2.cvtColor(frame, cv2.COLOR_BGR2YCrCb)[..., 0]


def write_clip(path, frames):
    """Write frames (uint8 (H, W, 3) BGR) as a zip of PNG files with reproducible bytes."""
    with atomic(path) as part, zipfile.ZipFile(part, "w") as archive:
        for i, frame in enumerate(frames):
            data = cv2.imencode(".png", frame, [cv2.IMWRITE_PNG_COMPRESSION, 3])[1].tobytes()
            archive.writestr(zipfile.ZipInfo(f"{i:08d}.png"), data)


def _images(names):
    """Those of `names` that are images and not hidden, in natural order."""
    return sorted((n for n in names if n.lower().endswith(SUFFIXES) and not n.startswith(".")), key=natural_key)


def _reader(container):
    """A function from a member's name to its bytes."""
    if container.is_dir():

        def read(member):
            try:
                return (container / member).read_bytes()
            except OSError as error:
                raise InputError(f"{container / member}: cannot be read ({error.strerror}); put the frame back.") from error

        return read
    archive = open_zip(container)

    def read(member):
        try:
            return archive.read(member)
        except Exception as error:  # a damaged archive can fail in any way that zipfile and its decompressors know
            raise InputError(f"{container}/{member}: cannot be read ({error}); get the archive again.") from error

    return read
