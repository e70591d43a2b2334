"""Peers (process.py): single-frame networks of OpenCV's dnn_superres at x4, from weight files that a user names."""

import sys
from statistics import mean

import cv2
import numpy as np
from process import CPUS, steady

PEERS = "espcn", "fsrcnn", "lapsrn", "edsr"  # dnn_superres tells by these names what a network's input and output are


def peer(path, name):
    """The network of a weight file, a frozen graph of TensorFlow. Ends the program if it is none, or not of scale 4."""
    network = cv2.dnn_superres.DnnSuperResImpl.create()
    try:
        network.readModel(str(path))
        network.setModel(name, 4)
        if network.upsample(np.zeros((16, 16, 3), np.uint8)).shape != (64, 64, 3):
            raise ValueError("it does not enlarge by 4")
    except (cv2.error, ValueError) as error:
        sys.exit(
            f"{path}: cannot be used as {name} at x4 ({' '.join(str(error).split())}); give the .pb file of OpenCV's peers."
        )
    return network


def speed(folder, name):
    """A colour frame of 320x180 to 720p; and the PSNR, dB, of bicubic and the peer by each degradation."""
    from deepsr.data.datasets import Demo
    from deepsr.video.decode import read_frames

    cv2.setNumThreads(CPUS)
    network = peer(folder / f"{name}.pb", name)
    frame = next(read_frames(folder / "lr.mp4")).to_ndarray(format="bgr24")
    found = {"seconds": steady(network.upsample, frame)}
    for degradation in ("cv2", "bicubic"):
        scores = [score(network, folder / f"{clip}.json", degradation) for clip in Demo.default["test"]]
        found[f"{degradation}_enlarged"], found[f"{degradation}_peer"] = (mean(side) for side in zip(*scores, strict=True))
    return found


def score(network, index, degradation):
    """Mean PSNR on luma of bicubic and of the peer, over the frames of a clip, as the project's table has them."""
    from deepsr.data.degradation import upscale
    from deepsr.data.frames import luma
    from deepsr.data.sequence import Sequence, read_index
    from deepsr.evaluate.metrics import psnr

    clip = Sequence(read_index(index), 4, degradation)
    pairs = []
    for t in range(len(clip)):
        pictures = upscale(clip.lr_luma(t), 4, degradation), luma(network.upsample(clip.lr(t)))
        pairs.append([psnr(clip.hr_luma(t) / 255, picture / 255) for picture in pictures])
    return [mean(side) for side in zip(*pairs, strict=True)]
