from job import job

from deepsr.evaluate.table import read_psnr
from deepsr.report import bars, style

with job(snakemake):
    figure = bars.plot_scores(read_psnr(snakemake.input.table), snakemake.wildcards.metric)
    style.save(figure, *snakemake.output, snakemake.params.dpi)
