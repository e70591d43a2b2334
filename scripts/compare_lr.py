import numpy as np
import pandas as pd
from job import job

from deepsr.data.degradation import degrade
from deepsr.data.sequence import Sequence, read_index
from deepsr.errors import InputError
from deepsr.evaluate.metrics import psnr
from deepsr.tables import write_table

with job(snakemake) as log:
    index = read_index(snakemake.input.index)
    if "lr" not in index:
        raise InputError(f"config: datasets.{snakemake.wildcards.dataset} has no LR frames to compare with; set its key lr.")
    clip = Sequence(index, snakemake.params.scale, "bicubic")
    rows = []
    for i in range(len(clip)):
        row = {"frame": i}
        for kind in ("bicubic", "cv2"):
            made, given = degrade(clip.hr(i), snakemake.params.scale, kind), clip.lr(i)
            row[f"psnr_{kind}"] = psnr(made / 255.0, given / 255.0, 0)
            row[f"largest_{kind}"] = int(np.abs(made.astype(int) - given).max())
        rows.append(row)
    table = pd.DataFrame(rows)
    write_table(table, snakemake.output.table, digits=4)
    log.info("%s\n%s", snakemake.output.table, table.drop(columns="frame").agg(["min", "mean", "max"]).to_string())
