"""Clips: sequences of frames, read one at a time from a folder of images or from inside a zip file.

A clip is described by its index, a plain dict that `index_images` makes and that is stored as JSON:
  container  path of the folder or zip file
  members    names of the frames in it, in order of time
  height, width  of every frame, in pixels
  sha256     of the frames' bytes, for provenance and so that changed frames re-run what depends on them
  whole_sha256   of the bytes of all frames of the clip, if only its first ones are used
"""

import hashlib
import io
import logging
import os
import re
import tempfile
import zipfile
from collections import Counter
from contextlib import suppress
from pathlib import Path

import cv2
import numpy as np
from PIL import Image

from deepsr.data.zips import get_again, open_zip
from deepsr.errors import InputError
from deepsr.files import atomic

log = logging.getLogger("deepsr")

SUFFIXES = (".png", ".jpg", ".jpeg", ".bmp", ".tif", ".tiff", ".webp")
MAX_SIDE = 8192  # pixels; an image that claims more is refused before it is decoded


class Clip:
    """The frames of the clip that an index (see the module) describes: `clip[i]` is uint8 (height, width, 3), BGR."""

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


def list_images(folder):
    """Names of the images in a folder, in natural order (frame2 before frame10), without hidden files.

    Raises InputError for a name that is not UTF-8, and for two images whose names differ in the suffix only.
    """
    return _images((path.name for path in Path(folder).iterdir()), folder)


def list_members(container, prefix="", frames=None):
    """Names of a clip's frames: the images of a folder, or of a zip file below `prefix` (not in folders further down).

    frames: how many to take, if that is known. Raises InputError if there are none or fewer.
    """
    if Path(container).is_dir():
        names = list_images(container)
    else:
        with open_zip(container) as archive:
            names = members_below(archive.namelist(), prefix, container)
    place = f"{container}/{prefix}" if prefix else container
    if not names:
        raise InputError(f"{place}: holds no frames ({', '.join(SUFFIXES)}); put the clip's frames there.")
    if frames is not None and len(names) < frames:
        raise InputError(f"{place}: holds {len(names)} frames, {frames} are expected; {get_again(container)}.")
    return names[:frames]


def members_below(names, prefix, archive):
    """Those of the members `names` of a zip archive that are images directly in the folder `prefix`, in natural order."""
    inside = [name[len(prefix) :] for name in names if name.startswith(prefix)]
    return [prefix + name for name in _images((name for name in inside if "/" not in name), archive)]


def pair_lr(hr, lr, place):
    """The names `lr` of given LR frames, in the order of the HR frames `hr` that they belong to.

    Frames belong together if their names agree without the suffix and without an ending that tells scale or kind, as do
    00000007.png and 00000007.png, baby.png and babyx4.png, im_HR.png and im_LR.png. place: of the LR frames, for messages.
    Raises InputError if a frame has no partner, or more than one.
    """
    ending = r"([_-]?(x[234]|lr|hr))+$"
    hr_stems, lr_stems = ([re.sub(ending, "", Path(name).stem, flags=re.I) for name in names] for names in (hr, lr))
    in_hr, in_lr = Counter(hr_stems), Counter(lr_stems)
    for stem, name in zip(hr_stems + lr_stems, [*hr, *lr], strict=True):
        if in_hr[stem] != 1 or in_lr[stem] != 1:
            raise InputError(
                f"{place}: the names of {len(lr)} LR and {len(hr)} HR frames do not match one to one (see "
                f"{Path(name).name}); call each LR frame as its HR frame (x4 or _LR may follow) and remove the others."
            )
    by_stem = dict(zip(lr_stems, lr, strict=True))
    return [by_stem[stem] for stem in hr_stems]


def natural_key(name):
    """Sort key that compares runs of digits as numbers."""
    return [(0, int(part), part) if part.isdecimal() else (1, 0, part) for part in re.split(r"(\d+)", name) if part]


def index_images(container, members):
    """Index of the clip whose frames are `members` of a folder or zip file.

    Every frame's bytes are hashed and its size is read from its header. Transparency and further pictures in a frame's file
    are ignored, which the log says once. Raises InputError that names the frame that is missing, unreadable, too large or of
    another size than the first, and for 16-bit frames that use only the lowest 12 bits.
    """
    container = Path(container)
    read, digest, first, ignored, brightest = _reader(container), hashlib.sha256(), None, set(), []
    for member in members:
        data, name = read(member), f"{container}/{member}"
        digest.update(len(data).to_bytes(8, "little"))
        digest.update(data)
        size, found = _header(data, name)
        first = first or size
        if size != first:
            raise InputError(
                f"{name}: is {size[1]}x{size[0]} but the clip's first frame is {first[1]}x{first[0]}; "
                "all frames of a clip must have one size."
            )
        for what in found - ignored:
            log.warning("%s: %s ignored", name, what)
        ignored |= found
        if data.startswith(b"\xff\xd8"):
            _check_jpeg(data, name)
        if (raw := _raw_16_bit(data)) is not None:
            brightest.append(int(raw.max()))
    if brightest and 0 < max(brightest) < 1 << 12:
        raise InputError(
            f"{container}: its 16-bit frames hold no value above {max(brightest)} of 65535, as pictures of 10 or 12 bits do "
            "that were not scaled; multiply them to the full range (12 bits by 16) or store them with 8 bits."
        )
    return {
        "container": str(container),
        "members": list(members),
        "height": first[0],
        "width": first[1],
        "sha256": digest.hexdigest(),
    }


