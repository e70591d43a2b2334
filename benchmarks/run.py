"""Measure the workflow beside the article's way, in turn, on this machine. README.md tells how to read the results."""

import argparse
import datetime
import re
import shutil
import sys
import tempfile
from importlib.metadata import version
from pathlib import Path

from article import FRAMES
from peers import PEERS, peer
from process import CPUS, ROOT, output_of, run
from rows import ROWS
from tables import FAST, Results, origins, overhead, peer_table, rules_table, table

from deepsr.report import provenance

HERE = Path(__file__).parent
WORKFLOW = "workflow"  # a row that is measured once, and told in the text


def facts(gpu):
    """The commit, the date, and the machine with its versions in a sentence; gpu: a GPU's name, or None."""
    found = provenance.machine()
    packages = ["tensorflow", "keras", "onnxruntime", "opencv-contrib-python-headless", "numpy"]
    versions = ", ".join(f"{name} {version(name)}" for name in packages)
    state = provenance.git_state(ROOT)
    return {
        "commit": state["commit"][:7] if state else "unknown",
        "date": datetime.date.today().isoformat(),
        "machine": f"{found['cpu']}, {CPUS} processors used, {found['ram_gib']:.0f} GB memory; Python {found['python']}, "
        f"{versions}. GPU: {gpu or 'not measured'}.",
    }


def arguments():
    """The command line, checked."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("rows", nargs="*", help=f"only these rows: {', '.join([*ROWS, WORKFLOW])}")
    parser.add_argument("--rounds", type=int, choices=range(1, 100), metavar="N", default=5, help="measure N times (5)")
    parser.add_argument("--folder", type=Path, help="keep what prepare.py makes (1.3 GB) there, and use it if it is there")
    parser.add_argument(
        "--peer", action="append", default=[], metavar="NAME=FILE", help=f"a peer: {', '.join(PEERS)}, and its weights"
    )
    parser.add_argument("--trial", action="store_true", help="print the results of these rows, write nothing")
    options = parser.parse_args()
    if unknown := set(options.rows) - {*ROWS, WORKFLOW}:
        parser.error(f"unknown row {', '.join(sorted(unknown))}; there are {', '.join([*ROWS, WORKFLOW])}")
    options.peers = dict(given.partition("=")[::2] for given in options.peer)
    for name, file in options.peers.items():
        if name not in PEERS or not Path(file).is_file():
            parser.error(f"--peer {name}={file}: give one of {', '.join(PEERS)} and its file, such as espcn=ESPCN_x4.pb")
        peer(file, name)
    if options.folder and options.folder.resolve().is_relative_to(ROOT):
        parser.error("--folder: must lie outside the project, of which a measurement makes a copy")
    return options


def prepare(folder):
    """Make what the measurements need, unless it is there."""
    done = folder / "prepared"
    if not done.exists():
        folder.mkdir(parents=True, exist_ok=True)
        print(f"making {FRAMES:,} frames, videos and networks in {folder}", flush=True)
        output_of([sys.executable, HERE / "prepare.py", folder])
        done.touch()


def chosen(options, folder):
    """{name of a row: its measurements}, and the GPU's name, or None. Without rows or peers that are asked for, all rows."""
    names = options.rows or ([] if options.peers else [*ROWS, WORKFLOW])
    gpus = {"training": None, "inference": None}
    if any(name in ROWS and ROWS[name].on_gpu for name in names):
        gpus = run("article.gpu gpu", folder)
    missing = [
        n for n in names if n in ROWS and ROWS[n].on_gpu and not gpus["inference" if "inference" in n else "training"]
    ]
    if options.rows and missing:
        sys.exit(f"there is no GPU for {', '.join(missing)}; the README of the project tells what one needs")
    measurements = {name: ROWS[name].measurements for name in names if name in ROWS and name not in missing}
    for name, file in options.peers.items():
        shutil.copy(file, folder / f"{name}.pb")
        measurements[f"peer {name}"] = [FAST, f"peers.speed {name}"]
    if WORKFLOW in names:
        measurements[WORKFLOW] = ["article.workflow"]
    return measurements, gpus["training"]


def text(results, rules):
    """All results in Markdown; rules: the CSV file of what each rule of the default run took."""
    parts = [table(results), peer_table(results)]
    if WORKFLOW in results.names():
        parts += [overhead(results), rules_table(rules)]
    return "\n\n".join(filter(None, [*parts, origins(results)]))


def main():
    """Measure, and let the results take the place of former ones of these rows: each row's as soon as it is measured."""
    options = arguments()
    results = Results() if options.trial else Results.read(HERE / "results.csv")
    with tempfile.TemporaryDirectory() as temporary:
        folder = (options.folder or Path(temporary)).resolve()
        prepare(folder)
        rows, gpu = chosen(options, folder)
        rules = (folder if WORKFLOW in rows else HERE) / "rules.csv"
        for name, measurements in rows.items():
            results.measure(name, measurements, 1 if name == WORKFLOW else options.rounds, folder, facts(gpu))
            if not options.trial:
                save(results, rules)
        print(text(results, rules))


def save(results, rules):
    """Write results.csv, rules.csv and the results in README.md."""
    results.write(HERE / "results.csv")
    if rules.exists() and rules.parent != HERE:
        shutil.copy(rules, HERE)
    readme = HERE / "README.md"
    head, tail = re.split(r"(?<=<!-- results -->\n).*(?=<!-- end -->)", readme.read_text(), flags=re.DOTALL)
    readme.write_text(f"{head}\n{text(results, rules)}\n\n{tail}")


if __name__ == "__main__":
    main()
