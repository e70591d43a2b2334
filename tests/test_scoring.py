import subprocess
from pathlib import Path
from types import SimpleNamespace

import cv2
import numpy as np
import pandas as pd
import pytest
from conftest import ROOT

from deepsr.data.degradation import degrade, lanczos, upscale
from deepsr.data.frames import luma
from deepsr.errors import InputError
from deepsr.evaluate import examples, scoring, temporal
from deepsr.evaluate.examples import EXAMPLES, PICTURES, choose_examples, read_examples, read_slices, write_examples
from deepsr.evaluate.metrics import METRICS, Metric, chroma, in_color_space, psnr, ssim, to_bgr
from deepsr.evaluate.scoring import pictures_of, score_clip, score_frame, score_motion
from deepsr.evaluate.table import collect, frame_mean, incomplete, read_psnr, read_scores, summary

FRAME = cv2.imread(str(Path(__file__).parent / "clips/harbour/00.png"))[:96, :120]
PROTOCOL = {"color_space": "y", "border": 0, "skip_frames": 0, "temporal": False}


def clip_of(experiment, sequence, drafts="bicubic", **changed):
    """What the table says about a clip beside its scores."""
    return {
        "experiment": experiment,
        "run": experiment,
        "dataset": "demo",
        "sequence": sequence,
        "scale": 4,
        "network": "deepsr",
        "degradation": "bicubic",
        "drafts": drafts,
        "train": "demo",
        "evaluation": PROTOCOL,
        **changed,
    }


def frames(psnr_bicubic, psnr_deepsr, ssim=0.5):
    """Scores of a clip's frames."""
    scores = {f"psnr_{name}": values for name, values in (("bicubic", psnr_bicubic), ("deepsr", psnr_deepsr))}
    scores |= {f"{name}_y": values for name, values in scores.items()} | {"psnr_lanczos": psnr_bicubic}
    scores |= {f"ssim_{name}": ssim for name in ("bicubic", "deepsr", "lanczos")}
    return pd.DataFrame({"frame": range(len(psnr_bicubic)), **scores, "example": ""})


@pytest.fixture
def collected(tmp_path):
    """`collect` or `incomplete` of clips and their frames' scores, which are written first; None has none."""

    def collected(*clips, function=collect):
        paths = []
        for i, (_, scores) in enumerate(clips):
            paths.append(None if scores is None else tmp_path / f"{i}.csv")
            if scores is not None:
                scores.to_csv(paths[-1], index=False)
        return function([facts for facts, _ in clips], paths)

    return collected


def score(hr, lr, predicted, scale, degradation, color_space, border):
    """Scores of a frame and its pictures."""
    pictures = pictures_of(hr, lr, predicted, scale, degradation)
    return score_frame(pictures, predicted, color_space, border), pictures


# One frame.


@pytest.mark.parametrize("degradation", ["bicubic", "cv2"])
def test_scores_of_a_frame(degradation):
    lr = degrade(FRAME, 4, degradation)
    bicubic, predicted = upscale(lr, 4, degradation), luma(FRAME).astype(np.float32) / 255 * 0.99
    scores, pictures = score(FRAME, lr, predicted, 4, degradation, "y", 4)
    truth = luma(FRAME) / 255
    assert scores["psnr_bicubic"] == pytest.approx(psnr(luma(bicubic) / 255, truth, 4))
    assert scores["psnr_deepsr"] == pytest.approx(psnr(predicted, truth, 4))
    assert scores["psnr_lanczos"] == pytest.approx(psnr(luma(lanczos(lr, 4, degradation)) / 255, truth, 4))
    assert scores["ssim_deepsr"] == pytest.approx(ssim(predicted, truth, 4))
    assert scores["psnr_bicubic_rgb"] == pytest.approx(psnr(bicubic / 255, FRAME / 255, 4))
    coloured = to_bgr(predicted, chroma(bicubic))
    for space in ("y_matlab", "rgb"):
        expected = psnr(in_color_space(None, coloured, space), in_color_space(None, FRAME, space), 4)
        assert scores[f"psnr_deepsr_{space}"] == pytest.approx(expected)
    assert scores["psnr_bicubic_y_matlab"] == pytest.approx(scores["psnr_bicubic"] + 1.32, abs=0.03)
    assert np.array_equal(pictures["bicubic"], bicubic) and np.array_equal(pictures["deepsr"], coloured)
    assert np.abs(luma(pictures["deepsr"]) / 255 - predicted).mean() < 0.01


