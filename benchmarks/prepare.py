"""Make what the measurements need: `python prepare.py FOLDER`. FOLDER gets the demo clips and frames made from them."""

import json
import os
import shutil
import sys
from itertools import cycle
from pathlib import Path

import baseline
import cv2
import onnx
from measure import CPUS, FRAMES, ROOT, experiment

from deepsr.data import demo
from deepsr.data.frames import index_images, list_members, write_clip
from deepsr.drafts.ensemble import n_drafts
from deepsr.networks import network
from deepsr.networks.onnx_export import to_onnx


def clips(folder):
    """The demo's shots: zips of PNG frames in the video's own size, and their indices."""
    for name, video in demo.VIDEOS.items():
        local = ROOT / "data" / "demo" / name
        if local.exists():
            shutil.copy(local, folder)
        else:
            demo.fetch_video(video, folder / name)
    for name, shot in demo.SHOTS.items():
        container = folder / f"{name}.zip"
        write_clip(container, demo.read_shot(folder / shot.video, shot))
        write_index(folder / f"{name}.json", container, list_members(container))


def frames(folder):
    """FRAMES PNG files of 1280x720, the demo videos enlarged and cropped; a clip for each processor."""
    container = folder / "frames"
    container.mkdir(exist_ok=True)
    members = [f"{i:08d}.png" for i in range(FRAMES)]
    videos = cycle(str(folder / name) for name in demo.VIDEOS)
    video = cv2.VideoCapture(next(videos))
    for member in members:
        decoded, frame = video.read()
        if not decoded:
            video = cv2.VideoCapture(next(videos))
            frame = video.read()[1]
        ratio = max(1280 / frame.shape[1], 720 / frame.shape[0])
        frame = cv2.resize(frame, None, fx=ratio, fy=ratio, interpolation=cv2.INTER_LANCZOS4)[:720, :1280]
        cv2.imwrite(str(container / member), frame)
    for part in range(CPUS):
        write_index(folder / f"part{part}.json", container, members[part * FRAMES // CPUS : (part + 1) * FRAMES // CPUS])


def write_index(path, container, members):
    """Write the index of a clip (deepsr.data.frames)."""
    path.write_text(json.dumps(index_images(container, members)))


def networks(folder):
    """The article's network with random weights, as Keras and as ONNX file, and that of the default's motion drafts."""
    os.environ["CUDA_VISIBLE_DEVICES"] = "-1"  # before Keras is imported
    model = baseline.network()
    model.save(folder / "network.keras")
    facts = {"network": "deepsr"}
    onnx.save(to_onnx(model, facts), folder / "network.onnx")
    motion = network("deepsr").build(n_drafts(experiment("deepsr")["drafts"]), 4)
    onnx.save(to_onnx(motion, facts), folder / "motion.onnx")


if __name__ == "__main__":
    folder = Path(sys.argv[1])
    clips(folder)
    frames(folder)
    networks(folder)
