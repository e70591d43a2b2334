"""The benchmark's arithmetic, on measurements whose results can be computed by hand, and its peers, on a known network."""

import csv
import json
import sys
from importlib import import_module

import cv2
import numpy as np
import pytest
from conftest import ROOT

sys.path.insert(0, str(ROOT / "benchmarks"))

import peers
import process
import run
import tables as benchmark
import upscaling
import video_times
from rows import ROWS, Row
from video_times import MODELS, SIZES

from deepsr.data.degradation import degrade, upscale
from deepsr.data.frames import index_images, list_members, luma, write_clip
from deepsr.drafts.recurrent import BLOCK, RUN_IN
from deepsr.evaluate.metrics import psnr

FACTS = {"commit": "abc1234", "date": "2026-11-24", "machine": "A machine."}
BOTH = "seconds", "peak_mb"


@pytest.fixture
def measured(monkeypatch):
    """A function that measures rows three times. The baseline takes 4, 6, 9 s, ours 2, 2 and 3 s, on a GPU 1 and 0.5 s."""
    seconds = {}

    def fake(measurement, folder):
        turn = seconds[measurement] = seconds.get(measurement, -1) + 1
        theirs, ours = (4.0, 6.0, 9.0)[turn % 3], (2.0, 2.0, 3.0)[turn % 3]
        values = {
            "article.gemm": {"gflops": 240.0},
            "article.gemm gpu": {"gflops": 9000.0},
            "article.inference_baseline": dict(zip(BOTH, [theirs, 3000.0], strict=True)),
            "article.inference_ours": dict(zip(BOTH, [ours, 150.0], strict=True)),
            "article.job_baseline": dict(zip(BOTH, [theirs, 3000.0], strict=True)),
            "article.jobs_ours": dict(zip(BOTH, [8.0, 2400.0], strict=True)),
            "article.training_baseline gpu": dict(zip(BOTH, [1.0, 1000.0], strict=True)),
            "article.training_ours gpu": dict(zip(BOTH, [0.5, 1000.0], strict=True)),
            "upscaling.frame windows 6": dict(zip(BOTH, [theirs, 600.0], strict=True)),
            "upscaling.frame fast 32": dict(zip(BOTH, [ours, 300.0], strict=True)),
            "peers.speed espcn": dict(zip(BOTH, [0.25, 100.0], strict=True))
            | {"cv2_enlarged": 23.0, "cv2_peer": 24.0, "bicubic_enlarged": 25.0, "bicubic_peer": 24.5},
        }
        return values[measurement]

    monkeypatch.setattr(benchmark, "run", fake)
    found = benchmark.Results()

    def measure(*names):
        for name in names:
            seconds.clear()
            found.measure(name, ROWS[name].measurements, 3, None, FACTS)
        return found

    return measure


def row(text, title):
    (line,) = (line for line in text.splitlines() if line.startswith(f"| {title}"))
    return [cell.strip() for cell in line.strip("|").split("|")]


def test_ratios_are_medians_over_the_rounds(measured):
    cells = row(benchmark.table(measured("inference")), "Inference")
    assert cells[1:5] == ["6 s", "2 s", "**3** (2 to 3)", "1.6"]
    assert cells[5:9] == ["3,000 MB", "150 MB", "**20**", "8"]
    assert cells[9] == "100%"  # 479.6 GFLOP in 2 s at 240 GFLOP/s


def test_eight_jobs_one_after_another_against_eight_at_once(measured):
    cells = row(benchmark.table(measured("jobs")), "8 evaluation jobs")
    assert cells[1:4] == ["48 s", "8 s", "**6** (4 to 9)"]
    assert cells[5:8] == ["24,000 MB", "2,400 MB", "**10**"]


