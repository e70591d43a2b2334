"""A video that shows bicubic enlargement and the enlarged video side by side."""

from dataclasses import replace
from itertools import islice
from pathlib import Path

import cv2
import numpy as np

from deepsr.data.degradation import upscale
from deepsr.errors import InputError
from deepsr.files import atomic
from deepsr.progress import progress
from deepsr.video.decode import count_frames, planes, read_frames
from deepsr.video.encode import enlarged_size, video_writer


def compare_video(source, plan, enlarged, output, *, scale, degradation, numbers=None, crf=18, preset="medium"):
    """Write the mp4 file `output`: bicubic on the left, the enlarged video on the right of a line moving to and fro.

    enlarged: path of the enlarged video, from `join_parts`. numbers: range of the frames that it holds, all if None.
    degradation: the bicubic enlargement that belongs to it is shown (see deepsr.data.degradation.upscale).
    The result has 8 bits, H.264, and no sound; a turned or mirrored video is shown upright.
    Raises InputError if the enlarged video lacks frames.
    """
    size = enlarged_size(source, plan.width, plan.height, scale)
    numbers = range(plan.frames) if numbers is None else numbers
    shown = replace(plan, matrix=None, bits=8, pts=plan.pts[numbers.start : numbers.stop])
    if is_transposed(plan.matrix):
        size, shown = size[::-1], replace(shown, aspect=plan.aspect and 1 / plan.aspect)
    if (held := count_frames(enlarged)) != shown.frames:
        raise InputError(f"{enlarged}: holds {held} of {shown.frames} frames; delete it and run again.")
    sources = islice(read_frames(source, plan.images, plan.deinterlace, numbers.start), shown.frames)
    pairs = progress(zip(sources, read_frames(enlarged), strict=True), shown.frames, f"compare {Path(source).name}", "frame")
    with atomic(output) as file, video_writer(file, shown, size, scale, crf=crf, preset=preset) as write:
        for i, (small, large) in enumerate(pairs):
            bicubic = upscale(planes(small, plan.full_range)[0], scale, degradation)[: large.height, : large.width]
            bicubic, y, u, v = (upright(plane, plan.matrix) for plane in (bicubic, *planes(large, plan.full_range)))
            time = float((shown.pts[i] - shown.pts[0]) * plan.time_base)
            write(i, _split(bicubic, y, 0.5 + 0.35 * np.sin(2 * np.pi * time / 8)), u, v)


def is_transposed(matrix):
    """Whether a display matrix makes rows columns. A point (x, y) is shown at (x m0 + y m3, x m1 + y m4)."""
    return matrix is not None and abs(matrix[1]) > abs(matrix[0])


def upright(plane, matrix):
    """A plane or picture as it is to be shown: turned by quarters and mirrored. Other angles are ignored."""
    if matrix is None:
        return plane
    across, down = matrix[0], matrix[4]
    if is_transposed(matrix):
        plane, across, down = np.swapaxes(plane, 0, 1), matrix[3], matrix[1]
    return plane[:: -1 if down < 0 else 1, :: -1 if across < 0 else 1]


def _split(left, right, share):
    """`left` up to this share of the width, then `right`, with their names and a thin line between: uint8 luma (H, W)."""
    line = round(share * right.shape[1])
    joined = np.hstack([named(left, "bicubic")[:, :line], named(right, "DeepSR", at_right=True)[:, line:]])
    joined[:, line - 1 : line + 1] = 235
    return joined


def named(picture, name, at_right=False):
    """A copy of a picture, uint8 (H, W) or (H, W, 3), with a name in its lower left corner, or in its lower right one."""
    picture = np.ascontiguousarray(picture).copy()
    height, width = picture.shape[:2]
    size, thickness = height / 900, max(1, height // 600)
    (across, down), _ = cv2.getTextSize(name, cv2.FONT_HERSHEY_SIMPLEX, size, thickness)
    x, y = (width - across - down if at_right else down, height - down)
    edge = max(1, height // 400)
    # Bright over four dark ones that are shifted: bolder letters in their place would stand further apart.
    for right, below, grey in ((-edge, 0, 16), (edge, 0, 16), (0, -edge, 16), (0, edge, 16), (0, 0, 235)):
        place = x + right, y + below
        cv2.putText(picture, name, place, cv2.FONT_HERSHEY_SIMPLEX, size, (grey,) * 3, thickness, cv2.LINE_AA)
    return picture
