from job import job

from deepsr.evaluate.table import read_psnr
from deepsr.report import curves, style

with job(snakemake):
    figure = curves.plot_sweep(read_psnr(snakemake.input.table), snakemake.params.sigmas)
    style.save(figure, *snakemake.output, snakemake.params.dpi)
