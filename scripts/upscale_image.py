from job import job

from deepsr.networks.inference import frame_predictor
from deepsr.video.enlarge import upscale_image

with job(snakemake):
    predict = frame_predictor(snakemake.input.model, snakemake.threads)
    upscale_image(snakemake.input.image, snakemake.output.image, predict=predict, **snakemake.params.settings)
