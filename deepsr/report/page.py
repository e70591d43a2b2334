"""The report: one HTML page that holds everything it shows and loads nothing from anywhere."""

import base64
import re
from pathlib import Path

import cv2
import jinja2
import numpy as np
import pandas as pd
import yaml

from deepsr.evaluate.metrics import METHODS, METRICS
from deepsr.report import style
from deepsr.report.bootstrap import compare
from deepsr.report.crops import crop_window

USED = re.compile(r"took ([\d.]+) s, used ([\d.]+) s of CPU and at most (\d+) MB of memory\n$")  # as in scripts/job.py
WINDOW = 320  # HR pixels; side of the pictures that can be compared
BARS = (
    "Bars start at 0; behind each stands the value, and then its difference to bicubic's. Experiments stand together if "
    "they share the degradation, and so the bicubic frame that they are compared with. Hatched bars on a tinted ground are "
    "oracles: they see the ground truth."
)
STEADINESS = (
    "tOF is how far the motion is from the true video's; the warping error is what remains of a frame when the one before "
    "it is moved along the true motion and taken away. What is blurred is steady, too, so read both beside PSNR."
)
CHARTS = {  # title and caption; they come after the charts of the metrics
    "gain": (
        "Gain over bicubic",
        "This is the mean over the frames with its 95% confidence interval, by a circular block bootstrap over a clip's "
        "frames with 10,000 resamples. It says how sure the mean is for these clips; other footage may differ by more. A "
        "thin black bar is the standard deviation over an experiment's seeds, if it has several. Oracles have an axis of "
        "their own.",
    ),
    "frames": (
        "PSNR along the frames",
        "Dotted grey is bicubic; where a line comes close to it, the network adds little. Frames at a clip's ends have "
        "fewer neighbours for motion drafts. The axes differ from clip to clip.",
    ),
    "degradations": (
        "Gain on each degradation",
        "This is the mean gain over bicubic on each data set. The data sets differ in how their LR frames were made (see "
        "the table), and so do the bicubic frames that the networks are compared with.",
    ),
    "training": (
        "Training",
        "On the left is the loss, on the right the PSNR of frames held out of training. The dotted line is the start, which "
        "is the closed-form linear filter if there is a warm start. The circle is the best step, whose weights were kept.",
    ),
    "speed": (
        "Gain over time per frame",
        "Drafts and network are timed, after all scores were computed, on the machine that did this job. Multiply-adds are "
        "those of the network, counted in its graph, for each pixel of the enlarged frame.",
    ),
    "sweep": (
        "Gain over the blur of the oracle's draft",
        "There is a network for each standard deviation of the Gaussian that blurs the ground truth. The curve shows how "
        "much of the ground truth must leak for how much gain.",
    ),
}
CROPS = (
    "Above is the clip's frame with the largest gain, and in it the window where DeepSR gains most. Below is the frame with "
    "the least gain, and in it the window where DeepSR gains least, among the half of the windows where bicubic errs most, "
    "since in flat areas nothing can be seen. Under each picture stands the PSNR of Y in the window. Bright spots in the "
    "error maps are errors; the two maps of a frame have the same scale."
)
FLICKER = (
    "Each picture is the row of pixels in the middle of the frame, one line for each frame: time runs down. What stands "
    "still is upright, what moves is slanted, and what flickers is striped across."
)


def columns(table):
    """The table's columns on the page: {name: (title, number format)}.

    The data set stands in front if there are several. How rows were scored is left out where it is the same for all: then
    the sentences above the table tell it (deepsr.report.style.title).
    """
    scores = {
        f"{name}_{method}": (f"{metric.title} {title}", metric.form)
        for name, metric in METRICS.items()
        for method, title in METHODS.items()
        if f"{name}_{method}" in table
    }
    experiment, clip, dataset = {"experiment": ("experiment", "")}, {"sequence": ("clip", "")}, {"dataset": ("data set", "")}
    facts = {name: (name, "") for name in ("drafts", "degradation")} | {name: (name, "d") for name in ("scale", "frames")}
    if table["scored_as"].nunique() > 1:
        facts["scored_as"] = ("scored as", "")
    gain = {"gain": ("gain in dB", "+.2f")}
    if "seeds" in table:
        gain |= {"gain_std": ("± over seeds", ".3f"), "seeds": ("seeds", "d")}
    if table["dataset"].nunique() > 1:
        return experiment | dataset | clip | gain | scores | facts
    return experiment | clip | gain | scores | dataset | facts


