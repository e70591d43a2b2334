from functools import partial

from job import job

from deepsr.networks.inference import Predictor, predict_frame
from deepsr.video.enlarge import upscale_image

with job(snakemake):
    predict = partial(predict_frame, Predictor(snakemake.input.model, snakemake.threads))
    upscale_image(snakemake.input.image, snakemake.output.image, predict=predict, **snakemake.params.settings)
