"""
Around a run: what it tells the user, and what a failure leaves.

Needs: all other rules
Makes: results/psnr_incomplete.csv   after a failure, in the table's place: the scores that there are, and which are missing
"""

import os
import re
import sys
import time

PLANNED = set()  # files that this run makes
STARTED = time.time()
LOOKED_AT = r"results/(psnr\.csv|report\.html|lr/.*\.csv|videos/[^/]+\.(mp4|mkv|zip|png))"
LONGEST_TABLE = 12  # rows that the terminal shows; of a longer one the means


def tell_results():
    """Print the table, if this run has made it, and where its results are."""
    if "results/psnr.csv" in PLANNED:
        from deepsr.evaluate.table import read_psnr, summary  # planning has no use for pandas

        table = read_psnr("results/psnr.csv")
        print(summary(table if len(table) <= LONGEST_TABLE else table[table["mean"]]), file=sys.stderr)
    made = sorted(path for path in PLANNED if re.fullmatch(LOOKED_AT, path))
    if made:
        print(f"Results: {', '.join(made)}", file=sys.stderr)


def show_failures():
    """For each job that this run has begun and not finished, print how its log ends. scripts/job.py writes the logs."""
    for log in sorted(filter(os.path.exists, snakemake_internals.planned_files(workflow, "log"))):
        lines = Path(log).read_text(encoding="utf-8", errors="replace").splitlines()
        if os.path.getmtime(log) >= STARTED and not (lines and re.search("used .* s of CPU", lines[-1])):
            end = f"Its log ends: {lines[-1]}" if lines else "It was killed, perhaps for too much memory."
            print(f"{log}: the job failed. {end}", file=sys.stderr)


def write_incomplete_table():
    """Write the scores that there are, without those of an earlier run that this run would have made anew."""
    waiting = snakemake_internals.planned_files(workflow, "output")
    paths = [None if path in waiting else path for path in rules.collect_psnr.input.scores]
    if "results/psnr.csv" not in waiting or None not in paths:
        return
    Path(INCOMPLETE).unlink(missing_ok=True)
    missing = ["{run}/{dataset}/{sequence}".format(**row) for row, path in zip(ROWS, paths) if path is None]
    if len(missing) < len(paths):
        from deepsr.evaluate.table import incomplete

        incomplete(ROWS, paths).to_csv(INCOMPLETE, index=False, float_format="%.4f")
        if Path("results/psnr.csv").exists():
            print("results/psnr.csv is of an earlier run.", file=sys.stderr)
        shown = ", ".join(missing[:8]) + (", ..." if len(missing) > 8 else "")
        print(f"{INCOMPLETE}: {len(missing)} of {len(paths)} clips are missing: {shown}.", file=sys.stderr)


onstart:
    snakemake_internals.note_submission(workflow)
    snakemake_internals.lift_job_rate(workflow)
    snakemake_internals.mark_followers_unfinished(workflow)
    snakemake_internals.shorten_log(workflow)
    PLANNED.update(snakemake_internals.planned_files(workflow, "output"))


onsuccess:
    snakemake_internals.forget_submission()
    tell_results()


onerror:
    snakemake_internals.forget_submission()
    show_failures()
    write_incomplete_table()
