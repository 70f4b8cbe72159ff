"""Ends a command after a time, as Ctrl-C does: what it has is kept, and the same command goes on."""

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

from harness.errors import HoursReached

SECONDS = 3600
"""Of an hour."""


class _HoursAreOver(KeyboardInterrupt):
    """Handled wherever Ctrl-C is."""


@contextmanager
def at_most(hours: float | None) -> Iterator[None]:
    """Raise HoursReached in what is done here after so many hours; None: it may take any time."""
    if hours is None:
        yield
        return
    before = signal.signal(signal.SIGALRM, _end)
    signal.setitimer(signal.ITIMER_REAL, hours * SECONDS)
    try:
        yield
    except _HoursAreOver:
        raise HoursReached(
            f"{hours:g} hours are over; what was done is kept, and the same command goes on from there"
        ) from None
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def _end(number: int, frame: FrameType | None) -> None:
    raise _HoursAreOver
