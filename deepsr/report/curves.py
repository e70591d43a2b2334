"""Curves: over the frames of a clip, the steps of a training, the blur of an oracle's draft."""

import numpy as np
from matplotlib.figure import Figure

from deepsr.report import style
from deepsr.report.style import GREY, WIDTH


def plot_frames(table, scores):
    """PSNR along the frames of each clip. scores: {(experiment, dataset, sequence): DataFrame, a row per frame}."""
    looks, panels = style.looks(table), style.panels(table[~table["mean"]])
    figure, parts = style.panel_figure(panels, [1.75 * -(-panel["sequence"].nunique() // 2) + 0.35 for panel in panels])
    for part, panel in zip(parts, panels, strict=True):
        clips = list(style.clips(panel))
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
            style.label_ends(axes, ends)
    return figure


def plot_training(runs):
    """Loss and validation PSNR over the steps.

    runs: {experiment: (oracle, history)}; history: DataFrame with step, loss and val_psnr, a row for each validation. The
    first row is the start's; the weights of the one with the largest val_psnr were kept.
    """
    looks = dict(zip(runs, style.cycle(), strict=False))
    runs = dict(sorted(runs.items(), key=lambda item: item[1][0]))
    figure = Figure(figsize=(WIDTH, 1.9 * len(runs)), layout="constrained")
    parts = np.atleast_1d(figure.subfigures(len(runs), 1))
    for part, (name, (oracle, history)) in zip(parts, runs.items(), strict=True):
        kept = history.loc[history["val_psnr"].idxmax()]
        style.set_title(part, f"{name}, kept: step {kept['step']:.0f}, {kept['val_psnr']:.2f} dB", oracle)
        color, marker = looks[name]
        look = {"color": color, "marker": marker, "linestyle": "--" if oracle else "-"}
        look["markevery"] = max(1, len(history) // 12)
        loss, validation = part.subplots(1, 2, sharex=True)
        trained = history.dropna(subset=["loss"])
        loss.plot(trained["step"], trained["loss"], **look)
        loss.set_title("training loss")
        if trained.empty:
            loss.text(0.5, 0.5, "not trained: closed-form start", ha="center", va="center", transform=loss.transAxes)
            loss.set(xticks=[0], yticks=[])  # shared with the validation's axes
        validation.plot(history["step"], history["val_psnr"], **look)
        start = history["val_psnr"].iloc[0]
        validation.axhline(start, color=GREY, linestyle=":", linewidth=1)
        validation.annotate(
            "start", (1, start), xycoords=("axes fraction", "data"), ha="right", va="bottom", color="#555555"
        )
        validation.plot(kept["step"], kept["val_psnr"], "o", markersize=9, markerfacecolor="none", markeredgecolor="black")
        for axes in (loss, validation):
            axes.set_xlabel("step")
            axes.margins(x=0.08, y=0.2)
            if not trained.empty:
                axes.xaxis.get_major_locator().set_params(integer=True)
        validation.ticklabel_format(axis="y", useOffset=False)
        validation.set_title("validation PSNR in dB")
    return figure


def plot_degradations(table):
    """Mean gain of each experiment on each data set, for data sets that differ in their degradation."""
    means, looks = table[table["mean"]], style.looks(table)
    names, ends = list(means["dataset"].unique()), []
    figure = Figure(figsize=(WIDTH, 3.2), layout="constrained")
    axes = figure.subplots()
    for experiment, rows in means.groupby("experiment", sort=False):
        color, marker = looks[experiment]
        gains = rows.set_index("dataset")["gain"].reindex(names)
        look = {"linestyle": "--", "markerfacecolor": "white"} if rows["oracle"].any() else {}
        axes.plot(range(len(names)), gains, color=color, marker=marker, **look)
        ends.append((gains.dropna().iloc[-1], experiment, color))
    axes.axhline(0, color=GREY, linewidth=1)
    axes.set_xticks(range(len(names)), names)
    axes.set_ylabel("gain over bicubic in dB")
    style.label_ends(axes, ends, space=0.055)
    return figure


def plot_sweep(table, sigmas):
    """Gain over the standard deviation of the oracle's Gaussian draft. sigmas: {experiment: pixels}."""
    table = table[table["experiment"].isin(sigmas)].assign(sigma=table["experiment"].map(sigmas))
    figure = Figure(figsize=(WIDTH, 3.4), layout="constrained")
    style.set_title(figure, "one Gaussian draft", True)
    axes, ends, looks = figure.subplots(), [], style.cycle()
    for (dataset, mean), rows in table.groupby(["dataset", "mean"], sort=False):
        for name, line in rows.sort_values("sigma").groupby("sequence", sort=False):
            color, marker = ("black", "o") if mean else next(looks)
            axes.plot(line["sigma"], line["gain"], color=color, marker=marker, linestyle="--", linewidth=2 if mean else 1)
            ends.append((line["gain"].iloc[-1], f"{dataset}/{name}", color))
    axes.axhline(0, color=GREY, linewidth=1)
    axes.set_xlabel("standard deviation of the Gaussian blur in HR pixels")
    axes.set_ylabel("gain over bicubic in dB")
    style.label_ends(axes, ends, space=0.055)
    return figure
