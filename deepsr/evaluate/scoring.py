"""Scores of a clip's enlarged frames against the ground truth."""

import logging
import time
from pathlib import Path

import numpy as np
import pandas as pd

from deepsr.data.degradation import lanczos, upscale
from deepsr.data.frames import luma
from deepsr.errors import InputError
from deepsr.evaluate.examples import PICTURES, choose_examples
from deepsr.evaluate.metrics import COLOR_SPACES, METRICS, chroma, in_color_space, to_bgr
from deepsr.files import atomic
from deepsr.progress import progress

SAVE_EVERY = 60  # seconds between two checkpoints
log = logging.getLogger("deepsr")


def score_frame(hr, lr, predicted, scale, degradation, color_space, border):
    """Scores of one frame and its pictures.

    hr, lr: uint8 BGR, (H, W, 3) and (H/scale, W/scale, 3); predicted: the network's luma, float32 (H, W) in [0, 1].
    Its colour comes from the bicubic enlargement, as networks for luma are used.
    Returns ({"psnr_bicubic": dB, ..., "ssim_deepsr_rgb": ...}, {"bicubic": uint8 BGR, "deepsr": uint8 BGR}). Unmarked
    scores are in `color_space`; all are taken `border` pixels inside the frame.
    """
    bicubic, sharper = upscale(lr, scale, degradation), lanczos(lr, scale, degradation)
    pictures = {"bicubic": bicubic, "deepsr": to_bgr(predicted, chroma(bicubic)), "lanczos": sharper}
    lumas = {"bicubic": luma(bicubic) / 255.0, "deepsr": predicted, "lanczos": luma(sharper) / 255.0}
    scores = {}
    for space in COLOR_SPACES:
        truth = in_color_space(luma(hr) / 255.0, hr, space)
        for method, picture in pictures.items():
            if method == "lanczos" and space != color_space:
                continue
            shown = in_color_space(lumas[method], picture, space)
            for name, metric in METRICS.items():
                value = metric.function(shown, truth, border)
                scores[f"{name}_{method}_{space}"] = value
                if space == color_space:
                    scores[f"{name}_{method}"] = value
    return scores, {"bicubic": bicubic, "deepsr": pictures["deepsr"]}


def score_clip(clip, drafts, predict, settings, checkpoint, made_from):
    """Scores of all frames of a clip, and the pictures of its examples.

    clip: deepsr.data.sequence.Sequence; drafts[i]: the network's input for frame i; predict(drafts) -> the network's luma,
    float32 (H, W) in [0, 1]; settings: what else `score_frame` takes, by name.
    checkpoint: path of an npz file that is written now and then, from which a scoring that was killed goes on, to the same
    result; deleting it is for the caller, once the result is written. made_from: text that tells all that the scores depend
    on; a checkpoint that was made from anything else is not used.
    Returns (DataFrame with `frame`, the scores and `example` ("", "best", "worst" or "best worst"), a row per frame;
    {name in examples.EXAMPLES: uint8 BGR}). Raises InputError if the border leaves nothing of the frames.
    """
    if 2 * settings["border"] >= min(clip.height, clip.width):
        raise InputError(
            f"config: evaluation.border: {settings['border']} leaves nothing of {clip.width}x{clip.height} frames."
        )
    rows, pictures = _resume(checkpoint, made_from)
    gains = np.full(len(clip), np.nan)
    gains[: len(rows)] = [row["psnr_deepsr"] - row["psnr_bicubic"] for row in rows]
    saved = time.monotonic()
    for i in progress(range(len(rows), len(clip)), desc="frames", unit="frame", initial=len(rows), total=len(clip)):
        hr, lr = clip.hr(i), clip.lr(i)
        scores, enlarged = score_frame(hr, lr, predict(drafts[i]), **settings)
        rows.append(scores)
        gains[i] = scores["psnr_deepsr"] - scores["psnr_bicubic"]
        frame = {"hr": hr, "lr": lr, **enlarged}
        for which, example in choose_examples(gains[: i + 1]).items():
            if example == i:
                pictures |= {f"{which}_{picture}.png": frame[picture] for picture in PICTURES}
        if time.monotonic() - saved >= SAVE_EVERY:
            _save(checkpoint, made_from, rows, pictures)
            saved = time.monotonic()
    table = pd.DataFrame({"frame": range(len(rows))}).join(pd.DataFrame(rows))
    chosen = choose_examples(gains)
    table["example"] = [" ".join(which for which in chosen if chosen[which] == i) for i in table["frame"]]
    return table, pictures


def _save(path, made_from, rows, pictures):
    with atomic(path) as part, open(part, "wb") as file:
        scores = [list(row.values()) for row in rows]
        np.savez(file, made_from=made_from, names=list(rows[0]), scores=scores, **pictures)


def _resume(path, made_from):
    """(scores of the first frames, pictures of the examples among them) in a checkpoint, none if it cannot be used."""
    if not Path(path).exists():
        return [], {}
    try:
        with np.load(path) as file:
            saved = dict(file)
        if str(saved.pop("made_from")) != made_from:
            raise ValueError("other settings, frames, network or code")
        names = saved.pop("names").tolist()
        rows = [dict(zip(names, row, strict=True)) for row in saved.pop("scores").tolist()]
    except Exception as error:  # a damaged file can fail in any way that zipfile and numpy know
        log.warning("%s: the checkpoint cannot be used (%s); scoring begins anew.", path, error)
        return [], {}
    log.info("%s: scoring continues at frame %d", path, len(rows))
    return rows, saved
