"""Many requests on their way at once, with a bound, and their answers as they arrive.

The requests live in an event loop of their own in a background thread; the caller iterates over a plain
iterator. When the iteration ends early, by Ctrl-C or because the caller has enough, what is on its way is
cancelled at once. When a request fails for good, no new one starts, and what is on its way may still arrive:
it is paid for.

No wait is endless: a signal that arrives just before a wait begins does not end that wait, and Python acts
on it only when the wait is over. Nothing is retried here.
"""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Generator, Iterator, Sequence
from concurrent.futures import Future
from contextlib import AbstractAsyncContextManager, contextmanager, suppress
from queue import Empty, SimpleQueue
from threading import Thread
from typing import TypeVar

R = TypeVar("R")
A = TypeVar("A")
Ask = Callable[[R], Awaitable[A]]

GRACE = 30.0
"""Seconds that requests on their way are given to arrive, when another has failed for good."""
CLOSING = 5.0
"""Seconds that cancelled requests are given to close their connections."""
POLL = 0.1
"""Seconds between two looks at whether a signal has come."""


def ask_concurrently(
    opened: Callable[[], AbstractAsyncContextManager[Ask[R, A]]], requests: Sequence[R], at_once: int
) -> Generator[tuple[int, A]]:
    """Every request's answer with its index, as it arrives. Raises what `ask` raises.

    `opened` is entered in the background loop, for connections that belong to it, and gives what asks one
    request. At most `at_once` requests are on their way, and as many answers wait to be taken: that many an
    interruption can lose.
    """
    if not requests:
        return
    arrived: SimpleQueue[tuple[int, A] | Future[None]] = SimpleQueue()
    with _background_loop() as loop:
        room = asyncio.Semaphore(2 * at_once)
        asking = asyncio.run_coroutine_threadsafe(_ask_all(opened, requests, at_once, room, arrived), loop)
        asking.add_done_callback(arrived.put)
        while not isinstance(answer := _next(arrived), Future):
            yield answer
            loop.call_soon_threadsafe(room.release)
        asking.result()


def _next(arrived: SimpleQueue[A]) -> A:
    """What arrives next, however long that takes."""
    while True:
        try:
            return arrived.get(timeout=POLL)
        except Empty:
            continue


async def _ask_all(
    opened: Callable[[], AbstractAsyncContextManager[Ask[R, A]]],
    requests: Sequence[R],
    at_once: int,
    room: asyncio.Semaphore,
    arrived: "SimpleQueue[tuple[int, A] | Future[None]]",
) -> None:
    waiting = deque(enumerate(requests))

    async def work(ask: Ask[R, A]) -> None:
        while waiting:
            await room.acquire()
            if not waiting:  # others took the last ones meanwhile
                room.release()
                return
            index, request = waiting.popleft()
            arrived.put((index, await ask(request)))

    async with opened() as ask:
        workers = [asyncio.create_task(work(ask)) for _ in range(min(at_once, len(requests)))]
        ended, under_way = await asyncio.wait(workers, return_when=asyncio.FIRST_EXCEPTION)
        if under_way:
            waiting.clear()
            in_time, _ = await asyncio.wait(under_way, timeout=GRACE)
            ended |= in_time
        errors = [error for worker in ended if (error := worker.exception())]
        if errors:  # they fail for the same reason nearly always, and one can be reported
            raise errors[0]


@contextmanager
def _background_loop() -> Iterator[asyncio.AbstractEventLoop]:
    """A running event loop in a thread of its own; what still runs in it at the end is cancelled."""
    loop = asyncio.new_event_loop()
    # a daemon, so that a request that cannot be cancelled never holds the program back
    thread = Thread(target=loop.run_forever, name="requests", daemon=True)
    thread.start()
    try:
        yield loop
    finally:
        with suppress(TimeoutError):
            asyncio.run_coroutine_threadsafe(_cancel_all(), loop).result(CLOSING)
        loop.call_soon_threadsafe(loop.stop)
        thread.join(CLOSING)
        if not thread.is_alive():
            loop.close()


async def _cancel_all() -> None:
    others = asyncio.all_tasks() - {asyncio.current_task()}
    for task in others:
        task.cancel()
    if others:
        await asyncio.wait(others)