@pytest.mark.parametrize("space", ["y", "y_matlab", "rgb"])
def test_the_main_columns_are_of_the_protocols_colour_space(space):
    lr = degrade(FRAME, 4, "bicubic")
    scores, _ = score(FRAME, lr, luma(FRAME).astype(np.float32) / 255 * 0.99, 4, "bicubic", space, 0)
    for name in ("psnr_bicubic", "psnr_deepsr", "ssim_bicubic", "ssim_deepsr", "psnr_lanczos"):
        assert scores[name] == scores[f"{name}_{space}"]
    sharper = in_color_space(luma(lanczos(lr, 4, "bicubic")) / 255, lanczos(lr, 4, "bicubic"), space)
    assert scores["psnr_lanczos"] == psnr(sharper, in_color_space(luma(FRAME) / 255, FRAME, space))
    for other in ("y", "y_matlab", "rgb"):  # the others are there too, but for Lanczos
        assert np.isfinite(scores[f"psnr_deepsr_{other}"]) and (f"psnr_lanczos_{other}" in scores) == (other == space)


def test_luma_alone_cannot_be_perfect_in_colour():
    lr = degrade(FRAME, 4, "bicubic")
    scores, _ = score(FRAME, lr, (luma(FRAME) / 255).astype(np.float32), 4, "bicubic", "y", 0)
    assert scores["psnr_deepsr_y"] > 140
    assert 20 < scores["psnr_deepsr_rgb"] < scores["psnr_deepsr_y_matlab"] < 60


def test_a_frame_without_error():
    grey = np.full((16, 16, 3), 100, np.uint8)
    predicted = np.float64(luma(grey)) / 255
    scores, _ = score(grey, degrade(grey, 4, "bicubic"), predicted, 4, "bicubic", "y", 0)
    assert all(scores[name] == np.inf for name in scores if name.startswith("psnr"))
    assert all(scores[name] == pytest.approx(1) for name in scores if name.startswith("ssim"))


def test_steadiness_is_scored_against_the_frame_before(tmp_path):
    """Frames that the network enlarges to the truth move as it does; the first has no frame before it."""
    clip = Clip()
    clip.frames = [FRAME[:64, i : i + 96] for i in (0, 2, 4)]
    clip.height, clip.width = 64, 96
    clip.luma_of = lambda i: luma(clip.frames[i]) / 255
    table, _ = clip.score(tmp_path / "checkpoint.npz", temporal=True)
    steadiness = table[["tof_bicubic", "tof_deepsr", "warp_bicubic", "warp_deepsr"]]
    assert steadiness.iloc[0].isna().all() and steadiness.iloc[1:].notna().all(axis=None)
    assert (table["tof_deepsr"][1:] < table["tof_bicubic"][1:]).all()
    before, now = (pictures_of(clip.hr(i), clip.lr(i), clip.luma_of(i), 4, "bicubic") for i in (1, 2))
    expected = temporal.tof(now["bicubic"], now["hr"], before["bicubic"], before["hr"])
    assert table["tof_bicubic"][2] == expected == score_motion(now, before)["tof_bicubic"]


def test_steadiness_is_in_the_table_where_it_was_asked_for(collected):
    scored = frames([20, np.inf, 22], [21, 60, 23]).assign(tof_bicubic=[np.nan, 0.5, 0.7], tof_deepsr=[np.nan, 0.25, 0.25])
    result = collected((clip_of("steady", "a"), scored), (clip_of("other", "a"), frames([20], [21])))
    assert result["tof_bicubic"].tolist()[:2] == pytest.approx([0.6, 0.6]) and result["psnr_bicubic"][0] == 21
    assert result["tof_bicubic"].isna().tolist() == [False, False, True, True]
    columns = list(result)
    assert columns[columns.index("ssim_deepsr") + 1 :][:2] == ["tof_bicubic", "tof_deepsr"]
    assert "warp_deepsr" not in columns and "temporal" not in columns


