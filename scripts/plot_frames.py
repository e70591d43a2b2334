import pandas as pd
from job import job

from deepsr.report import figures

with job(snakemake):
    scores = dict(zip(snakemake.params.clips, map(pd.read_csv, snakemake.input.scores), strict=True))
    figure = figures.plot_frames(figures.read_table(snakemake.input.table), scores)
    figures.save(figure, *snakemake.output, snakemake.params.dpi)
