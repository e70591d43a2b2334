"""Figures of the results, in one style: readable in grey and by colour-blind readers, oracle apart from honest.

Every function returns a matplotlib Figure; `save` writes it. Bicubic is grey everywhere. Experiments differ in colour and
in marker or place, and are named where they are drawn. Oracle experiments get panels of their own, tinted and named, with
hatched bars and dashed lines.
"""

from functools import cache
from pathlib import Path

import cv2
import matplotlib
import numpy as np
import pandas as pd
from matplotlib.colors import Normalize
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from deepsr.data.frames import luma
from deepsr.evaluate.metrics import psnr
from deepsr.files import atomic

# Okabe & Ito, Color Universal Design (2008); grey is bicubic's, black is text.
COLORS = ["#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9"]
MARKERS = ["o", "s", "^", "D", "v", "P", "X"]
GREY = "#8c8c8c"
TINT = "#fdf0dc"
ORACLE = "ORACLE (uses the ground truth)"
WIDTH = 5.5  # inches; the text can be read on a phone's screen and in a paper's column and a half

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


def read_table(path):
    """results/psnr.csv as a DataFrame, with two columns more: `oracle`, and `mean` where a row is the mean over clips."""
    text = ["experiment", "dataset", "drafts", "sequence", "network", "degradation", "color_space", "trained_on"]
    table = pd.read_csv(path, dtype=dict.fromkeys(text, str), keep_default_na=False, na_values=[""])
    table["oracle"] = table["drafts"].str.endswith("(oracle)")
    # By its place, since a clip may be called "mean" too.
    table["mean"] = table.groupby(["experiment", "dataset"]).cumcount(ascending=False) == 0
    return table


def read_examples(scores):
    """The frames of a clip with the largest and the least gain, for `plot_crops`: {"best": example, "worst": example}.

    scores: path of the clip's scores, a CSV whose column `example` says which frames these are. Their pictures, best_hr.png
    to worst_deepsr.png, are in the folder of the same name.
    """
    table, folder = pd.read_csv(scores), Path(scores).with_suffix("")
    examples = {}
    for which in ("best", "worst"):
        rows = table[table["example"] == which]
        row = (rows if len(rows) else table[table["example"].notna()]).iloc[0]  # one frame may be both
        pictures = {name: cv2.imread(f"{folder}/{which}_{name}.png") for name in ("hr", "lr", "bicubic", "deepsr")}
        examples[which] = {**row[["psnr_bicubic", "psnr_deepsr"]], "frame": int(row["frame"]), **pictures}
    return examples


def bootstrap_interval(clips, seed, resamples=10000, level=0.95):
    """Confidence interval of the mean over clips of the mean over frames: (low, high).

    clips: list of 1-D arrays, a value per frame. Circular block bootstrap (Politis & Romano 1992) within each clip, with
    blocks of ceil(sqrt(n)) of its n frames, since neighbouring frames are alike; percentiles. It says how sure the mean is
    for these clips, not for other footage. Values that are not finite are left out; nan, nan if none is left.
    """
    clips = [values for values in (np.asarray(c, float)[np.isfinite(c)] for c in clips) if len(values)]
    if not clips:
        return np.nan, np.nan
    random = np.random.default_rng(seed)
    means = []
    for values in clips:
        length = int(np.ceil(np.sqrt(len(values))))
        blocks = np.convolve(np.concatenate([values, values[: length - 1]]), np.ones(length) / length, "valid")
        starts = random.integers(len(values), size=(resamples, int(np.ceil(len(values) / length))))
        means.append(blocks[starts].mean(axis=1))
    low, high = np.quantile(np.mean(means, axis=0), [(1 - level) / 2, (1 + level) / 2])
    return float(low), float(high)