@pytest.fixture
def toy_metric(monkeypatch):
    """The mean absolute error in grey levels, registered as "mae"."""

    def mae(a, b, border):
        return float(np.abs(a - b)[border : len(a) - border, border : a.shape[1] - border].mean() * 255)

    monkeypatch.setitem(METRICS, "mae", Metric("MAE", mae, "grey levels", ".2f", "lower"))


def test_a_metric_that_is_registered_is_in_every_table(toy_metric, collected):
    lr = degrade(FRAME, 4, "bicubic")
    scores, _ = score(FRAME, lr, luma(FRAME).astype(np.float32) / 255, 4, "bicubic", "rgb", 4)
    error = np.abs(upscale(lr, 4, "bicubic").astype(float) - FRAME)[4:-4, 4:-4].mean()
    assert scores["mae_bicubic"] == scores["mae_bicubic_rgb"] == pytest.approx(error)
    assert scores["mae_deepsr_y"] == pytest.approx(0, abs=1e-5) and scores["mae_lanczos"] > 0
    result = collected(
        (clip_of("single", "a"), pd.DataFrame([{"frame": 0, **scores, "example": ""}])),
        (clip_of("single", "b"), pd.DataFrame([{"frame": 0, **scores, "mae_bicubic": 0.0, "example": ""}])),
    )
    assert result["mae_bicubic"].tolist() == pytest.approx([error, 0, error / 2])
    columns = list(result)
    assert columns[columns.index("ssim_deepsr") + 1 :][:2] == ["mae_bicubic", "mae_deepsr"]
    assert {"mae_lanczos", "mae_deepsr_rgb", "mae_deepsr_y_matlab"} <= set(columns)


# The examples of a clip.


@pytest.mark.parametrize(
    "gains, best, worst",
    [
        ([1, 3, -2, 0], 1, 2),
        ([2], 0, 0),
        ([np.nan, 1, -np.inf, 3, np.inf, 3, -2, -2], 3, 6),  # nan: no error in either; -inf: none in bicubic's, a flat frame
        ([-np.inf, -5, -1], 2, 1),
        ([np.nan, np.inf], 0, 0),
    ],
)
def test_examples_have_the_largest_and_the_least_finite_gain(gains, best, worst):
    assert choose_examples(gains) == {"best": best, "worst": worst}


SETTINGS = {"scale": 4, "degradation": "bicubic", **PROTOCOL}


class Clip:
    """Frames of a clip: one without any error, a flat one that only bicubic enlarges without, and three real ones.

    In those the network goes 0.2, 0.8 and 0.5 of the way from bicubic to the truth: frame 3 is the best and 2 the worst.
    """

    height, width = 48, 64

    def __init__(self):
        flat = np.full((48, 64, 3), 99, np.uint8)
        self.frames = [flat, flat, *(FRAME[8 * i : 8 * i + 48, :64] for i in range(3))]
        self.scored = []

    def __len__(self):
        return len(self.frames)

    def hr(self, i):
        return self.frames[i]

    def lr(self, i):
        return degrade(self.frames[i], 4, "bicubic")

    def luma_of(self, i):
        """The network's luma of frame i."""
        bicubic, truth = luma(upscale(self.lr(i), 4, "bicubic")) / 255, luma(self.frames[i]) / 255
        return bicubic + (0, 0, 0.2, 0.8, 0.5)[i] * (truth - bicubic) + (0, 0.1, 0, 0, 0)[i]

    def score(self, checkpoint, made_from="this", stop=None, **changed):
        """`score_clip` of this clip; it is interrupted at frame `stop`."""

        def predict(i):
            if i == stop:
                raise KeyboardInterrupt
            self.scored.append(i)
            return self.luma_of(i)

        return score_clip(self, range(len(self)), predict, SETTINGS | changed, checkpoint, made_from)


