"""Writing files so that a half-written one is never taken for a finished one."""

import errno
import hashlib
import os
import re
from contextlib import contextmanager
from pathlib import Path

from deepsr.errors import InputError

UNWRITABLE = errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EACCES, errno.EPERM


@contextmanager
def atomic(path):
    """Give a temporary path beside `path`; rename it to `path` when the block ends without an error.

    The temporary name keeps the suffix, since image, video and model writers choose the format by it. Temporary files that
    killed processes have left of the same file are removed. Raises InputError if the disk is full or the folder cannot be
    written.
    """
    path = Path(path)
    part = path.with_name(f".{path.stem}.{os.getpid()}.part{path.suffix}")
    with writing(path):
        left = re.compile(re.escape(f".{path.stem}.") + r"\d+" + re.escape(f".part{path.suffix}"))
        for name in filter(left.fullmatch, os.listdir(path.parent)):
            path.with_name(name).unlink(missing_ok=True)
        try:
            yield part
            if not part.exists():  # OpenCV's writers fail without an exception
                raise InputError(f"{path}: cannot be written; make room or choose another folder.")
            with open(part, "rb") as written:
                os.fsync(written.fileno())
            os.replace(part, path)
        finally:
            part.unlink(missing_ok=True)


def write_file(path, content):
    """Write text (as UTF-8) or bytes, as `atomic` does."""
    with atomic(path) as part:
        part.write_bytes(content.encode() if isinstance(content, str) else content)


@contextmanager
def writing(path):
    """Make the folder of the file `path`. An error of the disk within the block becomes an InputError."""
    try:
        Path(path).parent.mkdir(parents=True, exist_ok=True)
        yield
    except OSError as error:
        if error.errno in UNWRITABLE:
            raise InputError(f"{path}: cannot be written ({error.strerror}); make room or choose another folder.") from error
        raise


def sha256(path):
    """sha256 of a file's bytes, as hexadecimal text."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