def plot_psnr(table):
    """PSNR bars of bicubic and every experiment, per clip and for the mean. table: of `read_table`."""
    looks, panels = _looks(table), _panels(table)
    counts = [sum(len(rows) + 2 for _, rows in _clips(panel)) for panel in panels]
    figure, parts = _figure(panels, [0.19 * count + 0.75 for count in counts])
    for part, panel in zip(parts, panels, strict=True):
        axes, y, ticks = part.subplots(), 0, {}
        finite = panel[["psnr_bicubic", "psnr_deepsr"]].replace([np.inf, -np.inf], np.nan).max().max()
        end = finite if np.isfinite(finite) else 1
        for clip, rows in _clips(panel):
            axes.text(0, y, f" {clip}", weight="bold", va="center")
            bicubic = rows["psnr_bicubic"].iloc[0]
            bars = [("bicubic", bicubic, {"color": GREY}, "")]
            for row in rows.itertuples():
                color, _ = looks[row.experiment]
                look = {"color": "white", "edgecolor": color, "hatch": "////"} if row.oracle else {"color": color}
                bars.append((row.experiment, row.psnr_deepsr, look, f"  {row.gain:+.2f}" if np.isfinite(row.gain) else ""))
            for name, value, look, gain in bars:
                y += 1
                ticks[y] = name
                axes.barh(y, min(value, end), height=0.8, **look)
                axes.text(min(value, end), y, f" {value:.2f}{gain}" if np.isfinite(value) else " no error", va="center")
            y += 1.4
        axes.set_yticks(list(ticks), ticks.values())
        axes.tick_params(axis="y", length=0)
        axes.set_ylim(y - 0.4, -0.7)
        axes.set_xlim(0, 1.28 * end)
        axes.set_xlabel("PSNR in dB, and the gain over bicubic")
    return figure


def plot_gain(table, gains, seed):
    """Gain over bicubic with 95% confidence intervals of the mean over frames.

    gains: {(experiment, dataset, sequence): array of dB, a value per frame}; seed: of the bootstrap.
    """
    looks, panels = _looks(table), _panels(table)
    counts = [sum(len(rows) + 1.4 for _, rows in _clips(panel)) for panel in panels]
    figure, parts = _figure(panels, [0.19 * count + 0.75 for count in counts])
    for part, panel in zip(parts, panels, strict=True):
        axes, y, ticks, ends = part.subplots(), 0, {}, [0.0]
        for clip, rows in _clips(panel):
            ticks[y] = clip
            for row in rows.itertuples():
                y += 1
                ticks[y] = row.experiment
                keys = [key for key in gains if key[:2] == (row.experiment, row.dataset)]
                values = [gains[key] for key in keys if row.mean or key[2] == row.sequence]
                if not np.isfinite(row.gain):
                    axes.text(0, y, " no error", va="center")
                    continue
                low, high = bootstrap_interval(values, seed)
                color, marker = looks[row.experiment]
                axes.hlines(y, low, high, color=color, linewidth=2, linestyle=(0, (2, 1)) if row.oracle else "solid")
                axes.plot(row.gain, y, marker, color=color, markerfacecolor="white" if row.oracle else color, markersize=6)
                text = f"{row.gain:+.2f}  [{low:+.2f}, {high:+.2f}]"
                axes.annotate(text, (1.02, y), xycoords=("axes fraction", "data"), va="center", annotation_clip=False)
                ends += [low, high, row.gain]
            y += 1.4
        axes.axvline(0, color=GREY, linewidth=1)
        axes.set_yticks(list(ticks), ticks.values())
        for tick, name in zip(axes.get_yticklabels(), ticks.values(), strict=True):
            tick.set_weight("normal" if name in looks else "bold")
        axes.tick_params(axis="y", length=0)
        axes.grid(axis="x", color="#e0e0e0")
        axes.set_axisbelow(True)
        axes.set_ylim(y - 0.6, -0.8)
        margin = 0.06 * (max(ends) - min(ends) or 1)
        axes.set_xlim(min(ends) - margin, max(ends) + margin)
        axes.set_xlabel("gain over bicubic in dB (mean, 95% interval)")
    return figure


