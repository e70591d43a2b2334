from job import job

from deepsr.evaluate.examples import read_examples
from deepsr.report import crops, style

with job(snakemake):
    figure = crops.plot_crops(
        "{experiment}, {dataset}/{clip}".format(**snakemake.wildcards),
        snakemake.params.oracle,
        read_examples(snakemake.input.scores),
        snakemake.params.crop,
    )
    style.save(figure, *snakemake.output, snakemake.params.dpi)
