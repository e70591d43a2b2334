"""What every script does first and last: its log, its threads, and one sentence for the user when something is wrong."""

import logging
import sys
from contextlib import contextmanager

from deepsr.errors import InputError


@contextmanager
def job(snakemake):
    """Run a rule's work: messages go to the rule's log and the terminal, InputErrors end it with one sentence."""
    log = logging.getLogger("deepsr")
    log.setLevel(logging.INFO)
    file = logging.FileHandler(snakemake.log[0], mode="w", encoding="utf-8")
    file.setFormatter(logging.Formatter("%(asctime)s %(message)s", "%H:%M:%S"))
    terminal = logging.StreamHandler(sys.stderr)
    subject = " ".join([snakemake.rule, *map(str, snakemake.wildcards)])
    terminal.setFormatter(logging.Formatter(f"{subject}: %(message)s"))
    if sys.stderr.isatty():  # there it is a bar
        terminal.addFilter(lambda record: not getattr(record, "progress", False))
    log.addHandler(file)
    log.addHandler(terminal)
    try:
        set_threads(snakemake.threads)
        yield log
    except InputError as error:
        log.error("%s", error)
        sys.exit(1)
    except Exception:
        log.exception("unexpected error")
        sys.exit(1)


def set_threads(threads):
    """Hold OpenCV to the job's threads; BLAS follows the environment that Snakemake sets, the networks their own argument."""
    import cv2

    cv2.setNumThreads(threads)
