"""Single clips, fetched out of a zip archive of many that stays on its server."""

import io
import logging
import shutil
import time
import zipfile
import zlib
from pathlib import Path

from deepsr.data.frames import members_below
from deepsr.data.zips import ZIP_ERRORS, open_zip
from deepsr.errors import InputError
from deepsr.fetch.download import check_space, first_that_works
from deepsr.fetch.remote import BLOCK, Refused, Remote
from deepsr.files import atomic, write_file, writing
from deepsr.progress import progress

log = logging.getLogger(__name__)

GAP = 1 << 16  # bytes: so small a gap between two wanted members is fetched with them rather than by a second request


class HttpFile(io.RawIOBase):
    """The file of a Remote as a seekable, read-only binary file, for zipfile.ZipFile.

    One request serves reads as long as they move forward within it. For any other read a new request is sent, for the 1 MiB
    blocks around what is read. Raises Refused and Changed.
    """

    def __init__(self, remote):
        """Ask the deepsr.fetch.remote.Remote for one byte, which tells its size."""
        self.name = remote.url
        self._remote = remote
        self._position = 0
        self.expect(0, 1)
        self._pull(1)

    def expect(self, start, stop):
        """Serve the coming reads from one request for the bytes `start` to `stop`."""
        self._stream = self._remote.blocks(start, stop)
        self._start, self._stop, self._buffer = start, stop, bytearray()

    def _pull(self, end):
        while self._start + len(self._buffer) < end:
            self._buffer += next(self._stream)[1]

    def readinto(self, target):
        """Fill `target` from the position on, as far as the file goes; return the number of bytes."""
        start = self._position
        end = min(start + len(target), self._remote.size)
        if start >= end:
            return 0
        if not self._start <= start <= end <= self._stop:
            self.expect(start - start % BLOCK, min(end + -end % BLOCK, self._remote.size))
        self._pull(end)
        target[: end - start] = self._buffer[start - self._start : end - self._start]
        self._position = end
        if (passed := start - self._start) > 4 * BLOCK:  # zipfile steps back by less
            del self._buffer[:passed]
            self._start = start
        return end - start

    def seek(self, offset, whence=io.SEEK_SET):
        self._position = offset + (0, self._position, self._remote.size)[whence]
        return self._position

    def tell(self):
        return self._position

    def readable(self):
        return True

    def seekable(self):
        return True


def fetch_clip(url, prefix, path, frames=None, size=None, timeout=60, retries=5, sleep=time.sleep):
    """Fetch the frames in the folder `prefix`, such as "train/train_sharp/000/", of the zip archive at `url`.

    Nothing else is transferred but the archive's directory. The frames are written to `path`, a new zip file whose
    members are the bare file names, not compressed and with a fixed date: the same frames give the same bytes.
    Frames that have arrived are kept in the folder `path`.part and not fetched again by the next call.
    frames: take the first so many (None: all). size: the archive's expected bytes, or None.
    url, timeout, retries and sleep: see download.

    Raises InputError if the archive cannot be had or trusted, has no such clip or fewer frames, a frame is damaged
    (CRC-32), or the disk is too small.
    """
    path = Path(path)
    folder = path.with_name(path.name + ".part")

    def attempt(address):
        file = HttpFile(Remote(address, size, timeout=timeout, retries=retries, sleep=sleep))
        try:
            archive = open_zip(file)
            members = _clip(archive, prefix, frames)
        except InputError as error:  # another address may have a better one; after "; " comes advice on local archives
            raise Refused(str(error).removeprefix(f"{address}: ").partition("; ")[0]) from error
        _fetch(file, archive, members, folder)
        return [member.filename.rpartition("/")[2] for member in members]

    with writing(path):
        if folder.is_file():
            raise InputError(
                f"{folder}: is a file, but the frames of a clip that is fetched go into a folder there; remove it."
            )
        folder.mkdir(parents=True, exist_ok=True)
        names = first_that_works(url, path, attempt, kept=folder)
        check_space(path, sum((folder / name).stat().st_size for name in names))
        with atomic(path) as draft, zipfile.ZipFile(draft, "w") as clip:
            for name in names:
                member = zipfile.ZipInfo(name, (1980, 1, 1, 0, 0, 0))
                member.create_system, member.external_attr = 3, 0o644 << 16  # Unix, on every system
                clip.writestr(member, (folder / name).read_bytes())
        shutil.rmtree(folder)


def _clip(archive, prefix, frames):
    """The members of the clip's (first) frames, in order."""
    members = members_below(archive.namelist(), prefix, archive.filename)
    if not members:
        raise InputError(f"{archive.filename}: has no clip {prefix!r}.")
    if frames is not None and len(members) < frames:
        raise InputError(f"{archive.filename}: the clip {prefix!r} has {len(members)} frames, but {frames} are asked for.")
    return [archive.getinfo(name) for name in members[:frames]]


def _fetch(file, archive, members, folder):
    """Fetch the members that are not yet in `folder`. One request serves those that are neighbours in the archive."""
    offsets = sorted(member.header_offset for member in archive.infolist())
    ends = dict(zip(offsets, [*offsets[1:], archive.start_dir], strict=True))
    missing = [m for m in members if not _is_there(folder / m.filename.rpartition("/")[2], m)]
    if len(missing) < len(members):
        log.info("%s: %d of %d frames are already there", folder, len(members) - len(missing), len(members))
    check_space(folder, sum(member.file_size for member in missing))
    runs = []
    for member in sorted(missing, key=lambda member: member.header_offset):
        if runs and member.header_offset - ends[runs[-1][-1].header_offset] <= GAP:
            runs[-1].append(member)
        else:
            runs.append([member])
    with progress(total=sum(m.compress_size for m in missing), desc=folder.stem, unit="B", unit_scale=True) as bar:
        for run in runs:
            file.expect(run[0].header_offset, ends[run[-1].header_offset])
            for member in run:
                try:
                    frame = archive.read(member)
                except ZIP_ERRORS as error:
                    raise Refused(f"the member {member.filename!r} is damaged ({error})") from error
                write_file(folder / member.filename.rpartition("/")[2], frame)
                bar.update(member.compress_size)


def _is_there(path, member):
    """Whether an earlier call has fetched this very member, judged by its length and CRC-32."""
    if not path.exists() or path.stat().st_size != member.file_size:
        return False
    return zlib.crc32(path.read_bytes()) == member.CRC
