from job import job

from deepsr.evaluate.table import read_psnr, read_scores
from deepsr.report import bars, curves, style
from deepsr.report.published import read_published
from deepsr.report.speed import plot_speed
from deepsr.tables import read_table

with job(snakemake):
    chart, params, files = snakemake.wildcards.chart, snakemake.params, snakemake.input
    if chart == "training":
        runs = zip(params.oracle.items(), files, strict=True)
        figure = curves.plot_training({name: (oracle, read_table(path, ["step"])) for (name, oracle), path in runs})
    elif chart == "speed":
        figure = plot_speed(read_psnr(files[0]), read_table(files[1], ["width"]))
    elif chart == "gain":
        figure = bars.plot_gain(read_psnr(files[0]), read_scores(params.clips, files[1:]), params.seed)
    elif chart == "frames":
        figure = curves.plot_frames(read_psnr(files[0]), read_scores(params.clips, files[1:]))
    elif chart == "degradations":
        figure = curves.plot_degradations(read_psnr(files[0]))
    elif chart == "sweep":
        figure = curves.plot_sweep(read_psnr(files[0]), params.sigmas)
    else:
        figure = bars.plot_metric(read_psnr(files[0]), chart, read_published())
    style.save(figure, *snakemake.output, params.dpi)