def test_the_examples_of_a_clip_are_marked_and_pictured(tmp_path):
    clip = Clip()
    table, pictures = clip.score(tmp_path / "checkpoint.npz")
    assert table["example"].tolist() == ["", "", "worst", "best", ""]
    assert table["frame"].tolist() == [0, 1, 2, 3, 4]
    assert table["psnr_deepsr"][0] == np.inf and table["psnr_deepsr"][1] == pytest.approx(20)
    assert set(pictures) == set(EXAMPLES) and len(EXAMPLES) == 11
    for which, i in (("best", 3), ("worst", 2)):
        assert np.array_equal(pictures[f"{which}_hr.png"], clip.hr(i))
        assert np.array_equal(pictures[f"{which}_lr.png"], clip.lr(i))
        bicubic = upscale(clip.lr(i), 4, "bicubic")
        assert np.array_equal(pictures[f"{which}_bicubic.png"], bicubic)
        assert np.array_equal(pictures[f"{which}_deepsr.png"], to_bgr(clip.luma_of(i), chroma(bicubic)))
    assert list(tmp_path.iterdir()) == []  # a short clip needs no checkpoint


def test_frames_at_the_ends_are_left_out(tmp_path):
    clip = Clip()
    table, pictures = clip.score(tmp_path / "checkpoint.npz", skip_frames=1)
    whole, _ = Clip().score(tmp_path / "checkpoint.npz")
    assert table["frame"].tolist() == clip.scored == [1, 2, 3] and table["example"].tolist() == ["", "worst", "best"]
    assert table["psnr_deepsr"].tolist() == whole["psnr_deepsr"][1:4].tolist()
    assert np.array_equal(pictures["best_hr.png"], clip.hr(3)) and len(pictures["slice_hr.png"]) == 3
    with pytest.raises(InputError, match="skip_frames: 3 at each end leave nothing of 5 frames"):
        clip.score(tmp_path / "checkpoint.npz", skip_frames=3)


def test_examples_are_read_as_they_were_written(tmp_path):
    table, pictures = Clip().score(tmp_path / "checkpoint.npz")
    table.to_csv(tmp_path / "clip.1.csv", index=False)
    write_examples(tmp_path / "clip.1", pictures)
    examples = read_examples(tmp_path / "clip.1.csv")
    assert [examples[which]["frame"] for which in ("best", "worst")] == [3, 2]
    for which, example in examples.items():
        assert example["psnr_deepsr"] == pytest.approx(table["psnr_deepsr"][example["frame"]])
        assert example["psnr_bicubic"] == pytest.approx(table["psnr_bicubic"][example["frame"]])
        assert all(np.array_equal(example[picture], pictures[f"{which}_{picture}.png"]) for picture in PICTURES)
    slices = read_slices(tmp_path / "clip.1.csv")
    assert set(slices) == {"hr", "bicubic", "deepsr"}
    assert all(np.array_equal(found, pictures[f"slice_{name}.png"]) for name, found in slices.items())
    (tmp_path / "clip.1/worst_lr.png").write_bytes(b"")
    with pytest.raises(InputError, match="worst_lr.png: is damaged; delete it and .*clip.1.csv"):
        read_examples(tmp_path / "clip.1.csv")


def test_a_slice_is_the_middle_row_over_the_first_frames(tmp_path, monkeypatch):
    monkeypatch.setattr(examples, "SLICE_FRAMES", 4)
    clip = Clip()
    _, pictures = clip.score(tmp_path / "checkpoint.npz")
    bicubics = [upscale(clip.lr(i), 4, "bicubic") for i in range(4)]
    coloured = [to_bgr(clip.luma_of(i), chroma(bicubics[i])) for i in range(4)]
    for name, frames in (("hr", clip.frames[:4]), ("bicubic", bicubics), ("deepsr", coloured)):
        assert np.array_equal(pictures[f"slice_{name}.png"], [frame[24] for frame in frames])


def test_one_frame_may_be_the_best_and_the_worst(tmp_path):
    clip = Clip()
    clip.frames = clip.frames[:1]
    table, pictures = clip.score(tmp_path / "checkpoint.npz")
    assert table["example"].tolist() == ["best worst"]
    table.to_csv(tmp_path / "clip.csv", index=False)
    write_examples(tmp_path / "clip", pictures)
    assert [example["frame"] for example in read_examples(tmp_path / "clip.csv").values()] == [0, 0]


def test_a_border_that_leaves_nothing_is_refused(tmp_path):
    with pytest.raises(InputError, match="evaluation.border: 24 leaves nothing of 64x48 frames"):
        Clip().score(tmp_path / "checkpoint.npz", border=24)
    assert len(Clip().score(tmp_path / "checkpoint.npz", border=23)[0]) == 5


