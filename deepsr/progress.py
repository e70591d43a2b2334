"""Progress of long work: a bar on a terminal, a plain line now and then in a log."""

import logging
import sys
import time

from tqdm import tqdm

LOG_EVERY = 15  # seconds between two lines in a log
log = logging.getLogger("deepsr")


class _LoggingBar(tqdm):
    """A tqdm bar that is drawn on a terminal only, and that writes a line into the log every LOG_EVERY seconds."""

    def __init__(self, *args, **kwargs):
        self._logged = time.monotonic()
        super().__init__(*args, file=sys.stderr, leave=False, dynamic_ncols=True, **kwargs)

    def display(self, msg=None, pos=None):
        if sys.stderr.isatty():
            super().display(msg, pos)
        now = time.monotonic()
        if now - self._logged >= LOG_EVERY:
            self._logged = now
            log.info(self.format_meter(**{**self.format_dict, "ncols": 0}).strip())

    def clear(self, nolock=False):
        if sys.stderr.isatty():
            super().clear(nolock)


def progress(iterable=None, total=None, desc="", unit="it", **kwargs):
    """Wrap `iterable`, or count with `.update(n)`; the terminal and the log show rate, share done and time left."""
    return _LoggingBar(iterable, total=total, desc=desc, unit=unit, **kwargs)


def in_minutes(seconds):
    """Seconds in words, in whole minutes: 1 min, 59 min, 2 h 5 min."""
    hours, minutes = divmod(max(1, round(seconds / 60)), 60)
    return f"{hours} h {minutes} min" if hours else f"{minutes} min"
