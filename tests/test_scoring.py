from pathlib import Path

import cv2
import numpy as np
import pandas as pd
import pytest

from deepsr.data.degradation import degrade, lanczos, upscale
from deepsr.data.frames import luma
from deepsr.errors import InputError
from deepsr.evaluate import scoring
from deepsr.evaluate.examples import EXAMPLES, PICTURES, choose_examples, read_examples, write_examples
from deepsr.evaluate.metrics import METRICS, Metric, chroma, in_color_space, psnr, ssim, to_bgr
from deepsr.evaluate.scoring import score_clip, score_frame
from deepsr.evaluate.table import collect, frame_mean, incomplete, leading_columns, read_psnr, summary

FRAME = cv2.imread(str(Path(__file__).parent / "clips/harbour/00.png"))[:96, :120]
PROTOCOL = {"color_space": "y", "border": 0}


def clip_of(experiment, sequence, drafts=None, **changed):
    """What the table says about a clip beside its scores."""
    return {
        "experiment": experiment,
        "dataset": "demo",
        "sequence": sequence,
        "scale": 4,
        "network": "deepsr",
        "degradation": "bicubic",
        "drafts": drafts or {"kind": "bicubic"},
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


# One frame.


@pytest.mark.parametrize("degradation", ["bicubic", "cv2"])
def test_scores_of_a_frame(degradation):
    lr = degrade(FRAME, 4, degradation)
    bicubic, predicted = upscale(lr, 4, degradation), luma(FRAME).astype(np.float32) / 255 * 0.99
    scores, pictures = score_frame(FRAME, lr, predicted, 4, degradation, "y", 4)
    truth = luma(FRAME) / 255
    assert scores["psnr_bicubic"] == pytest.approx(psnr(luma(bicubic) / 255, truth, 4))
    assert scores["psnr_deepsr"] == pytest.approx(psnr(predicted, truth, 4))
    assert scores["psnr_lanczos"] == pytest.approx(psnr(luma(lanczos(lr, 4)) / 255, truth, 4))
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
    scores, _ = score_frame(FRAME, lr, luma(FRAME).astype(np.float32) / 255 * 0.99, 4, "bicubic", space, 0)
    for name in ("psnr_bicubic", "psnr_deepsr", "ssim_bicubic", "ssim_deepsr", "psnr_lanczos"):
        assert scores[name] == scores[f"{name}_{space}"]
    sharper = in_color_space(luma(lanczos(lr, 4)) / 255, lanczos(lr, 4), space)
    assert scores["psnr_lanczos"] == psnr(sharper, in_color_space(luma(FRAME) / 255, FRAME, space))
    for other in ("y", "y_matlab", "rgb"):  # the others are there too, but for Lanczos
        assert np.isfinite(scores[f"psnr_deepsr_{other}"]) and (f"psnr_lanczos_{other}" in scores) == (other == space)


def test_luma_alone_cannot_be_perfect_in_colour():
    lr = degrade(FRAME, 4, "bicubic")
    scores, _ = score_frame(FRAME, lr, (luma(FRAME) / 255).astype(np.float32), 4, "bicubic", "y", 0)
    assert scores["psnr_deepsr_y"] > 140
    assert 20 < scores["psnr_deepsr_rgb"] < scores["psnr_deepsr_y_matlab"] < 60


def test_a_frame_without_error():
    grey = np.full((16, 16, 3), 100, np.uint8)
    predicted = np.float64(luma(grey)) / 255
    scores, _ = score_frame(grey, degrade(grey, 4, "bicubic"), predicted, 4, "bicubic", "y", 0)
    assert all(scores[name] == np.inf for name in scores if name.startswith("psnr"))
    assert all(scores[name] == pytest.approx(1) for name in scores if name.startswith("ssim"))


# Means.


def test_the_mean_of_frames_leaves_out_infinite_ones_and_counts_them():
    means, infinite = frame_mean(frames([20, np.inf, 30], [24, 40, 36]))
    assert (means["psnr_bicubic"], means["psnr_deepsr"], infinite) == (25, 30, 1)  # 40 has no partner
    means, infinite = frame_mean(frames([20, 22], [np.inf, np.inf]))
    assert (means["psnr_deepsr"], infinite) == (np.inf, 2)


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


def test_columns_and_the_mark_of_the_oracle(collected):
    result = collected(
        (clip_of("article", "a", {"kind": "gaussian", "sigmas": [1.5], "kernel": 5}), frames([20], [30])),
        (clip_of("deepsr", "a", {"kind": "motion", "settings": [{}]}), frames([20], [21])),
    )
    first = ["experiment", "dataset", "scale", "drafts", "sequence", "frames", "psnr_bicubic", "psnr_deepsr", "gain"]
    first += ["ssim_bicubic", "ssim_deepsr"]
    assert list(result.columns[: len(first)]) == first
    then = ["psnr_lanczos", "ssim_lanczos", "network", "degradation", "color_space", "border", "trained_on", "infinite_frames"]
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
    assert list(result["psnr_deepsr"].isna()) == [False, True, True, False, False]


@pytest.mark.parametrize("text", ["", "frame\n", "frame,psnr_bicubic\n0,20.0", "psnr\n1\n", "frame\nx\n"])
def test_damaged_scores_are_named(tmp_path, text):
    (tmp_path / "a.csv").write_text(text)
    with pytest.raises(InputError, match="a.csv: is damaged .*delete it and run again"):
        collect([clip_of("single", "a")], [tmp_path / "a.csv"])
