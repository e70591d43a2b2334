"""What is gained for the time that a frame takes."""

import numpy as np
from matplotlib.ticker import LogLocator, NullLocator

from deepsr.report import style


def plot_speed(table, speed):
    """Mean gain of each experiment over its seconds per frame.

    table: from deepsr.evaluate.table.read_psnr; speed: DataFrame of results/speed.csv. A row's times are for frames of the
    data set that it names.
    """
    means = table[table["mean"] & np.isfinite(table["gain"])].merge(speed, on=["experiment", "dataset"])
    looks, panels = style.looks(table), style.panels(means)
    figure, parts = style.panel_figure(panels, [2.6] * len(panels))
    for part, panel in zip(parts, panels, strict=True):
        axes = part.subplots()
        for row in panel.itertuples():
            color, marker = looks[row.experiment]
            fill = "white" if row.oracle else color
            axes.plot(row.seconds, row.gain, marker, color=color, markersize=7, markerfacecolor=fill)
            axes.annotate(row.experiment, (row.seconds, row.gain), xytext=(7, 0), textcoords="offset points", va="center")
        axes.set_xscale("log")
        axes.margins(x=0.3, y=0.2)
        axes.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
        axes.xaxis.set_major_formatter("{x:g}")
        axes.xaxis.set_minor_locator(NullLocator())
        axes.grid(color="#e0e0e0")
        axes.set_axisbelow(True)
        size = f"{panel['width'].iloc[0]}x{panel['height'].iloc[0]}"
        axes.set_xlabel(f"seconds per frame of {size}, {panel['threads'].iloc[0]} threads")
        axes.set_ylabel("gain over bicubic in dB")
    return figure
