"""Asking a service over a network, with a limited number of retries for errors that may pass (`Retryable`).

Waits double from one try to the next, with jitter, so that many requests do not come back together. Where a
service says how long to wait (Retry-After), all requests wait for it. A request that was never answered
becomes a failed answer, which is data. A service that answers no request any more ends the work, which can be
resumed.
"""

import random
import time
from collections.abc import Awaitable, Callable
from dataclasses import replace
from functools import partial
from typing import TypeVar

from harness.engine.services.rate_limits import Clock, RateLimits, RealClock
from harness.engine.services.refusals import RequestRefused
from harness.errors import EngineError
from harness.records.answers import Response
from harness.records.models import RequestLimits

A = TypeVar("A")
Attempt = Callable[[], Awaitable[tuple[A, int]]]
"""One try: the answer, and how many tokens it used (0: the service does not say)."""

RETRYABLE_STATUSES = (408, 429, 500, 502, 503, 504)
"""HTTP statuses after which the same request may be answered."""
FIRST_WAIT, LONGEST_WAIT = 1.0, 60.0
"""Seconds before the first retry, and before any, where the service does not ask for more."""
LONGEST_ASKED = 600.0
"""Seconds. A service that asks to wait longer (a day's quota is used up) is not waited for."""
MEGABYTE = 1_000_000
RESUMES = "what was answered is kept, and the same command goes on from there"
SHOWN = 300
"""Characters of a service's own words in a message."""


class Retryable(Exception):
    """A try that failed in a way that may pass. It never leaves the engines."""

    def __init__(self, reason: str, *, after: float | None = None) -> None:
        self.reason, self.after = reason, after
        """`after`: seconds that the service asks to wait."""
        super().__init__(reason)


class GaveUp(Exception):
    """Every try has failed, or no other would succeed; the message is why. It never leaves the engines."""


class Service:
    """A service that is asked within its rate limits, with retries.

    `name` is the model's, `where` the address that messages show.
    """

    def __init__(self, name: str, where: str, limits: RequestLimits, clock: Clock | None = None) -> None:
        self.name, self.where = name, where
        self._retries = limits.retries
        self._clock = clock or RealClock()
        self._limits = RateLimits(
            self._clock,
            requests_per_minute=limits.requests_per_minute,
            tokens_per_minute=limits.tokens_per_minute,
        )
        self._most_failures = max(8, 2 * limits.concurrency)
        self._failures = 0

    async def response(self, attempt: Attempt[Response], tokens: int) -> Response | RequestRefused:
        """The answer and how long it took, the failed one that says why there is none, or a refusal.

        Raises as `with_retries`, but for GaveUp.
        """
        try:
            return await self.with_retries(partial(_timed, attempt), tokens)
        except GaveUp as error:
            return Response(text="", stop_reason="failed", reason=str(error))
        except RequestRefused as refused:
            return refused

    def unanswered(self, reason: str | None) -> EngineError:
        """The error for a request that the work cannot do without."""
        return EngineError(f"model {self.name!r}: {self.where} did not answer: {reason}; {RESUMES}")

    async def with_retries(self, attempt: Attempt[A], tokens: int) -> A:
        """The attempt's result, with retries. `tokens` is how many it may use.

        Raises GaveUp; EngineError where so many requests in a row failed that the service seems gone.
        """
        try:
            answer = await self._tried(attempt, tokens)
        except GaveUp as error:
            self._failures += 1
            if self._failures >= self._most_failures:
                raise EngineError(
                    f"model {self.name!r}: {self.where} has answered none of the last {self._failures} "
                    f"requests ({error}); {RESUMES}"
                ) from error
            raise
        self._failures = 0
        return answer

    async def _tried(self, attempt: Attempt[A], tokens: int) -> A:
        retries = 0
        while True:
            await self._limits.admit(tokens)
            try:
                answer, used = await attempt()
            except Retryable as error:
                wait = self._wait(retries, error)
                if retries == self._retries or wait > LONGEST_ASKED:
                    tries = f" (tried {retries + 1} times)" if retries else ""
                    raise GaveUp(error.reason + tries) from error
            else:
                self._limits.settle(tokens, used or tokens)
                return answer
            await self._clock.sleep(wait)
            retries += 1

    def _wait(self, retries: int, error: Retryable) -> float:
        """Seconds before the next try. A wait that the service asks for holds for all requests."""
        usual = min(LONGEST_WAIT, FIRST_WAIT * 2.0**retries) * random.uniform(0.5, 1)
        if error.after is None:
            return usual
        if error.after <= LONGEST_ASKED:
            self._limits.hold(error.after)
        return error.after + usual


async def _timed(attempt: Attempt[Response]) -> tuple[Response, int]:
    """An attempt whose answer says how many seconds it took."""
    started = time.perf_counter()
    answer, used = await attempt()
    return replace(answer, seconds=time.perf_counter() - started), used


def in_short(words: str) -> str:
    """A service's own words on one line, cut after `SHOWN` characters."""
    line = " ".join(words.split())
    return line if len(line) <= SHOWN else f"{line[:SHOWN]}…"
