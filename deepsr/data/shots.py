"""Frames of a shot out of a video file."""

import cv2

from deepsr.errors import InputError


def read_shot(path, start, stop, step):
    """Yield frames start, start + step, ... <= stop of a video as uint8 (H, W, 3) BGR, one at a time."""
    capture = cv2.VideoCapture(str(path))
    for i in range(stop + 1):
        # Every frame is decoded: seeking is not exact in MPEG-2 program streams.
        decoded, frame = capture.read()
        if not decoded:
            raise InputError(f"{path}: ends before frame {stop}; delete it and run again to get it anew.")
        if i >= start and (i - start) % step == 0:
            yield frame
