"""Writing files so that a half-written one is never taken for a finished one."""

import errno
import fcntl
import hashlib
import os
import re
import shutil
from contextlib import contextmanager, suppress
from pathlib import Path

from deepsr.errors import InputError

UNWRITABLE = errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EACCES, errno.EPERM


@contextmanager
def atomic(path):
    """Give a temporary path beside `path`; rename it to `path` when the block ends without an error.

    The temporary name keeps the suffix, since image, video and model writers choose the format by it. What a process that
    was killed has left of the same file is removed. Raises InputError if the disk is full or the folder cannot be written.
    """
    path = Path(path)
    part = path.with_name(f".{path.stem}.{os.getpid()}.part{path.suffix}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        left = re.compile(re.escape(f".{path.stem}.") + r"\d+" + re.escape(f".part{path.suffix}"))
        for name in filter(left.fullmatch, os.listdir(path.parent)):
            path.with_name(name).unlink(missing_ok=True)
        yield part
        if not part.exists():  # OpenCV's writers fail without an exception
            raise InputError(f"{path}: cannot be written; make room or choose another folder.")
        with open(part, "rb") as written:
            os.fsync(written.fileno())
        os.replace(part, path)
    except OSError as error:
        if error.errno in UNWRITABLE:
            raise InputError(f"{path}: cannot be written ({error.strerror}); make room or choose another folder.") from error
        raise
    finally:
        part.unlink(missing_ok=True)


def sha256(path):
    """Hash of a file's bytes."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def release_stale_locks(folder=".snakemake"):
    """Remove the locks that a killed run has left in Snakemake's `folder`, if no other run is alive.

    Snakemake's locks are files, which outlive their run. Every run also holds a share of a lock of the operating system's,
    which ends with its process: who has that lock alone knows that the files are stale. Where the file system has no such
    locks, nothing is removed.
    """
    folder = Path(folder)
    with suppress(OSError):
        folder.mkdir(exist_ok=True)
        file = open(folder / "alive", "a")  # noqa: SIM115 (held until this process ends)
        _held.append(file)
        with suppress(BlockingIOError):
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            shutil.rmtree(folder / "locks", ignore_errors=True)
        fcntl.flock(file, fcntl.LOCK_SH)


_held = []
