from job import job

from deepsr.data.sequence import Sequence, read_index
from deepsr.drafts import patches
from deepsr.drafts.training_patches import training_patches
from deepsr.tables import read_table

with job(snakemake) as log:
    spec, scale, degradation = (snakemake.params[key] for key in ("drafts", "scale", "degradation"))
    clip = Sequence(read_index(snakemake.input.index), scale, degradation)
    chosen = read_table(snakemake.input.patches, patches.COLUMNS)
    size = snakemake.params.size
    patches.check(chosen.to_numpy(), len(clip), clip.height, clip.width, size, snakemake.input.patches)
    patches.save(snakemake.output.shard, **training_patches(clip, spec, scale, degradation, chosen, size))
    log.info("%d patches of %d frames", len(chosen), chosen["frame"].nunique())
