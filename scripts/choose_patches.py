import pandas as pd
from job import job

from deepsr.data.sequence import Sequence, read_index
from deepsr.drafts import patches
from deepsr.tables import write_table

with job(snakemake):
    scale = snakemake.params.scale
    clip = Sequence(read_index(snakemake.input.index), scale, "bicubic")
    seed = [snakemake.params.seed, patches.seed_of(snakemake.wildcards.clip)]
    chosen = patches.choose(len(clip), clip.height, clip.width, scale, seed=seed, **snakemake.params.patches)
    write_table(pd.DataFrame(chosen, columns=patches.COLUMNS), snakemake.output.patches)
