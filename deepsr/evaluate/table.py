"""The table of all clips, results/psnr.csv: means over the frames of a clip, then over clips."""

import numpy as np
import pandas as pd

from deepsr.drafts.ensemble import label
from deepsr.evaluate.metrics import METHODS, METRICS
from deepsr.tables import read_table

TEXT = ("experiment", "dataset", "drafts", "sequence", "network", "degradation", "color_space", "trained_on")


def leading_columns():
    """The table's columns in order, but for the scores marked with a colour space, which follow them.

    A temporal metric's are there only if an experiment asks for them.
    """
    main = [f"{name}_{method}" for name in METRICS for method in METHODS if method != "lanczos"]
    main.insert(main.index("psnr_deepsr") + 1, "gain")
    others = [f"{name}_lanczos" for name in METRICS]
    others += ["network", "degradation", "color_space", "border", "trained_on", "infinite_frames"]
    return ["experiment", "dataset", "scale", "drafts", "sequence", "frames", *main, *others]


def frame_mean(scores):
    """Mean of each score over a clip's frames, and how many frames were left out because a score was infinite there.

    scores: DataFrame, a row per frame. A frame without error has an infinite PSNR, which would swallow the mean: the means
    are over the frames where no score is infinite, and are infinite only if there is none. Temporal scores are finite; their
    means are over all frames but the first, which has none before it.
    """
    temporal = score_columns(scores, temporal=True)
    motion, scores = scores[temporal].iloc[1:], scores[score_columns(scores)].drop(columns=temporal)
    infinite = np.isinf(scores).any(axis=1)
    used = scores if infinite.all() else scores[~infinite]
    return used.mean(skipna=False).to_dict() | motion.mean(skipna=False).to_dict(), int(infinite.sum())


def score_columns(table, temporal=None):
    """Names of the columns that hold a metric's values, whatever the method and the colour space.

    temporal: True or False asks for the temporal metrics or for the others only.
    """
    names = tuple(f"{name}_" for name, metric in METRICS.items() if temporal in (None, metric.temporal))
    return [column for column in table if column.startswith(names)]


def collect(facts, paths):
    """The table of clips from the scores of their frames.

    facts: a dict for each clip, with its names and its experiment's settings; paths: the clip's CSV, or None if it has not
    been scored. Such a clip's numbers, and those of the mean that would lack it, are NaN.
    """
    rows = []
    for clip, path in zip(facts, paths, strict=True):
        row = {key: clip[key] for key in ("experiment", "dataset", "sequence", "scale", "network", "degradation")}
        row |= {"drafts": label(clip["drafts"]), "trained_on": clip["train"]}
        row |= {key: clip["evaluation"][key] for key in ("color_space", "border")}
        row |= {"frames": 0, "infinite_frames": 0}
        if path is not None:
            scores = read_table(path, ["frame"])
            means, infinite = frame_mean(scores)
            row |= {"frames": len(scores), "infinite_frames": infinite, **means}
        rows.append(row)
    return with_means(rows)


def incomplete(facts, paths):
    """The table of `collect` with a column `status`: scored, missing (a clip), incomplete (a mean that would lack one)."""
    result = collect(facts, paths)
    lacks = result["psnr_deepsr"].isna()
    status = np.where(result["sequence"] == "mean", "incomplete", "missing")
    result.insert(result.columns.get_loc("sequence") + 1, "status", np.where(lacks, status, "scored"))
    return result


def with_means(rows):
    """The table of `rows`, a dict of facts and mean scores for each clip, with gains and a mean row after each group.

    A group is an experiment and a data set; its mean is over its clips, each of which is a mean over its frames.
    """
    clips = pd.DataFrame(rows)
    clips["gain"] = clips["psnr_deepsr"] - clips["psnr_bicubic"]
    numbers = [*score_columns(clips), "gain"]
    every = []
    for _, group in clips.groupby(["experiment", "dataset"], sort=False):
        mean = {**group.iloc[0], **group[numbers].mean(skipna=False), "sequence": "mean"}
        every += [*group.to_dict("records"), mean | group[["frames", "infinite_frames"]].sum().to_dict()]
    leading = [column for column in leading_columns() if column in clips]
    return pd.DataFrame(every)[leading + sorted(set(clips) - set(leading))]


def read_psnr(path):
    """results/psnr.csv with two columns more: `oracle`, and `mean` where a row is the mean over clips."""
    table = read_table(path, ["frames"], TEXT)
    table["oracle"] = table["drafts"].str.endswith("(oracle)")
    # By its place, since a clip may be called "mean" too.
    table["mean"] = table.groupby(["experiment", "dataset"]).cumcount(ascending=False) == 0
    return table


def summary(table):
    """The table's main columns as text."""
    short = table[["experiment", "drafts", "dataset", "sequence", "psnr_bicubic", "psnr_deepsr", "gain"]]
    return short.to_string(index=False, float_format="{:.2f}".format)
