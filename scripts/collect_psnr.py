from pathlib import Path

from job import job

from deepsr.data.overlap import check_not_seen
from deepsr.data.sequence import identity, read_index
from deepsr.evaluate.table import collect, read_psnr, summary
from deepsr.tables import write_table

with job(snakemake) as log:
    clips = zip(snakemake.params.clips, snakemake.input.indexes, strict=True)
    hashes = {tuple(clip): identity(read_index(path)) for clip, path in clips}
    trained_on = snakemake.params.trained_on.items()
    seen = {name: {"/".join(clip): hashes[tuple(clip)] for clip in clips} for name, clips in trained_on}
    check_not_seen(snakemake.params.rows, seen | snakemake.params.seen, hashes)
    result = collect(snakemake.params.rows, snakemake.input.scores)
    for row in result[result["infinite_frames"] > 0].itertuples():
        log.warning(
            "%s, %s, %s: %d frames without any error (infinite PSNR) are left out of the means",
            row.experiment, row.dataset, row.sequence, row.infinite_frames,
        )  # fmt: skip
    write_table(result, snakemake.output.table, digits=4)
    Path(snakemake.params.incomplete).unlink(missing_ok=True)
    log.info("%s\n%s", snakemake.output.table, summary(read_psnr(snakemake.output.table)))
