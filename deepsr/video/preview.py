"""A few seconds of a video, enlarged as a trial, and a measurement of what the whole of it will take."""

import json
import tempfile
import time
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np

from deepsr.data.degradation import upscale
from deepsr.files import write_file
from deepsr.progress import progress
from deepsr.video.compare import compare_video, is_transposed, named, upright
from deepsr.video.decode import open_video, read_frames
from deepsr.video.encode import enlarged_size, video_writer
from deepsr.video.enlarge import enlarged_frames

PIECES, PIECE_FRAMES = 20, 8  # pieces spread over the video, and frames of each: they tell the size on disk
BICUBIC = {"kind": "bicubic"}  # the drafts of these pieces
KEYFRAMES = 250  # frames from one keyframe to the next, as the encoders do by default
WARM_UP = 3  # frames that are not timed


def preview_video(source, plan, output, picture, facts, *, scale, degradation, drafts, predict, threads, parts, **encoding):
    """Write a few seconds of a video at its busiest place, bicubic and enlarged side by side, and what the whole will take.

    output: mp4 file with a moving line between the two. picture: PNG file with both versions of the frame in the middle, as
    wide as a player shows them.
    facts: JSON file for deepsr.video.estimate: seconds_per_frame of this process, and its `threads`; bytes of the whole
    enlarged video in `parts` parts, without sound; pixels of an enlarged frame. Returns these four as a dict.
    The other arguments: see deepsr.video.enlarge.upscale_part.
    """
    size = enlarged_size(source, plan.width, plan.height, scale)
    shown = plan.busiest_frames()
    places = _places(plan.frames, shown)
    pieces = sorted({shown, *places}, key=lambda piece: piece.start)
    settings = {"scale": scale, "degradation": degradation}
    enlarged = enlarged_frames(source, plan, shown, drafts=drafts, predict=predict, **settings)
    # Only the shown frames go through the network, which would need many drafts for each of the other pieces.
    numbers = [number for piece in pieces for number in piece]
    bicubic = enlarged_frames(source, plan, numbers, drafts=BICUBIC, predict=lambda drafts: drafts[0] / 255, **settings)
    bar = progress(total=len(shown) + len(numbers), desc=f"preview of {Path(source).name}", unit="frame")
    with bar, tempfile.TemporaryDirectory() as folder:

        def encode(frames, piece, name):
            """Encode the next frames, which are the piece's. Returns the file, and the times before and after each frame."""
            file = Path(folder, f"{name}_{piece.start}.mp4")
            times = [time.perf_counter()]
            with video_writer(file, replace(plan, pts=plan.pts[piece.start :]), size, scale, **encoding) as write:
                for _ in piece:
                    number, *planes = next(frames)
                    write(number - piece.start, *planes)
                    times.append(time.perf_counter())
                    bar.update()
            return file, times

        file, times = encode(enlarged, shown, "enlarged")
        seconds = np.diff(times[WARM_UP if len(times) > 2 * WARM_UP else 0 :]).mean()
        file_of = {piece: encode(bicubic, piece, "bicubic")[0] for piece in pieces}  # in the order of `numbers`
        sizes = np.array([_sizes(file_of[place]) for place in places]) * _sizes(file) / _sizes(file_of[shown])
        measured = {"seconds_per_frame": seconds, "bytes": _bytes(sizes, plan, parts), "pixels": size[0] * size[1]}
        quality = {key: value for key, value in encoding.items() if key != "codec"}
        compare_video(source, plan, file, output, numbers=shown, **settings, **quality)
        _write_picture(source, plan, shown, file, picture, **settings)
    measured["threads"] = threads
    write_file(facts, json.dumps(measured))
    return measured


def _places(frames, shown):
    """Pieces (ranges of frame numbers) evenly spread over a video. `shown` takes the place of those that overlap with it."""
    n = min(PIECES, frames // (2 * PIECE_FRAMES)) or 1
    starts = [frames * (2 * i + 1) // (2 * n) for i in range(n)]
    pieces = [range(start, min(start + PIECE_FRAMES, frames)) for start in starts]
    return [shown if piece.start < shown.stop and piece.stop > shown.start else piece for piece in pieces]


def _sizes(file):
    """Mean size in bytes of a file's keyframes and of its other frames, NaN if it has none: float (2,)."""
    with open_video(file) as container:
        sizes = [(packet.size, packet.is_keyframe) for packet in container.demux(video=0) if packet.size]
    others = [size for size, key in sizes if not key]
    return np.array([np.mean([size for size, key in sizes if key]), np.mean(others) if others else np.nan])


def _bytes(sizes, plan, parts):
    """Size of a whole enlarged video, judging by `_sizes` of pieces of it, float (pieces, 2)."""
    if np.isnan(sizes[:, 1]).all():
        return round(plan.frames * sizes[:, 0].mean())
    key, other = np.nanmean(sizes, axis=0)
    n_keys = min(plan.frames, plan.frames / KEYFRAMES + len(plan.cuts) + parts)
    return round(n_keys * key + (plan.frames - n_keys) * other)


def _write_picture(source, plan, shown, enlarged, output, *, scale, degradation):
    """The middle frame in colour and as a player shows it, bicubic on the left and enlarged on the right."""
    middle = len(shown) // 2
    small = next(read_frames(source, plan.images, plan.deinterlace, shown.start + middle)).to_ndarray(format="bgr24")
    large = next(read_frames(enlarged, first=middle)).to_ndarray(format="bgr24")
    bicubic = upscale(small, scale, degradation)[: large.shape[0], : large.shape[1]]
    aspect = plan.aspect or 1
    stretch = float(1 / aspect if is_transposed(plan.matrix) else aspect)  # a pixel's width over its height
    shown = [cv2.resize(upright(picture, plan.matrix), None, fx=stretch, fy=1) for picture in (bicubic, large)]
    both = np.hstack([named(shown[0], "bicubic"), named(shown[1], "DeepSR", at_right=True)])
    write_file(output, cv2.imencode(".png", both)[1].tobytes())
