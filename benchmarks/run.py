"""Measure the workflow beside the article's way, in turn, on this machine. README.md tells how to read the results."""

import argparse
import csv
import re
import sys
import tempfile
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from statistics import median

import matplotlib.pyplot as plt
from measure import BATCH, CPUS, FRAMES, JOBS, PER_FRAME, output_of, run

from deepsr.report import provenance

HERE = Path(__file__).parent
OPERATIONS = 2 * 260_209  # of the network for one pixel, two per multiply-add
FRAME_GFLOP = OPERATIONS * 1280 * 720 / 1e9
# A training step computes the output and its gradients by the weights and by each layer's inputs, the first one's excepted.
STEP_GFLOP = (3 * OPERATIONS - 2 * 11 * 11 * 4 * 256) * 50 * 50 * BATCH / 1e9
ARTICLE_STEPS = 300 * 10_000 / BATCH


@dataclass(frozen=True)
class Row:
    """A line of the table: two measurements of measure.py, the goals, and what both took in operations, if known."""

    title: str
    baseline: str
    ours: str
    faster: float | None = None  # goal: times faster
    smaller: float | None = None  # goal: times less memory
    gflop: float | None = None
    times: float = 1  # the baseline is so many times what was measured
    together: bool = False  # and so is its memory

    @property
    def peak(self):
        """The measurement of what the device can do."""
        return "gemm gpu" if "gpu" in self.ours.split() else "gemm"


ROWS = {
    "inference": Row("Inference, a 720p frame", "inference_baseline", "inference_ours", 1.6, 8, FRAME_GFLOP),
    "jobs": Row(f"{JOBS} evaluation jobs at once (a)", "job_baseline", "jobs_ours", 1, 7, None, JOBS, together=True),
    "training": Row("Training, a batch of 128", "training_baseline", "training_ours", 1.3, 2, STEP_GFLOP),
    "patches": Row(f"{FRAMES * PER_FRAME:,} patches from PNG (b)", "patches_baseline", "patches_ours", 2, 15),
    "article": Row(
        "The article's gain in PSNR (c)", "training_baseline", "article_ours", 27 * 60, None, None, ARTICLE_STEPS
    ),
    "start": Row("Evaluation job, time to first frame", "start_baseline", "start_ours", 5),
    "drafts": Row("Motion drafts against the network (d)", "network_ours", "drafts_ours", 1 / 0.15),
    # What follows is measured where there is a GPU.
    "inference_gpu": Row("GPU: a 720p frame (f)", "inference_baseline gpu", "inference_ours gpu", gflop=FRAME_GFLOP),
    "training_gpu": Row("GPU: a batch of 128 (f)", "training_baseline gpu", "training_ours gpu", gflop=STEP_GFLOP),
    "bfloat16_gpu": Row(
        "GPU: the same in bfloat16 (f)", "training_baseline gpu", "training_ours gpu mixed_bfloat16", gflop=STEP_GFLOP
    ),
}
ALONE = {"patches": ["decode"]}  # measured beside a row


class Results:
    """What was measured, round by round."""

    def __init__(self):
        self.lines = []

    def add(self, turn, measurement, folder):
        line = {"round": turn, "measurement": measurement, **run(measurement, folder)}
        self.lines.append(line)
        print(", ".join(f"{key} {value:.4g}" if key != "measurement" else value for key, value in line.items()), flush=True)

    def all(self, measurement, key="seconds"):
        """The values of all rounds."""
        return [line[key] for line in self.lines if line["measurement"] == measurement]

    def median(self, measurement, key="seconds"):
        return median(self.all(measurement, key))

    def ratios(self, row, key="seconds"):
        """Baseline to ours, round by round."""
        times = row.times if key == "seconds" or row.together else 1
        return [times * b / o for b, o in zip(self.all(row.baseline, key), self.all(row.ours, key), strict=True)]


