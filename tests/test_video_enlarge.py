import logging
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest
from chains import chain_file
from PIL import Image
from videos import (
    MOTION,
    RECURRENT,
    SINGLE,
    bicubic,
    decode,
    enlarge,
    enlarged_in_parts,
    probe,
    refusal,
    scene,
    sound,
    times,
    write,
)

from deepsr.data.degradation import degrade, upscale
from deepsr.data.frames import luma
from deepsr.drafts import recurrent
from deepsr.drafts.ensemble import Drafts
from deepsr.errors import InputError
from deepsr.evaluate.metrics import psnr
from deepsr.networks.inference import frame_predictor
from deepsr.video.enlarge import _enlarge_chroma, upscale_image, upscale_part
from deepsr.video.examine import plan_video

ROOT = Path(__file__).parent.parent


@pytest.mark.parametrize("parts", [1, 3, 16])
def test_frames_duration_and_sound_are_kept(tmp_path, parts):
    source = write(tmp_path / "in.mp4", scene(12), audio=["aac"])
    _, enlarged = enlarge(source, tmp_path, parts=parts)
    count, width, height, rate, duration = probe(enlarged, "nb_read_frames", "width", "height", "avg_frame_rate", "duration")
    assert (count, width, height, rate) == ("12", 128, 96, "25/1")
    assert float(duration) == pytest.approx(12 / 25, abs=1e-3)
    assert times(enlarged) == pytest.approx(times(source), abs=1e-4)
    assert sound(enlarged) == sound(source) != []


