import numpy as np
from job import job

from deepsr.data.sequence import Sequence, read_index
from deepsr.drafts import patches
from deepsr.drafts.ensemble import Drafts, n_drafts
from deepsr.progress import progress
from deepsr.tables import read_table

with job(snakemake) as log:
    scale, degradation, size = snakemake.params.scale, snakemake.params.degradation, snakemake.params.size
    clip = Sequence(read_index(snakemake.input.index), scale, degradation)
    kind = snakemake.params.drafts, scale, degradation
    drafts = Drafts(*kind, clip.lr_luma, len(clip), clip.hr_luma)
    chosen = read_table(snakemake.input.patches, patches.COLUMNS)
    patches.check(chosen.to_numpy(), len(clip), clip.height, clip.width, size, snakemake.input.patches)
    inputs = np.empty((len(chosen), n_drafts(snakemake.params.drafts), size, size), np.uint8)
    targets = np.empty((len(chosen), size, size), np.uint8)
    for frame, rows in progress(chosen.groupby("frame"), desc="frames", unit="frame"):
        positions = rows.to_numpy()
        inputs[rows.index] = patches.cut(drafts[frame], positions, size)
        if rows["alone"].any():
            alone = Drafts(*kind, lambda _, t=frame: clip.lr_luma(t), 1, lambda _, t=frame: clip.hr_luma(t))
            inputs[rows.index[rows["alone"] == 1]] = patches.cut(alone[0], positions[positions[:, 4] == 1], size)
        targets[rows.index] = patches.cut(clip.hr_luma(frame), positions, size)
    validation = chosen["validation"].to_numpy(bool)
    patches.save(snakemake.output.shard, drafts=inputs, target=targets, validation=validation)
    log.info("%d patches of %d frames", len(chosen), chosen["frame"].nunique())
