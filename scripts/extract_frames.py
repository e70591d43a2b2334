from job import job

from deepsr.data.demo import SHOTS, check_video, read_shot
from deepsr.data.frames import write_clip

with job(snakemake):
    check_video(snakemake.input.video)
    write_clip(snakemake.output.frames, read_shot(snakemake.input.video, SHOTS[snakemake.wildcards.clip]))