# Going on after an interruption.


@pytest.mark.parametrize("temporal", [False, True])
@pytest.mark.parametrize("stop", [0, 1, 3, 4])
def test_an_interrupted_scoring_goes_on_to_the_same_result(tmp_path, monkeypatch, caplog, stop, temporal):
    caplog.set_level("INFO")
    table, pictures = Clip().score(tmp_path / "other.npz", temporal=temporal)
    assert ("tof_deepsr" in table) == temporal
    monkeypatch.setattr(scoring, "SAVE_EVERY", 0)
    with pytest.raises(KeyboardInterrupt):
        Clip().score(tmp_path / "checkpoint.npz", stop=stop, temporal=temporal)
    clip = Clip()
    again, same_pictures = clip.score(tmp_path / "checkpoint.npz", temporal=temporal)
    assert clip.scored == list(range(max(0, stop - 1) if temporal else stop, 5))  # the frame before, but not its scores
    assert (f"scoring continues at frame {stop}" in caplog.text) == (stop > 0)
    assert again.to_csv() == table.to_csv()
    assert set(same_pictures) == set(pictures)
    assert all(np.array_equal(same_pictures[name], pictures[name]) for name in EXAMPLES)


@pytest.mark.parametrize("damage", [lambda data: data[:-30], lambda data: b"", lambda data: data])
def test_a_checkpoint_that_is_damaged_or_of_something_else_is_not_used(tmp_path, monkeypatch, caplog, damage):
    monkeypatch.setattr(scoring, "SAVE_EVERY", 0)
    path, clip = tmp_path / "checkpoint.npz", Clip()
    with pytest.raises(KeyboardInterrupt):
        Clip().score(path, made_from="other frames", stop=3)
    path.write_bytes(damage(path.read_bytes()))
    table, _ = clip.score(path)
    assert clip.scored == [0, 1, 2, 3, 4] == table["frame"].tolist()
    assert "checkpoint.npz: the checkpoint cannot be used (" in caplog.text and "scoring begins anew" in caplog.text


def test_checkpoints_are_written_now_and_then(tmp_path, monkeypatch):
    seconds, written = iter([0, 10, 60, 75, 134, 140, 141, 150]), []
    monkeypatch.setattr(scoring, "time", SimpleNamespace(monotonic=lambda: next(seconds)))
    monkeypatch.setattr(scoring, "_save", lambda path, made_from, rows, pictures: written.append(len(rows)))
    Clip().score(tmp_path / "checkpoint.npz")
    assert written == [2, 4]


@pytest.mark.slow
def test_a_killed_job_goes_on_from_its_checkpoint(finished, copy_of):
    project = copy_of(finished)
    project.replace("deepsr/evaluate/scoring.py", "SAVE_EVERY = 60 ", "SAVE_EVERY = 0 ")
    loop = "        predicted, pictures = enlarge(frame)\n"
    stop = '        if frame == 4 and os.environ.get("STOP"):\n            os.kill(os.getpid(), 9)\n'
    project.replace("deepsr/evaluate/scoring.py", loop, loop + stop)
    project.replace("deepsr/evaluate/scoring.py", "import logging\n", "import logging\nimport os\n")
    scores, log = (f"results/{folder}single/tiny/tower" for folder in ("experiments/", "logs/evaluate_clip/"))
    pictures = {path.name: path.read_bytes() for path in (project.path / scores).iterdir()}
    assert project.run(f"{scores}.csv", check=False, STOP="1").returncode
    checkpoint = project.path / "results/experiments/single/tiny/.tower.checkpoint.npz"
    assert checkpoint.exists()
    project.run(f"{scores}.csv")
    assert "scoring continues at frame 4" in (project.path / f"{log}.log").read_text()
    assert not checkpoint.exists()
    assert (project.path / f"{scores}.csv").read_bytes() == (finished.path / f"{scores}.csv").read_bytes()
    assert {path.name: path.read_bytes() for path in (project.path / scores).iterdir()} == pictures


# Means.


