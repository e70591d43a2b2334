"""What enlarging a whole video will take, in words. Previews measure it, and the planning of a run tells it."""

import json
from pathlib import Path

from deepsr.cpus import cpus
from deepsr.errors import InputError
from deepsr.progress import in_minutes
from deepsr.video.plan import read_plan

FACTS = {"seconds_per_frame", "bytes", "pixels", "threads"}


def planned_estimate(folder, name, scale, parts):
    """What enlarging the video `name` will take, a sentence, from the previews in `folder` (results/videos).

    Without a preview of this video, the time is judged by that of another video and the size of its frames, and the size on
    disk is unknown.
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
    larger = plan.width * plan.height * scale**2 / facts["pixels"]  # than the frames that were measured
    # Bits grow less than pixels, by a rule of thumb. A PAL clip at x2, judged by a preview at x4: 17.5 MB, really 18.3 MB.
    size = own["bytes"] * larger**0.75 if own else None
    told = f"{name}: " + sentence(plan.frames, facts["seconds_per_frame"] * larger, size, parts, facts["threads"])
    return f"{told}." if own else f"{told}, judging by another video; {ask}."


def sentence(frames, seconds_per_frame, size, parts, threads):
    """What enlarging a whole video will take, a sentence without its full stop.

    seconds_per_frame: in a job of `threads` threads. As many jobs work at a time as this machine has CPUs for, but at most
    one for each part. size: bytes, or None if it is not known.
    """
    at_once = min(parts, frames, max(1, cpus() // threads))
    disk = "" if size is None else f" and {size / 1e6:.3g} MB on disk, without sound"
    seconds = frames * seconds_per_frame / at_once
    duration = in_minutes(seconds) if seconds >= 90 else f"{max(1, round(seconds))} s"
    return f"{frames} frames will take about {duration} on this machine (--cores {at_once * threads}){disk}"


def _read(path):
    """The facts in a file that deepsr.video.preview wrote, or None if it is not there or damaged."""
    try:
        facts = json.loads(path.read_text(encoding="utf-8"))
        return facts if set(facts) == FACTS else None
    except (OSError, ValueError, TypeError):
        return None
