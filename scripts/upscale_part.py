from job import job

from deepsr.networks.inference import frame_predictor
from deepsr.video.enlarge import upscale_part
from deepsr.video.plan import read_plan

with job(snakemake):
    upscale_part(
        snakemake.params.source,
        read_plan(snakemake.input.plan),
        int(snakemake.wildcards.part),
        snakemake.params.parts,
        snakemake.output.part,
        predict=frame_predictor(snakemake.input.model, snakemake.threads, snakemake.resources.gpu > 0),
        **snakemake.params.settings,
        **snakemake.params.encoding,
    )
