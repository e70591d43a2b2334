from job import job

from deepsr.evaluate.table import read_psnr, read_scores
from deepsr.report import bars, curves, style
from deepsr.report.published import read_published

with job(snakemake):
    chart, params, table = snakemake.wildcards.chart, snakemake.params, read_psnr(snakemake.input.table)
    scores = read_scores(params.clips, snakemake.input.scores)
    if chart == "gain":
        figure = bars.plot_gain(table, scores, params.seed)
    elif chart == "frames":
        figure = curves.plot_frames(table, scores)
    elif chart == "degradations":
        figure = curves.plot_degradations(table)
    elif chart == "sweep":
        figure = curves.plot_sweep(table, params.sigmas)
    else:
        figure = bars.plot_metric(table, chart, read_published())
    style.save(figure, *snakemake.output, params.dpi)
