import json
from pathlib import Path

import pandas as pd
from job import job

from deepsr.report import figures

with job(snakemake):
    runs = {}
    for name, history, summary in zip(
        snakemake.params.oracle, snakemake.input.histories, snakemake.input.summaries, strict=True
    ):
        runs[name] = (snakemake.params.oracle[name], pd.read_csv(history), json.loads(Path(summary).read_text()))
    figures.save(figures.plot_training(runs), *snakemake.output, snakemake.params.dpi)
