"""Writing files so that a half-written one is never taken for a finished one."""

import errno
import os
from contextlib import contextmanager
from pathlib import Path

from deepsr.errors import InputError


@contextmanager
def atomic(path):
    """Give a temporary path beside `path`; rename it to `path` when the block ends without an error.

    The temporary name keeps the suffix, since image, video and model writers choose the format by it.
    Raises InputError if the disk is full or the folder cannot be written.
    """
    path = Path(path)
    part = path.with_name(f".{path.stem}.{os.getpid()}.part{path.suffix}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        yield part
        with open(part, "rb") as written:
            os.fsync(written.fileno())
        os.replace(part, path)
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EACCES):
            raise InputError(f"{path}: cannot be written ({error.strerror}); make room or choose another folder.") from error
        raise
    finally:
        part.unlink(missing_ok=True)