def plot_frames(table, scores):
    """PSNR along the frames of each clip. scores: {(experiment, dataset, sequence): DataFrame, a row per frame}."""
    looks, panels = _looks(table), _panels(table[~table["mean"]])
    figure, parts = _figure(panels, [1.75 * -(-panel["sequence"].nunique() // 2) + 0.35 for panel in panels])
    for part, panel in zip(parts, panels, strict=True):
        clips = list(_clips(panel))
        columns = min(2, len(clips))
        grid = part.subplots(-(-len(clips) // columns), columns, squeeze=False).ravel()
        for axes in grid[len(clips) :]:
            axes.remove()
        for axes, (clip, rows) in zip(grid, clips, strict=False):
            ends = []
            for n, row in enumerate(rows.itertuples()):
                frames = scores[row.experiment, row.dataset, row.sequence]
                if n == 0:
                    axes.plot(frames["frame"], frames["psnr_bicubic"], color=GREY, linestyle=":")
                    ends.append((frames["psnr_bicubic"].iloc[-1], "bicubic", "#555555"))
                color, marker = looks[row.experiment]
                look = {"linestyle": "--", "markerfacecolor": "white"} if row.oracle else {}
                every = max(1, len(frames) // 8)
                axes.plot(
                    frames["frame"], frames["psnr_deepsr"], color=color, marker=marker, markevery=(n % every, every), **look
                )
                ends.append((frames["psnr_deepsr"].iloc[-1], row.experiment, color))
            axes.set_title(clip, weight="bold")
            axes.set_xlabel("frame")
            axes.set_ylabel("PSNR in dB")
            axes.xaxis.get_major_locator().set_params(integer=True)
            _label_ends(axes, ends)
    return figure


def plot_crops(title, oracle, examples, crop):
    """Zoomed crops of a clip's best and worst frame with error maps.

    examples: {"best": example, "worst": example}; an example has "frame" (number), "psnr_bicubic", "psnr_deepsr" (of the
    frame, dB) and the pictures "hr", "bicubic", "deepsr", uint8 (H, W, 3) BGR, and "lr". crop: side in HR pixels.
    """
    figure = Figure(figsize=(7.6, 7.2), layout="constrained", facecolor=TINT if oracle else "white")
    figure.suptitle(f"{title}: {ORACLE}" if oracle else title, weight="bold", x=0.01, ha="left")
    for part, (which, example) in zip(figure.subfigures(2, 1), examples.items(), strict=True):
        _plot_example(part, which, example, crop)
    return figure


def _plot_example(part, which, example, crop):
    hr, bicubic, deepsr = example["hr"], example["bicubic"], example["deepsr"]
    top, left, height, width = crop_window(hr, bicubic, deepsr, crop, worst=which == "worst")
    window = np.s_[top : top + height, left : left + width]
    gain = example["psnr_deepsr"] - example["psnr_bicubic"]
    part.set_facecolor("none")
    part.suptitle(
        f"Frame {example['frame']}, {'largest' if which == 'best' else 'least'} gain of the clip: "
        f"bicubic {example['psnr_bicubic']:.2f} dB, DeepSR {example['psnr_deepsr']:.2f} dB ({gain:+.2f})",
        x=0.01,
        ha="left",
        fontsize=9,
    )
    grid = part.add_gridspec(2, 4, width_ratios=[1.5, 1, 1, 1])

    def show(place, title, picture, note="", **kwargs):
        axes = part.add_subplot(place)
        shown = axes.imshow(picture if picture.ndim == 2 else picture[..., ::-1], interpolation="nearest", **kwargs)
        axes.set_title(title, loc="center")
        axes.set_xlabel(note)
        axes.set_xticks([])
        axes.set_yticks([])
        axes.spines[:].set_visible(False)
        return axes, shown

    axes, _ = show(grid[0, 0], "whole frame", hr)
    for color, line in (("black", 3), ("white", 1.2)):
        axes.add_patch(Rectangle((left, top), width, height, fill=False, color=color, linewidth=line))
    scale = hr.shape[0] // example["lr"].shape[0]
    small = example["lr"][top // scale : -(-(top + height) // scale), left // scale : -(-(left + width) // scale)]
    show(grid[1, 0], "LR, pixel by pixel", small)
    show(grid[0, 1], "HR (ground truth)", hr[window])
    truth = luma(hr[window]).astype(float)
    errors = {name: luma(p[window]).astype(float) - truth for name, p in (("bicubic", bicubic), ("DeepSR", deepsr))}
    limit = max(1.0, *(float(np.percentile(np.abs(error), 99.5)) for error in errors.values()))
    for column, (name, picture) in enumerate((("bicubic", bicubic), ("DeepSR", deepsr)), 2):
        value = psnr(luma(picture[window]) / 255.0, truth / 255.0, 0)
        show(grid[0, column], name, picture[window], f"{value:.2f} dB")
        axes, shown = show(grid[1, column], f"error of {name}", np.abs(errors[name]), cmap="magma", norm=Normalize(0, limit))
    space = part.add_subplot(grid[1, 1])
    space.axis("off")
    bar = part.colorbar(shown, cax=space.inset_axes([0.55, 0.05, 0.12, 0.9]))
    bar.ax.yaxis.set_ticks_position("left")
    bar.ax.yaxis.set_label_position("left")
    bar.set_label("absolute error of Y\nin grey levels")


def crop_window(hr, bicubic, deepsr, crop, worst=False):
    """The window of crop x crop pixels where DeepSR gains most over bicubic in PSNR of Y (worst: least).

    Only the half of the windows where bicubic errs most counts: in flat areas a large ratio means nothing.
    hr, bicubic, deepsr: uint8 (H, W, 3) BGR. Returns (top, left, height, width), less than crop if the frame is smaller.
    """
    height, width = min(crop, hr.shape[0]), min(crop, hr.shape[1])
    truth = luma(hr).astype(np.float64)
    errors = []
    for picture in (bicubic, deepsr):
        mean = cv2.boxFilter((luma(picture) - truth) ** 2, -1, (width, height), anchor=(0, 0))
        errors.append(mean[: hr.shape[0] - height + 1, : hr.shape[1] - width + 1])
    gain = np.log((errors[0] + 1e-6) / (errors[1] + 1e-6))  # without an error in either it is 0
    gain[errors[0] < np.median(errors[0])] = np.inf if worst else -np.inf
    top, left = np.unravel_index(gain.argmin() if worst else gain.argmax(), gain.shape)
    return int(top), int(left), height, width


def plot_training(runs):
    """Loss and validation PSNR over the epochs.

    runs: {experiment: (oracle, history, summary)}, history: DataFrame with epoch, loss, val_psnr (epoch 0 is the start);
    summary: dict with val_psnr_kept and kept_epoch.
    """
    looks = dict(zip(runs, _cycle(), strict=False))
    runs = dict(sorted(runs.items(), key=lambda item: item[1][0]))
    figure = Figure(figsize=(WIDTH, 1.9 * len(runs)), layout="constrained")
    parts = np.atleast_1d(figure.subfigures(len(runs), 1))
    for part, (name, (oracle, history, summary)) in zip(parts, runs.items(), strict=True):
        kept = summary["kept_epoch"], summary["val_psnr_kept"]
        _title(part, f"{name}, kept: epoch {kept[0]}, {kept[1]:.2f} dB", oracle)
        color, marker = looks[name]
        look = {"color": color, "marker": marker, "linestyle": "--" if oracle else "-"}
        look["markevery"] = max(1, len(history) // 12)
        loss, validation = part.subplots(1, 2)
        trained = history.dropna(subset=["loss"])
        loss.plot(trained["epoch"], trained["loss"], **look)
        loss.set_title("training loss")
        if trained.empty:
            loss.text(0.5, 0.5, "not trained: closed-form start", ha="center", va="center", transform=loss.transAxes)
        validation.plot(history["epoch"], history["val_psnr"], **look)
        start = history["val_psnr"].iloc[0]
        validation.axhline(start, color=GREY, linestyle=":", linewidth=1)
        validation.annotate(
            "start", (1, start), xycoords=("axes fraction", "data"), ha="right", va="bottom", color="#555555"
        )
        validation.plot(*kept, "o", markersize=9, markerfacecolor="none", markeredgecolor="black")
        for axes in (loss, validation):
            axes.set_xlabel("epoch")
            axes.margins(x=0.08, y=0.2)
            axes.xaxis.get_major_locator().set_params(integer=True)
        validation.set_title("validation PSNR in dB")
    return figure


def plot_sweep(table, sigmas):
    """Gain over the standard deviation of the oracle's Gaussian draft. sigmas: {experiment: pixels}."""
    table = table[table["experiment"].isin(sigmas)].assign(sigma=table["experiment"].map(sigmas))
    figure = Figure(figsize=(WIDTH, 3.4), layout="constrained")
    _title(figure, "one Gaussian draft", True)
    axes, ends, looks = figure.subplots(), [], _cycle()
    for (dataset, mean), rows in table.groupby(["dataset", "mean"], sort=False):
        for name, line in rows.sort_values("sigma").groupby("sequence", sort=False):
            color, marker = ("black", "o") if mean else next(looks)
            axes.plot(line["sigma"], line["gain"], color=color, marker=marker, linestyle="--", linewidth=2 if mean else 1)
            ends.append((line["gain"].iloc[-1], f"{dataset}/{name}", color))
    axes.axhline(0, color=GREY, linewidth=1)
    axes.set_xlabel("standard deviation of the Gaussian blur in HR pixels")
    axes.set_ylabel("gain over bicubic in dB")
    _label_ends(axes, ends, space=0.055)
    return figure


def plot_workflow(edges):
    """The rules as a graph, from the first ones down; what is also reached on a longer way has no arrow of its own.

    edges: [(rule, rule that reads what it makes)], without cycles.
    """
    readers = {rule: {b for a, b in edges if a == rule} for edge in edges for rule in edge}

    @cache
    def after(rule):
        return readers[rule].union(*map(after, readers[rule]))

    @cache
    def row(rule):  # from the last one
        return max((row(reader) + 1 for reader in readers[rule]), default=0)

    rows = [sorted(rule for rule in readers if row(rule) == i) for i in range(1 + max(map(row, readers)))]
    place = {rule: ((i + 0.5) / len(names), y) for y, names in enumerate(rows) for i, rule in enumerate(names)}
    figure = Figure(figsize=(WIDTH, 0.45 * len(rows)), layout="constrained")
    axes = figure.subplots()
    axes.set(xlim=(0, 1), ylim=(-0.5, len(rows) - 0.5))
    axes.axis("off")
    box = {"boxstyle": "round,pad=0.35", "facecolor": "#eef4f9", "edgecolor": COLORS[0], "linewidth": 0.8}
    arrow = {"arrowstyle": "-|>", "color": GREY, "linewidth": 0.9, "shrinkA": 0, "shrinkB": 0}
    for rule, (x, y) in place.items():
        axes.text(x, y, rule, ha="center", va="center", fontsize=6.5, bbox=box, zorder=3)
        for to, end in (place[reader] for reader in readers[rule] - set().union(*map(after, readers[rule]))):
            axes.annotate("", (to, end + 0.22), (x, y - 0.22), arrowprops=arrow, zorder=2)
    return figure


def _cycle():
    """Colours and markers that repeat only after 42 of them."""
    n = 0
    while True:
        yield COLORS[n % len(COLORS)], MARKERS[n % len(MARKERS)]
        n += 1


def _looks(table):
    """{experiment: (colour, marker)}"""
    return dict(zip(table["experiment"].unique(), _cycle(), strict=False))


def _panels(table):
    """Parts of the table whose rows compare: same ground truth, bicubic frame and protocol. Honest ones first."""
    keys = ["oracle", "dataset", "scale", "degradation", "color_space", "border"]
    return sorted((rows for _, rows in table.groupby(keys, sort=False)), key=lambda rows: rows["oracle"].iloc[0])


def _clips(panel):
    """Yield (title, rows) for each clip of a panel in order, and last for the mean."""
    for (mean, clip), rows in sorted(panel.groupby(["mean", "sequence"], sort=False), key=lambda item: item[0][0]):
        yield "mean of the clips" if mean else clip, rows


def _figure(panels, heights):
    """A figure with a titled part for each panel."""
    figure = Figure(figsize=(WIDTH, sum(heights)), layout="constrained")
    parts = np.atleast_1d(figure.subfigures(len(panels), 1, height_ratios=heights))
    for part, panel in zip(parts, panels, strict=True):
        row = panel.iloc[0]
        protocol = {"y": "", "y_matlab": ", Y in MATLAB range", "rgb": ", RGB"}[row["color_space"]]
        border = f", border {row['border']} cut off" if row["border"] else ""
        title = f"{row['dataset']}, x{row['scale']}, {row['degradation']} degradation{protocol}{border}"
        _title(part, title, row["oracle"])
    return figure, parts


def _title(part, title, oracle):
    part.set_facecolor(TINT if oracle else "white")
    part.suptitle(f"{ORACLE}: {title}" if oracle else title, weight="bold", x=0.01, ha="left", fontsize=10)


def _label_ends(axes, ends, space=0.11):
    """Name lines at their right ends; names less than `space` of the axis apart are moved. ends: [(y, name, colour)]"""
    low, high = axes.get_ylim()
    step, last = space * (high - low), -np.inf
    for y, name, color in sorted((end for end in ends if np.isfinite(end[0])), key=lambda end: end[0]):
        last = max(y, last + step)
        axes.annotate(
            name, (1.02, last), xycoords=("axes fraction", "data"), va="center", color=color, annotation_clip=False
        )
