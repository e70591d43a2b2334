"""What figures and the report show of a clip: the frames with the largest and the least gain over bicubic, and slices.

A slice is a picture whose rows are the row of pixels in the middle of each frame, one below the other in order of time.
"""

from pathlib import Path

import cv2
import numpy as np

from deepsr.errors import InputError
from deepsr.files import atomic
from deepsr.tables import read_table

PICTURES = ("hr", "lr", "bicubic", "deepsr")
SLICED = ("hr", "bicubic", "deepsr")
SLICE_FRAMES = 100  # more than a figure can show
EXAMPLES = (  # files of a scored clip
    *(f"{which}_{picture}.png" for which in ("best", "worst") for picture in PICTURES),
    *(f"slice_{picture}.png" for picture in SLICED),
)


def choose_examples(gains):
    """{"best": the number of the frame with the largest gain, "worst": with the least}; of equal ones, the first.

    gains: in dB, a value for each frame. Only finite gains count, since the gain of a frame without any error is not finite.
    If there are no others, both are frame 0.
    """
    gains = np.asarray(gains, dtype=float)
    finite = np.isfinite(gains)
    best, worst = np.where(finite, gains, -np.inf).argmax(), np.where(finite, gains, np.inf).argmin()
    return {"best": int(best), "worst": int(worst)}


def add_to_slices(examples, pictures):
    """Add a frame's row of pixels to each slice in `examples`, {"slice_hr.png": uint8 (frames, W, 3), ...}.

    pictures: {"hr": uint8 BGR (H, W, 3), "bicubic": ..., "deepsr": ...}.
    """
    for name in SLICED:
        picture, file = pictures[name], f"slice_{name}.png"
        slice_ = examples.get(file, picture[:0])
        if len(slice_) < SLICE_FRAMES:
            middle = len(picture) // 2
            examples[file] = np.concatenate([slice_, picture[middle : middle + 1]])


def write_examples(folder, pictures):
    """Write the pictures, {name in EXAMPLES: uint8 BGR}, into `folder`."""
    for name, picture in pictures.items():
        with atomic(Path(folder, name)) as part:
            cv2.imwrite(str(part), picture)


def read_examples(scores):
    """A scored clip's examples: {"best": example, "worst": example}.

    scores: path of the clip's CSV file, whose column `example` says which frames these are. Their pictures are in the folder
    of the same name. An example has "frame" (number), "psnr_bicubic" and "psnr_deepsr" (dB), and the pictures "hr", "lr",
    "bicubic" and "deepsr", uint8 (H, W, 3) BGR. Raises InputError if a file is damaged.
    """
    table, folder, examples = read_table(scores, ["frame"]), Path(scores).with_suffix(""), {}
    for which in ("best", "worst"):
        row = table[table["example"].str.contains(which, na=False)].iloc[0]  # one frame may be "best worst"
        examples[which] = {"frame": int(row["frame"]), **row[["psnr_bicubic", "psnr_deepsr"]]}
        for picture in PICTURES:
            examples[which][picture] = _read(folder / f"{which}_{picture}.png", scores)
    return examples


def read_slices(scores):
    """A scored clip's slices, {"hr": uint8 (frames, W, 3) BGR, "bicubic": ..., "deepsr": ...}. scores: see `read_examples`.

    Raises InputError if a file is damaged.
    """
    folder = Path(scores).with_suffix("")
    return {picture: _read(folder / f"slice_{picture}.png", scores) for picture in SLICED}


def _read(path, scores):
    picture = cv2.imread(str(path))
    if picture is None:
        raise InputError(f"{path}: is damaged; delete it and {scores}, and run again.")
    return picture
