"""What all figures share: colours, panels and names, readable in grey and by colour-blind readers.

Bicubic is grey everywhere. Experiments differ in colour and in marker or place, and are named where they are drawn. Oracle
experiments get panels of their own, tinted and named, with hatched bars and dashed lines. `save` writes a figure.
"""

import itertools
import textwrap

import matplotlib
import numpy as np
from matplotlib.figure import Figure

from deepsr.evaluate.metrics import COLOR_SPACES
from deepsr.files import atomic

# Okabe & Ito, Color Universal Design (2008); grey is bicubic's, black is text.
COLORS = ["#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9"]
MARKERS = ["o", "s", "^", "D", "v", "P", "X"]
GREY = "#8c8c8c"
TINT = "#fdf0dc"
ORACLE = "ORACLE (uses the ground truth)"
WIDTH = 5.5  # inches; the text can be read on a phone's screen and in a paper's column and a half
TITLE = 66  # characters of a title that fit into this width

matplotlib.rcParams.update(
    {
        "font.size": 9,
        "axes.spines.top": False,
        "axes.spines.right": False,
        "axes.titlesize": 9,
        "axes.titlelocation": "left",
        "hatch.linewidth": 0.8,
        "lines.linewidth": 1.4,
        "lines.markersize": 4,
        "text.parse_math": False,  # names of clips are no formulas
        "svg.hashsalt": "deepsr",  # equal figures are equal files
    }
)


def save(figure, png, svg, dpi):
    """Write a figure as PNG and SVG; equal figures give equal files."""
    with atomic(png) as part:
        figure.savefig(part, dpi=dpi, facecolor=figure.get_facecolor())
    with atomic(svg) as part:
        figure.savefig(part, dpi=dpi, facecolor=figure.get_facecolor(), metadata={"Date": None})


def cycle():
    """Pairs of a colour and a marker, without end; only after 42 of them do they repeat."""
    return zip(itertools.cycle(COLORS), itertools.cycle(MARKERS), strict=True)


def looks(table):
    """{experiment: (colour, marker)}"""
    return dict(zip(table["experiment"].unique(), cycle(), strict=False))


def panels(table):
    """The parts of the table within which rows compare: same ground truth, bicubic frame and protocol. Oracles come last."""
    keys = ["oracle", "dataset", "scale", "degradation", "color_space", "border", "skip_frames"]
    return sorted((rows for _, rows in table.groupby(keys, sort=False)), key=lambda rows: rows["oracle"].iloc[0])


def clips(panel):
    """Yield (title, rows) for each clip of a panel in order, and last for the mean."""
    for (mean, clip), rows in sorted(panel.groupby(["mean", "sequence"], sort=False), key=lambda item: item[0][0]):
        yield "mean of the clips" if mean else clip, rows


def panel_figure(panels, heights):
    """A figure with a titled part for each panel: (figure, parts).

    heights: of the parts in inches, if their titles have one line; longer titles add to them.
    """
    titles = [(title(panel.iloc[0]), panel["oracle"].iloc[0]) for panel in panels]
    heights = [height + 0.17 * _in_lines(*words).count("\n") for height, words in zip(heights, titles, strict=True)]
    figure = Figure(figsize=(WIDTH, sum(heights)), layout="constrained")
    parts = np.atleast_1d(figure.subfigures(len(panels), 1, height_ratios=heights))
    for part, words in zip(parts, titles, strict=True):
        set_title(part, *words)
    return figure, parts


def title(row):
    """What the rows of a panel share, in words, from one of them: the data set, scale, LR frames and protocol."""
    degradation = row["degradation"]
    frames = f"LR frames {degradation}" if degradation.startswith("given") else f"{degradation} degradation"
    space = "" if row["color_space"] == "y" else f", {COLOR_SPACES[row['color_space']]}"
    return f"{row['dataset']}, x{row['scale']}, {frames}{space}{left_out(row)}"


def scored_as(row):
    """How a table's row was scored, in words: its colour space, and what was left out."""
    return COLOR_SPACES[row["color_space"]] + left_out(row)


def left_out(row):
    """What the protocol of a table's row does not score, in words that follow its colour space."""
    border = f", border {row['border']} cut off" if row["border"] else ""
    return border + (f", {row['skip_frames']} frames at each end left out" if row["skip_frames"] else "")


def set_title(part, words, oracle):
    """Title a figure or a part of it, tinted if it shows an oracle."""
    part.set_facecolor(TINT if oracle else "white")
    part.suptitle(_in_lines(words, oracle), weight="bold", x=0.01, ha="left", fontsize=10)


def _in_lines(words, oracle):
    """A title in lines that fit into a figure, which says so if it shows an oracle."""
    return textwrap.fill(f"{ORACLE}: {words}" if oracle else words, TITLE)


def label_ends(axes, ends, space=0.11):
    """Write the names of lines at their right ends, at least `space` of the axis apart. ends: [(y, name, colour)]"""
    low, high = axes.get_ylim()
    step, last = space * (high - low), -np.inf
    for y, name, color in sorted((end for end in ends if np.isfinite(end[0])), key=lambda end: end[0]):
        last = max(y, last + step)
        axes.annotate(
            name, (1.02, last), xycoords=("axes fraction", "data"), va="center", color=color, annotation_clip=False
        )
