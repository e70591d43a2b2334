import pandas as pd
from job import job

from deepsr.drafts import label
from deepsr.files import atomic
from deepsr.scoring import frame_mean, table

with job(snakemake) as log:
    rows = []
    for facts, path in zip(snakemake.params.rows, snakemake.input.scores, strict=True):
        scores = pd.read_csv(path)
        means, infinite = frame_mean(scores)
        if infinite:
            log.warning("%s: %d frames without any error (infinite PSNR) are left out of the means", path, infinite)
        rows.append(
            {
                **{key: facts[key] for key in ("experiment", "dataset", "sequence", "scale", "network", "degradation")},
                "drafts": label(facts["drafts"]),
                "trained_on": facts["train"],
                **facts["evaluation"],
                "frames": len(scores),
                "infinite_frames": infinite,
                **means,
            }
        )
    result = table(rows)
    with atomic(snakemake.output.table) as part:
        result.to_csv(part, index=False, float_format="%.4f")
    short = result[["experiment", "drafts", "dataset", "sequence", "psnr_bicubic", "psnr_deepsr", "gain"]]
    log.info("%s\n%s", snakemake.output.table, short.to_string(index=False, float_format="{:.2f}".format))