def test_a_gpu_is_measured_against_its_own_peak(measured):
    text = benchmark.table(measured("inference", "training_gpu"))
    cells = row(text, "GPU")
    assert cells[1:5] == ["1 s", "0.5 s", "**2** (2 to 2)", ""]
    # 128 patches of 50x50 take three times 2 * 260,209 operations a pixel, less the gradient by the drafts.
    assert cells[9] == f"{128 * 2500 * (6 * 260_209 - 2 * 121 * 4 * 256) / 0.5 / 9000e9:.0%}" == "9%"
    assert "240 GFLOP/s and 9,000 GFLOP/s (GPU)" in text
    assert run.facts(None)["machine"].endswith("GPU: not measured.") and "GPU: H100." in run.facts("H100")["machine"]


def test_a_goal_in_megabytes(measured):
    cells = row(benchmark.table(measured("frame")), "`fast`: a frame")
    assert cells[1:5] == ["6 s", "2 s", "**3** (2 to 3)", "6.57"]
    assert cells[5:9] == ["600 MB", "300 MB", "**2**", "400 MB"]


def test_a_row_takes_the_place_of_its_former_results_and_leaves_the_others(measured, tmp_path):
    measured("inference", "jobs").write(tmp_path / "results.csv")
    found = benchmark.Results.read(tmp_path / "results.csv")
    text = benchmark.table(found)
    assert row(text, "Inference")[1:3] == ["6 s", "2 s"]
    found.measure("jobs", ["article.job_baseline", "article.jobs_ours"], 1, None, FACTS | {"commit": "def5678"})
    found.write(tmp_path / "results.csv")
    again = benchmark.Results.read(tmp_path / "results.csv")
    assert row(benchmark.table(again), "Inference") == row(text, "Inference")
    assert again.all("jobs", "article.job_baseline") == [4.0]  # and not 4, 6, 9
    lines = benchmark.origins(again).splitlines()
    assert lines == [
        "- inference: medians of 3 rounds, at commit abc1234, 2026-11-24. A machine.",
        "- jobs: once, at commit def5678, 2026-11-24. A machine.",
    ]


def test_rows_of_one_run_are_told_together(measured):
    assert benchmark.origins(measured("jobs", "inference")) == (
        "- medians of 3 rounds, at commit abc1234, 2026-11-24. A machine."
    )


def test_peers_stand_beside_fast(measured):
    found = measured("inference")
    assert benchmark.peer_table(found) == ""
    found.measure("peer espcn", [benchmark.FAST, "peers.speed espcn"], 3, None, FACTS)
    cells = row(benchmark.peer_table(found), "espcn")
    assert cells == ["espcn", "0.25 s", "2 s", "100 MB", "23.00 dB", "24.00 dB", "25.00 dB", "24.50 dB"]


def test_every_row_has_its_measurements():
    for measurement in [m for row in ROWS.values() for m in row.measurements] + [benchmark.FAST, "article.workflow"]:
        module, function = measurement.split()[0].split(".")
        assert callable(getattr(import_module(module), function))


def test_what_is_measured_without_a_peak_and_with_a_third():
    assert Row("", "article.a", "article.b", beside="article.c").measurements == ["article.a", "article.b", "article.c"]
    assert Row("", "article.a", "article.b", gflop=1).measurements[0] == "article.gemm"
    assert Row("", "article.a gpu", "article.b gpu", gflop=1).measurements[0] == "article.gemm gpu"


def test_the_block_that_is_measured_has_both_run_ins():
    assert range(BLOCK, 2 * BLOCK) == upscaling.BLOCK
    assert upscaling.BLOCK.stop + RUN_IN <= upscaling.CLIP_FRAMES and upscaling.CLIP_FRAMES % BLOCK == 0


def told(monkeypatch, capsys, *arguments):
    monkeypatch.setattr(sys, "argv", ["run.py", *map(str, arguments)])
    with pytest.raises(SystemExit) as stopped:
        run.main()
    return capsys.readouterr().err + str(stopped.value)


def test_what_cannot_be_measured_is_said_before_anything_is(monkeypatch, capsys, tmp_path):
    assert "unknown row inferense; there are inference, jobs" in told(monkeypatch, capsys, "inferense")
    assert "--peer espcn=no.pb: give one of espcn, " in told(monkeypatch, capsys, "--peer", "espcn=no.pb")
    weights = tmp_path / "weights.pb"
    weights.write_bytes(b"\xff" * 100)
    assert "--peer resnet=" in told(monkeypatch, capsys, "--peer", f"resnet={weights}")
    assert "weights.pb: cannot be used as espcn at x4" in told(monkeypatch, capsys, "--peer", f"espcn={weights}")
    assert "outside the project" in told(monkeypatch, capsys, "--folder", ROOT / "here")


