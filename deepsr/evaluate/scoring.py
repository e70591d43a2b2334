"""Scores of a clip's enlarged frames against the ground truth."""

import logging
import time
from pathlib import Path

import numpy as np
import pandas as pd

from deepsr.data.degradation import lanczos, upscale
from deepsr.data.frames import luma
from deepsr.errors import InputError
from deepsr.evaluate.examples import PICTURES, add_to_slices, choose_examples
from deepsr.evaluate.metrics import COLOR_SPACES, METHODS, METRICS, chroma, in_color_space, to_bgr
from deepsr.files import atomic
from deepsr.progress import progress

SAVE_EVERY = 60  # seconds between two checkpoints
log = logging.getLogger("deepsr")


def pictures_of(hr, lr, predicted, scale, degradation):
    """The pictures of a frame, uint8 (H, W, 3) BGR, by name: hr, bicubic, deepsr, lanczos, and lr, (H/scale, W/scale, 3).

    hr, lr: these pictures; predicted: the network's luma, float32 (H, W) in [0, 1]. The picture deepsr has the colour of the
    bicubic enlargement, as is usual for networks that enlarge luma.
    """
    bicubic = upscale(lr, scale, degradation)
    deepsr = to_bgr(predicted, chroma(bicubic))
    return {"hr": hr, "lr": lr, "bicubic": bicubic, "deepsr": deepsr, "lanczos": lanczos(lr, scale, degradation)}


def score_frame(pictures, predicted, color_space, border):
    """Scores of a frame by all metrics but the temporal ones: {"psnr_bicubic": dB, ..., "ssim_deepsr_rgb": ...}.

    pictures: from `pictures_of`; predicted: the network's luma, not rounded as in its picture. Scores without a colour space
    in their name are in `color_space`. `border` pixels at each side do not count.
    """
    lumas = {method: luma(pictures[method]) / 255.0 for method in METHODS} | {"deepsr": predicted}
    scores = {}
    for space in COLOR_SPACES:
        truth = in_color_space(luma(pictures["hr"]) / 255.0, pictures["hr"], space)
        for method in METHODS:
            if method == "lanczos" and space != color_space:
                continue
            shown = in_color_space(lumas[method], pictures[method], space)
            for name, metric in METRICS.items():
                if metric.temporal:
                    continue
                value = metric.function(shown, truth, border)
                scores[f"{name}_{method}_{space}"] = value
                if space == color_space:
                    scores[f"{name}_{method}"] = value
    return scores


def score_motion(pictures, before):
    """Scores of a frame by the temporal metrics: {"tof_bicubic": pixels, ...}. All are NaN if there is no frame before it.

    pictures, before: from `pictures_of`, for this frame and for the one before it, or None.
    """
    return {
        f"{name}_{method}": metric.function(pictures[method], pictures["hr"], before[method], before["hr"])
        if before
        else float("nan")
        for name, metric in METRICS.items()
        if metric.temporal
        for method in ("bicubic", "deepsr")
    }


def score_clip(clip, drafts, predict, settings, checkpoint, made_from):
    """Scores of a clip's frames, and pictures of it.

    clip: deepsr.data.sequence.Sequence; drafts[i]: the network's input for frame i; predict(drafts) -> the network's luma,
    float32 (H, W) in [0, 1]; settings: scale, degradation, color_space, border, skip_frames (how many are left out at each
    end), and temporal (whether the temporal metrics are wanted).
    checkpoint: path of an npz file that is written now and then. A scoring that was killed goes on from it, to the same
    result. The caller deletes it when the result is written. made_from: text that names all that the scores depend on; a
    checkpoint with another text is not used.
    Returns a DataFrame with `frame`, the scores and `example` ("", "best", "worst" or "best worst"), a row for each frame,
    and the pictures {name in examples.EXAMPLES: uint8 BGR}. Raises InputError if border or skip_frames leave nothing.
    """
    border, skipped, temporal = settings["border"], settings["skip_frames"], settings["temporal"]
    if 2 * border >= min(clip.height, clip.width):
        raise InputError(f"config: evaluation.border: {border} leaves nothing of {clip.width}x{clip.height} frames.")
    frames = range(skipped, len(clip) - skipped)
    if not frames:
        raise InputError(f"config: evaluation.skip_frames: {skipped} at each end leave nothing of {len(clip)} frames.")

    def enlarge(frame):
        predicted, lr = predict(drafts[frame]), clip.lr(frame)
        return predicted, pictures_of(clip.hr(frame), lr, predicted, settings["scale"], settings["degradation"])

    rows, examples = _resume(checkpoint, made_from)
    gains = [row["psnr_deepsr"] - row["psnr_bicubic"] for row in rows]
    before = enlarge(frames[len(rows) - 1])[1] if rows and temporal else None  # a checkpoint does not hold it
    saved = time.monotonic()
    for frame in progress(frames[len(rows) :], desc="frames", unit="frame", initial=len(rows), total=len(frames)):
        predicted, pictures = enlarge(frame)
        scores = score_frame(pictures, predicted, settings["color_space"], border)
        rows.append(scores | (score_motion(pictures, before) if temporal else {}))
        before = pictures
        gains.append(scores["psnr_deepsr"] - scores["psnr_bicubic"])
        for which, number in choose_examples(gains).items():
            if number == len(gains) - 1:
                examples |= {f"{which}_{picture}.png": pictures[picture] for picture in PICTURES}
        add_to_slices(examples, pictures)
        if time.monotonic() - saved >= SAVE_EVERY:
            _save(checkpoint, made_from, rows, examples)
            saved = time.monotonic()
    table = pd.DataFrame({"frame": frames}).join(pd.DataFrame(rows))
    chosen = choose_examples(gains)
    table["example"] = [" ".join(which for which in chosen if chosen[which] == i) for i in range(len(rows))]
    return table, examples


def _save(path, made_from, rows, pictures):
    scores = [list(row.values()) for row in rows]
    with atomic(path) as part:
        np.savez(part, made_from=made_from, names=list(rows[0]), scores=scores, **pictures)


def _resume(path, made_from):
    """The scores of the first frames in a checkpoint, and the pictures so far; both empty if it cannot be used."""
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
