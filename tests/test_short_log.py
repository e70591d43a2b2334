"""What a run tells on the terminal."""

import logging
import sys

import pytest
from conftest import ROOT
from snakemake.logging import LogEvent

sys.path.insert(0, str(ROOT / "rules"))
import short_log


@pytest.fixture
def run(monkeypatch):
    """A function that passes through the events of a run whose jobs take a minute each, and returns the lines told."""
    lines, clock = [], iter(range(0, 10**6, 60))
    monkeypatch.setattr(short_log.time, "monotonic", lambda: next(clock))
    monkeypatch.setattr(short_log.time, "strftime", lambda _: "12:00:00")
    monkeypatch.setattr(short_log.logger, "info", lines.append)

    def run(jobs, minutes):
        log, number = short_log.ShortLog(jobs, minutes), 0
        for rule, count in jobs.items():
            for _ in range(count):
                number += 1
                assert not log.filter(event(LogEvent.JOB_INFO, jobid=number, rule_name=rule))
                assert not log.filter(event(LogEvent.JOB_FINISHED, job_id=number))
        return lines

    return run


def event(kind, **values):
    return logging.makeLogRecord({"msg": "", "event": kind, **values})


def test_lines_at_a_new_rule_and_at_every_tenth_of_the_work(run):
    assert run({"quick": 2, "long": 2, "all": 1}, {"quick": 1, "long": 9, "all": 0}) == [
        "12:00:00  quick begins, 2 in all; 0 of 5 jobs done",
        "12:00:00  2 of 5 jobs done, about 18 min left",  # 2 minutes for 2 of 20
        "12:00:00  long begins, 2 in all; 2 of 5 jobs done, about 27 min left",
        "12:00:00  3 of 5 jobs done, about 3 min left",  # 4 minutes for 11 of 20
        "12:00:00  4 of 5 jobs done",
    ]


def test_the_number_of_lines_does_not_grow_with_the_number_of_jobs(run):
    assert len(run({"a": 1000, "b": 500, "all": 1}, {"a": 1, "b": 2, "all": 1})) <= 2 + 10


def test_what_is_no_line_about_a_job_stays():
    log = short_log.ShortLog({"a": 1}, {"a": 1})
    assert not log.filter(logging.makeLogRecord({"msg": "Select jobs to execute..."}))
    assert log.filter(logging.makeLogRecord({"msg": "Directory cannot be locked."}))
    assert log.filter(event(LogEvent.JOB_ERROR))
