from functools import partial

from job import job

from deepsr.networks.inference import Predictor, predict_frame
from deepsr.video.stream import read_plan
from deepsr.video.upscale import upscale_part

with job(snakemake):
    predictor = Predictor(snakemake.input.model, snakemake.threads, gpu=snakemake.resources.gpu > 0)
    upscale_part(
        snakemake.params.source,
        read_plan(snakemake.input.plan),
        int(snakemake.wildcards.part),
        snakemake.params.parts,
        snakemake.output.part,
        predict=partial(predict_frame, predictor),
        **snakemake.params.settings,
        **snakemake.params.encoding,
    )
