"""What every script does first and last: its log, its threads, and one sentence for the user when something is wrong."""

import ctypes
import logging
import os
import resource
import signal
import sys
import time
from contextlib import contextmanager

from deepsr.errors import InputError
from deepsr.files import UNWRITABLE

STARTED = time.monotonic()


def end_with_parent():
    """End this job when the snakemake that started it is killed, so that it never works beside the jobs of the next run."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(1, signal.SIGKILL)  # 1 = PR_SET_PDEATHSIG


end_with_parent()
signal.signal(signal.SIGTERM, signal.default_int_handler)  # like Ctrl-C, so that half-written files are removed
logging.raiseExceptions = False  # a log that cannot be written (full disk) is no reason for a traceback


@contextmanager
def quiet():
    """Drop what compiled code writes to the terminal within the block.

    When TensorFlow is imported and looks for GPUs, it writes about its build and about missing GPUs, even if
    TF_CPP_MIN_LOG_LEVEL forbids it.
    """
    sys.stderr.flush()
    terminal, nowhere = os.dup(2), os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 2)
    try:
        yield
    finally:
        os.dup2(terminal, 2)
        os.close(terminal)
        os.close(nowhere)


@contextmanager
def job(snakemake):
    """Run a rule's work. Messages go to its log, warnings also to the terminal; an InputError ends it with one sentence."""
    log = logging.getLogger("deepsr")
    log.setLevel(logging.INFO)
    terminal = logging.StreamHandler(sys.stderr)
    terminal.setLevel(logging.WARNING)
    subject = " ".join([snakemake.rule, *map(str, snakemake.wildcards)])
    terminal.setFormatter(logging.Formatter("%(subject)s: %(message)s", defaults={"subject": subject}))
    log.addHandler(terminal)
    try:
        file = logging.FileHandler(snakemake.log[0], mode="w", encoding="utf-8")
        file.setFormatter(logging.Formatter("%(asctime)s %(message)s", "%H:%M:%S"))
        log.addHandler(file)
        set_threads(snakemake.threads)
        yield log
        # deepsr.report.page and rules/hooks.smk read this line.
        log.info("took %.1f s, used %.1f s of CPU and at most %d MB of memory", time.monotonic() - STARTED, *used())
    except InputError as error:
        log.error("%s", error)
        sys.exit(1)
    except KeyboardInterrupt:
        log.error("interrupted; the same command goes on from here")
        sys.exit(1)
    except Exception as error:
        if isinstance(error, MemoryError) or "Insufficient memory" in str(error):  # the latter is OpenCV's
            log.error(
                "too little memory (%s): run fewer jobs at a time; on a cluster give more: --set-resources %s:mem_mb=...",
                " ".join(str(error).split()), snakemake.rule,
            )  # fmt: skip
        elif isinstance(error, OSError) and error.errno in UNWRITABLE:
            log.error("%s: cannot be written (%s); make room or choose another folder.", error.filename, error.strerror)
        else:
            log.exception("unexpected error")
        sys.exit(1)


def used():
    """CPU seconds of this process and its child processes, and the peak memory in MB of the largest of them."""
    own, children = map(resource.getrusage, (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    seconds = sum(usage.ru_utime + usage.ru_stime for usage in (own, children))
    if sys.platform != "linux":  # macOS counts bytes
        return seconds, max(own.ru_maxrss, children.ru_maxrss) / 2**20
    with open("/proc/self/status") as status:  # ru_maxrss begins with the memory of the process that started this one
        peak = next(int(line.split()[1]) for line in status if line.startswith("VmHWM"))
    return seconds, max(peak, children.ru_maxrss) / 2**10


def set_threads(threads):
    """Limit OpenCV to the job's threads. BLAS takes its number from Snakemake's environment, networks from an argument."""
    import cv2

    cv2.setNumThreads(threads)
