from job import job

from deepsr.report import figures

with job(snakemake):
    figure = figures.plot_psnr(figures.read_table(snakemake.input.table))
    figures.save(figure, *snakemake.output, snakemake.params.dpi)
