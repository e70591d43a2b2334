from functools import partial

from job import job

from deepsr.networks.inference import Predictor, predict_frame
from deepsr.video.enlarge import upscale_part
from deepsr.video.plan import read_plan

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
