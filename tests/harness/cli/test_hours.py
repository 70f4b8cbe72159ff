"""A command that may take some hours: ended as by Ctrl-C, and told apart from it."""

import signal
import time

import pytest

from harness.cli.hours import SECONDS, at_most
from harness.errors import HoursReached


def test_what_takes_longer_is_ended() -> None:
    """Whatever it does: what cleans up after an interrupt does so, and says that the command goes on."""
    before = signal.getsignal(signal.SIGALRM)
    cleaned = []

    def work() -> None:
        with at_most(0.1 / SECONDS):
            try:
                time.sleep(60)
            except KeyboardInterrupt:
                cleaned.append("up")
                raise

    with pytest.raises(HoursReached, match="hours are over; what was done is kept, and the same"):
        work()
    assert ["up"] == cleaned
    assert 3 == HoursReached.exit_code
    assert signal.getsignal(signal.SIGALRM) is before


def test_what_takes_less_is_left_alone() -> None:
    """And so is everything where there is no limit; an interrupt stays one."""
    for hours in (1.0, None):
        with at_most(hours):
            pass
        with pytest.raises(KeyboardInterrupt), at_most(hours):
            raise KeyboardInterrupt
    assert (0.0, 0.0) == signal.getitimer(signal.ITIMER_REAL)
