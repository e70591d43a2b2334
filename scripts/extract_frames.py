from job import job

from deepsr.data.demo import SHOTS, read_shot
from deepsr.data.frames import write_clip

with job(snakemake):
    write_clip(snakemake.output.frames, read_shot(snakemake.input.video, SHOTS[snakemake.wildcards.clip]))