def table(results, names):
    """The results in Markdown."""
    peaks = {peak: results.median(peak, "gflops") for peak in dict.fromkeys(ROWS[name].peak for name in names)}
    lines = [
        "| what | article's way | ours | times faster (range) | goal | memory, article's way | ours | times less | goal "
        "| share of peak |",
        "|---|--:|--:|--:|--:|--:|--:|--:|--:|--:|",
    ]
    for row in (ROWS[name] for name in names):
        seconds, ratios = results.median(row.ours), results.ratios(row)
        cells = [
            row.title,
            duration(row.times * results.median(row.baseline)),
            duration(seconds),
            f"**{number(median(ratios))}** ({number(min(ratios))} to {number(max(ratios))})",
            number(row.faster) if row.faster else "",
        ]
        if row.smaller:
            memory = results.median(row.baseline, "peak_mb") * (row.times if row.together else 1)
            smaller = median(results.ratios(row, "peak_mb"))
            cells += [f"{memory:,.0f} MB", f"{results.median(row.ours, 'peak_mb'):,.0f} MB", f"**{number(smaller)}**"]
            cells += [number(row.smaller)]
        else:
            cells += ["", f"{results.median(row.ours, 'peak_mb'):,.0f} MB", "", ""]
        cells += [f"{row.gflop / seconds / peaks[row.peak]:.0%}" if row.gflop else ""]
        lines.append(f"| {' | '.join(cells)} |")
    rates = " and ".join(f"{rate:,.0f} GFLOP/s{' (GPU)' if 'gpu' in peak else ''}" for peak, rate in peaks.items())
    lines += ["", f"- Peak: {rates}, the best of a float32 matrix product of 4096x4096 (median of the rounds)."]
    if "patches" in names:
        decode = results.median("decode")
        lines += [f"- (b) Decoding alone takes {decode:.3g} s of ours, {decode / results.median('patches_ours'):.0%}."]
    if "article" in names:
        before, after = (results.median("article_ours", f"psnr_{side}") for side in ("bicubic", "deepsr"))
        lines += [
            f"- (c) Ours, on clips never seen: {before:.2f} dB bicubic, {after:.2f} dB network, {after - before:+.2f} dB."
        ]
    return "\n".join(lines)


def overhead(results, rules):
    """What Snakemake adds to its jobs' own time, and what each rule took, in Markdown."""
    seconds, work = results.median("workflow"), results.median("workflow", "work")
    with open(rules) as file:
        head, *lines = csv.reader(file)
    return "\n".join(
        [
            f"- (e) The default run, one job at a time: {seconds:.0f} s, its jobs {work:.0f} s, so "
            f"{seconds / work - 1:.1%} on top; goal: under 10%. By rule:",
            "",
            *(f"| {' | '.join(line)} |" for line in (head, ["---", *["--:"] * (len(head) - 1)], *lines)),
        ]
    )


def number(value):
    """Three digits, without an exponent."""
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"


def duration(seconds):
    """Seconds or, if they are many, hours."""
    return f"{seconds / 3600:.3g} h" if seconds > 3600 else f"{seconds:.3g} s"


def machine(rounds, gpu):
    """The machine and the versions in a sentence; gpu: a GPU's name, or None."""
    found = provenance.machine()
    packages = ["tensorflow", "keras", "onnxruntime", "opencv-contrib-python-headless", "numpy"]
    versions = ", ".join(f"{name} {version(name)}" for name in packages)
    return (
        f"{found['cpu']}, {CPUS} processors used, {found['ram_gib']:.0f} GB memory; Python {found['python']}, {versions}. "
        f"Medians of {rounds} rounds. GPU: {gpu or 'not measured'}."
    )


