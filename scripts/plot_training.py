from job import job

from deepsr.report import curves, style
from deepsr.tables import read_table

with job(snakemake):
    runs = {}
    for (name, oracle), path in zip(snakemake.params.oracle.items(), snakemake.input.histories, strict=True):
        runs[name] = oracle, read_table(path, ["step"])
    style.save(curves.plot_training(runs), *snakemake.output, snakemake.params.dpi)
