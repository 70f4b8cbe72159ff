"""What takes too long is ended, means what it always did, and leaves nothing behind."""

import re
import signal
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress

import pytest

from harness.time_limit import TookTooLong, time_limit

FOREVER = (re.compile("(a+)+$"), "a" * 60 + "!")


def test_a_pattern_that_takes_years() -> None:
    """It is ended, and so is what swallows the first end."""
    with pytest.raises(TookTooLong), time_limit(0.1):
        FOREVER[0].search(FOREVER[1])

    def swallow() -> None:
        with suppress(TookTooLong):
            FOREVER[0].search(FOREVER[1])
        FOREVER[0].search(FOREVER[1])

    with pytest.raises(TookTooLong), time_limit(0.1):
        swallow()


def test_what_is_quick_is_left_alone() -> None:
    """Nothing ends it, then or later, and the signal's own handler is back."""
    before = signal.getsignal(signal.SIGVTALRM)
    with time_limit(0.05):
        assert re.search("a+", "xaa") is not None
    assert 0.0 == signal.getitimer(signal.ITIMER_VIRTUAL)[0]
    assert before == signal.getsignal(signal.SIGVTALRM)
    assert sum(range(3_000_000))


def test_another_thread_has_no_limit() -> None:
    """Signals do not reach it, which is said; what it does is done."""

    def work() -> int:
        with time_limit(0.001):
            return sum(range(1_000_000))

    with ThreadPoolExecutor(1) as pool:
        assert sum(range(1_000_000)) == pool.submit(work).result()
