"""Progress of a whole video whose parts are enlarged by processes of their own, maybe on several machines."""

import time
from contextlib import contextmanager
from pathlib import Path

from deepsr.names import digest
from deepsr.progress import progress

STALE = 600  # seconds after which a part whose count does not change is taken for dead


@contextmanager
def whole_progress(output, part, lengths, name, settings):
    """Gives a function to call after each enlarged frame of a part; one of the parts at work tells how far all have come.

    output: the file that the part is written to; all parts of a video lie in one folder. lengths: frames of each part.
    settings: plain values that tell one enlargement of the video from another.
    Each part keeps a small file with its count beside its output. The first of those at work shows the sum, and with it the
    time left at the speed that all have together.
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
            if not any(0 < found[each] < lengths[each] for each in range(part)):
                bar.update(sum(found) - bar.n)

        try:
            yield step
        finally:
            if done < lengths[part]:
                own.unlink(missing_ok=True)


def _counts(files, kind):
    """The frames done of each part, 0 for those of other settings and those that were left half done."""
    return [_count(file, kind) for file in files]


def _count(file, kind):
    try:
        found, count = file.read_text().split()
        finished = any(file.parent.glob(f"{file.name.split('.')[1]}.*"))
        alive = time.time() - file.stat().st_mtime < STALE
        return int(count) if found == kind and (finished or alive) else 0
    except (OSError, ValueError):  # not there, or just being written
        return 0
