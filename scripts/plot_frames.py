from job import job

from deepsr.evaluate.table import read_psnr
from deepsr.report import curves, style
from deepsr.tables import read_table

with job(snakemake):
    clips = zip(snakemake.params.clips, snakemake.input.scores, strict=True)
    scores = {tuple(clip): read_table(path, ["frame"]) for clip, path in clips}
    figure = curves.plot_frames(read_psnr(snakemake.input.table), scores)
    style.save(figure, *snakemake.output, snakemake.params.dpi)
