from job import job

from deepsr.video.join import join_parts
from deepsr.video.plan import read_plan

with job(snakemake) as log:
    plan = read_plan(snakemake.input.plan)
    join_parts(snakemake.params.source, plan, snakemake.input.parts, snakemake.output.video)
    log.info("%d frames in %s", plan.frames, snakemake.output.video)
