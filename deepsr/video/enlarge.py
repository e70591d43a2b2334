"""Enlarging the frames of a part of a video, and still images.

Luma goes through the network; Cb and Cr are enlarged by cubic interpolation.
"""

from bisect import bisect_left
from contextlib import ExitStack
from pathlib import Path

import cv2
import numpy as np

from deepsr.data.degradation import interpolate, upscale
from deepsr.drafts.ensemble import Drafts, needed_frames
from deepsr.errors import InputError
from deepsr.files import atomic
from deepsr.video.decode import planes, read_frames, read_image
from deepsr.video.encode import enlarged_size, picture_writer, video_writer
from deepsr.video.progress import video_progress


def upscale_part(source, plan, part, parts, output, *, scale, degradation, drafts, predict, **encoding):
    """Write one of `parts` shares of a video (see deepsr.video.plan.Plan.part), enlarged, to the file `output`.

    output: an mp4 file, or a zip file of PNG images; an empty file if the share has no frames. encoding: codec, crf and
    preset, as in deepsr.video.encode.video_writer. The other arguments: see `enlarged_frames`.
    Drafts are also made from frames of other shares, but never from frames beyond a cut. With scale 3, the last row or
    column of an odd side is dropped, since 4:2:0 video has even sides.
    Raises InputError for oracle drafts, for frames that are too large, and if the video has fewer frames than were planned.
    """
    size = enlarged_size(source, plan.width, plan.height, scale)
    numbers = plan.part(part, parts)
    if not numbers:
        with atomic(output) as file:
            file.touch()
        return
    settings = {"scale": scale, "degradation": degradation, "drafts": drafts}
    lengths = [len(plan.part(each, parts)) for each in range(parts)]
    step = video_progress(output, part, lengths, Path(source).name, [plan.sha256, settings, encoding])
    with atomic(output) as file, step as step, ExitStack() as stack:
        if Path(output).suffix == ".zip":
            write = stack.enter_context(picture_writer(file, plan, size))
        else:
            write = stack.enter_context(video_writer(file, plan, size, scale, **encoding))
        for frame in enlarged_frames(source, plan, numbers, predict=predict, **settings):
            write(*frame)
            step()


def enlarged_frames(source, plan, numbers, *, scale, degradation, drafts, predict):
    """Yield (number, Y, Cb, Cr) of the enlarged frames `numbers` in increasing order, as 4:2:0 planes in the plan's range.

    source: path; plan: deepsr.video.plan.Plan; degradation, drafts: settings, see deepsr.data.degradation.degrade and
    deepsr.drafts.ensemble.Drafts; predict: function from drafts, uint8 (D, H, W), full range, to the frame's luma, float
    (H, W) in 0..1. The planes are uint8, or uint16 if the plan has more than 8 bits. Errors: see `upscale_part`.
    """
    width, height = enlarged_size(source, plan.width, plan.height, scale)
    frames, numbers = _Frames(source, plan), sorted(numbers)
    for start, stop in plan.shots():
        wanted = numbers[bisect_left(numbers, start) : bisect_left(numbers, stop)]
        shot = Drafts(drafts, scale, degradation, lambda t, start=start: frames.luma(start + t), stop - start)
        for number in wanted:
            frames.forget(start + needed_frames(drafts, number - start, number - start + 1, stop - start)[0])
            luma = predict(shot[number - start])
            if plan.bits > 8:
                luma = luma + interpolate(frames.rounded_off(number), scale, "bicubic") / 255
            luma = _video_range(luma, plan)[:height, :width]
            y, *chroma = frames[number]
            yield number, luma, *(_enlarge_chroma(plane, y.shape, scale, luma.shape, plan.bits) for plane in chroma)


