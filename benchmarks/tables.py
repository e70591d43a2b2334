"""What was measured, and its tables in Markdown."""

import csv
from itertools import groupby
from statistics import median

from process import run
from rows import ROWS

FAST = "upscaling.frame fast 32"  # what peers are compared with

# Of each line of results.csv, beside what its measurement gave: which row of the table it belongs to, when and where it was
# measured, and with which code.
FACTS = ["row", "round", "measurement", "commit", "date", "machine"]


class Results:
    """The lines of results.csv, dicts: those of a row of the table are made in one go, and replaced in one go."""

    def __init__(self, lines=()):
        self.lines = list(lines)

    @classmethod
    def read(cls, path):
        """Those in a CSV file; none if there is no such file."""
        if not path.exists():
            return cls()
        with open(path, newline="") as file:
            lines = [{key: text for key, text in line.items() if text} for line in csv.DictReader(file)]
        return cls({key: text if key in FACTS else float(text) for key, text in line.items()} for line in lines)

    def write(self, path):
        """Write them to a CSV file, a column for each kind of value."""
        with open(path, "w", newline="") as file:
            writer = csv.DictWriter(file, list(dict.fromkeys([*FACTS, *(key for line in self.lines for key in line)])))
            writer.writeheader()
            writer.writerows(self.lines)

    def measure(self, name, measurements, rounds, folder, facts):
        """Measure a row: its measurements in turn, so that a slow quarter of an hour meets all of them.

        facts: commit, date and machine, text.
        """
        self.lines = [line for line in self.lines if line["row"] != name]
        for turn in range(rounds):
            for measurement in measurements:
                values = run(measurement, folder)
                self.lines.append({"row": name, "round": str(turn), "measurement": measurement, **facts, **values})
                told = ", ".join(f"{key} {value:.4g}" for key, value in values.items())
                print(f"{name}, round {turn}, {measurement}: {told}", flush=True)

    def names(self):
        """The rows that were measured."""
        return list(dict.fromkeys(line["row"] for line in self.lines))

    def all(self, name, measurement, key="seconds"):
        """The values of all rounds."""
        return [line[key] for line in self.lines if (line["row"], line["measurement"]) == (name, measurement)]

    def median(self, name, measurement, key="seconds"):
        """The median of the rounds."""
        return median(self.all(name, measurement, key))

    def ratios(self, name, key="seconds"):
        """Baseline to ours, round by round."""
        row = ROWS[name]
        times = row.times if key == "seconds" or row.together else 1
        pairs = zip(self.all(name, row.baseline, key), self.all(name, row.ours, key), strict=True)
        return [times * baseline / ours for baseline, ours in pairs]


def table(results):
    """All rows that were measured, and what is to be told of them."""
    names = [name for name in ROWS if name in results.names()]
    lines = [
        "| what | baseline | ours | times faster (range) | goal "
        "| memory, baseline | ours | times less | goal | share of peak |",
        "|---|--:|--:|--:|--:|--:|--:|--:|--:|--:|",
        *(f"| {' | '.join(_cells(results, name))} |" for name in names),
        "",
    ]
    if peaks := {ROWS[name].peak: results.median(name, ROWS[name].peak, "gflops") for name in names if ROWS[name].gflop}:
        rates = " and ".join(f"{rate:,.0f} GFLOP/s{' (GPU)' if 'gpu' in peak else ''}" for peak, rate in peaks.items())
        lines += [f"- Peak: {rates}, the best of a float32 matrix product of 4096x4096 (median of the rounds)."]
    if "patches" in names:
        decode, ours = (results.median("patches", f"article.{which}") for which in ("decode", "patches_ours"))
        lines += [f"- (b) Decoding alone takes {decode:.3g} s of ours, {decode / ours:.0%}."]
    if "article" in names:
        before, after = (results.median("article", "article.article_ours", f"psnr_{side}") for side in ("bicubic", "deepsr"))
        lines += [
            f"- (c) Ours, on clips never seen: {before:.2f} dB bicubic, {after:.2f} dB network, {after - before:+.2f} dB."
        ]
    return "\n".join(lines)


def _cells(results, name):
    """The cells of a row's line."""
    row = ROWS[name]
    seconds, ratios = results.median(name, row.ours), results.ratios(name)
    memory = results.median(name, row.baseline, "peak_mb") * (row.times if row.together else 1)
    told = row.smaller or row.most_mb
    return [
        row.title,
        duration(row.times * results.median(name, row.baseline)),
        duration(seconds),
        f"**{number(median(ratios))}** ({number(min(ratios))} to {number(max(ratios))})",
        number(row.faster) if row.faster else "",
        f"{memory:,.0f} MB" if told else "",
        f"{results.median(name, row.ours, 'peak_mb'):,.0f} MB",
        f"**{number(median(results.ratios(name, 'peak_mb')))}**" if told else "",
        number(row.smaller) if row.smaller else f"{row.most_mb} MB" if row.most_mb else "",
        f"{row.gflop / seconds / results.median(name, row.peak, 'gflops'):.0%}" if row.gflop else "",
    ]


def peer_table(results):
    """The peers that were measured, or nothing."""
    names = [name for name in results.names() if name.startswith("peer ")]
    if not names:
        return ""
    lines = [
        "| peer (i) | a 720p frame | `fast` in the same run | memory | cv2: bicubic | peer | bicubic: bicubic | peer |",
        "|---|--:|--:|--:|--:|--:|--:|--:|",
    ]
    for name in names:
        speed = f"peers.speed {name.removeprefix('peer ')}"
        cells = [name.removeprefix("peer "), *(duration(results.median(name, what)) for what in (speed, FAST))]
        cells += [f"{results.median(name, speed, 'peak_mb'):,.0f} MB"]
        for degradation in ("cv2", "bicubic"):
            cells += [f"{results.median(name, speed, f'{degradation}_{side}'):.2f} dB" for side in ("enlarged", "peer")]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def origins(results):
    """When, where and with which code the rows were measured: a sentence for each run that differs."""

    def origin(name):
        lines = [line for line in results.lines if line["row"] == name]
        return *(lines[0][fact] for fact in ("commit", "date", "machine")), 1 + max(int(line["round"]) for line in lines)

    found = [(origin(name), name) for name in results.names()]
    groups = [(of, [name for _, name in group]) for of, group in groupby(sorted(found), key=lambda pair: pair[0])]
    sentences = []
    for (commit, date, machine, rounds), names in groups:
        which = "" if len(groups) == 1 else f"{', '.join(names)}: "
        how = "once" if rounds == 1 else f"medians of {rounds} rounds"
        sentences.append(f"- {which}{how}, at commit {commit}, {date}. {machine}")
    return "\n".join(sentences)


def rules_table(path):
    """What each rule of the default run took, from its CSV file."""
    with open(path, newline="") as file:
        head, *lines = csv.reader(file)
    return "\n".join(f"| {' | '.join(line)} |" for line in (head, ["---", *["--:"] * (len(head) - 1)], *lines))


def overhead(results):
    """What Snakemake adds to its jobs' own time, in a sentence."""
    seconds, work = (results.median("workflow", "article.workflow", key) for key in ("seconds", "work"))
    return (
        f"(e) The default run, one job at a time: {seconds:.0f} s, its jobs {work:.0f} s, so {seconds / work - 1:.1%} on "
        "top; goal: under 10%. By rule:"
    )


def number(value):
    """Three digits, without an exponent."""
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"


def duration(seconds):
    """Seconds or, if they are many, hours."""
    return f"{seconds / 3600:.3g} h" if seconds > 3600 else f"{seconds:.3g} s"
