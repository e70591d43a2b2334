"""What a run prints instead of Snakemake's lines about single jobs, which would be hundreds.

It is a line when the first job of a rule starts, and one whenever a tenth more of the work is done. So the number of lines
does not grow with the number of jobs.
"""

import logging
import re
import time
from collections import Counter, defaultdict
from pathlib import Path

from snakemake.logging import LogEvent, logger

from deepsr.progress import in_minutes

STEP = 0.1
KNOWN = 0.5  # of the work must be of rules that have finished a job before a time is told
REPLACED = {LogEvent.JOB_STARTED, LogEvent.JOB_INFO, LogEvent.JOB_FINISHED, LogEvent.PROGRESS}


class ShortLog(logging.Filter):
    """A filter for Snakemake's logger that drops its messages about single jobs and logs lines of its own.

    jobs: {rule: number of its jobs in this run}; minutes: {rule: the time that it asks a cluster for, or 1}, the weight of
    one of its jobs.
    """

    def __init__(self, jobs, minutes):
        super().__init__()
        self.jobs, self.minutes = jobs, minutes
        self.at_work = {}  # {id of a job: its rule, when it began, and the paths of its logs}
        self.begun, self.finished = set(), Counter()
        self.seconds = defaultdict(float)  # {rule: how long its finished jobs have taken together}
        self.began, self.told_share = time.monotonic(), 0.0

    def filter(self, record):
        event = getattr(record, "event", None)
        if event == LogEvent.JOB_INFO:
            rule = record.rule_name
            if rule not in self.begun and rule != "all":
                self.tell(f"{rule} begins, {self.jobs[rule]} in all; ")
            self.begun.add(rule)
            self.at_work[record.jobid] = rule, time.monotonic(), record.log
        elif event == LogEvent.JOB_FINISHED and record.job_id in self.at_work:
            rule, began, _ = self.at_work.pop(record.job_id)
            self.finished[rule] += 1
            self.seconds[rule] += time.monotonic() - began
            if self.share() >= self.told_share + STEP:
                self.tell()
        return event not in REPLACED and record.msg != "Select jobs to execute..."

    def share(self):
        """How much of the work is done, from 0 to 1.

        Jobs at work count in part, if their logs or finished jobs of their rule tell how long such a job takes.
        """
        done = Counter(self.finished)
        for rule, began, logs in self.at_work.values():
            elapsed = time.monotonic() - began
            if left := seconds_left(logs):
                done[rule] += elapsed / (elapsed + left)
            elif self.finished[rule]:
                usual = self.seconds[rule] / self.finished[rule]
                done[rule] += min(1, elapsed / max(usual, 1e-9))
        return self._weight(done) / self._weight(self.jobs)

    def _weight(self, jobs):
        return sum(n * self.minutes[rule] for rule, n in jobs.items())

    def tell(self, news=""):
        """Log how far the run is."""
        share, elapsed = self.share(), time.monotonic() - self.began
        known = self._weight({rule: n for rule, n in self.jobs.items() if self.finished[rule]}) / self._weight(self.jobs)
        left = ""
        if known >= KNOWN and STEP <= share < 1:
            longest = max((seconds_left(logs) for *_, logs in self.at_work.values()), default=0)
            left = f", about {in_minutes(max(elapsed / share - elapsed, longest))} left"
        self.told_share = share
        now = time.strftime("%H:%M:%S")
        logger.info(f"{now}  {news}{self.finished.total()} of {sum(self.jobs.values())} jobs done{left}")


def seconds_left(logs):
    """The time left of a job, in seconds, as its progress in one of its logs (deepsr.progress) told it last, or 0."""
    for path in map(Path, logs):
        told = re.findall(r"<(\d+:[\d:]+),", path.read_text(errors="replace")[-500:]) if path.is_file() else []
        if told:
            return sum(int(number) * 60**i for i, number in enumerate(reversed(told[-1].split(":"))))
    return 0
