from job import job

from deepsr.video.examine import plan_video
from deepsr.video.plan import write_plan

with job(snakemake) as log:
    plan = plan_video(snakemake.params.source, snakemake.params.frame_rate, snakemake.params.deinterlace)
    write_plan(plan, snakemake.output.plan)
    log.info("%dx%d, %d frames, %d cuts", plan.width, plan.height, plan.frames, len(plan.cuts))
    if plan.deinterlace:
        which = "all frames" if "deint=all" in plan.deinterlace else "frames that say that they are interlaced"
        log.info("%s are deinterlaced by libavfilter's bwdif=%s", which, plan.deinterlace)
