"""Zoomed crops of a clip's examples, with error maps."""

import cv2
import numpy as np
from matplotlib.colors import Normalize
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from deepsr.data.frames import luma
from deepsr.evaluate.metrics import psnr
from deepsr.report import style


def plot_crops(title, oracle, examples, crop):
    """Zoomed crops of a clip's best and worst frame with error maps.

    examples: from deepsr.evaluate.examples.read_examples; crop: side in HR pixels.
    """
    figure = Figure(figsize=(7.6, 7.2), layout="constrained", facecolor=style.TINT if oracle else "white")
    figure.suptitle(f"{title}: {style.ORACLE}" if oracle else title, weight="bold", x=0.01, ha="left")
    for part, (which, example) in zip(figure.subfigures(2, 1), examples.items(), strict=True):
        _plot_example(part, which, example, crop)
    return figure


def _plot_example(part, which, example, crop):
    hr, bicubic, deepsr = example["hr"], example["bicubic"], example["deepsr"]
    top, left, height, width = crop_window(hr, bicubic, deepsr, crop, worst=which == "worst")
    window = np.s_[top : top + height, left : left + width]
    gain = example["psnr_deepsr"] - example["psnr_bicubic"]
    part.set_facecolor("none")
    part.suptitle(
        f"Frame {example['frame']}, {'largest' if which == 'best' else 'least'} gain of the clip: "
        f"bicubic {example['psnr_bicubic']:.2f} dB, DeepSR {example['psnr_deepsr']:.2f} dB ({gain:+.2f})",
        x=0.01,
        ha="left",
        fontsize=9,
    )
    grid = part.add_gridspec(2, 4, width_ratios=[1.5, 1, 1, 1])

    def show(place, title, picture, note="", **kwargs):
        axes = part.add_subplot(place)
        shown = axes.imshow(picture if picture.ndim == 2 else picture[..., ::-1], interpolation="nearest", **kwargs)
        axes.set_title(title, loc="center")
        axes.set_xlabel(note)
        axes.set_xticks([])
        axes.set_yticks([])
        axes.spines[:].set_visible(False)
        return axes, shown

    axes, _ = show(grid[0, 0], "whole frame", hr)
    for color, line in (("black", 3), ("white", 1.2)):
        axes.add_patch(Rectangle((left, top), width, height, fill=False, color=color, linewidth=line))
    scale = hr.shape[0] // example["lr"].shape[0]
    small = example["lr"][top // scale : -(-(top + height) // scale), left // scale : -(-(left + width) // scale)]
    show(grid[1, 0], "LR, pixel by pixel", small)
    show(grid[0, 1], "HR (ground truth)", hr[window])
    truth = luma(hr[window]).astype(float)
    errors = {name: luma(p[window]).astype(float) - truth for name, p in (("bicubic", bicubic), ("DeepSR", deepsr))}
    limit = max(1.0, *(float(np.percentile(np.abs(error), 99.5)) for error in errors.values()))
    for column, (name, picture) in enumerate((("bicubic", bicubic), ("DeepSR", deepsr)), 2):
        value = psnr(luma(picture[window]) / 255.0, truth / 255.0, 0)
        show(grid[0, column], name, picture[window], f"{value:.2f} dB of Y here")
        axes, shown = show(grid[1, column], f"error of {name}", np.abs(errors[name]), cmap="magma", norm=Normalize(0, limit))
    space = part.add_subplot(grid[1, 1])
    space.axis("off")
    bar = part.colorbar(shown, cax=space.inset_axes([0.55, 0.05, 0.12, 0.9]))
    bar.ax.yaxis.set_ticks_position("left")
    bar.ax.yaxis.set_label_position("left")
    bar.set_label("absolute error of Y\nin grey levels")


def crop_window(hr, bicubic, deepsr, crop, worst=False):
    """The window of crop x crop pixels where DeepSR gains most over bicubic in PSNR of Y, or least if `worst`.

    Only the half of the windows with the largest errors of bicubic counts, since in flat areas a large ratio means nothing.
    hr, bicubic, deepsr: uint8 (H, W, 3) BGR. Returns (top, left, height, width); the window is smaller if the frame is.
    """
    height, width = min(crop, hr.shape[0]), min(crop, hr.shape[1])
    truth = luma(hr).astype(np.float64)
    errors = []
    for picture in (bicubic, deepsr):
        mean = cv2.boxFilter((luma(picture) - truth) ** 2, -1, (width, height), anchor=(0, 0))
        errors.append(mean[: hr.shape[0] - height + 1, : hr.shape[1] - width + 1])
    gain = np.log((errors[0] + 1e-6) / (errors[1] + 1e-6))  # without an error in either it is 0
    gain[errors[0] < np.median(errors[0])] = np.inf if worst else -np.inf
    top, left = np.unravel_index(gain.argmin() if worst else gain.argmax(), gain.shape)
    return int(top), int(left), height, width
