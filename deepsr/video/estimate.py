"""What enlarging a whole video will take, in words: known from previews, told while planning."""

import json
from pathlib import Path

from deepsr.cpus import cpus
from deepsr.errors import InputError
from deepsr.video.plan import read_plan

FACTS = {"seconds_per_frame", "bytes", "pixels", "threads"}


def planned_estimate(folder, name, scale, parts):
    """A sentence for a video that is to be enlarged, from what `folder` (results/videos) knows of it or of others.

    Without a preview of this video, the size on disk is unknown, and the time is judged by another one, by size of frames.
    """
    own = _read(Path(folder, f"previews/{name}.json"))
    others = [_read(path) for path in sorted(Path(folder, "previews").glob("*.json"))]
    facts = own or next(filter(None, others), None)
    try:
        plan = read_plan(Path(folder, f"{name}.json"))
    except InputError:
        plan = None
    ask = f"{folder}/{name}_preview.mp4 shows a few seconds and measures what the whole will take"
    if plan is None or facts is None:
        return f"{name}: how long it will take is not known yet; {ask}."
    seconds = facts["seconds_per_frame"] * plan.width * plan.height * scale**2 / facts["pixels"]
    told = f"{name}: " + sentence(plan.frames, seconds, own and own["bytes"], parts, facts["threads"])
    return told if own else f"{told[:-1]}, judging by another video; {ask}."


def sentence(frames, seconds_per_frame, size, parts, threads):
    """What enlarging a whole video will take.

    seconds_per_frame: in a job of `threads` threads, of which as many work at a time as this machine has room and the video
    has parts for. size: bytes, or None if it is not known.
    """
    at_once = min(parts, frames, max(1, cpus() // threads))
    disk = "" if size is None else f" and {size / 1e6:.3g} MB on disk"
    duration = _in_words(frames * seconds_per_frame / at_once)
    return f"{frames} frames will take about {duration} on this machine (--cores {at_once * threads}){disk}."


def _in_words(seconds):
    if seconds < 90:
        return f"{max(1, round(seconds))} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 90 else f"{minutes // 60} h {minutes % 60} min"


def _read(path):
    """The facts in a file of deepsr.video.preview, or None if it is not there or damaged."""
    try:
        facts = json.loads(path.read_text(encoding="utf-8"))
        return facts if set(facts) == FACTS else None
    except (OSError, ValueError, TypeError):
        return None
