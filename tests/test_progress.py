import logging

import pytest

from deepsr import progress as module
from deepsr.progress import in_minutes, progress


def test_passes_the_items_on(caplog):
    assert list(progress(range(5), desc="frames")) == [0, 1, 2, 3, 4]
    assert not caplog.records  # over before the first line is due


def test_a_line_now_and_then_says_how_far_it_is(caplog, monkeypatch):
    seconds = iter(range(0, 1000, 6))
    monkeypatch.setattr(module.time, "monotonic", lambda: next(seconds))
    with caplog.at_level(logging.INFO, "deepsr"):
        bar = progress(total=10, desc="frames", unit="frame", mininterval=0, miniters=1)
        for _ in range(10):
            bar.update(1)
        bar.close()
    lines = [record.getMessage() for record in caplog.records]
    assert 3 <= len(lines) <= 5  # every 15 seconds, not at every frame
    assert all(line.startswith("frames") and "/10" in line for line in lines)


@pytest.mark.parametrize("items", [[], [1]])
def test_nothing_but_the_log_is_written_without_a_terminal(capsys, items):
    list(progress(items))
    assert capsys.readouterr().err.strip() == ""


@pytest.mark.parametrize(
    "seconds, text", [(1, "1 min"), (89, "1 min"), (91, "2 min"), (3580, "1 h 0 min"), (7500, "2 h 5 min")]
)
def test_seconds_in_minutes(seconds, text):
    assert in_minutes(seconds) == text