@pytest.mark.parametrize("scale", [2, 3, 4])
@pytest.mark.parametrize("across, down", [(1, 1), (2, 1), (2, 2)])
def test_chroma_stays_where_it_was(scale, across, down):
    """A ramp across and down keeps its value at every point; positions are H.264's default, left and between rows."""
    height, width = 24, 40
    y, x = np.mgrid[: height // down, : width // across].astype(float)
    ramp = 3 * (x * across) + 2 * (y * down + (down - 1) / 2)
    enlarged = _enlarge_chroma(ramp.astype(np.uint8), (height, width), scale, (height * scale, width * scale), 8)
    assert enlarged.shape == (height * scale // 2, width * scale // 2)
    j, i = np.mgrid[: enlarged.shape[0], : enlarged.shape[1]].astype(float)
    expected = 3 * ((2 * i + 0.5) / scale - 0.5) + 2 * ((2 * j + 1) / scale - 0.5)
    inner = (slice(2 * scale, -2 * scale),) * 2
    assert np.abs(enlarged[inner] - expected[inner]).max() < 1.1


@pytest.mark.parametrize("drafts", [MOTION, RECURRENT], ids=["motion", "recurrent"])
def test_parts_are_what_an_unsplit_run_makes(tmp_path, monkeypatch, drafts):
    """Borders of parts leave no trace: not in a shot, at a cut, nor beside one; nor in a block of recurrent drafts."""
    monkeypatch.setattr(recurrent, "BLOCK", 4)
    monkeypatch.setattr(recurrent, "RUN_IN", 2)
    source = write(tmp_path / "in.mp4", scene(9) + scene(8, seed=1))
    assert plan_video(source).cuts == (9,)
    settings = {"drafts": drafts, "predict": lambda drafts: drafts[0] / 255}
    assert len(enlarged_in_parts(source, tmp_path, (1, 2, 5, 17, 20), **settings)) == 17


def test_drafts_may_be_made_in_blocks_of_a_shot(tmp_path, monkeypatch):
    """A kind of drafts that works on blocks of 4 frames, counted from the shot's start, with 2 frames to run in."""
    lengths = []

    def block(t, n):
        return max(t // 4 * 4 - 2, 0), min(t // 4 * 4 + 4, n)

    class Blocks:
        def __init__(self, spec, scale, degradation, lr, n):
            lengths.append(n)
            self.n, self.lr, self.scale, self.known = n, lr, scale, {}

        def __getitem__(self, t):
            if block(t, self.n) not in self.known:
                frames = [self.lr(i) for i in range(*block(t, self.n))]
                self.known = {block(t, self.n): np.mean(frames, axis=0).astype(np.uint8) + np.uint8(self.n)}
            return cv2.resize(self.known[block(t, self.n)], None, fx=self.scale, fy=self.scale)[None]

    monkeypatch.setattr("deepsr.video.enlarge.Drafts", Blocks)
    monkeypatch.setattr(
        "deepsr.video.enlarge.needed_frames", lambda spec, first, stop, n: (block(first, n)[0], block(stop - 1, n)[1])
    )
    source = write(tmp_path / "in.mp4", scene(11) + scene(6, seed=1))
    enlarged_in_parts(source, tmp_path, (1, 2, 5, 17))
    assert lengths[:2] == [11, 6] and set(lengths) == {11, 6}


def test_the_window_never_crosses_a_cut(tmp_path):
    """What is shown before a cut makes no difference after it."""
    last = scene(4, seed=2)
    results = []
    for seed in (0, 1):
        folder = tmp_path / str(seed)
        folder.mkdir()
        source = write(folder / "in.mp4", scene(6, seed=seed) + last)
        _, enlarged = enlarge(source, folder, drafts=MOTION, predict=lambda drafts: drafts[0] / 255)
        results.append([y for y, _, _ in decode(enlarged)])
    assert not np.array_equal(results[0][5], results[1][5])
    assert all(np.array_equal(a, b) for a, b in zip(results[0][6:], results[1][6:], strict=True))


def network(path, n_drafts, channels=8):
    """A small network with weights near the identity of the target."""
    rng = np.random.default_rng(0)
    shapes = [
        (11, n_drafts, channels, "tanh"),
        (1, channels, channels, "tanh"),
        (3, channels, 1, "tanh"),
        (25, 1, 1, "linear"),
    ]
    layers = []
    for i, (size, inputs, outputs, activation) in enumerate(shapes):
        kernel = rng.normal(0, 1e-3, (size, size, inputs, outputs)).astype(np.float32)
        kernel[size // 2, size // 2, -1, 0] += 0.5 if i < 3 else 8
        kind = "conv" if i < 3 else "deconv"
        layers.append((kind, kernel, np.zeros(outputs, np.float32), activation))
    return chain_file(path, layers)


def test_video_scores_what_evaluation_says(tmp_path):
    hr = [luma(frame) for frame in scene(7, 192, 256, step=2)]
    lr = [degrade(frame, 4, "bicubic") for frame in hr]
    predict = frame_predictor(network(tmp_path / "network.onnx", 2))
    drafts = Drafts(MOTION, 4, "bicubic", lambda i: lr[i], len(lr))
    direct = [np.rint(255 * predict(drafts[t])).astype(np.uint8) for t in range(len(lr))]
    source = write(tmp_path / "in.mp4", [cv2.cvtColor(frame, cv2.COLOR_GRAY2BGR) for frame in lr])
    _, enlarged = enlarge(source, tmp_path, scale=4, drafts=MOTION, predict=predict)
    shown = [np.rint((y.astype(float) - 16) * 255 / 219).clip(0, 255).astype(np.uint8) for y, _, _ in decode(enlarged)]
    for truth, one, other in zip(hr, direct, shown, strict=True):
        assert psnr(truth / 255, other / 255) == pytest.approx(psnr(truth / 255, one / 255), abs=0.05)


MEMORY = """
import re, sys
from deepsr.video.enlarge import upscale_part
from deepsr.video.examine import plan_video
from deepsr.video.join import join_parts
from deepsr.video.plan import read_plan, write_plan
from deepsr.networks.inference import frame_predictor
source, network, output = sys.argv[1:]
write_plan(plan_video(source), output + ".json")
plan = read_plan(output + ".json")
upscale_part(source, plan, 0, 1, output, scale=2, degradation="cv2", drafts={"kind": "bicubic"},
             predict=frame_predictor(network), preset="ultrafast")
join_parts(source, plan, [output], output + ".joined.mp4")
print(plan.frames, re.search(r"VmHWM:\\s*(\\d+)", open("/proc/self/status").read())[1])  # ru_maxrss is the parent's too
"""


@pytest.mark.slow
def test_memory_does_not_grow_with_the_length(tmp_path):
    """10% are less than the frames that the longer video has more, even before they are enlarged."""
    net = network(tmp_path / "network.onnx", 1, channels=1)
    peaks = []
    for n in (30, 300):
        source = write(tmp_path / f"{n}.mp4", scene(10, 180, 320) * (n // 10), audio=["aac"])
        command = [sys.executable, "-c", MEMORY, source, net, tmp_path / f"{n}_x2.mp4"]
        told = subprocess.run(command, check=True, capture_output=True, text=True, cwd=ROOT).stdout.split()
        assert told[0] == str(n)
        peaks.append(int(told[1]))
    assert 0.1 * peaks[0] < 270 * 180 * 320 * 1.5 / 1024
    assert peaks[1] < 1.1 * peaks[0], peaks


def test_too_large_is_refused_before_any_work(tmp_path):
    source = write(tmp_path / "in.mp4", scene(2, 1200, 1920), codec="mpeg4")
    assert "1920x1200 at scale 4 exceeds 35.7 million pixels" in refusal(source, scale=4)


def test_oracle_drafts_are_refused(tmp_path):
    source = write(tmp_path / "in.mp4", scene(3))
    message = refusal(source, drafts={"kind": "gaussian", "sigmas": [1.5], "kernel": 5})
    assert "ground truth" in message


def test_a_video_that_lost_frames_since_it_was_planned_is_refused(tmp_path):
    plan = plan_video(write(tmp_path / "in.mp4", scene(9)))
    source = write(tmp_path / "in.mp4", scene(5))
    with pytest.raises(InputError, match="fewer frames than when it was planned"):
        upscale_part(source, plan, 1, 2, tmp_path / "x.mp4", scale=2, degradation="bicubic", drafts=SINGLE, predict=bicubic)


def photograph(path, image, orientation):
    """A JPEG file of a BGR image that is to be turned as EXIF's `orientation` says."""
    exif = Image.Exif()
    exif[0x0112] = orientation
    Image.fromarray(image[..., ::-1]).save(path, exif=exif, quality=95, subsampling=0)


def test_frames_of_a_folder_are_turned_as_their_exif_data_say(tmp_path):
    folder = tmp_path / "in"
    folder.mkdir()
    image = scene(1, 48, 64)[0]
    for i in range(3):
        photograph(folder / f"{i}.jpg", np.rot90(image), 6)  # 6: to be turned by a quarter, clockwise
    _, enlarged = enlarge(folder, tmp_path)
    assert probe(enlarged, "width", "height") == [128, 96]
    expected = 16 + upscale(luma(image), 2, "bicubic") * (219 / 255)
    assert np.abs(decode(enlarged)[0][0] - expected).mean() < 2
    photograph(folder / "1.jpg", np.rot90(image), 1)
    assert "changes from 64x48 to 48x64 at frame 1" in refusal(folder)


def test_a_still_image_too_large_is_refused_by_its_size_as_shown(tmp_path):
    settings = {"scale": 4, "degradation": "bicubic", "drafts": SINGLE, "predict": bicubic}
    for orientation, size in ((1, "3000x1000"), (6, "1000x3000")):
        photograph(tmp_path / "in.jpg", np.zeros((1000, 3000, 3), np.uint8), orientation)
        with pytest.raises(InputError, match=f"in.jpg: {size} at scale 4 exceeds"):
            upscale_image(tmp_path / "in.jpg", tmp_path / "out.png", **settings)


def test_still_image(tmp_path):
    image = scene(1, 33, 41)[0]
    cv2.imwrite(str(tmp_path / "in.png"), np.dstack([image, np.full(image.shape[:2], 200, np.uint8)]))
    settings = {"scale": 3, "degradation": "bicubic", "drafts": MOTION, "predict": bicubic}
    upscale_image(tmp_path / "in.png", tmp_path / "out.png", **settings)
    enlarged = cv2.imread(str(tmp_path / "out.png"), cv2.IMREAD_UNCHANGED)
    assert enlarged.shape == (99, 123, 3)
    assert np.abs(enlarged.astype(int) - upscale(image, 3, "bicubic")).mean() < 2
    (tmp_path / "notes.png").write_text("Dear diary")
    for name in ("notes.png", "missing.png"):
        with pytest.raises(InputError, match=name):
            upscale_image(tmp_path / name, tmp_path / "x.png", **settings)
    with pytest.raises(InputError, match="ground truth"):
        oracle = {"kind": "gaussian", "sigmas": [1.5], "kernel": 5}
        upscale_image(tmp_path / "in.png", tmp_path / "x.png", **{**settings, "drafts": oracle})


def test_progress_is_reported(tmp_path, monkeypatch, caplog):
    monkeypatch.setattr("deepsr.progress.LOG_EVERY", 0)
    caplog.set_level(logging.INFO)
    enlarge(write(tmp_path / "holiday.mp4", scene(6)), tmp_path, parts=2)
    assert "holiday.mp4: 100% 6/6" in caplog.text and "frame/s" in caplog.text
