"""The plan of a video: what the later steps must know about it, and its JSON file."""

import json
from dataclasses import asdict, dataclass
from fractions import Fraction
from itertools import pairwise
from pathlib import Path

from deepsr.drafts import recurrent
from deepsr.errors import InputError
from deepsr.files import write_file

PREVIEW_SECONDS = 3


def preview_length(rate):
    """The number of frames of a preview of a video of `rate` frames a second."""
    return max(1, round(PREVIEW_SECONDS * rate))


@dataclass(frozen=True)
class Plan:
    """What the later steps must know about a video. Its frames are numbered from 0, in the order in which they are shown."""

    sha256: str  # of the file, or of the frames in the folder (deepsr.data.frames.index_images)
    images: tuple[str, ...] | None  # names of the frames if the source is a folder
    deinterlace: str | None  # from deepsr.video.fields.bwdif_arguments
    width: int  # of a frame, pixels
    height: int
    time_base: Fraction  # seconds; the unit of pts and last_duration
    pts: tuple[int, ...]  # when each frame is shown; increasing
    last_duration: int  # how long the last frame is shown
    start: Fraction  # seconds; the time in the source at which the enlarged video starts
    rate: Fraction  # frames a second on average
    cuts: tuple[int, ...]  # numbers of the first frames of shots, without frame 0
    busiest: int  # number of the first frame of the PREVIEW_SECONDS that move most
    aspect: Fraction | None  # width of a pixel over its height
    matrix: tuple[int, ...] | None  # display matrix of nine numbers, which turns and mirrors (FFmpeg's display.h)
    bits: int  # of a sample of the result, 8 or 10
    full_range: bool  # whether luma is 0..255 (with 10 bits 0..1023) rather than 16..235 (64..940)
    colour: tuple[int, int, int]  # matrix, primaries and transfer, code points of ITU-T H.273

    @property
    def frames(self):
        """The number of frames."""
        return len(self.pts)

    @property
    def is_mirrored(self):
        """Whether a player shows the frames mirrored."""
        return self.matrix is not None and self.matrix[0] * self.matrix[4] < self.matrix[1] * self.matrix[3]

    def part(self, part, parts):
        """Numbers (a range, which may be empty) of the frames of one of `parts` shares, 0 <= part < parts.

        A share consists of whole blocks of recurrent drafts, since a part that begins within a block has to make all of it.
        So 250 frames without a cut in 8 parts take 1.45 draft frames for each frame; in equal shares they would take 2.76.
        """
        share = -(-self.frames // (parts * recurrent.BLOCK)) * recurrent.BLOCK
        return range(min(self.frames, share * part), min(self.frames, share * (part + 1)))

    def busiest_frames(self):
        """Numbers (a range) of the frames of the PREVIEW_SECONDS that move most."""
        return range(self.busiest, min(self.frames, self.busiest + preview_length(self.rate)))

    def shots(self):
        """Pairs (start, stop) of frame numbers; stop belongs to the next shot."""
        return pairwise([0, *self.cuts, self.frames])


def write_plan(plan, path):
    """Write a plan to a JSON file. Fractions become text."""
    write_file(path, json.dumps(asdict(plan), default=str))


def read_plan(path):
    """The plan in a JSON file. Raises InputError if it is damaged."""
    try:
        values = json.loads(Path(path).read_text(encoding="utf-8"))
        values = {name: tuple(value) if isinstance(value, list) else value for name, value in values.items()}
        for name in ("time_base", "start", "rate", "aspect"):
            values[name] = None if values[name] is None else Fraction(values[name])
        plan = Plan(**values)
        if not plan.frames or any(after <= before for before, after in pairwise(plan.pts)):
            raise ValueError("its frames are not in order of time")
        return plan
    except (OSError, ValueError, TypeError, AttributeError, LookupError, ArithmeticError) as error:
        raise InputError(f"{path}: is damaged ({error}); delete it and run again.") from error
