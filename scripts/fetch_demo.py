from job import job

from deepsr.data import demo

with job(snakemake):
    demo.fetch_video(demo.Video(**snakemake.params.video), snakemake.output.video)