def test_the_mean_of_frames_leaves_out_infinite_ones_and_counts_them():
    means, infinite = frame_mean(frames([20, np.inf, 30], [24, 40, 36]))
    assert (means["psnr_bicubic"], means["psnr_deepsr"], infinite) == (25, 30, 1)  # 40 has no partner
    means, infinite = frame_mean(frames([20, 22], [np.inf, np.inf]))
    assert (means["psnr_deepsr"], infinite) == (np.inf, 2)


def test_each_clip_needs_its_scores(tmp_path):
    with pytest.raises(ValueError, match="shorter|longer"):
        collect([clip_of("single", "a"), clip_of("single", "b")], [None])


def test_means_over_frames_and_then_over_clips(collected):
    result = collected(
        (clip_of("single", "short"), frames([20], [21])),
        (clip_of("single", "long"), frames([30, 31, 32], [32, 33, 34])),
        (clip_of("other", "short"), frames([20], [20])),
    )
    assert list(result["sequence"]) == ["short", "long", "mean", "short", "mean"]
    assert list(result["psnr_bicubic"]) == [20, 31, 25.5, 20, 20]
    assert list(result["psnr_deepsr"]) == [21, 33, 27, 20, 20]
    assert list(result["gain"]) == [1, 2, 1.5, 0, 0]
    assert list(result["frames"]) == [1, 3, 4, 1, 1]
    assert list(result["infinite_frames"]) == [0] * 5


def test_each_data_set_has_its_mean(collected):
    result = collected(
        (clip_of("single", "a"), frames([20], [21])), (clip_of("single", "a", dataset="mine"), frames([30], [35]))
    )
    assert list(result["dataset"]) == ["demo", "demo", "mine", "mine"]
    assert list(result["gain"]) == [1, 1, 5, 5]


def test_seeds_have_their_mean_and_the_spread_of_their_gains(collected):
    result = collected(
        (clip_of("deepsr", "a"), frames([20], [21])),
        (clip_of("deepsr", "b"), frames([30, 31, 32], [32, 33, 34])),
        (clip_of("single", "a"), frames([20], [21])),
        (clip_of("deepsr", "a", run="deepsr_seed2"), frames([20], [22], ssim=0.7)),
        (clip_of("deepsr", "b", run="deepsr_seed2"), frames([30, 31, 32], [31, 32, 33])),
        (clip_of("deepsr", "a", run="deepsr_seed3"), frames([20], [21])),
        (clip_of("deepsr", "b", run="deepsr_seed3"), frames([30, 31, 32], [33, 34, 35])),
    )
    assert result["sequence"].tolist() == ["a", "b", "mean", "a", "mean"]
    assert result["gain"].tolist() == pytest.approx([4 / 3, 2, 5 / 3, 1, 1])
    # Gains: 1, 2, 1 on a; 2, 1, 3 on b; 1.5, 1.5, 2 on the mean.
    expected = [np.sqrt(1 / 3), 1, np.sqrt(1 / 12)]
    assert result["gain_std"].tolist()[:3] == pytest.approx(expected) and result["gain_std"][3:].isna().all()
    assert result["seeds"].tolist() == [3, 3, 3, 1, 1] and result["frames"].tolist() == [1, 3, 4, 1, 1]
    assert result["psnr_deepsr"].tolist() == pytest.approx([64 / 3, 33, 163 / 6, 21, 21])
    assert result["ssim_deepsr"][0] == pytest.approx((0.5 + 0.7 + 0.5) / 3)
    columns = list(result)
    assert columns[columns.index("psnr_deepsr") :][:4] == ["psnr_deepsr", "gain", "gain_std", "seeds"]
    assert "run" not in columns


def test_the_frames_scores_are_means_over_seeds(tmp_path):
    for name, psnrs in (("first", [21.0, 22.0]), ("second", [23.0, 22.0]), ("other", [np.inf, 20.0])):
        frames([20, 20], psnrs).to_csv(tmp_path / f"{name}.csv", index=False)
    clips = [["deepsr", "demo", "a"], ["single", "demo", "a"], ["deepsr", "demo", "a"]]
    scores = read_scores(clips, [tmp_path / f"{name}.csv" for name in ("first", "other", "second")])
    assert scores["deepsr", "demo", "a"]["psnr_deepsr"].tolist() == [22, 22]
    assert scores["single", "demo", "a"]["psnr_deepsr"].tolist() == [np.inf, 20]
    assert scores["deepsr", "demo", "a"]["frame"].tolist() == [0, 1]


