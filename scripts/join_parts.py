from job import job

from deepsr.video.join import join_parts, join_pictures
from deepsr.video.plan import read_plan

with job(snakemake) as log:
    plan, parts, output = read_plan(snakemake.input.plan), snakemake.input.parts, snakemake.output.video
    if snakemake.wildcards.ending == "zip":
        join_pictures(plan, parts, output)
    else:
        join_parts(snakemake.params.source, plan, parts, output)
    log.info("%d frames in %s", plan.frames, output)
