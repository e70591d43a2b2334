from job import job

from deepsr.video_io import read_plan
from deepsr.video_join import join_parts

with job(snakemake) as log:
    plan = read_plan(snakemake.input.plan)
    join_parts(snakemake.params.source, plan, snakemake.input.parts, snakemake.output.video)
    log.info("%d frames in %s", plan["frames"], snakemake.output.video)
