"""Rate limits: how many requests and tokens per minute a service allows.

Each limit is spread evenly: every use delays the earliest start of the next request, so that no minute
exceeds the limit and there are no bursts. Tokens are known only afterwards: a request reserves what it may
use, and releases what it did not. Several event loops may share the limits.
"""

import asyncio
import time
from threading import Lock
from typing import Protocol

CHARACTERS_PER_TOKEN = 4
"""A guess, until the service says how many tokens a request took."""


class Clock(Protocol):
    """The time, so that tests need not wait for it."""

    def now(self) -> float:
        """Seconds since some fixed moment."""
        ...

    async def sleep(self, seconds: float) -> None:
        """Wait."""
        ...


class RealClock:
    """The time as it passes."""

    def now(self) -> float:
        return time.monotonic()

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds)


class RateLimit:
    """A number of units per minute."""

    def __init__(self, per_minute: int) -> None:
        self._seconds = 60 / per_minute
        self.free = 0.0
        """The moment at which the next request may start, in seconds of the clock."""

    def take(self, start: float, units: float) -> None:
        """A request starts at this moment, and uses `units`."""
        self.free = start + units * self._seconds

    def release(self, units: float) -> None:
        """Release units that were taken and not used; a negative number takes more."""
        self.free -= units * self._seconds


class RateLimits:
    """A service's limits in requests and in tokens per minute; None is no limit."""

    def __init__(
        self, clock: Clock, *, requests_per_minute: int | None, tokens_per_minute: int | None
    ) -> None:
        self._clock = clock
        self._requests = None if requests_per_minute is None else RateLimit(requests_per_minute)
        self._tokens = None if tokens_per_minute is None else RateLimit(tokens_per_minute)
        self._held = 0.0
        self._lock = Lock()

    async def admit(self, tokens: int) -> None:
        """Wait until a request that may use this many tokens may start."""
        start = self._reserve(tokens)
        while (wait := start - self._clock.now()) > 0:
            await self._clock.sleep(wait)
            if self._held > start:  # all were held meanwhile: reserve again, after that
                start = self._reserve(tokens)

    def _reserve(self, tokens: int) -> float:
        paces = [(pace, units) for pace, units in ((self._requests, 1), (self._tokens, tokens)) if pace]
        with self._lock:
            start = max([self._clock.now(), self._held, *(pace.free for pace, _ in paces)])
            for pace, units in paces:
                pace.take(start, units)
        return start

    def settle(self, reserved: int, used: int) -> None:
        """Correct a reservation of tokens to those that the request used."""
        if self._tokens is not None:
            with self._lock:
                self._tokens.release(reserved - used)

    def hold(self, seconds: float) -> None:
        """Start no request for so many seconds, as the service asked."""
        with self._lock:
            self._held = max(self._held, self._clock.now() + seconds)
