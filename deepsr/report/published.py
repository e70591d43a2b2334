"""Scores that papers have published, to hold beside those that were measured here."""

from pathlib import Path

import pandas as pd

# A row for each method and set, with the protocol that it was scored by, and its source. Add rows; nothing else is needed.
PATH = Path(__file__).with_name("published.csv")
DEGRADATIONS = {"BI": "bicubic", "BD": "blur"}  # the papers' names, and those of the config


def read_published():
    """The table of published scores, text where it is no score; what a paper does not tell is ""."""
    table = pd.read_csv(PATH, dtype={"parameters": str, "trained_on": str})
    return table.fillna({"parameters": "", "trained_on": ""})


def comparable(published, panel):
    """The published scores that stand beside a panel (deepsr.report.style.panels): same data set, scale and protocol.

    Frames that were given (REDS' own, for instance) count as none of the papers' degradations, since nothing here tells
    how they were made. Nothing stands beside an oracle.
    """
    row = panel.iloc[0]
    if row["oracle"]:
        return published[:0]
    same = published["degradation"].map(DEGRADATIONS) == row["degradation"]
    for key in ("dataset", "scale", "color_space", "border", "skip_frames"):
        same &= published[key] == row[key]
    return published[same]