def image_size(path):
    """Height and width of an image file, from its header. Raises InputError if it cannot be read."""
    return _header(Path(path).read_bytes(), path)[0]


def decode(data, name, upright=False):
    """Decode an image file's bytes to uint8 (H, W, 3) BGR; 16-bit and grey images are converted. `name` is for messages.

    upright: whether to turn the image as its EXIF data say. Images of data sets are not turned.
    """
    _header(data, name)  # refuses an image that is too large before it is decoded
    flags = cv2.IMREAD_COLOR | (0 if upright else cv2.IMREAD_IGNORE_ORIENTATION)
    frame = cv2.imdecode(np.frombuffer(data, np.uint8), flags)
    if frame is None:
        raise InputError(f"{name}: cannot be decoded, the file is truncated or damaged; replace it or remove the clip.")
    return frame


def _check_jpeg(data, name):
    """Raise InputError if a JPEG file's bytes are damaged inside.

    JPEG has no checksum. libjpeg decodes what it can and complains on stderr, which OpenCV has no other way to tell.
    """
    with tempfile.TemporaryFile() as complaints:
        terminal = os.dup(2)
        os.dup2(complaints.fileno(), 2)
        try:
            decode(data, name)
        finally:
            os.dup2(terminal, 2)
            os.close(terminal)
        complaints.seek(0)
        if b"Corrupt JPEG" in complaints.read():
            raise InputError(f"{name}: is damaged inside; replace it or remove the clip.")


def _header(data, name):
    """Size (height, width) of an image, which is not decoded, and a set of texts that say what of it is not used."""
    ignored = set()
    try:
        with Image.open(io.BytesIO(data)) as image:
            width, height = image.size
            mode = image.mode
            if image.has_transparency_data:
                ignored.add("its transparency is")
            if getattr(image, "n_frames", 1) > 1:
                ignored.add("the pictures after the first one in the file are")
    except Image.DecompressionBombError:
        width = height = MAX_SIDE + 1
        mode = ""
    except Exception as error:  # Pillow's readers raise many kinds on a damaged header
        if not _is_float_tiff(data):
            raise InputError(f"{name}: is not an image that can be read; replace it or remove it.") from error
        mode = "F"
    if mode == "F":
        raise InputError(f"{name}: holds floating-point numbers; store it with 8 or 16 bits for each colour.")
    if max(height, width) > MAX_SIDE:
        raise InputError(f"{name}: is larger than {MAX_SIDE} pixels on a side; remove it or scale it down.")
    return (height, width), ignored


def _is_float_tiff(data):
    """Whether OpenCV finds floating-point numbers in a TIFF file; Pillow cannot read such files in colour."""
    if not data.startswith((b"II", b"MM")):
        return False
    with suppress(cv2.error):
        raw = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED)
        return raw is not None and raw.dtype.kind == "f"
    return False


def _raw_16_bit(data):
    """The values of a PNG or TIFF file with 16 bits for each colour, uint16; None for all other images."""
    is_deep_png = data.startswith(b"\x89PNG") and data[24] == 16  # the header's byte for the bit depth
    if not is_deep_png and not data.startswith((b"II", b"MM")):
        return None
    raw = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED)
    return raw if raw is not None and raw.dtype == np.uint16 else None


def luma(frame):
    """Full-range luma: uint8 (H, W, 3) BGR -> uint8 (H, W), Y = 0.299 R + 0.587 G + 0.114 B (BT.601)."""
    return cv2.cvtColor(frame, cv2.COLOR_BGR2YCrCb)[..., 0]


def write_clip(path, frames):
    """Write frames (uint8 (H, W, 3) BGR) as a zip of PNG files with reproducible bytes."""
    with atomic(path) as part, zipfile.ZipFile(part, "w") as archive:
        for i, frame in enumerate(frames):
            data = cv2.imencode(".png", frame, [cv2.IMWRITE_PNG_COMPRESSION, 3])[1].tobytes()
            archive.writestr(zipfile.ZipInfo(f"{i:08d}.png"), data)


def _images(names, place):
    """Those of `names` that are images and not hidden, in natural order. `place` is for messages."""
    found = sorted((n for n in names if n.lower().endswith(SUFFIXES) and not n.startswith(".")), key=natural_key)
    for name in found:
        if name.encode("utf-8", "replace").decode() != name:
            raise InputError(f"{place}: the name of the frame {name!r} is not UTF-8; rename it.")
    for stem, number in Counter(os.path.splitext(name)[0] for name in found).items():
        if number > 1:
            same = ", ".join(name for name in found if os.path.splitext(name)[0] == stem)
            raise InputError(f"{place}: {same} have one name, so it is not clear which is the frame; remove all but one.")
    return found


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
            raise InputError(f"{container}/{member}: cannot be read ({error}); {get_again(container)}.") from error

    return read
