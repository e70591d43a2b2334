"""Scores of enlarged frames against the ground truth, per frame, and their means in the table."""

import cv2
import numpy as np
import pandas as pd

from deepsr.data.degradation import lanczos, upscale
from deepsr.data.frames import luma
from deepsr.drafts.ensemble import label
from deepsr.evaluate.metrics import COLOR_SPACES, in_color_space, psnr, ssim, to_bgr
from deepsr.tables import read_table

METRICS = {"psnr": psnr, "ssim": ssim}


def chroma(bgr):
    """Cr and Cb of a picture, full range: uint8 (H, W, 3) BGR -> uint8 (H, W, 2)."""
    return cv2.cvtColor(bgr, cv2.COLOR_BGR2YCrCb)[..., 1:]


def score_frame(hr, lr, predicted, scale, degradation, color_space, border):
    """Scores of one frame and its pictures.

    hr, lr: uint8 BGR, (H, W, 3) and (H/scale, W/scale, 3); predicted: the network's luma, float32 (H, W) in [0, 1].
    Colour comes from the bicubic enlargement, as networks for luma are used.
    Returns ({"psnr_bicubic": dB, ..., "ssim_deepsr_rgb": ...}, {"bicubic": uint8 BGR, "deepsr": uint8 BGR}). Unmarked
    scores are in `color_space`; all are taken `border` pixels inside the frame.
    """
    bicubic = upscale(lr, scale, degradation)
    lumas = {"bicubic": luma(bicubic) / 255.0, "deepsr": predicted, "lanczos": luma(lanczos(lr, scale)) / 255.0}
    truth_chroma, bicubic_chroma = chroma(hr), chroma(bicubic)
    scores = {}
    for space in COLOR_SPACES:
        # In RGB the truth is the picture itself: the way through YCrCb would round it.
        truth = hr / 255.0 if space == "rgb" else in_color_space(luma(hr) / 255.0, truth_chroma, space)
        for method, y in lumas.items():
            if method == "lanczos" and space != color_space:
                continue
            picture = bicubic / 255.0 if method == "bicubic" and space == "rgb" else in_color_space(y, bicubic_chroma, space)
            for metric, function in METRICS.items():
                value = function(picture, truth, border)
                scores[f"{metric}_{method}_{space}"] = value
                if space == color_space:
                    scores[f"{metric}_{method}"] = value
    return scores, {"bicubic": bicubic, "deepsr": to_bgr(predicted, bicubic_chroma)}


def frame_mean(scores):
    """Mean of each column over a clip's frames, and how many frames were left out because a PSNR was infinite there.

    scores: DataFrame, a row per frame. A frame without error has an infinite PSNR, which would swallow the mean: the means
    are over the frames where every PSNR is finite, and are infinite only if there is none.
    """
    columns = [column for column in scores if column.startswith(("psnr", "ssim"))]
    finite = np.isfinite(scores[[c for c in columns if c.startswith("psnr")]]).all(axis=1)
    used = scores[finite] if finite.any() else scores
    means = used[columns].mean().to_dict()
    return means, int((~finite).sum())


FIRST = [
    "experiment",
    "dataset",
    "scale",
    "drafts",
    "sequence",
    "frames",
    "psnr_bicubic",
    "psnr_deepsr",
    "gain",
    "ssim_bicubic",
    "ssim_deepsr",
    "psnr_lanczos",
    "ssim_lanczos",
    "network",
    "degradation",
    "color_space",
    "border",
    "trained_on",
    "infinite_frames",
]


def collect(facts, paths):
    """The table of clips from the scores of their frames.

    facts: a dict for each clip, with its names and its experiment's settings; paths: the clip's CSV, or None if it has not
    been scored. Such a clip's numbers, and those of the mean that would lack it, are NaN.
    """
    rows = []
    for clip, path in zip(facts, paths, strict=True):
        row = {key: clip[key] for key in ("experiment", "dataset", "sequence", "scale", "network", "degradation")}
        row |= {"drafts": label(clip["drafts"]), "trained_on": clip["train"], **clip["evaluation"]}
        row |= {"frames": 0, "infinite_frames": 0}
        if path is not None:
            scores = read_table(path, ["frame"])
            means, infinite = frame_mean(scores)
            row |= {"frames": len(scores), "infinite_frames": infinite, **means}
        rows.append(row)
    return table(rows)


def summary(table):
    """The table's main columns as text."""
    short = table[["experiment", "drafts", "dataset", "sequence", "psnr_bicubic", "psnr_deepsr", "gain"]]
    return short.to_string(index=False, float_format="{:.2f}".format)


def incomplete(facts, paths):
    """The table of `collect` with a column `status`: scored, missing (a clip), incomplete (a mean that would lack one)."""
    result = collect(facts, paths)
    lacks = result["psnr_deepsr"].isna()
    status = np.where(result["sequence"] == "mean", "incomplete", "missing")
    result.insert(FIRST.index("sequence") + 1, "status", np.where(lacks, status, "scored"))
    return result


def table(rows):
    """The table: `rows` (dicts with the keys of FIRST but gain, and the marked scores) and a mean row after each group.

    A group is an experiment and a data set; its mean is over its clips, each of which is a mean over its frames.
    """
    clips = pd.DataFrame(rows)
    clips["gain"] = clips["psnr_deepsr"] - clips["psnr_bicubic"]
    marked = sorted(column for column in clips if column not in FIRST)
    numbers = [column for column in clips if column.startswith(("psnr", "ssim")) or column == "gain"]
    every = []
    for _, group in clips.groupby(["experiment", "dataset"], sort=False):
        mean = {**group.iloc[0], **group[numbers].mean(skipna=False), "sequence": "mean"}
        every += [*group.to_dict("records"), mean | group[["frames", "infinite_frames"]].sum().to_dict()]
    return pd.DataFrame(every)[FIRST + marked]
