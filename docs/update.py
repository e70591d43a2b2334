"""Puts the results of a finished default run into README.md and docs/: python -m docs.update

tests/test_docs.py fails when the config or the code that makes the numbers has changed since.
"""

import json
import re
import shutil
from pathlib import Path

import pandas as pd
import yaml

from deepsr.fingerprint import fingerprint

ROOT = Path(__file__).parent.parent
NUMBERS = (
    "extract_frames",
    "choose_patches",
    "make_drafts",
    "train_network",
    "export_network",
    "evaluate_clip",
    "collect_psnr",
)
PICTURES = {
    "psnr.png": "PSNR of bicubic and of each network, per clip",
    "crops/deepsr/demo/city_b.png": "Crops of a test clip, where motion drafts gain most and least",
}
BLOCK = re.compile(r"(<!-- results.*?-->\n).*?(<!-- /results -->)", re.DOTALL)


def made_with():
    """What the numbers depend on: the default config, and fingerprints of the code."""
    config = yaml.safe_load((ROOT / "config/config.yaml").read_text())
    config.pop("figures", None)
    return {"config": config, "code": {name: fingerprint(ROOT / "scripts" / f"{name}.py") for name in NUMBERS}}


def short_table(table):
    """The table's rows that a reader needs first, as Markdown."""
    lines = [
        "| experiment | drafts | clip | bicubic | DeepSR | gain | SSIM bicubic | SSIM DeepSR |",
        "|---|---|---|--:|--:|--:|--:|--:|",
    ]
    for row in table.to_dict("records"):
        cells = [row["experiment"], row["drafts"], row["sequence"]]
        cells += [f"{row['psnr_bicubic']:.2f}", f"{row['psnr_deepsr']:.2f}", f"{row['gain']:+.2f}"]
        cells += [f"{row['ssim_bicubic']:.4f}", f"{row['ssim_deepsr']:.4f}"]
        if row["sequence"] == "mean":
            cells = [f"**{cell}**" for cell in cells]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def block(table):
    """The README's results: the table and a picture, as the run made them."""
    pictures = "\n\n".join(f"![{text}](docs/{Path(name).name})" for name, text in PICTURES.items())
    return (
        "PSNR (dB) and SSIM on luma, x4. **article is an oracle**: its drafts are the ground truth, blurred, so compare it\n"
        "with nothing but itself; its LR frames are also made otherwise (`cv2`). The others see low resolution only.\n\n"
        f"{short_table(table)}\n\n{pictures}\n"
    )


def rewrite(readme, text):
    """`readme` with `text` between its markers."""
    return BLOCK.sub(lambda found: found[1] + text + found[2], readme)


if __name__ == "__main__":
    shutil.copy(ROOT / "results/psnr.csv", ROOT / "docs/psnr.csv")
    for name in PICTURES:
        shutil.copy(ROOT / "results/figures" / name, ROOT / "docs")
    (ROOT / "docs/made_with.json").write_text(json.dumps(made_with(), indent=1, sort_keys=True) + "\n")
    readme = ROOT / "README.md"
    readme.write_text(rewrite(readme.read_text(), block(pd.read_csv(ROOT / "docs/psnr.csv"))))
