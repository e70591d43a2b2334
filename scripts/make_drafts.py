import numpy as np
import pandas as pd
from job import job

from deepsr import patches
from deepsr.drafts import Drafts
from deepsr.progress import progress
from deepsr.sequence import Sequence, read_index

with job(snakemake) as log:
    scale, degradation, size = snakemake.params.scale, snakemake.params.degradation, snakemake.params.size
    clip = Sequence(read_index(snakemake.input.index), scale, degradation)
    drafts = Drafts(snakemake.params.drafts, scale, degradation, clip.lr_luma, len(clip), clip.hr_luma)
    chosen = pd.read_csv(snakemake.input.patches)
    inputs, targets = [], []
    for frame, rows in progress(chosen.groupby("frame"), desc="frames", unit="frame"):
        positions = rows.to_numpy()
        inputs.append(patches.cut(drafts[frame], positions, size))
        targets.append(patches.cut(clip.hr_luma(frame), positions, size))
    patches.save(
        snakemake.output.shard,
        drafts=np.concatenate(inputs),
        target=np.concatenate(targets),
        validation=chosen["validation"].to_numpy(bool),
    )
    log.info("%d patches of %d frames", len(chosen), chosen["frame"].nunique())