def upscale_image(source, output, *, scale, degradation, drafts, predict):
    """Enlarge a still image, as a video of one frame, and write it to the PNG file `output`, 8 bits, without transparency.

    Arguments: see `enlarged_frames`. Raises InputError for oracle drafts, and if the source is no image or too large.
    """
    image = read_image(source)
    enlarged_size(source, image.shape[1], image.shape[0], scale)
    y, *chroma = cv2.split(cv2.cvtColor(image, cv2.COLOR_BGR2YCrCb))
    luma = predict(Drafts(drafts, scale, degradation, lambda t: y, 1)[0])
    enlarged = [np.rint(255 * np.clip(luma, 0, 1)).astype(np.uint8)] + [upscale(c, scale, degradation) for c in chroma]
    with atomic(output) as file:
        file.write_bytes(cv2.imencode(".png", cv2.cvtColor(cv2.merge(enlarged), cv2.COLOR_YCrCb2BGR))[1])


class _Frames:
    """Planes (Y, Cb, Cr) of a video's frames by number, decoded in order as they are asked for."""

    def __init__(self, source, plan):
        self._source, self._plan = source, plan
        self._first, self._decoded, self._held = 0, None, {}

    def __getitem__(self, number):
        if self._decoded is None:
            self._next = self._first
            self._decoded = read_frames(self._source, self._plan.images, self._plan.deinterlace, self._first)
        while self._next <= number:
            frame = next(self._decoded, None)
            if frame is None:
                raise InputError(
                    f"{self._source}: has fewer frames than when it was planned; run again so that it is planned anew."
                )
            if self._next >= self._first:
                self._held[self._next] = planes(frame, self._plan.full_range, self._plan.bits)
            self._next += 1
        return self._held[number]

    def luma(self, number):
        """Luma of a frame as the network takes it: full range, uint8. Values below black and above white are clipped."""
        return np.rint(self._exact_luma(number)).astype(np.uint8)

    def rounded_off(self, number):
        """What `luma` has lost by rounding to 8 bits, float32.

        It is enlarged and added to the network's output, which keeps the fine steps of 10-bit sources: on a smooth picture,
        68.9 dB instead of 59.5.
        """
        exact = self._exact_luma(number)
        return exact - np.rint(exact)

    def _exact_luma(self, number):
        low, span = luma_range(self._plan)
        return ((self[number][0].astype(np.float32) - low) * np.float32(255 / span)).clip(0, 255)

    def forget(self, first):
        """Free the frames before number `first`, which will not be asked for again."""
        self._first = first
        self._held = {number: frame for number, frame in self._held.items() if number >= first}


def _video_range(luma, plan):
    """The network's luma, float in 0..1, in the video's range: uint8, or uint16 if the plan has more than 8 bits."""
    low, span = luma_range(plan)
    return np.rint(low + span * np.clip(luma, 0, 1)).astype(np.uint8 if plan.bits == 8 else np.uint16)


def luma_range(plan):
    """(black, white minus black) of the luma samples."""
    return (0, (1 << plan.bits) - 1) if plan.full_range else (16 << (plan.bits - 8), 219 << (plan.bits - 8))


def _enlarge_chroma(plane, shape, scale, enlarged, bits):
    """Enlarge a chroma plane of a frame whose luma has `shape` to 4:2:0 chroma of one whose luma has the shape `enlarged`.

    Chroma samples lie on the left luma sample of a pair and halfway between two rows, as in MPEG-2 and its successors.
    """
    across, down = round(shape[1] / plane.shape[1]), round(shape[0] / plane.shape[0])
    # The pixel at x of the enlarged frame lies at (x + 0.5) / scale - 0.5 in the small one, and chroma sample i of the
    # enlarged frame at x = 2 i across and 2 i + 0.5 down.
    x = [2 / scale / across, 0, (0.5 / scale - 0.5) / across]
    y = [0, 2 / scale / down, (1 / scale - 0.5 - (down - 1) / 2) / down]
    size = enlarged[1] // 2, enlarged[0] // 2
    flags = cv2.INTER_CUBIC | cv2.WARP_INVERSE_MAP
    wide = cv2.warpAffine(plane, np.array([x, y]), size, flags=flags, borderMode=cv2.BORDER_REPLICATE)
    return np.minimum(wide, (1 << bits) - 1)  # OpenCV clips to the largest value of 8 or 16 bits only
