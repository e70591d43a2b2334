"""Progress of a whole video whose parts are enlarged by processes of their own, maybe on several machines."""

import time
from contextlib import contextmanager
from pathlib import Path

from deepsr.names import digest
from deepsr.progress import progress

STALE = 600  # seconds after which a part whose count does not change is taken for dead


@contextmanager
def video_progress(output, part, lengths, name, settings):
    """Gives a function to call after each enlarged frame of a part. One of the parts at work shows how far all have come.

    output: the file that the part is written to; all parts of a video lie in one folder. lengths: frames of each part.
    settings: plain values that differ if the video is enlarged in another way.
    Each part keeps a small file with the number of its finished frames beside its output. The first of the parts at work
    shows the sum, and the time left at the speed of all parts together.
    """
    own, kind = Path(output).with_name(f".{part}.count"), digest(settings)
    counts = [own.with_name(f".{each}.count") for each in range(len(lengths))]
    done = 0
    own.parent.mkdir(parents=True, exist_ok=True)
    own.write_text(f"{kind} 0")
    with progress(initial=sum(_counts(counts, kind)), total=sum(lengths), desc=name, unit="frame") as bar:

        def step():
            nonlocal done
            done += 1
            own.write_text(f"{kind} {done}")
            found = _counts(counts, kind)
            if not any(0 < found[each] < lengths[each] for each in range(part)):  # no earlier part is at work
                bar.update(sum(found) - bar.n)

        try:
            yield step
        finally:
            if done < lengths[part]:
                own.unlink(missing_ok=True)


def _counts(files, kind):
    """The number of finished frames of each part."""
    return [_count(file, kind) for file in files]


def _count(file, kind):
    """The number in a part's file, or 0 if the part was made with other settings, or died before it was finished."""
    try:
        found, count = file.read_text().split()
        finished = any(file.parent.glob(f"{file.name.split('.')[1]}.*"))
        alive = time.time() - file.stat().st_mtime < STALE
        return int(count) if found == kind and (finished or alive) else 0
    except (OSError, ValueError):  # not there, or just being written
        return 0
