from job import job

from deepsr.data.demo import Shot
from deepsr.data.frames import write_clip
from deepsr.data.shots import read_shot

with job(snakemake):
    shot = Shot(**snakemake.params.shot)
    write_clip(snakemake.output.frames, read_shot(snakemake.input.video, shot.start, shot.stop, shot.step))