def render(table, scores, seed, speed, published, provenance, used, charts, crops, flicker, examples):
    """The page as text.

    table: from deepsr.evaluate.table.read_psnr; scores: {(experiment, dataset, clip): DataFrame, a row for each frame};
    seed: of the bootstrap; speed: DataFrame of results/speed.csv; published: from
    deepsr.report.published.read_published; provenance: dict of results/provenance.json; used: from `read_usage`; charts:
    paths of SVG files, named as in METRICS and CHARTS; crops: {(experiment, dataset, clip): path of a PNG}; flicker:
    {(dataset, clip): path of a PNG}; examples: {(experiment, dataset, clip): from
    deepsr.evaluate.examples.read_examples}.
    """
    charts = {Path(path).stem: path for path in charts}
    texts = {
        name: (f"{metric.title} per clip", STEADINESS if metric.temporal else BARS) for name, metric in METRICS.items()
    } | CHARTS
    pictured = {
        name: (*text, _uri("svg+xml", Path(charts[name]).read_bytes())) for name, text in texts.items() if name in charts
    }
    steadiness = [name for name, metric in METRICS.items() if metric.temporal]
    table = table.assign(scored_as=[style.scored_as(row) for row in table.to_dict("records")])
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(Path(__file__).parent),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    return environment.get_template("page.html").render(
        parts=[
            _part(oracle, table[table["oracle"] == oracle], columns(table), scores, seed, crops, examples)
            for oracle in (False, True)
            if oracle in set(table["oracle"])
        ],
        metrics=[metric for name, metric in METRICS.items() if f"{name}_deepsr" in table],
        columns=[(title, bool(form)) for title, form in columns(table).values()],
        charts=[chart for name, chart in pictured.items() if name not in steadiness and name != "speed"],
        steadiness=[pictured[name] for name in steadiness if name in pictured],
        speed_chart=pictured.get("speed"),
        speed=[_speed_cells(row) for row in speed.itertuples()],
        crops_caption=CROPS,
        flicker=[(key, _webp(cv2.imread(str(path)), 90)) for key, path in flicker.items()],
        flicker_caption=FLICKER,
        published=[
            _published_cells(row) for row in published.sort_values(["dataset", "degradation", "psnr"]).to_dict("records")
        ],
        provenance=provenance,
        networks=[_network_cells(name, run) for name, run in provenance["networks"].items()],
        models=[[(text, None) for text in (name, *facts.values())] for name, facts in provenance["models"].items()],
        config=yaml.safe_dump(provenance["config"], sort_keys=False, allow_unicode=True, width=100),
        used=[_usage(rule, jobs) for rule, jobs in used.groupby("rule")],
        total=duration(used["seconds"].sum()),
    )


def _part(oracle, rows, shown, scores, seed, crops, examples):
    """What the page shows of the experiments that are oracles, or of those that are not.

    rows: theirs of the table; shown: its columns.
    """
    names = set(rows["experiment"])
    return {
        "oracle": oracle,
        "rows": [_cells(row, shown) for _, row in rows.iterrows()],
        "best": _best(rows),
        "comparisons": [] if oracle else _comparisons(rows, scores, seed),
        "sliders": [
            _slider(key, which, example)
            for key, both in examples.items()
            if key[0] in names
            for which, example in both.items()
        ],
        "crops": [(key, _webp(cv2.imread(str(path)), 90)) for key, path in crops.items() if key[0] in names],
    }


def read_usage(logs):
    """The time and memory that jobs took. Each writes it at the end of its log, results/logs/RULE/JOB.log, unless it fails.

    Returns a DataFrame with rule, job, seconds, cpu_seconds (of all its threads and processes) and peak_mb (of memory).
    """
    rows = []
    for path in sorted(Path(logs).rglob("*.log")):
        noted = USED.search(path.read_text(encoding="utf-8", errors="replace"))
        if noted:
            rule, *job = path.relative_to(logs).with_suffix("").parts
            rows.append((rule, "/".join(job), *map(float, noted.groups())))
    return pd.DataFrame(rows, columns=["rule", "job", "seconds", "cpu_seconds", "peak_mb"])


