"""Download of large files over HTTP: resumed where it broke off, checked, renamed only when complete."""

import fcntl
import json
import logging
import os
import shutil
import time
from pathlib import Path

from deepsr.errors import InputError
from deepsr.fetch.remote import Changed, Refused, Remote
from deepsr.files import sha256, write_file, writing
from deepsr.progress import progress

log = logging.getLogger(__name__)


def download(url, path, size=None, digest=None, timeout=60, retries=5, sleep=time.sleep):
    """Download `url`, or the first of a list of mirrors that has the right file, to `path`, unless it is there already.

    What has arrived is kept in `path`.part, and a note on where it came from in `path`.part.json, so that the same call goes
    on from there after a failure, an interruption or a kill. If the remote file has changed since, the download starts
    over. size: expected bytes, or None; digest: expected sha256 in hexadecimal, or None. For `timeout` (seconds), `retries`
    and `sleep` see deepsr.fetch.remote.Remote.

    Raises InputError if no address gives the file, its size or digest is wrong, or the disk is too small.
    """
    path = Path(path)
    with writing(path), _Part(path) as part:

        def attempt(address):
            if part.wrong:  # the last address gave another file
                part.clear()
            if size is None or part.length != size:
                _fill(part, address, size, timeout, retries, sleep)
            found = digest and sha256(part.path)
            part.wrong = bool(digest) and found != digest.lower()
            if part.wrong:
                raise Refused(
                    f"the file's sha256 is {found}, but {digest.lower()} is expected; correct the expected one in the "
                    f"config if it is wrong, or delete {part.path} to download the file again"
                )

        if not path.exists():  # another process may have finished it just now
            first_that_works(url, path, attempt, kept=part.path)
            part.finish()


def first_that_works(urls, path, attempt, kept):
    """Call `attempt(url)` for each of `urls` (one, or a list) until one raises neither Refused nor Changed.

    If none is left, the InputError says what went wrong at each, and that the next try goes on from `kept`.
    """
    failed = []
    for url in [urls] if isinstance(urls, str) else urls:
        try:
            return attempt(url)
        except (Refused, Changed) as error:
            log.warning("%s: %s", url, error)
            failed.append(f"{url}: {error}")
    reasons = "; ".join(failed)
    raise InputError(
        f"{path}: could not be downloaded ({reasons}); give the same command again to go on from {kept}, "
        "or name an archive or a folder of frames that is already there in the config."
    )


def check_space(path, needed):
    """Raise InputError unless the disk of the file `path` has room for `needed` more bytes."""
    free = shutil.disk_usage(Path(path).parent).free
    if needed > free:
        raise InputError(
            f"{path}: {needed / 1e9:.3f} GB more are needed on this disk, but {free / 1e9:.3f} GB are free; "
            "make room or choose another folder."
        )


class _Part:
    """The unfinished file beside its target, locked, and a note of the size and ETags that it came with."""

    def __init__(self, target):
        self.target = target
        self.path = target.with_name(target.name + ".part")
        self.wrong = False  # whether it is complete and has another sha256 than expected
        self._note_path = target.with_name(target.name + ".part.json")

    def __enter__(self):
        if self.path.is_dir():
            raise InputError(f"{self.path}: is a folder, but a download goes there; remove it.")
        while True:
            self._file = open(os.open(self.path, os.O_RDWR | os.O_CREAT, 0o666), "r+b")
            self._lock()
            # Between opening and locking, another process may have finished the file and renamed it.
            if self.path.exists() and os.path.samestat(os.fstat(self._file.fileno()), os.stat(self.path)):
                break
            self._file.close()
        try:
            note = json.loads(self._note_path.read_text())
            self.note = {"size": note["size"], "etags": dict(note["etags"])}
        except (OSError, ValueError, TypeError, KeyError):  # not there, or not what was written
            self.clear()
        return self

    def _lock(self):
        try:
            # A job may outlive a killed workflow, and still be writing when the workflow is started again.
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            self._file.close()
            raise InputError(
                f"{self.path}: another process is downloading to it; wait for it to end, or stop it."
            ) from error
        except OSError:
            log.debug("%s: this file system has no locks", self.path)

    def __exit__(self, *error):
        if self.target.exists():  # by this process or another, so nothing is left to go on from
            self.path.unlink(missing_ok=True)
        self._file.close()

    @property
    def length(self):
        return self._file.seek(0, os.SEEK_END)

    def clear(self):
        self._file.truncate(0)
        self.wrong = False
        self.note = {"size": None, "etags": {}}

    def describe(self, remote):
        """Note what the bytes to come are part of, before the first of them is written."""
        self.note["size"] = remote.size
        self.note["etags"][remote.url] = remote.etag
        write_file(self._note_path, json.dumps(self.note))

    def write(self, offset, data):
        self._file.seek(offset)
        self._file.write(data)
        self._file.flush()  # so that a kill loses nothing

    def finish(self):
        os.fsync(self._file.fileno())
        os.replace(self.path, self.target)
        self._note_path.unlink(missing_ok=True)


def _fill(part, url, size, timeout, retries, sleep):
    """Bring `part` to its full length from one address; raises Refused."""
    for _ in range(retries + 1):
        known = part.note["size"], part.note["etags"].get(url)
        remote = Remote(url, size, *known, timeout, retries, sleep)
        if size is None and part.length and part.length == remote.size:
            return
        described = False
        try:
            total, name = remote.size or size, part.target.name
            with progress(total=total, initial=part.length, desc=name, unit="B", unit_scale=True) as bar:
                for offset, data in remote.blocks(part.length):
                    if not described:
                        bar.total = remote.size
                        check_space(part.target, remote.size - part.length)
                        part.describe(remote)
                        described = True
                    part.write(offset, data)
                    bar.update(offset + len(data) - bar.n)
            return
        except Changed as error:
            log.warning("%s: %s since its download began; starting over", url, error)
            part.clear()
    raise Refused("it changes all the time")
