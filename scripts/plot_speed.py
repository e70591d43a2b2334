from job import job

from deepsr.evaluate.table import read_psnr
from deepsr.report import style
from deepsr.report.speed import plot_speed
from deepsr.tables import read_table

with job(snakemake):
    figure = plot_speed(read_psnr(snakemake.input.table), read_table(snakemake.input.speed, ["width"]))
    style.save(figure, *snakemake.output, snakemake.params.dpi)
