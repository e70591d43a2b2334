"""How many CPUs there are to compute on."""

import os


def cpus():
    """The number of CPUs that this process may run on, or of all CPUs where the system does not tell it (macOS)."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
