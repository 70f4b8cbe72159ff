"""A time limit for scoring: a regular expression can take years on an answer of one line.

Python's `re` checks for signals while it searches, so it can be interrupted, and patterns keep their meaning;
another library would read some of them differently. Signals reach the main thread only: in other threads
there is no limit. Processor time is counted, so that a busy machine interrupts nothing sooner.
"""

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType


class TookTooLong(Exception):
    """What was done within the limit was not done in time."""


@contextmanager
def time_limit(seconds: float) -> Iterator[None]:
    """Raise TookTooLong in what is done here, once it has taken so many seconds of the processor."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGVTALRM, _end)
    signal.setitimer(signal.ITIMER_VIRTUAL, seconds, seconds)  # again, should somebody catch the first
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_VIRTUAL, 0)
        signal.signal(signal.SIGVTALRM, before)


def _end(number: int, frame: FrameType | None) -> None:
    raise TookTooLong
