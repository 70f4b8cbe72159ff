"""Many requests at once: the bound, the order, an early end, and what happens when one fails for good."""

import asyncio
import signal
import threading
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager

import pytest

from harness.engine.services import concurrency
from harness.engine.services.concurrency import ask_concurrently
from harness.errors import ModelError

Opened = Callable[[], AbstractAsyncContextManager[Callable[[int], Awaitable[str]]]]


class Sleepy:
    """Answers a number by its text after so many hundredths of a second; what it is given bad, it refuses."""

    def __init__(self, *, bad: Sequence[int] = ()) -> None:
        self.bad = bad
        self.at_once = self.most = 0
        self.begun: list[int] = []
        self.cancelled: list[int] = []
        self.closed = False

    @asynccontextmanager
    async def opened(self) -> AsyncIterator[Callable[[int], Awaitable[str]]]:
        try:
            yield self.ask
        finally:
            self.closed = True

    async def ask(self, number: int) -> str:
        self.begun.append(number)
        self.at_once += 1
        self.most = max(self.most, self.at_once)
        try:
            await asyncio.sleep(number / 100)
            if number in self.bad:
                raise ModelError(f"no {number}")
        except asyncio.CancelledError:
            self.cancelled.append(number)
            raise
        finally:
            self.at_once -= 1
        return str(number)


def test_answers_come_as_they_arrive() -> None:
    """Not in the order of asking, and each with the index of its request."""
    assert [(1, "1"), (2, "4"), (0, "8")] == list(ask_concurrently(Sleepy().opened, [8, 1, 4], 3))


def test_no_more_than_allowed_are_on_their_way() -> None:
    """The bound holds, and is used."""
    asked = Sleepy()
    assert 20 == len(list(ask_concurrently(asked.opened, [1] * 20, 4)))
    assert 4 == asked.most


def test_nothing_to_ask() -> None:
    """No request, no answer, no waiting."""
    assert [] == list(ask_concurrently(Sleepy().opened, [], 4))


def test_an_early_end_cancels_what_is_on_its_way() -> None:
    """Closing the iterator ends the requests and their connections at once, and leaves no thread."""
    asked = Sleepy()
    answers = ask_concurrently(asked.opened, [1, 3000, 3000, 3000], 3)
    next(answers)
    started = time.monotonic()
    answers.close()
    assert time.monotonic() - started < 1
    assert [3000, 3000] == asked.cancelled[:2]
    assert asked.closed
    assert "requests" not in [thread.name for thread in threading.enumerate()]


def test_answers_that_nobody_takes_stop_the_asking() -> None:
    """At most twice the bound are paid for before the first is taken: that many an interruption can lose."""
    asked = Sleepy()
    answers = ask_concurrently(asked.opened, [0] * 50, 3)
    next(answers)
    time.sleep(0.2)
    assert len(asked.begun) <= 2 * 3 + 1
    assert 49 == len(list(answers))


def test_a_request_that_fails_for_good_lets_the_others_arrive() -> None:
    """What is on its way is paid for and still comes; no new request starts; then the error is raised."""
    asked = Sleepy(bad=[2])
    arrived: list[str] = []
    with pytest.raises(ModelError, match="no 2"):
        arrived.extend(answer for _, answer in ask_concurrently(asked.opened, [2, 10, 11, 5, 5, 5], 3))
    assert ["10", "11"] == arrived
    assert [2, 10, 11] == asked.begun


def test_what_does_not_arrive_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    """After a failure the others have so long and no longer."""
    monkeypatch.setattr(concurrency, "LANDING", 0.1)
    asked = Sleepy(bad=[1])
    started = time.monotonic()
    with pytest.raises(ModelError, match="no 1"):
        list(ask_concurrently(asked.opened, [1, 3000], 2))
    assert time.monotonic() - started < 2
    assert [3000] == asked.cancelled


def test_every_failure_is_looked_at(caplog: pytest.LogCaptureFixture) -> None:
    """Several requests may fail at once: one is told, and asyncio complains of none."""
    with pytest.raises(ModelError):
        list(ask_concurrently(Sleepy(bad=[1]).opened, [1, 1, 1], 3))
    assert [] == caplog.records


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_that_wakes_nobody_is_seen(number: signal.Signals) -> None:
    """One that another thread takes does not end this thread's wait, as one does not that comes just before.

    Threads that hold the interpreter busy delay it a little.
    """
    calm = threading.Event()

    def spin() -> None:
        while not calm.is_set():
            pass

    def strike() -> None:
        time.sleep(0.2)
        signal.pthread_kill(threading.get_ident(), number)

    before = signal.signal(number, signal.default_int_handler)
    for work in (spin, spin, strike):
        threading.Thread(target=work, daemon=True).start()
    began = time.monotonic()
    try:
        with pytest.raises(KeyboardInterrupt):
            list(ask_concurrently(Sleepy().opened, [1500], 1))
    finally:
        calm.set()
        signal.signal(number, before)
    assert time.monotonic() - began < 5
