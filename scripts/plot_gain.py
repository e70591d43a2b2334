import pandas as pd
from job import job

from deepsr.report import figures

with job(snakemake):
    gains = {}
    for clip, path in zip(snakemake.params.clips, snakemake.input.scores, strict=True):
        scores = pd.read_csv(path)
        gains[clip] = (scores["psnr_deepsr"] - scores["psnr_bicubic"]).to_numpy()
    figure = figures.plot_gain(figures.read_table(snakemake.input.table), gains, snakemake.params.seed)
    figures.save(figure, *snakemake.output, snakemake.params.dpi)
