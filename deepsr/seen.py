"""Noticing that frames or videos have been replaced by older files, as `cp -a`, `mv` and `tar` do.

Snakemake compares times, to which such files are no news.
"""

import hashlib
import json
import os
from pathlib import Path

from deepsr.files import atomic


def replaced(index, files, lr_files=(), digest=None):
    """Hashes of a clip's frames if they are not those that were indexed, of HR and of LR frames if there are such.

    index: path; what `remember` has written beside it is compared. As long as nothing has changed since then the answer
    stays the same, at first None. files, lr_files: frames in folders; digest: of a single file that is no frame but a video.
    Only files whose inode is newer than what was written are read.
    """
    try:
        seen = _seen(index)
        made, known = os.stat(seen).st_mtime, json.loads(seen.read_text(encoding="utf-8"))
        hashes, before = known["sha256"], known["replaced"]
    except (OSError, ValueError, TypeError, KeyError):
        return None  # it has not been indexed yet
    groups = [files, lr_files] if lr_files else [files]
    if all(os.stat(file).st_ctime <= made for group in groups for file in group):
        return before
    now = [digest(*group) if digest else _sha256(group) for group in groups]
    return before if now == hashes else now


def remember(index, hashes, replaced):
    """Write down, for `replaced`, the hashes of what has been indexed, and the answer that it gave before."""
    with atomic(_seen(index)) as part:
        part.write_text(json.dumps({"sha256": hashes, "replaced": replaced}) + "\n", encoding="utf-8")


def _seen(index):
    # Not an output: Snakemake deletes outputs before their job runs, and the job must get the same answer as the planning.
    return Path(index).with_name(f".{Path(index).stem}.seen")


def _sha256(files):
    """As `deepsr.data.frames.index_images` does."""
    digest = hashlib.sha256()
    for file in files:
        data = Path(file).read_bytes()
        digest.update(len(data).to_bytes(8, "little"))
        digest.update(data)
    return digest.hexdigest()
