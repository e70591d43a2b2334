"""Scores that papers have published, to compare with those that were measured here."""

from pathlib import Path

import pandas as pd

# A row for each method and data set, with the protocol of the score and its source. To add a score, add a row.
PATH = Path(__file__).with_name("published.csv")
DEGRADATIONS = {"BI": "bicubic", "BD": "blur"}  # the papers' names, and those of the config


def read_published():
    """The table of published scores. Parameters and training data are text, "" if a paper does not tell them."""
    table = pd.read_csv(PATH, dtype={"parameters": str, "trained_on": str})
    return table.fillna({"parameters": "", "trained_on": ""})


def comparable(published, panel):
    """The published scores that stand beside a panel (deepsr.report.style.panels): same data set, scale and protocol.

    vid4_sofvsr is vid4, too: a data set's name may go on after an underscore. The clips together must have as many scored
    frames, so that nothing stands beside a part of a set. Given LR frames must be known to be BI or BD, and nothing
    stands beside an oracle.
    """
    row = panel.iloc[0]
    if row["oracle"]:
        return published[:0]
    made = row["degradation"]
    kinds = [kind for kind, name in DEGRADATIONS.items() if made in (name, f"given as {kind} ({name})")]
    same = published["degradation"].isin(kinds)
    same &= published["dataset"] == row["dataset"].split("_")[0]
    same &= published["frames"] == panel.loc[panel["mean"], "frames"].iloc[0]
    for key in ("scale", "color_space", "border", "skip_frames"):
        same &= published[key] == row[key]
    return published[same]
