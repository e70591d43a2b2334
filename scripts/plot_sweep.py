from job import job

from deepsr.report import figures

with job(snakemake):
    figure = figures.plot_sweep(figures.read_table(snakemake.input.table), snakemake.params.sigmas)
    figures.save(figure, *snakemake.output, snakemake.params.dpi)
