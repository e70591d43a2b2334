"""Puts the results of a finished default run into README.md and docs/: python -m docs.update

Those of another config of FURTHER go into docs/ with the commit that they were made at: python -m docs.update scales

docs/made_with.json keeps what the run was made with, as results/provenance.json has it. The results are refused, and
tests/test_docs.py fails, if the default config, the code or the packages that decide the numbers are others by now.
"""

import json
import re
import shutil
import sys
from importlib.metadata import version
from pathlib import Path

import pandas as pd

from deepsr.files import sha256
from deepsr.fingerprint import fingerprint
from deepsr.registry import named_modules
from deepsr.settings import complete, load_schema, load_yaml

ROOT = Path(__file__).parent.parent
# Modules that write files, show progress and count CPUs: no number depends on them.
PLUMBING = {"cpus", "errors", "files", "progress"}
PACKAGES = ["av", "keras", "numpy", "onnx", "onnxruntime", "opencv-contrib-python-headless", "pandas", "tensorflow"]
CROPS = "crops/deepsr/demo/city_b.png"
PICTURES = {
    "psnr.png": "PSNR of bicubic and of each network, per clip",
    CROPS: "Crops of a test clip, where deepsr gains most and least",
}
# Further configs whose means docs/results.md shows, and the figure that belongs to them, if there is one.
FURTHER = {"scales": None, "compressed": "degradations.png"}


def made_with(provenance):
    """What decided a run's numbers, out of its results/provenance.json: config, code, packages, and the table's hash."""
    return {
        "config": provenance["config"],
        "code": {
            script: {module: value for module, value in modules.items() if module not in PLUMBING}
            for script, modules in provenance["code"].items()
        },
        "packages": {name: provenance["packages"][name] for name in PACKAGES},
        "table_sha256": provenance["table_sha256"],
    }


def present(scripts, table):
    """The same of the default config, the code and the packages as they are now, and of a table."""
    config = complete(load_yaml(ROOT / "config/config.yaml"), load_schema(ROOT / "config/config.schema.yaml"))
    named = {module for experiment in config["experiments"].values() for module in named_modules(experiment).values()}
    return made_with(
        {
            "config": {key: config[key] for key in ("seed", "gpus", "datasets", "experiments")},
            "code": {script: fingerprint(ROOT / f"scripts/{script}.py", *named) for script in scripts},
            "packages": {name: version(name) for name in PACKAGES},
            "table_sha256": sha256(table),
        }
    )


def changes(made, table):
    """What of all that is no longer as it was when results were made: a list of words, empty if they are current."""
    now, found = present(made["code"], table), []
    for kind in ("config", "packages"):
        found += [f"{kind}.{key}" for key in {**made[kind], **now[kind]} if made[kind].get(key) != now[kind].get(key)]
    for script, modules in made["code"].items():
        new = now["code"][script]
        found += [f"{name} ({script})" for name in {**modules, **new} if modules.get(name) != new.get(name)]
    return found + (["the table"] if made["table_sha256"] != now["table_sha256"] else [])


def markdown(table):
    """The columns of the table that a reader needs first, as Markdown; the rows of means are bold where there are others."""
    lines = [
        "| experiment | drafts | clip | bicubic | DeepSR | gain | SSIM bicubic | SSIM DeepSR |",
        "|---|---|---|--:|--:|--:|--:|--:|",
    ]
    bold = (table["sequence"] != "mean").any()
    for row in table.to_dict("records"):
        cells = [row["experiment"], row["drafts"], row["sequence"]]
        cells += [f"{row['psnr_bicubic']:.2f}", f"{row['psnr_deepsr']:.2f}", f"{row['gain']:+.2f}"]
        cells += [f"{row['ssim_bicubic']:.4f}", f"{row['ssim_deepsr']:.4f}"]
        if bold and row["sequence"] == "mean":
            cells = [f"**{cell}**" for cell in cells]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def picture(name, folder=""):
    """A picture of PICTURES as Markdown; folder: where it lies, seen from the page."""
    return f"![{PICTURES[name]}]({folder}{Path(name).name})"


def summary(table):
    """README.md's results: each experiment's mean and one picture."""
    return (
        "PSNR (dB) and SSIM on luma, x4, means over the clips. **article is an oracle**: its drafts are the ground truth,\n"
        "blurred, so compare it with nothing but itself; its LR frames are also made otherwise (`cv2`). The others see low\n"
        "resolution only.\n\n"
        f"{markdown(table[table['sequence'] == 'mean'])}\n\n{picture(CROPS, 'docs/')}\n"
    )


def everything(table):
    """docs/results.md's results: all rows and all pictures."""
    return "\n\n".join([markdown(table), *map(picture, PICTURES)]) + "\n"


def means(name, table, commit):
    """The means of the table of a further config, which was made at a commit, and its figure, for docs/results.md."""
    lines = ["| experiment | data set | scale | bicubic | DeepSR | gain |", "|---|---|--:|--:|--:|--:|"]
    for row in table[table["sequence"] == "mean"].itertuples():
        scores = f"{row.psnr_bicubic:.2f} | {row.psnr_deepsr:.2f} | {row.gain:+.2f}"
        lines.append(f"| {row.experiment} | {row.dataset} | {row.scale} | {scores} |")
    figure = f"\n![Gain of each network on each data set]({name}.png)\n" if FURTHER[name] else ""
    return "\n".join(lines) + f"\n{figure}\nMade at commit {commit}.\n"


PAGES = {"README.md": summary, "docs/results.md": everything}


def rewrite(page, text, name="results"):
    """`page` with `text` between its marks of this name."""
    block = re.compile(rf"(<!-- {name}\b.*?-->\n).*?(<!-- /{name} -->)", re.DOTALL)
    return block.sub(lambda found: found[1] + text + found[2], page)


def update_further(name):
    """Put the results of a finished run of config/NAME.yaml into docs/."""
    made = json.loads((ROOT / "results/provenance.json").read_text())
    asked = complete(load_yaml(ROOT / f"config/{name}.yaml"), load_schema(ROOT / "config/config.schema.yaml"))
    if made["config"]["experiments"] != asked["experiments"] or not made["git"]["clean"]:
        sys.exit(f"results/ are not of config/{name}.yaml in a clean checkout; run it there, and then this again.")
    shutil.copy(ROOT / "results/psnr.csv", ROOT / f"docs/{name}.csv")
    if FURTHER[name]:
        shutil.copy(ROOT / "results/figures" / FURTHER[name], ROOT / f"docs/{name}.png")
    page, table = ROOT / "docs/results.md", pd.read_csv(ROOT / f"docs/{name}.csv")
    page.write_text(rewrite(page.read_text(), means(name, table, made["git"]["commit"][:7]), name))


if __name__ == "__main__":
    if sys.argv[1:]:
        update_further(*sys.argv[1:])
        sys.exit()
    made = made_with(json.loads((ROOT / "results/provenance.json").read_text()))
    if changed := changes(made, ROOT / "results/psnr.csv"):
        sys.exit(f"results/ were made before these changed: {', '.join(changed)}. Run snakemake, and then this again.")
    shutil.copy(ROOT / "results/psnr.csv", ROOT / "docs/psnr.csv")
    for name in PICTURES:
        shutil.copy(ROOT / "results/figures" / name, ROOT / "docs")
    (ROOT / "docs/made_with.json").write_text(json.dumps(made, indent=1, sort_keys=True) + "\n")
    for name, results in PAGES.items():
        page = ROOT / name
        page.write_text(rewrite(page.read_text(), results(pd.read_csv(ROOT / "docs/psnr.csv"))))
