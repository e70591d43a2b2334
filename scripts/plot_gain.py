from job import job

from deepsr.evaluate.table import read_psnr
from deepsr.report import bars, style
from deepsr.tables import read_table

with job(snakemake):
    gains = {}
    for clip, path in zip(snakemake.params.clips, snakemake.input.scores, strict=True):
        scores = read_table(path, ["frame"])
        gains[tuple(clip)] = (scores["psnr_deepsr"] - scores["psnr_bicubic"]).to_numpy()
    figure = bars.plot_gain(read_psnr(snakemake.input.table), gains, snakemake.params.seed)
    style.save(figure, *snakemake.output, snakemake.params.dpi)
