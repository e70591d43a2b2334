import json

from job import job

from deepsr.files import atomic
from deepsr.video.upscale import plan_video

with job(snakemake) as log:
    plan = plan_video(snakemake.params.source, snakemake.params.frame_rate)
    with atomic(snakemake.output.plan) as part:
        part.write_text(json.dumps(plan))
    log.info("%dx%d, %d frames, %d cuts", plan["width"], plan["height"], plan["frames"], len(plan["cuts"]))
