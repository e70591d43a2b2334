"""Noticing that a clip's files or a video hold something else than before.

Only contents count. As in git's index, size, inode and times are kept beside each file's hash, and a file is read again
only if one of these has changed. So older files in the place of newer ones are noticed, and a copied project is not new.
"""

import hashlib
import json
import os
from contextlib import suppress
from functools import cache
from pathlib import Path

from deepsr.data.frames import list_images
from deepsr.data.zips import open_zip
from deepsr.errors import InputError
from deepsr.files import sha256


def contents(paths, memory):
    """One hash (hexadecimal text) of the names and contents of files, in their order.

    paths: of files, or of folders, whose images are meant. Of a zip archive only its directory is read, which has the name,
    size and CRC-32 of every member. memory: path of the JSON file that remembers the hashes of files that have been read.
    Raises InputError if a file cannot be read.
    """
    known, written = _recall(memory)
    now = {}
    for file in map(os.fspath, _files(paths)):
        try:
            status = _status(file)
            entry = known.get(file)
            # As git does: a file that changed when the memory was written may have changed again within the clock's tick.
            if entry is None or entry[:-1] != status or status[-1] >= written:
                entry = [*status, _directory(file, *status) if file.endswith(".zip") else sha256(file)]
        except OSError as error:
            raise InputError(f"{file}: cannot be read ({error.strerror}); put the file back or make it readable.") from error
        now[file] = entry
    if any(now[file] is not known.get(file) for file in now):  # a file was read
        with suppress(OSError):  # if it is not written, or not to its end, all is read again next time
            Path(memory).parent.mkdir(parents=True, exist_ok=True)
            Path(memory).write_text(json.dumps(now), encoding="utf-8")
    named = [(Path(file).name, entry[-1]) for file, entry in now.items()]
    return hashlib.sha256(json.dumps(named).encode()).hexdigest()


def _files(paths):
    for path in map(Path, paths):
        yield from [path / name for name in list_images(path)] if path.is_dir() else [path]


def _recall(memory):
    """What was remembered, {file: [*status, hash]}, and when that was written, in nanoseconds."""
    try:
        known = json.loads(Path(memory).read_text(encoding="utf-8"))
        return {file: entry for file, entry in known.items() if isinstance(entry, list)}, os.stat(memory).st_mtime_ns
    except (OSError, ValueError, AttributeError):
        return {}, 0


def _status(file):
    """What changes when a file or a link to it is replaced: size, inode, time of the last writing, of the last change."""
    status = os.stat(file)
    return [status.st_size, status.st_ino, status.st_mtime_ns, status.st_ctime_ns]


@cache  # one archive serves many clips
def _directory(file, *status):
    """Hash of a zip archive's directory. The status is a key of the cache: an archive that has changed is read again."""
    with open_zip(file) as archive:
        members = sorted((member.filename, member.file_size, member.CRC) for member in archive.infolist())
    return hashlib.sha256(json.dumps(members).encode()).hexdigest()