def test_what_a_failed_measurement_said_is_shown(tmp_path):
    with pytest.raises(SystemExit, match="(?s)no such file.*failed: .*article.start_ours"):
        process.run("article.start_ours", tmp_path / "nothing")


def write_peer(path, scale):
    """A frozen graph of TensorFlow that repeats each pixel scale x scale times: ESPCN, with known weights."""
    import tensorflow as tf

    graph = tf.Graph()
    with graph.as_default():
        pixels = tf.compat.v1.placeholder(tf.float32, (1, None, None, 1), "input")
        kernel = np.zeros((3, 3, 1, scale * scale), np.float32)
        kernel[1, 1] = 1
        tf.compat.v1.depth_to_space(tf.nn.conv2d(pixels, kernel, 1, "SAME"), scale, name="NHWC_output")
    path.write_bytes(graph.as_graph_def().SerializeToString())


def test_a_peer_is_timed_and_scored_beside_bicubic(tmp_path, monkeypatch):
    import prepare

    write_peer(tmp_path / "espcn.pb", 4)
    paths = sorted((ROOT / "tests/clips/harbour").glob("*.png"))[:2]
    frames = [cv2.cvtColor(luma(cv2.imread(str(path))), cv2.COLOR_GRAY2BGR)[:64, :96] for path in paths]
    prepare.write_video(tmp_path / "lr.mp4", frames)
    for clip in ("city_b", "bicycle"):
        write_clip(tmp_path / f"{clip}.zip", frames)
        index = index_images(tmp_path / f"{clip}.zip", list_members(tmp_path / f"{clip}.zip"))
        (tmp_path / f"{clip}.json").write_text(json.dumps(index))
    found = peers.speed(tmp_path, "espcn")
    assert found["seconds"] > 0
    for kind in ("cv2", "bicubic"):
        truth, small = [luma(frame) for frame in frames], [luma(degrade(frame, 4, kind)) for frame in frames]
        enlarged = np.mean([psnr(t / 255, upscale(s, 4, kind) / 255) for t, s in zip(truth, small, strict=True)])
        repeated = np.mean([psnr(t / 255, s.repeat(4, 0).repeat(4, 1) / 255) for t, s in zip(truth, small, strict=True)])
        assert found[f"{kind}_enlarged"] == pytest.approx(enlarged)
        assert found[f"{kind}_peer"] == pytest.approx(
            repeated, abs=0.02
        )  # its picture is rounded on its way to RGB and back


def test_a_peer_of_another_scale_is_refused(tmp_path):
    write_peer(tmp_path / "two.pb", 2)
    with pytest.raises(SystemExit, match=r"two.pb: cannot be used as espcn at x4 \("):
        peers.peer(tmp_path / "two.pb", "espcn")


def test_the_results_that_are_kept_are_those_of_the_readme():
    folder = ROOT / "benchmarks"
    kept = benchmark.Results.read(folder / "results.csv")
    with open(folder / "results.csv", newline="") as file:
        assert len(kept.lines) == len(list(csv.DictReader(file))) > 0
    assert f"\n{run.text(kept, folder / 'rules.csv')}\n" in (folder / "README.md").read_text()


def test_minutes_of_a_video_are_told_for_each_size_and_network():
    seconds = {"fast_x2": 0.04, "fast_x4": 0.2}
    measured = {(size, name): {"seconds": factor * seconds[name]} for factor, size in enumerate(SIZES, 1) for name in MODELS}
    assert video_times.table(measured).splitlines()[2:] == [  # a minute has 1,500 frames
        "| PAL, 720x576 | 1 min | 5 min |",
        "| HD, 1280x720 | 2 min | 10 min |",
    ]
