from job import job

from deepsr.video_io import read_plan
from deepsr.video_join import compare_video

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
