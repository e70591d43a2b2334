"""How many CPUs there are to compute on."""

import os


def cpus():
    """Number of CPUs that this process may run on; all of the machine's where the system does not tell (macOS)."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