def test_a_seed_that_is_missing_leaves_no_mean(collected):
    runs = [(clip_of("deepsr", "a"), frames([20], [21])), (clip_of("deepsr", "a", run="deepsr_seed2"), None)]
    result = collected(*runs, function=incomplete)
    assert result["status"].tolist() == ["missing", "incomplete"] and result["gain_std"].isna().all()


def test_columns_and_the_mark_of_the_oracle(collected):
    result = collected(
        (clip_of("article", "a", "gaussian (oracle)"), frames([20], [30])),
        (clip_of("deepsr", "a", "motion"), frames([20], [21])),
    )
    first = ["experiment", "dataset", "scale", "drafts", "sequence", "frames", "psnr_bicubic", "psnr_deepsr", "gain"]
    first += ["ssim_bicubic", "ssim_deepsr"]
    assert list(result.columns[: len(first)]) == first
    then = [
        "psnr_lanczos",
        "ssim_lanczos",
        "network",
        "degradation",
        "color_space",
        "border",
        "skip_frames",
        "trained_on",
        "infinite_frames",
    ]
    assert list(result.columns) == [*first, *then, "psnr_bicubic_y", "psnr_deepsr_y"]
    assert list(result["drafts"]) == ["gaussian (oracle)"] * 2 + ["motion"] * 2


def test_an_infinite_clip_is_written_as_inf_and_seen(collected, tmp_path):
    result = collected(
        (clip_of("single", "black"), frames([np.inf] * 2, [60, 60])),
        (clip_of("single", "real"), frames([20, np.inf], [21, 70])),
    )
    assert list(result["psnr_bicubic"]) == [np.inf, 20, np.inf]
    assert list(result["infinite_frames"]) == [2, 1, 3]
    result.to_csv(tmp_path / "psnr.csv", index=False)
    assert (tmp_path / "psnr.csv").read_text().splitlines()[1].split(",")[6] == "inf"


def test_the_table_is_read_with_its_means_and_oracles(collected, tmp_path):
    oracle = clip_of("article", "NA", "gaussian (oracle)"), frames([20], [29])
    result = collected((clip_of("single", "007"), frames([20], [21])), oracle)
    result.to_csv(tmp_path / "psnr.csv", index=False, float_format="%.4f")
    table = read_psnr(tmp_path / "psnr.csv")
    assert table["sequence"].tolist() == ["007", "mean", "NA", "mean"]
    assert table["mean"].tolist() == [False, True, False, True]
    assert table["oracle"].tolist() == [False, False, True, True]
    assert summary(table).splitlines()[1].split() == ["single", "bicubic", "demo", "007", "20.00", "21.00", "1.00"]


def test_a_score_that_is_not_a_number_stays_one(collected):
    """As SSIM of frames smaller than its window: a mean of the others would be another clip's."""
    result = collected((clip_of("single", "a"), frames([20, 22], [21, 23], ssim=[np.nan, 0.5])))
    assert np.isnan(result["ssim_deepsr"]).all() and result["psnr_deepsr"].tolist() == [22, 22]


def test_names_of_clips_stay_as_they_are(collected):
    result = collected((clip_of("single", "007"), frames([20], [21])), (clip_of("single", "a, b"), frames([20], [21])))
    assert list(result["sequence"]) == ["007", "a, b", "mean"]


def test_a_clip_that_is_not_scored_is_named_and_its_mean_is_not_given(collected):
    result = collected(
        (clip_of("single", "a"), frames([20], [21])),
        (clip_of("single", "b"), None),
        (clip_of("other", "a"), frames([20], [21])),
        function=incomplete,
    )
    assert list(result["status"]) == ["scored", "missing", "incomplete", "scored", "scored"]
    assert list(result.columns[3:6]) == ["drafts", "sequence", "status"]
    assert list(result["psnr_deepsr"].isna()) == [False, True, True, False, False]
    assert list(result["frames"]) == [1, 0, 1, 1, 1] and list(result["infinite_frames"]) == [0] * 5


