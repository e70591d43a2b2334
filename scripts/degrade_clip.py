from job import job

from deepsr.data.chains import degraded, shrinking
from deepsr.data.frames import index_images, list_members, write_clip
from deepsr.data.sequence import Sequence, read_index, write_index
from deepsr.drafts.patches import seed_of

with job(snakemake):
    index, params, frames = read_index(snakemake.input.index), snakemake.params, snakemake.output.frames
    clip = Sequence(index, params.scale, shrinking(params.chain))
    write_clip(
        frames, degraded(map(clip.lr, range(len(clip))), params.chain, [params.seed, seed_of(snakemake.wildcards.clip)])
    )
    index["lr"] = index_images(frames, list_members(frames))
    write_index(index, snakemake.output.index)
