from job import job

from deepsr.report import figures

with job(snakemake):
    figure = figures.plot_crops(
        "{experiment}, {dataset}/{clip}".format(**snakemake.wildcards),
        snakemake.params.oracle,
        figures.read_examples(snakemake.input.scores),
        snakemake.params.crop,
    )
    figures.save(figure, *snakemake.output, snakemake.params.dpi)
