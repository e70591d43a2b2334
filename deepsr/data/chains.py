"""How the LR frames of a clip are made: by a chain of degradations (deepsr.data.degradation).

In the config a chain is the name of the step that makes frames small, such as "bicubic", or a list of this name and further
steps, such as ["bicubic", {"noise": 5}, {"codec": "h264", "crf": 28}]. A number may be a range [low, high]: each training
clip draws a number from it, and test clips take its middle.
"""

import random
import re

from deepsr.data.degradation import DEGRADATIONS, SHRINKING
from deepsr.errors import InputError


def shrinking(chain):
    """The name of the step that makes frames small."""
    return chain if isinstance(chain, str) else chain[0]


def steps_after(chain):
    """The steps after the shrinking one, a list of dicts."""
    return [] if isinstance(chain, str) else chain[1:]


def check_chain(chain, key):
    """The chain; a list that holds nothing but a name becomes this name. Raises InputError that names the config's `key`."""
    first, *others = [chain] if isinstance(chain, str) else chain
    if first not in SHRINKING:
        raise InputError(f"config: {key} is {first!r}; it must be one of {', '.join(SHRINKING)}, or a list that begins so.")
    for step in others:
        if not isinstance(step, dict) or len(names := [name for name in step if name in DEGRADATIONS]) != 1:
            raise InputError(
                f"config: {key}: {step!r} is no step; write for instance {{noise: 5}} or {{codec: h264, crf: 28}}."
            )
        needed, optional = DEGRADATIONS[names[0]].keys(step)
        given = set(step) - {names[0]}
        if wrong := (set(needed) - given) | (given - {*needed, *optional}):
            known = " and ".join([*needed, *(f"{name} (if wanted)" for name in optional)]) or "no other key"
            wrong = ", ".join(sorted(wrong))
            raise InputError(f"config: {key}: the step {text([step])} takes {known}; add or remove {wrong}.")
        for name, value in step.items():
            if isinstance(value, list) and value[0] > value[1]:
                raise InputError(f"config: {key}: {name} is {value}; the lower end of a range stands first.")
    return chain if others else first


def text(chain):
    """The chain in words, for tables: "bicubic + noise 5 + codec h264 crf 28"."""
    steps = [chain] if isinstance(chain, str) else chain
    return " + ".join(step if isinstance(step, str) else " ".join(map(_words, step.items())) for step in steps)


def _words(setting):
    name, value = setting
    return f"{name} {value[0]} to {value[1]}" if isinstance(value, list) else f"{name} {value}"


def file_name(chain):
    """The chain in words that are safe in a path."""
    return re.sub(r"[^\w.]+", "-", text(chain)).replace(".", "_")


def draw(chain, seed):
    """The chain with a number drawn from each range, the ends included; `seed`: text."""
    chance = random.Random(seed)
    return _without_ranges(
        chain, lambda low, high: chance.randint(low, high) if _whole(low, high) else round(chance.uniform(low, high), 2)
    )


def middle(chain):
    """The chain with the middle of each range, rounded down if its ends are whole."""
    return _without_ranges(chain, lambda low, high: (low + high) // 2 if _whole(low, high) else (low + high) / 2)


def _without_ranges(chain, choose):
    """The chain with choose(low, high) in the place of each range."""
    if isinstance(chain, str):
        return chain
    after = [{k: choose(*v) if isinstance(v, list) else v for k, v in step.items()} for step in steps_after(chain)]
    return [shrinking(chain), *after]


def _whole(*numbers):
    return all(isinstance(number, int) for number in numbers)


def degraded(frames, chain, seed):
    """Apply the steps after the shrinking one to the LR frames of a whole clip, and yield the frames.

    frames: the LR frames that the shrinking step has made, an iterable of uint8 (h, w, 3) BGR; chain: without ranges; seed:
    list of integers.
    """
    for number, step in enumerate(steps_after(chain)):
        (name,) = (name for name in step if name in DEGRADATIONS)
        frames = DEGRADATIONS[name].apply(frames, step, [*seed, number])
    yield from frames
