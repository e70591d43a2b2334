"""Training patches: which ones are cut from a clip, and the npz shards that hold them (one per clip)."""

import zipfile
import zlib
from typing import NamedTuple

import numpy as np
from numpy.lib import format as npy

from deepsr.errors import InputError
from deepsr.files import atomic

COLUMNS = "frame", "top", "left", "validation", "without_neighbours"  # of a table of chosen patches


class Shard(NamedTuple):
    """Training patches of one clip, memory-mapped."""

    drafts: np.ndarray  # uint8 (N, D, size, size)
    target: np.ndarray  # uint8 (N, size, size)
    validation: np.ndarray  # bool (N,)


def choose(n_frames, height, width, scale, size, per_frame, without_neighbours, frames, validation_frames, seed):
    """Choose random positions of patches in a clip. `scale` divides them, so that networks on the LR grid can use them.

    n_frames, height, width: of the clip, sides already cropped to the scale; size: side of a patch in pixels;
    per_frame: patches per chosen frame; without_neighbours: share of the training patches whose drafts are made as if the
    frame had no neighbours, so that the network learns such frames, too; frames: number of frames to choose for training,
    all if None; validation_frames: number of frames at the end of the clip that are held out for validation.
    Returns int32 (N, 5), the columns of COLUMNS, the last two 0 or 1; ordered by frame. Raises InputError if a patch is
    larger than the frame or the clip is too short.
    """
    if size > min(height, width):
        raise InputError(f"patches.size: {size} is larger than the frames ({width}x{height}); choose a smaller patch.")
    training = n_frames - validation_frames
    if training < 1:
        raise InputError(
            f"patches.validation_frames: {validation_frames} leave no frame to train on in a clip of {n_frames} frames; "
            "choose fewer or remove the clip from `train`."
        )
    random = np.random.default_rng(seed)
    chosen = np.arange(training)
    if frames is not None and frames < training:
        chosen = np.sort(random.choice(training, frames, replace=False))
    chosen = np.concatenate([chosen, np.arange(training, n_frames)])
    frame = np.repeat(chosen, per_frame)
    top, left = (scale * random.integers(0, (side - size) // scale + 1, len(frame)) for side in (height, width))
    validation = frame >= training
    without = (random.random(len(frame)) < without_neighbours) & ~validation
    return np.stack([frame, top, left, validation, without], axis=1).astype(np.int32)


def seed_of(name):
    """A clip's own seed, so that its patches do not depend on which other clips there are."""
    return zlib.crc32(name.encode())


def check(positions, n_frames, height, width, size, path):
    """Raise InputError that names `path` if one of the positions, rows as from `choose`, is outside the clip."""
    beyond = positions > [n_frames - 1, height - size, width - size, 1, 1]
    if beyond.any() or (positions < 0).any():
        raise InputError(f"{path}: is damaged (a patch lies outside the clip); delete it and run again.")


def cut(image, positions, size):
    """Cut patches: (..., H, W) and int (N, >=3) frame, top, left -> copies (N, ..., size, size)."""
    return np.stack([image[..., top : top + size, left : left + size] for _, top, left, *_ in positions])


def save(path, **arrays):
    """Write arrays as an uncompressed npz file, which holds no time: the same arrays give the same bytes."""
    with atomic(path) as part:
        np.savez(part, **arrays)


def open_shard(path):
    """The training shard at `path`, memory-mapped. NumPy maps npy files only, so the arrays are looked for in the npz file.

    Raises InputError if the file is damaged; every byte is checked.
    """
    arrays = {}
    try:
        with zipfile.ZipFile(path) as archive:
            if damaged := archive.testzip():
                raise zipfile.BadZipFile(f"{damaged} fails its checksum")
            for info in archive.infolist():
                with archive.open(info) as member:
                    npy.read_magic(member)
                    shape, fortran, dtype = npy.read_array_header_1_0(member)
                    if info.compress_type or fortran or dtype.hasobject:
                        raise ValueError(f"{info.filename} cannot be mapped into memory")
                    offset = _data_offset(path, info) + member.tell()
                arrays[info.filename.removesuffix(".npy")] = np.memmap(path, dtype, "r", offset, shape)
        return Shard(**arrays)
    except Exception as error:  # a damaged file can fail in any way that zipfile and numpy know
        raise InputError(f"{path}: is damaged ({error}); delete it and run again.") from error


def _data_offset(path, info):
    """Where a stored zip member's data begins: the local header is 30 bytes, then the name and the extra field."""
    with open(path, "rb") as file:
        file.seek(info.header_offset + 26)
        return info.header_offset + 30 + sum(np.frombuffer(file.read(4), "<u2").tolist())
