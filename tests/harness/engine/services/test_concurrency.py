"""Many requests at once: the bound, the order, an early end, and what happens when one fails for good."""

import asyncio
import signal
import threading
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from queue import SimpleQueue
from typing import Any

import pytest

from harness.engine.services import concurrency
from harness.engine.services.concurrency import ask_concurrently
from harness.errors import ModelError

Answer = Callable[["Asked", str], Awaitable[None]]
"""What a request waits for before it is answered by its own text; raising refuses it."""


class Asked:
    """Answers each request by its own text as soon as `wait` lets it, and notes what it sees meanwhile."""

    def __init__(self, wait: Answer) -> None:
        self._wait = wait
        self.at_once = self.most = 0
        self.begun: list[str] = []
        self.answered: list[str] = []
        self.cancelled: list[str] = []
        self.closed = False
        self.loop: asyncio.AbstractEventLoop | None = None

    @asynccontextmanager
    async def opened(self) -> AsyncIterator[Callable[[str], Awaitable[str]]]:
        self.loop = asyncio.get_running_loop()
        try:
            yield self.ask
        finally:
            self.closed = True

    async def ask(self, request: str) -> str:
        self.begun.append(request)
        self.at_once += 1
        self.most = max(self.most, self.at_once)
        try:
            await self._wait(self, request)
        except asyncio.CancelledError:
            self.cancelled.append(request)
            raise
        finally:
            self.at_once -= 1
        self.answered.append(request)
        return request

    def settle(self) -> None:
        """Return when the loop has done all that it can without an answer being taken."""
        assert self.loop is not None
        asyncio.run_coroutine_threadsafe(turns(), self.loop).result()


async def turns(number: int = 100) -> None:
    """Let everything else in the loop go on, so many times."""
    for _ in range(number):
        await asyncio.sleep(0)


async def never() -> None:
    """Wait for something that does not come."""
    await asyncio.Event().wait()


async def one_turn(asked: Asked, request: str) -> None:
    """Every request is answered at once, after the others of its turn have begun."""
    await turns(1)


async def fail(asked: Asked, request: str) -> None:
    """Every request is refused, after the others of its turn have begun."""
    await turns(1)
    raise ModelError(f"no {request}")


async def unless_slow(asked: Asked, request: str) -> None:
    """Only `slow` is never answered; `bad` is refused."""
    await turns(1)
    if request == "slow":
        await never()
    if request == "bad":
        raise ModelError("no bad")


def test_answers_come_as_they_arrive() -> None:
    """Not in the order of asking, and each with the index of its request."""

    async def shortest_first(asked: Asked, request: str) -> None:
        while len(asked.answered) < len(request) - 1:
            await turns(1)

    found = ask_concurrently(Asked(shortest_first).opened, ["ccc", "a", "bb"], 3)

    assert [(1, "a"), (2, "bb"), (0, "ccc")] == list(found)


def test_no_more_than_allowed_are_on_their_way() -> None:
    """The bound holds, and is used."""
    asked = Asked(one_turn)
    assert 20 == len(list(ask_concurrently(asked.opened, ["a"] * 20, 4)))
    assert 4 == asked.most


def test_nothing_to_ask() -> None:
    """No request, no answer, no waiting."""
    assert [] == list(ask_concurrently(Asked(one_turn).opened, [], 4))


def test_an_early_end_cancels_what_is_on_its_way() -> None:
    """Closing the iterator ends the requests and their connections, and leaves no thread."""
    asked = Asked(unless_slow)
    answers = ask_concurrently(asked.opened, ["quick", "slow", "slow", "slow"], 3)
    next(answers)
    asked.settle()
    started = time.monotonic()

    answers.close()

    assert time.monotonic() - started < concurrency.CLOSING, "nothing had to be given up"
    assert ["slow"] * 3 == asked.cancelled
    assert asked.closed
    assert "requests" not in [thread.name for thread in threading.enumerate()]


def test_answers_that_nobody_takes_stop_the_asking() -> None:
    """Twice the bound are paid for before the first is taken: that many an interruption can lose."""
    asked = Asked(one_turn)
    answers = ask_concurrently(asked.opened, ["a"] * 50, 3)
    next(answers)
    asked.settle()

    assert 2 * 3 == len(asked.begun)
    assert 49 == len(list(answers))


def test_a_request_that_fails_for_good_lets_the_others_arrive() -> None:
    """What is on its way is paid for and still comes; no new request starts; then the error is raised."""

    async def after_the_failure(asked: Asked, request: str) -> None:
        await turns(1)
        if request == "bad":
            raise ModelError("no bad")
        await turns()

    asked = Asked(after_the_failure)
    arrived: list[str] = []

    with pytest.raises(ModelError, match="no bad"):
        arrived.extend(answer for _, answer in ask_concurrently(asked.opened, ["bad", "b", "c", "d", "e"], 3))

    assert ["b", "c"] == arrived
    assert ["bad", "b", "c"] == asked.begun


def test_what_does_not_arrive_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    """After a failure the others have so long and no longer."""
    monkeypatch.setattr(concurrency, "GRACE", 0.0)
    asked = Asked(unless_slow)

    with pytest.raises(ModelError, match="no bad"):
        list(ask_concurrently(asked.opened, ["bad", "slow"], 2))

    assert ["slow"] == asked.cancelled


def test_every_failure_is_looked_at(caplog: pytest.LogCaptureFixture) -> None:
    """Several requests may fail at once: one is reported, and asyncio complains of none."""
    with pytest.raises(ModelError):
        list(ask_concurrently(Asked(fail).opened, ["a", "b", "c"], 3))
    assert [] == caplog.records


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_that_wakes_nobody_is_seen(number: signal.Signals, monkeypatch: pytest.MonkeyPatch) -> None:
    """One that another thread takes does not end this thread's wait, as one does not that comes just before.

    It comes while the answer is waited for, and threads that hold the interpreter busy delay it a little.
    Where it is not seen, the answer comes after ten seconds, and the test fails.
    """
    waited, calm, answered = threading.Event(), threading.Event(), asyncio.Event()

    class Watched(SimpleQueue[Any]):
        """Says that its owner has waited for an answer, and waits again."""

        waits = 0

        def get(self, block: bool = True, timeout: float | None = None) -> Any:
            self.waits += 1
            if self.waits == 2:
                waited.set()
            return super().get(block, timeout)

    async def until_let(asked: Asked, request: str) -> None:
        await answered.wait()

    asked = Asked(until_let)

    def spin() -> None:
        while not calm.is_set():
            pass

    def strike() -> None:
        waited.wait(2)
        signal.pthread_kill(threading.get_ident(), number)
        if not calm.wait(10) and asked.loop is not None:
            asked.loop.call_soon_threadsafe(answered.set)

    monkeypatch.setattr(concurrency, "SimpleQueue", Watched)
    before = signal.signal(number, signal.default_int_handler)
    for work in (spin, spin, strike):
        threading.Thread(target=work, daemon=True).start()
    try:
        with pytest.raises(KeyboardInterrupt):
            list(ask_concurrently(asked.opened, ["a"], 1))
    finally:
        calm.set()
        signal.signal(number, before)
    assert not answered.is_set()
