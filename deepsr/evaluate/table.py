"""The table of all clips, results/psnr.csv: means over the frames of a clip, then over clips."""

import numpy as np
import pandas as pd

from deepsr.evaluate.metrics import METHODS, METRICS
from deepsr.tables import read_table

TEXT = ("experiment", "dataset", "drafts", "sequence", "network", "degradation", "color_space", "trained_on")


def leading_columns():
    """The first columns of the table, in order. The scores whose names end with a colour space follow them.

    Columns of temporal metrics are there only if an experiment asks for them, seeds and gain_std only if one has several
    seeds.
    """
    main = [f"{name}_{method}" for name in METRICS for method in METHODS if method != "lanczos"]
    place = main.index("psnr_deepsr") + 1
    main[place:place] = ["gain", "gain_std", "seeds"]
    others = [f"{name}_lanczos" for name in METRICS]
    others += ["network", "degradation", "color_space", "border", "skip_frames", "trained_on", "infinite_frames"]
    return ["experiment", "dataset", "scale", "drafts", "sequence", "frames", *main, *others]


def frame_mean(scores):
    """Mean of each score over a clip's frames, and how many frames were left out because a score was infinite there.

    scores: DataFrame, a row for each frame. The PSNR of a frame without error is infinite, and would make the mean infinite,
    too. So the means are over the frames where no score is infinite, unless there is no such frame. Temporal scores are
    finite; their means are over all frames but the first, which has no frame before it.
    """
    temporal = score_columns(scores, temporal=True)
    motion, scores = scores[temporal].iloc[1:], scores[score_columns(scores)].drop(columns=temporal)
    infinite = np.isinf(scores).any(axis=1)
    used = scores if infinite.all() else scores[~infinite]
    return used.mean(skipna=False).to_dict() | motion.mean(skipna=False).to_dict(), int(infinite.sum())


def score_columns(table, temporal=None):
    """Names of the columns that hold values of metrics, for all methods and colour spaces.

    temporal: True for the temporal metrics only, False for the others only.
    """
    names = tuple(f"{name}_" for name, metric in METRICS.items() if temporal in (None, metric.temporal))
    return [column for column in table if column.startswith(names)]


def collect(facts, paths):
    """The table of clips from the scores of their frames.

    facts: a dict for each clip and training, with names and the experiment's settings. An experiment with several seeds has
    a training (`run`) for each. paths: the CSV file of each one's scores, or None if it has not been scored. Then the
    numbers of this clip and of the mean are NaN.
    """
    rows = []
    for clip, path in zip(facts, paths, strict=True):
        row = {key: clip[key] for key in ("experiment", "run", "dataset", "sequence", "scale", "drafts", "network")}
        row |= {"degradation": clip["degradation"], "trained_on": clip["train"]}
        row |= {key: clip["evaluation"][key] for key in ("color_space", "border", "skip_frames")}
        row |= {"frames": 0, "infinite_frames": 0}
        if path is not None:
            scores = read_table(path, ["frame"])
            means, infinite = frame_mean(scores)
            row |= {"frames": len(scores), "infinite_frames": infinite, **means}
        rows.append(row)
    return with_means(rows)


def incomplete(facts, paths):
    """The table of `collect` with a column `status`: "scored", "missing", or "incomplete" for a mean that lacks a clip."""
    result = collect(facts, paths)
    lacks = result["psnr_deepsr"].isna()
    status = np.where(result["sequence"] == "mean", "incomplete", "missing")
    result.insert(result.columns.get_loc("sequence") + 1, "status", np.where(lacks, status, "scored"))
    return result


def with_means(rows):
    """The table of `rows`, each a dict of facts and mean scores of one clip and training, with gains and means over clips.

    The rows of an experiment and a data set are followed by the mean over their clips. Where an experiment has several
    seeds, all scores are means over its trainings (`run`), and gain_std is the standard deviation of their gains (of a
    sample, with n - 1).
    """
    clips = pd.DataFrame(rows)
    clips["gain"] = clips["psnr_deepsr"] - clips["psnr_bicubic"]
    numbers = [*score_columns(clips), "gain"]
    groups = []
    for _, group in clips.groupby(["experiment", "dataset"], sort=False):
        runs = [_append_mean(run, numbers) for _, run in group.groupby("run", sort=False)]
        table = runs[0]
        if len(runs) > 1:
            gains = pd.concat([run["gain"] for run in runs], axis=1)
            table[numbers] = sum(run[numbers] for run in runs) / len(runs)
            table = table.assign(seeds=len(runs), gain_std=gains.std(axis=1, skipna=False))
        groups.append(table)
    table = pd.concat(groups, ignore_index=True)
    if "seeds" in table:
        table["seeds"] = table["seeds"].fillna(1).astype(int)
    leading = [column for column in leading_columns() if column in table]
    return table[leading + sorted(set(table) - {*leading, "run"})]


def _append_mean(clips, numbers):
    """A training's rows for the clips of a data set, followed by a row with the means of `numbers`."""
    mean = {**clips.iloc[0], **clips[numbers].mean(skipna=False), "sequence": "mean"}
    mean |= clips[["frames", "infinite_frames"]].sum().to_dict()
    return pd.DataFrame([*clips.to_dict("records"), mean])


def read_scores(clips, paths):
    """The scores of the frames of clips: {(experiment, data set, clip): DataFrame}, means over an experiment's seeds.

    clips: these three names for each of the CSV files at `paths`; with several seeds, a file for each has the same names.
    """
    found = {}
    for clip, path in zip(clips, paths, strict=True):
        found.setdefault(tuple(clip), []).append(read_table(path, ["frame"]))
    return {
        clip: pd.concat(tables).groupby("frame", as_index=False).mean(numeric_only=True) for clip, tables in found.items()
    }


def read_psnr(path):
    """results/psnr.csv with two further columns: `oracle`, and `mean`, which tells whether a row is the mean over clips."""
    table = read_table(path, ["frames"], TEXT)
    table["oracle"] = table["drafts"].str.endswith("(oracle)")
    table["mean"] = table["sequence"] == "mean"
    return table


def summary(table):
    """The table's main columns as text."""
    short = table[["experiment", "drafts", "dataset", "sequence", "psnr_bicubic", "psnr_deepsr", "gain"]]
    return short.to_string(index=False, float_format="{:.2f}".format)