@pytest.mark.parametrize("text", ["", "frame\n", "frame,psnr_bicubic\n0,20.0", "psnr\n1\n", "frame\nx\n"])
def test_damaged_scores_are_named(tmp_path, text):
    (tmp_path / "a.csv").write_text(text)
    with pytest.raises(InputError, match="a.csv: is damaged .*delete it and run again"):
        collect([clip_of("single", "a")], [tmp_path / "a.csv"])


@pytest.mark.slow
def test_a_metric_is_added_as_the_docs_say(finished, copy_of):
    project, text = copy_of(finished), (ROOT / "docs/extending.md").read_text().partition("## A metric")[2]
    diff = text.partition("```diff\n")[2].partition("```")[0]
    subprocess.run(["patch", "-p1"], cwd=project.path, input=diff, text=True, check=True)
    jobs = project.planned()
    assert jobs["evaluate_clip"] == 3 and jobs["plot_chart"] == 7 and "train_network" not in jobs
    project.run()
    table = read_psnr(project.path / "results/psnr.csv")
    oracle = table[table["oracle"]]
    assert (oracle["mae_bicubic"] > oracle["mae_deepsr"]).all() and (table["mae_deepsr_rgb"] > 0).all()
    assert (project.path / "results/figures/mae.svg").exists()
    report = (project.path / "results/report.html").read_text()
    assert "MAE DeepSR" in report and "MAE per clip" in report and f"{table['mae_deepsr'][0]:.4f}" in report


def test_the_table_tells_how_given_lr_frames_are_enlarged(finished, copy_of):
    project = copy_of(finished)
    for name in sorted((ROOT / "tests/clips/tower").glob("*.png")):
        lr = degrade(cv2.imread(str(name))[:96, :120], 4, "cv2")
        (project.path / "lr/tower").mkdir(parents=True, exist_ok=True)
        cv2.imwrite(str(project.path / "lr/tower" / name.name), lr)
    project.config["datasets"]["given"] = {"source": "folder", "path": "tests/clips", "lr": "lr", "test": ["tower"]}
    project.config["defaults"]["score"] = ["tiny", "given"]
    del project.config["experiments"]["deepsr"]
    project.run("results/psnr.csv")
    table = read_psnr(project.path / "results/psnr.csv").set_index(["experiment", "dataset", "sequence"])
    found = {key[:2]: value for key, value in table["degradation"].items()}
    assert found["article", "tiny"] == "cv2" and found["article", "given"] == "given (cv2)"
    assert found["single", "tiny"] == "bicubic" and found["single", "given"] == "given (bicubic)"
    cv2s, bicubics = (table["psnr_bicubic"][name, "given", "tower"] for name in ("article", "single"))
    assert cv2s == table["psnr_bicubic"]["article", "tiny", "tower"] and abs(cv2s - bicubics) > 0.1


@pytest.mark.slow
def test_further_seeds_train_networks_of_their_own_and_join_their_experiment(finished, copy_of):
    project = copy_of(finished)
    project.config["experiments"]["single"]["seeds"] = [1, 2]
    jobs = project.planned("results/psnr.csv")
    assert jobs == {"train_network": 1, "export_network": 1, "evaluate_clip": 1, "collect_psnr": 1}
    project.run("results/psnr.csv")
    runs = [project.path / f"results/experiments/{run}/tiny/tower.csv" for run in ("single", "single_seed2")]
    first, second = (pd.read_csv(path)["psnr_deepsr"].mean() for path in runs)
    table = read_psnr(project.path / "results/psnr.csv").set_index(["experiment", "sequence"])
    single = table.loc["single", "tower"]
    assert first != second and single["psnr_deepsr"] == pytest.approx((first + second) / 2, abs=1e-4)
    assert single["gain_std"] == pytest.approx(abs(first - second) / np.sqrt(2), abs=1e-4) and single["seeds"] == 2
    assert table.loc["deepsr", "tower"]["seeds"] == 1 and np.isnan(table.loc["deepsr", "tower"]["gain_std"])
    jobs = project.planned()
    assert jobs["plot_chart"] == 6 and "plot_crops" not in jobs and "train_network" not in jobs
