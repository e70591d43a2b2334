from job import job

from deepsr.evaluate.examples import read_slices
from deepsr.report import flicker, style

with job(snakemake):
    slices = {name: read_slices(path) for name, path in zip(snakemake.params.oracle, snakemake.input.scores, strict=True)}
    made = dict(zip(slices, snakemake.params.degradation, strict=True))
    honest = [name for name, oracle in snakemake.params.oracle.items() if not oracle] or list(slices)
    figure = flicker.plot_flicker(
        "{dataset}/{clip}".format(**snakemake.wildcards),
        slices[honest[0]]["hr"],
        {made[name]: slices[name]["bicubic"] for name in honest},
        {name: (snakemake.params.oracle[name], pictures["deepsr"]) for name, pictures in slices.items()},
    )
    style.save(figure, *snakemake.output, snakemake.params.dpi)
