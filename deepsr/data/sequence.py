"""The HR and LR frames of one clip, as training and evaluation see them."""

import json
import logging
from functools import lru_cache

from deepsr.data.degradation import crop_to_scale, degrade
from deepsr.data.frames import Clip, luma
from deepsr.errors import InputError
from deepsr.files import write_file

log = logging.getLogger("deepsr")


def read_index(path):
    """The index of a clip (deepsr.data.frames) from its JSON file. Raises InputError if it is damaged."""
    try:
        with open(path, encoding="utf-8") as file:
            index = json.load(file)
        for clip in (index, *filter(None, [index.get("lr")])):
            if missing := {"container", "members", "height", "width", "sha256"} - set(clip):
                raise ValueError(f"{', '.join(sorted(missing))} not in it")
        return index
    except (OSError, ValueError, AttributeError) as error:
        raise InputError(f"{path}: is damaged ({error}); delete it and run again.") from error


def write_index(index, path):
    """Write what `read_index` reads."""
    write_file(path, json.dumps(index, indent=0) + "\n")


def identity(index):
    """The hash that a clip is known by, even where only its first frames are used: a leak is recognised by it."""
    return index.get("whole_sha256", index["sha256"])


class Sequence:
    """The HR frames of a clip and the LR frames that belong to them, read when they are asked for.

    index: of the HR clip (see deepsr.data.frames). If LR frames are given, their index stands in it under "lr"; otherwise
    `degradation` (see deepsr.data.degradation.degrade) makes them from the HR frames. HR frames are cropped to sides that
    `scale` divides.
    Raises InputError if the given LR frames do not fit the HR frames.
    """

    def __init__(self, index, scale, degradation):
        self._clip, self._scale, self._degradation = Clip(index), scale, degradation
        self._given = Clip(index["lr"]) if index.get("lr") else None
        self.height, self.width = self._clip.height // scale * scale, self._clip.width // scale * scale
        if min(self.height, self.width) == 0:
            raise InputError(
                f"{index['container']}: frames of {self._clip.width}x{self._clip.height} are smaller than the scale."
            )
        if (self.height, self.width) != (self._clip.height, self._clip.width):
            size = f"{self._clip.width}x{self._clip.height} to {self.width}x{self.height}"
            log.info("%s: frames are cropped from %s, whose sides are divisible by %d", index["container"], size, scale)
        if self._given:
            self._check_given(index)
        # As many frames as a temporal window holds; more would only cost memory.
        self.hr = lru_cache(2)(self._read_hr)
        self.lr = lru_cache(9)(self._read_lr)

    def __len__(self):
        return len(self._clip)

    def hr_luma(self, i):
        """Luma of HR frame i, uint8 (height, width)."""
        return luma(self.hr(i))

    def lr_luma(self, i):
        """Luma of LR frame i, uint8 (height/scale, width/scale)."""
        return luma(self.lr(i))

    def _read_hr(self, i):
        return crop_to_scale(self._clip[i], self._scale)

    def _read_lr(self, i):
        if self._given:
            return self._given[i][: self.height // self._scale, : self.width // self._scale]
        return degrade(self.hr(i), self._scale, self._degradation)

    def _check_given(self, index):
        lr, scale = self._given, self._scale
        if (lr.height, lr.width) != (self._clip.height // scale, self._clip.width // scale) or len(lr) != len(self._clip):
            raise InputError(
                f"{index['lr']['container']}: {len(lr)} LR frames of {lr.width}x{lr.height} do not belong to "
                f"{len(self._clip)} HR frames of {self._clip.width}x{self._clip.height} at scale {scale}; "
                "name the right folder in `lr` or change `scale`."
            )