def figure(results, names, path):
    """Bars: how many times faster and smaller than the article's way; a dash marks each goal."""
    plt.rcParams["svg.hashsalt"] = "deepsr"
    canvas, axes = plt.subplots(figsize=(8, 0.7 * len(names) + 1.2), layout="constrained")
    for y, row in enumerate(ROWS[name] for name in names):
        bars = [(-0.2 if row.smaller else 0, median(results.ratios(row)), row.faster, "tab:blue")]
        if row.smaller:
            bars += [(0.2, median(results.ratios(row, "peak_mb")), row.smaller, "tab:orange")]
        for offset, value, goal, color in bars:
            axes.barh(y + offset, value, 0.36, color=color)
            if goal:
                axes.plot([goal, goal], [y + offset - 0.18, y + offset + 0.18], "k")
            axes.annotate(f" {number(value)}", (value, y + offset), va="center")
    axes.barh(0, 0, color="tab:blue", label="times faster")
    axes.barh(0, 0, color="tab:orange", label="times less memory")
    axes.plot([], [], "k", label="goal")
    axes.set(xscale="log", yticks=range(len(names)), yticklabels=[ROWS[n].title for n in names])
    axes.set_xlim(1, 4 * axes.get_xlim()[1])  # room for the numbers
    axes.set_xlabel("article's way / ours")
    axes.invert_yaxis()
    axes.legend(loc="lower right")
    canvas.savefig(path, metadata={"Date": None})


def main():
    """Measure, and write what came out unless it is only a part."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("rows", nargs="*", help=f"only these rows, printed and not written: {', '.join(ROWS)}")
    parser.add_argument("--rounds", type=int, choices=range(1, 100), metavar="N", default=5, help="measure N times (5)")
    parser.add_argument("--folder", type=Path, help="keep what prepare.py makes (1.3 GB) there, and use it if it is there")
    options = parser.parse_args()
    if unknown := set(options.rows) - set(ROWS):
        parser.error(f"unknown row {', '.join(sorted(unknown))}; there are {', '.join(ROWS)}")
    with tempfile.TemporaryDirectory() as temporary:
        folder = (options.folder or Path(temporary)).resolve()
        if folder.is_relative_to(HERE.parent):
            parser.error("--folder: must lie outside the project, of which a measurement makes a copy")
        if not (folder / "motion.onnx").exists():  # the last that it makes
            folder.mkdir(parents=True, exist_ok=True)
            print(f"making {FRAMES:,} frames and the networks in {folder}", flush=True)
            output_of([sys.executable, HERE / "prepare.py", folder])
        gpus = run("gpu gpu", folder)
        names = [name for name in options.rows or ROWS if ROWS[name].peak == "gemm" or gpus[ROWS[name].ours.split("_")[0]]]
        if left := set(options.rows) - set(names):
            parser.error(f"there is no GPU for {', '.join(sorted(left))}; docs/gpu.md tells what one needs")
        rows = [ROWS[name] for name in names]
        measurements = dict.fromkeys(row.peak for row in rows)
        for name, row in zip(names, rows, strict=True):
            measurements |= dict.fromkeys([row.baseline, row.ours, *ALONE.get(name, [])])
        results = Results()
        if not options.rows:
            results.add(0, "workflow", folder)
        for turn in range(options.rounds):
            for measurement in measurements:
                results.add(turn, measurement, folder)
        text = table(results, names)
        if not options.rows:
            text += f"\n{overhead(results, folder / 'rules.csv')}"
    text += f"\n\n{machine(options.rounds, gpus['training'])}"
    print(text)
    if options.rows:
        return
    with open(HERE / "results.csv", "w", newline="") as file:
        writer = csv.DictWriter(file, list(dict.fromkeys(key for line in results.lines for key in line)))
        writer.writeheader()
        writer.writerows(results.lines)
    figure(results, names, HERE / "results.svg")
    readme = HERE / "README.md"
    head, tail = re.split(r"(?<=<!-- results -->\n).*(?=<!-- end -->)", readme.read_text(), flags=re.DOTALL)
    readme.write_text(f"{head}\n{text}\n\n{tail}")


if __name__ == "__main__":
    main()
