"""Make what the measurements need: the demo clips, what is made of them, and networks. `python prepare.py FOLDER`"""

import json
import os
import shutil
import sys
from itertools import cycle
from pathlib import Path

import av
import baseline
import cv2
import onnx
from article import FRAMES
from process import CPUS, ROOT, experiment
from rows import BASELINE_FRAMES
from upscaling import CLIP_FRAMES, EXPERIMENTS, VIDEO_FRAMES

from deepsr.data import demo
from deepsr.data.degradation import degrade
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
    videos = cycle(str(folder / name) for name in ("cityCC0.mpg", "bikes.mp4", "bigbuckbunny.mp4"))
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


def videos(folder):
    """Videos of the first frames: of 320x180, made small, and of 720x576, cut out, in the lengths that are measured."""
    frames = [cv2.imread(str(folder / "frames" / f"{i:08d}.png")) for i in range(CLIP_FRAMES)]
    write_video(folder / "lr.mp4", [degrade(frame, 4, "bicubic") for frame in frames])
    for number in (BASELINE_FRAMES, VIDEO_FRAMES):
        write_video(folder / f"pal_{number}.mp4", [frame[:576, :720] for frame in frames[:number]])


def write_video(path, frames):
    """H.264 of 25 frames a second of frames, uint8 (h, w, 3), BGR."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=25, options={"crf": "16"})
        stream.height, stream.width = frames[0].shape[:2]
        for frame in frames:
            container.mux(stream.encode(av.VideoFrame.from_ndarray(frame, "bgr24").reformat(format="yuv420p")))
        container.mux(stream.encode())


def networks(folder):
    """Networks with random weights: the article's, as Keras and as ONNX file, and the compared experiments'."""
    os.environ["CUDA_VISIBLE_DEVICES"] = "-1"  # before Keras is imported
    model = baseline.network()
    model.save(folder / "network.keras")
    onnx.save(to_onnx(model, {"network": "deepsr"}), folder / "network.onnx")
    for name in EXPERIMENTS:
        settings = experiment(name)
        model = network(settings["network"]).build(n_drafts(settings["drafts"]), settings["scale"])
        onnx.save(to_onnx(model, {"network": settings["network"]}), folder / f"{name}.onnx")


if __name__ == "__main__":
    folder = Path(sys.argv[1])
    clips(folder)
    frames(folder)
    videos(folder)
    networks(folder)
