"""Zip archives of frames: checked before anything is read from them."""

import io
import re
import stat
import struct
import zipfile
import zlib

from deepsr.errors import InputError

LARGEST = 512 << 20  # bytes of one member; a frame of 8K video in 16-bit colour has 200 MB
MOST_DENSE = 100  # unpacked to packed bytes; photographs stay under 3
SMALL = 1 << 20  # bytes that are no bomb, however dense
ZIP_ERRORS = (  # by zipfile, on a damaged archive
    zipfile.BadZipFile,
    NotImplementedError,
    EOFError,
    ValueError,
    struct.error,
    zlib.error,
)


def open_zip(source):
    """Open `source`, a path or a binary file with a name, as zipfile.ZipFile and check its members; raises InputError."""
    name = getattr(source, "name", source) if isinstance(source, io.IOBase) else source
    try:
        archive = zipfile.ZipFile(source)
    except FileNotFoundError as error:
        raise InputError(f"{name}: there is no such file; correct the path.") from error
    except OSError as error:
        raise InputError(
            f"{name}: cannot be read ({error.strerror or error}); make it readable, or get it again."
        ) from error
    except ZIP_ERRORS as error:
        raise InputError(
            f"{name}: is not a complete zip archive ({error}); it may be a web page saved under this name, or cut "
            f"short; {get_again(name)}."
        ) from error
    check_members(archive)
    return archive


def get_again(archive):
    """What to do about an archive, a path or an address, that is damaged or lacks frames."""
    return f"if the workflow has fetched it, delete {archive} and run again; otherwise replace it by a good copy"


def check_members(archive):
    """Raise InputError if a member of the zipfile.ZipFile could do harm or cannot be what the archive says of it.

    Refused are names that leave the folder, links and other special files, encryption, unknown compression,
    duplicates, overlapping members, contradictory sizes, and sizes beyond those of any frame (zip bombs).
    """
    seen = set()
    unpacked = packed = end = 0
    for member in sorted(archive.infolist(), key=lambda member: member.header_offset):
        parts = member.filename.replace("\\", "/").split("/")
        kind = stat.S_IFMT(member.external_attr >> 16)
        unpacked += member.file_size
        packed += member.compress_size
        if ".." in parts or parts[0] == "" or re.match(r"[A-Za-z]:", parts[0]):
            wrong = "would be written outside of its folder"
        elif kind not in (0, stat.S_IFREG, stat.S_IFDIR):
            wrong = "is a link or a special file"
        elif member.flag_bits & 1:
            wrong = "is encrypted"
        elif member.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
            wrong = "is compressed by another method than deflate"
        elif member.filename in seen:
            wrong = "is there twice"
        elif member.header_offset < end:
            wrong = "overlaps another member"
        elif member.compress_type == zipfile.ZIP_STORED and member.file_size != member.compress_size:
            wrong = f"has contradictory sizes, {member.file_size:,} and {member.compress_size:,} bytes"
        elif member.file_size > min(LARGEST, MOST_DENSE * member.compress_size + SMALL):
            wrong = f"would unpack to {member.file_size:,} bytes from {member.compress_size:,}, a zip bomb"
        else:
            wrong = None
        end = member.header_offset + 30 + member.compress_size  # 30: the fixed part of the local header
        if wrong is None and end > archive.start_dir:
            wrong = "reaches beyond the end of the members"
        if wrong is None and unpacked > MOST_DENSE * packed + SMALL:
            wrong = f"and those before it would unpack to {unpacked:,} bytes from {packed:,}, a zip bomb"
        if wrong:
            raise InputError(
                f"{archive.filename}: the member {member.filename!r} {wrong}; the archive is damaged or not to "
                "be trusted, so get it from its official address."
            )
        seen.add(member.filename)
