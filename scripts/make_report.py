import json
from pathlib import Path

from job import job

from deepsr.evaluate.examples import read_examples
from deepsr.evaluate.table import read_psnr, read_scores, summary
from deepsr.files import write_file
from deepsr.report import page as report
from deepsr.report.published import read_published
from deepsr.tables import read_table, write_table

with job(snakemake) as log:
    used = report.read_usage(snakemake.params.logs)
    write_table(used, snakemake.output.benchmarks)
    table = read_psnr(snakemake.input.table)
    clips = [tuple(clip) for clip in snakemake.params.clips]
    page = report.render(
        table=table,
        scores=read_scores(snakemake.params.runs, snakemake.input.scores),
        seed=snakemake.params.seed,
        speed=read_table(snakemake.input.speed, ["width"]),
        published=read_published(),
        provenance=json.loads(Path(snakemake.input.provenance).read_text(encoding="utf-8")),
        used=used,
        charts=snakemake.input.charts,
        crops=dict(zip(clips, snakemake.input.crops, strict=True)),
        flicker=dict(zip(map(tuple, snakemake.params.scored_clips), snakemake.input.flicker, strict=True)),
        examples={clip: read_examples(f"results/experiments/{'/'.join(clip)}.csv") for clip in clips},
    )
    write_file(snakemake.output.report, page)
    log.info("%s\n%s", snakemake.input.table, summary(table))
    log.info("%s, %.1f MB: open it in a browser", snakemake.output.report, len(page) / 1e6)
