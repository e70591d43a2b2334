from job import job

from deepsr.video.compare import compare_video
from deepsr.video.plan import read_plan

with job(snakemake):
    settings = snakemake.params.settings
    compare_video(
        snakemake.params.source,
        read_plan(snakemake.input.plan),
        snakemake.input.enlarged,
        snakemake.output.video,
        scale=settings["scale"],
        degradation=settings["degradation"],
        **snakemake.params.encoding,
    )