def duration(seconds):
    """Seconds as a person says them: 7.5 s, 8 min 41 s, 2 h 3 min."""
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, seconds = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min" if hours else f"{minutes} min {seconds} s"


def _cells(row, shown):
    """A row of the table: whether it is a mean, and its cells. shown: from `columns`.

    A cell, here and below, is its text and, for a number, the value that it is sorted by; otherwise None.
    """
    cells = []
    for key, (_, form) in shown.items():
        value = row[key]
        if not form:
            cells.append((value, None))
        elif np.isfinite(value):
            cells.append((format(int(value) if form == "d" else value, form), repr(float(value))))
        else:
            cells.append(("∞" if value > 0 else "–", "Infinity" if value > 0 else ""))
    return bool(row["mean"]), cells


def _best(rows):
    """The mean row with the largest gain among those that compare (deepsr.report.style.panels).

    Each has their title beside, and whether it is the only one.
    """
    return [
        panel.loc[panel["gain"].idxmax()].to_dict() | {"title": style.title(panel.iloc[0]), "alone": len(panel) == 1}
        for panel in style.panels(rows[rows["mean"] & np.isfinite(rows["gain"])])
    ]


def _comparisons(rows, scores, seed):
    """The two best experiments of each data set and protocol, compared: the dicts of `compare`, with their names."""
    found = []
    for panel in style.panels(rows[rows["mean"] & np.isfinite(rows["gain"])]):
        first, *others = panel.sort_values("gain", ascending=False, kind="stable").to_dict("records")
        if others:
            by_clip = [
                [frames["psnr_deepsr"] for key, frames in scores.items() if key[:2] == (name, first["dataset"])]
                for name in (first["experiment"], others[0]["experiment"])
            ]
            names = {"first": first["experiment"], "second": others[0]["experiment"], "title": style.title(first)}
            found.append(names | compare(*by_clip, seed))
    return found


def _slider(key, which, example):
    top, left, height, width = crop_window(
        example["hr"], example["bicubic"], example["deepsr"], WINDOW, worst=which == "worst"
    )
    window = np.s_[top : top + height, left : left + width]
    return {
        "key": key,
        "which": {"best": "largest", "worst": "least"}[which],
        "frame": example["frame"],
        "bicubic": example["psnr_bicubic"],
        "deepsr": example["psnr_deepsr"],
        "width": width,
        "height": height,
        "pictures": {name: _webp(example[name][window], 95) for name in ("hr", "bicubic", "deepsr")},
    }


def _speed_cells(row):
    numbers = [(f"{seconds:.3f}", seconds) for seconds in (row.seconds, row.seconds_drafts, row.seconds_network)]
    size = (f"{row.width}x{row.height}", None)
    return [(row.experiment, None), *numbers, (f"{row.multiply_adds:,.0f}", row.multiply_adds), size]


def _published_cells(row):
    before = [row["method"], row["dataset"], f"x{row['scale']}, {row['degradation']}", style.scored_as(row)]
    after = [row[key] for key in ("parameters", "trained_on", "source")]
    numbers = [(row["frames"], row["frames"]), (f"{row['psnr']:.2f}", row["psnr"]), (f"{row['ssim']:.4g}", row["ssim"])]
    return [*((text, None) for text in before), *numbers, *((text, None) for text in after)]


def _network_cells(name, run):
    counts = [(f"{run[key]:,}", run[key]) for key in ("parameters", "training_patches", "steps")]
    psnrs = [(f"{run[key]:.2f}", run[key]) for key in ("val_psnr_start", "val_psnr_kept")]
    return [(name, None), (run["network"], None), *counts, *psnrs, (run["kept_step"], run["kept_step"])]


def _usage(rule, jobs):
    numbers = [
        (str(len(jobs)), len(jobs)),
        (duration(jobs["seconds"].sum()), jobs["seconds"].sum()),
        (duration(jobs["seconds"].max()), jobs["seconds"].max()),
        (f"{jobs['peak_mb'].max():.0f} MB", jobs["peak_mb"].max()),
    ]
    return [(rule, None), *numbers]


def _webp(picture, quality):
    """A picture, uint8 BGR, as a data URI, which holds its bytes."""
    return _uri("webp", cv2.imencode(".webp", picture, [cv2.IMWRITE_WEBP_QUALITY, quality])[1].tobytes())


def _uri(kind, data):
    return f"data:image/{kind};base64,{base64.b64encode(data).decode()}"
