"""The benchmark's arithmetic, on measurements whose results can be computed by hand."""

import sys

import pytest
from conftest import ROOT

sys.path.insert(0, str(ROOT / "benchmarks"))

import measure
import run as benchmark


@pytest.fixture
def results(monkeypatch):
    """Three rounds. The article's way takes 4, 6 and 9 s and ours 2, 2 and 3 s; on a GPU 1 and 0.5 s."""
    monkeypatch.setattr(benchmark, "run", lambda measurement, folder: dict(zip(*values[measurement], strict=True)))
    results = benchmark.Results()
    for turn, (theirs, ours) in enumerate([(4.0, 2.0), (6.0, 2.0), (9.0, 3.0)]):
        both = "seconds", "peak_mb"
        values = {
            "gemm": (["gflops"], [240.0]),
            "gemm gpu": (["gflops"], [9000.0]),
            "inference_baseline": (both, [theirs, 3000.0]),
            "inference_ours": (both, [ours, 150.0]),
            "job_baseline": (both, [theirs, 3000.0]),
            "jobs_ours": (both, [8.0, 2400.0]),
            "training_baseline gpu": (both, [1.0, 1000.0]),
            "training_ours gpu": (both, [0.5, 1000.0]),
        }
        for measurement in values:
            results.add(turn, measurement, None)
    return results


def row(text, title):
    (line,) = (line for line in text.splitlines() if line.startswith(f"| {title}"))
    return [cell.strip() for cell in line.strip("|").split("|")]


def test_ratios_are_medians_over_the_rounds(results):
    cells = row(benchmark.table(results, ["inference"]), "Inference")
    assert cells[1:5] == ["6 s", "2 s", "**3** (2 to 3)", "1.6"]
    assert cells[5:9] == ["3,000 MB", "150 MB", "**20**", "8"]
    assert cells[9] == "100%"  # 479.6 GFLOP in 2 s at 240 GFLOP/s


def test_eight_jobs_one_after_another_against_eight_at_once(results):
    cells = row(benchmark.table(results, ["jobs"]), "8 evaluation jobs")
    assert cells[1:4] == ["48 s", "8 s", "**6** (4 to 9)"]
    assert cells[5:8] == ["24,000 MB", "2,400 MB", "**10**"]


def test_a_gpu_is_measured_against_its_own_peak(results):
    text = benchmark.table(results, ["inference", "training_gpu"])
    cells = row(text, "GPU")
    assert cells[1:5] == ["1 s", "0.5 s", "**2** (2 to 2)", ""]
    # 128 patches of 50x50 take three times 2 * 260,209 operations a pixel, less the gradient by the drafts.
    assert cells[9] == f"{128 * 2500 * (6 * 260_209 - 2 * 121 * 4 * 256) / 0.5 / 9000e9:.0%}" == "9%"
    assert "240 GFLOP/s and 9,000 GFLOP/s (GPU)" in text
    assert "GPU: not measured." in benchmark.machine(3, None) and "GPU: H100." in benchmark.machine(3, "H100")


def test_the_figure_shows_every_row(results, tmp_path):
    names = ["inference", "jobs", "training_gpu"]
    benchmark.figure(results, names, tmp_path / "figure.svg")
    assert all(f"<!-- {benchmark.ROWS[name].title} -->" in (tmp_path / "figure.svg").read_text() for name in names)


def test_every_row_has_its_measurements():
    for name, row in benchmark.ROWS.items():
        for measurement in [row.baseline, row.ours, row.peak, *benchmark.ALONE.get(name, [])]:
            assert callable(getattr(measure, measurement.split()[0]))


def test_a_row_that_does_not_exist(monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["run.py", "inferense"])
    with pytest.raises(SystemExit):
        benchmark.main()
    assert "unknown row inferense; there are inference, jobs" in capsys.readouterr().err


def test_what_a_failed_measurement_said_is_shown(tmp_path):
    with pytest.raises(SystemExit, match="(?s)no such file.*failed: .*measure.py start_ours"):
        measure.run("start_ours", tmp_path / "nothing")
