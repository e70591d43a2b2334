"""Time stamps of damaged, cut or joined recordings, put in order."""

from itertools import chain, pairwise


def increasing(stamps, step):
    """Yield a time for each of `stamps` so that times increase; stamps that are in order stay as they are.

    stamps: integers, None where one is missing; step: the usual distance of two.
    A missing stamp becomes the one before it plus `step`. A stamp that does not lie between its neighbours is moved halfway
    between them, or as near to that as possible. Where stamps go back by more than ten steps, one recording ends and another
    begins: all stamps from there on are shifted so that the second one follows the first.
    """
    shift, before, least = 0, None, max(1, step // 10)
    for stamp, following in pairwise(chain(_filled(stamps, step), [None])):
        if before is not None:
            if stamp + shift < before - 10 * step:
                shift = before + step - stamp
            stamp += shift
            if following is None:
                stamp = stamp if stamp > before else before + step
            elif stamp <= before or before < following + shift < stamp:
                stamp = max((before + following + shift) // 2, before + least)
        yield stamp
        before = stamp


def _filled(stamps, step):
    """The stamps, with those that are missing counted on from the one before, or back from the first that is there."""
    before, missing = None, 0
    for stamp in stamps:
        if stamp is None and before is None:
            missing += 1
            continue
        if before is None:
            yield from range(stamp - missing * step, stamp, step)
        before = before + step if stamp is None else stamp
        yield before
    if before is None:
        yield from range(0, missing * step, step)
