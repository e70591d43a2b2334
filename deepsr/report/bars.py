"""Bars and intervals: the scores of each clip and of the mean over the clips."""

import numpy as np

from deepsr.evaluate.metrics import METRICS
from deepsr.report import style
from deepsr.report.bootstrap import bootstrap_interval
from deepsr.report.published import comparable
from deepsr.report.style import GREY

LINE = 0.19  # inches from one bar to the next


def plot_metric(table, name, published):
    """Bars of a metric, for bicubic and every experiment, for each clip and the mean, and marks for published scores.

    table: from deepsr.evaluate.table.read_psnr; name: of the metric in METRICS; published: from
    deepsr.report.published.read_published.
    """
    metric, looks, panels = METRICS[name], style.looks(table), style.panels(table)
    panels = [panel for panel in panels if panel[f"{name}_deepsr"].notna().any()] or panels  # of data sets that have it
    marks = [comparable(published, panel).dropna(subset=[name]) if name in published else [] for panel in panels]
    lines = [sum(len(rows) + 2 for _, rows in style.clips(panel)) for panel in panels]
    lines = [count + (len(beside) + 2 if len(beside) else 0) for count, beside in zip(lines, marks, strict=True)]
    figure, parts = style.panel_figure(panels, [LINE * count + 0.75 for count in lines])
    for part, panel, beside in zip(parts, panels, marks, strict=True):
        axes, y, ticks, longest = part.subplots(), 0, {}, 0
        values = panel[[f"{name}_bicubic", f"{name}_deepsr"]].to_numpy().ravel()
        values = np.append(values, beside[name] if len(beside) else [])
        end = values[np.isfinite(values)].max(initial=0) or 1
        for clip, rows in style.clips(panel):
            axes.text(0, y, f" {clip}", weight="bold", va="center")
            for label, value, look, gain in _bars(rows, name, looks):
                y += 1
                ticks[y] = label
                length = np.nan_to_num(value, nan=0, posinf=end)
                axes.barh(y, length, height=0.8, **look)
                if np.isfinite(value):
                    text = f" {value:{metric.form}}{gain}"
                else:  # SSIM has no value for tiny frames; the PSNR of a frame without error is infinite
                    text = " no value" if np.isnan(value) else " no error"
                axes.text(length, y, text, va="center")
                longest = max(longest, len(text))
            y += 1.4
        if len(beside):
            axes.text(0, y, " published, not measured here", weight="bold", va="center")
            for row in beside.sort_values(name, kind="stable").to_dict("records"):
                y += 1
                ticks[y] = row["method"]
                axes.plot(row[name], y, "D", color="black", markerfacecolor="white")
                axes.text(row[name], y, f"   {row[name]:{metric.form}}", va="center")
            y += 1.4
        axes.set_yticks(list(ticks), ticks.values())
        axes.tick_params(axis="y", length=0)
        axes.set_ylim(y - 0.4, -0.7)
        axes.set_xlim(0, (1 + 0.022 * longest) * end)  # room for the text behind the longest bar
        unit = f" in {metric.unit}" if metric.unit else ""
        seeds = "\n± standard deviation over seeds" if name == "psnr" and _has_seeds(panel) else ""
        axes.set_xlabel(f"{metric.title}{unit} ({metric.better} is better), and the difference to bicubic{seeds}")
    return figure


def _has_seeds(panel):
    return "gain_std" in panel and np.isfinite(panel["gain_std"]).any()


def _bars(rows, name, looks):
    """Yield the bars of a clip, first bicubic's, as (label, value, look, text that stands behind the value).

    The PSNR of an experiment with several seeds has an error bar: the standard deviation over the seeds.
    """
    yield "bicubic", rows[f"{name}_bicubic"].iloc[0], {"color": GREY}, ""
    for row in rows.to_dict("records"):
        color, _ = looks[row["experiment"]]
        look = {"color": "white", "edgecolor": color, "hatch": "////"} if row["oracle"] else {"color": color}
        # The table's gain is rounded after the subtraction.
        gain = row["gain"] if name == "psnr" else row[f"{name}_deepsr"] - row[f"{name}_bicubic"]
        text = f"  {gain:+{METRICS[name].form}}" if np.isfinite(gain) else ""
        if name == "psnr" and np.isfinite(row.get("gain_std", np.nan)):
            look |= {"xerr": row["gain_std"], "capsize": 2}
            text += f" ± {row['gain_std']:.3f}"
        yield row["experiment"], row[f"{name}_deepsr"], look, text


def plot_gain(table, scores, seed):
    """Gain over bicubic with 95% confidence intervals of the mean over frames.

    An experiment with several seeds also has an error bar: the standard deviation of its gains.
    scores: {(experiment, dataset, sequence): DataFrame, a row for each frame}; seed: of the bootstrap.
    """
    gains = {clip: (frames["psnr_deepsr"] - frames["psnr_bicubic"]).to_numpy() for clip, frames in scores.items()}
    looks, panels = style.looks(table), style.panels(table)
    lines = [sum(len(rows) + 1.4 for _, rows in style.clips(panel)) for panel in panels]
    figure, parts = style.panel_figure(panels, [LINE * count + 0.75 for count in lines])
    for part, panel in zip(parts, panels, strict=True):
        axes, y, ticks, ends = part.subplots(), 0, {}, [0.0]
        for clip, rows in style.clips(panel):
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
                spread = getattr(row, "gain_std", np.nan)
                if np.isfinite(spread):
                    axes.errorbar(row.gain, y, xerr=spread, color="black", capsize=4, linewidth=0, elinewidth=0.8)
                    text += f" ± {spread:.3f}"
                    ends += [row.gain - spread, row.gain + spread]
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
        seeds = "\n± standard deviation over seeds" if _has_seeds(panel) else ""
        axes.set_xlabel(f"gain over bicubic in dB (mean, 95% interval){seeds}")
    return figure
