"""The pixels of the chosen training patches of a clip: drafts and ground truth."""

import numpy as np

from deepsr.drafts import patches
from deepsr.drafts.ensemble import Drafts, n_drafts
from deepsr.progress import progress


def training_patches(clip, spec, scale, degradation, chosen, size):
    """Make the drafts of the frames that patches were chosen from, and cut them.

    clip: a Sequence; spec, scale, degradation: see Drafts; chosen: DataFrame with the columns of patches.COLUMNS, one row
    per patch; size: side of a patch in pixels. The drafts of patches marked `without_neighbours` are those of a clip that
    consists of this frame alone. Returns the arrays of a patches.Shard, {name: array}.
    """
    drafts = Drafts(spec, scale, degradation, clip.lr_luma, len(clip), clip.hr_luma)
    inputs = np.empty((len(chosen), n_drafts(spec), size, size), np.uint8)
    targets = np.empty((len(chosen), size, size), np.uint8)
    for frame, rows in progress(chosen.groupby("frame"), desc="frames", unit="frame"):
        positions, without = rows.to_numpy(), rows["without_neighbours"] == 1
        inputs[rows.index] = patches.cut(drafts[frame], positions, size)
        if without.any():
            single = Drafts(
                spec, scale, degradation, lambda _, t=frame: clip.lr_luma(t), 1, lambda _, t=frame: clip.hr_luma(t)
            )
            inputs[rows.index[without]] = patches.cut(single[0], positions[without], size)
        targets[rows.index] = patches.cut(clip.hr_luma(frame), positions, size)
    return {"drafts": inputs, "target": targets, "validation": chosen["validation"].to_numpy(bool)}
