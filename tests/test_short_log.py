"""What a run tells on the terminal."""

import logging
import sys
import time

import pytest
from conftest import ROOT
from snakemake.logging import LogEvent

from deepsr import progress

sys.path.insert(0, str(ROOT / "rules"))
import short_log


@pytest.fixture
def told(monkeypatch):
    """The lines that a run tells; `told.minute` is the time that has gone by."""

    class Lines(list):
        minute = 0

    lines = Lines()
    monkeypatch.setattr(short_log.time, "monotonic", lambda: 60 * lines.minute)
    monkeypatch.setattr(short_log.time, "strftime", lambda _: "12:00:00")
    monkeypatch.setattr(short_log.logger, "info", lines.append)
    return lines


def begin(log, number, rule, logs=()):
    assert not log.filter(event(LogEvent.JOB_INFO, jobid=number, rule_name=rule, log=list(logs)))


def finish(log, number):
    assert not log.filter(event(LogEvent.JOB_FINISHED, job_id=number))


def one_by_one(log, told):
    """Pass through the events of a run whose jobs take a minute each, one after the other."""
    rules = [rule for rule, count in log.jobs.items() for _ in range(count)]
    for number, rule in enumerate(rules):
        begin(log, number, rule)
        told.minute += 1
        finish(log, number)


def event(kind, **values):
    return logging.makeLogRecord({"msg": "", "event": kind, **values})


def test_lines_at_a_new_rule_and_at_every_tenth_of_the_work(told):
    one_by_one(short_log.ShortLog({"quick": 2, "long": 2, "all": 1}, {"quick": 1, "long": 9, "all": 0}), told)
    assert told == [
        "12:00:00  quick begins, 2 in all; 0 of 5 jobs done",
        "12:00:00  2 of 5 jobs done",  # no time, since most of the work is of a rule that has finished no job
        "12:00:00  long begins, 2 in all; 2 of 5 jobs done",
        "12:00:00  3 of 5 jobs done, about 2 min left",  # 3 minutes for 11 of 20
        "12:00:00  4 of 5 jobs done",
    ]


def test_jobs_at_work_beside_each_other_count_for_as_long_as_they_have_worked(told):
    log = short_log.ShortLog({"part": 8, "all": 1}, {"part": 1, "all": 0})
    for number in range(4):
        begin(log, number, "part")
    told.minute = 3
    finish(log, 0)  # the other three have come as far, and are half of the work with it
    begin(log, 4, "part")
    told.minute = 4
    for number in (1, 2, 3):
        finish(log, number)
    assert told == [
        "12:00:00  part begins, 8 in all; 0 of 9 jobs done",
        "12:00:00  1 of 9 jobs done, about 3 min left",  # 3 minutes for 4 of 8
    ]
    told.minute = 6
    finish(log, 4)
    assert told[2:] == ["12:00:00  5 of 9 jobs done, about 4 min left"]  # 6 minutes for 5 of 8


def test_a_job_that_tells_its_own_time_left_is_believed(told, tmp_path, monkeypatch):
    """One training took a minute; the other is a quarter done after another minute, by its log."""
    log = short_log.ShortLog({"train": 2, "all": 1}, {"train": 1, "all": 0})
    begin(log, 0, "train")
    begin(log, 1, "train", [tmp_path / "train.log"])
    told.minute = 1
    finish(log, 0)  # the log is not there yet
    monkeypatch.setattr(progress, "LOG_EVERY", 0)
    monkeypatch.setattr(progress.log, "info", lambda line: (tmp_path / "train.log").write_text(f"12:00:00 {line}\n"))
    now = time.time()
    monkeypatch.setattr("tqdm.std.time", lambda: now)
    with progress.progress(total=4, desc="train", unit="step") as bar:
        now += 120
        bar.update(1)
        bar.refresh()
        told.minute = 2
        log.tell()
    assert "06:00" in (tmp_path / "train.log").read_text()
    assert told[1:] == [
        "12:00:00  1 of 3 jobs done",  # as if the other were as long, and about to end
        "12:00:00  1 of 3 jobs done, about 6 min left",
    ]


def test_the_number_of_lines_does_not_grow_with_the_number_of_jobs(told):
    one_by_one(short_log.ShortLog({"a": 1000, "b": 500, "all": 1}, {"a": 1, "b": 2, "all": 1}), told)
    assert len(told) <= 2 + 10


def test_what_is_no_line_about_a_job_stays():
    log = short_log.ShortLog({"a": 1}, {"a": 1})
    assert not log.filter(logging.makeLogRecord({"msg": "Select jobs to execute..."}))
    assert log.filter(logging.makeLogRecord({"msg": "Directory cannot be locked."}))
    assert log.filter(event(LogEvent.JOB_ERROR))
