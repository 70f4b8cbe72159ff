"""Requests and tokens per minute, by a clock that tests move."""

import asyncio
import random

import pytest

from harness.engine.services.rate_limits import RateLimits


class FakeClock:
    """Sleeping moves the time, and nothing else does."""

    def __init__(self) -> None:
        self.time = 1000.0
        self.slept: list[float] = []

    def now(self) -> float:
        """Seconds."""
        return self.time

    async def sleep(self, seconds: float) -> None:
        """Move on."""
        self.slept.append(seconds)
        self.time += seconds


def limits(clock: FakeClock, requests: int | None = None, tokens: int | None = None) -> RateLimits:
    """With these limits per minute."""
    return RateLimits(clock, requests_per_minute=requests, tokens_per_minute=tokens)


def admitted(limits: RateLimits, clock: FakeClock, tokens: list[int]) -> list[float]:
    """When each of these requests was let through, in seconds from the start."""
    began = clock.now()

    async def all_of_them() -> list[float]:
        moments = []
        for count in tokens:
            await limits.admit(count)
            moments.append(clock.now() - began)
        return moments

    return asyncio.run(all_of_them())


def test_without_limits_nobody_waits() -> None:
    """No limit, no wait."""
    clock = FakeClock()
    assert [0, 0, 0] == admitted(limits(clock), clock, [10**6] * 3)


def test_requests_are_spread_over_the_minute() -> None:
    """30 a minute is one every two seconds."""
    clock = FakeClock()
    assert [0, 2, 4, 6] == admitted(limits(clock, requests=30), clock, [1] * 4)


def test_tokens_are_spread_over_the_minute() -> None:
    """A request's tokens delay the next one: 600 tokens a minute are ten a second."""
    clock = FakeClock()
    assert [0, 10, 11] == admitted(limits(clock, tokens=600), clock, [100, 10, 1])


def test_the_stricter_limit_counts() -> None:
    """Both hold at once."""
    clock = FakeClock()
    paced = limits(clock, requests=30, tokens=600)
    assert [0, 10, 12] == pytest.approx(admitted(paced, clock, [100, 1, 1]))


def test_tokens_that_were_not_used_are_given_back() -> None:
    """An answer that was shorter than it might have been lets the next request through earlier."""
    clock = FakeClock()
    paced = limits(clock, tokens=600)
    admitted(paced, clock, [100])
    paced.settle(100, 40)
    assert [4] == admitted(paced, clock, [1])


def test_more_tokens_than_reserved_are_owed() -> None:
    """An estimate that was too low delays the next request."""
    clock = FakeClock()
    paced = limits(clock, tokens=600)
    admitted(paced, clock, [10])
    paced.settle(10, 50)
    assert [5] == admitted(paced, clock, [1])


def test_a_service_can_hold_everybody() -> None:
    """Nobody is let through before the time that the service has asked for, even who was waiting already."""
    clock = FakeClock()
    paced = limits(clock)
    paced.hold(7)
    paced.hold(3)
    assert [7, 7] == admitted(paced, clock, [1, 1])


def test_who_was_held_does_not_come_all_at_once() -> None:
    """Limits hold after a hold, too, and a hold that comes while one waits is waited for."""
    clock = FakeClock()
    paced = limits(clock, requests=30)
    paced.hold(7)
    assert [7, 9] == pytest.approx(admitted(paced, clock, [1, 1]))

    async def held_meanwhile() -> None:
        sleep = clock.sleep

        async def sleep_and_be_held(seconds: float) -> None:
            await sleep(seconds)
            if len(clock.slept) == 3:
                paced.hold(50)

        clock.sleep = sleep_and_be_held  # type: ignore[method-assign]
        await paced.admit(1)

    asyncio.run(held_meanwhile())
    assert [7, 2, 2, 50] == pytest.approx(clock.slept)


@pytest.mark.parametrize("seed", range(5))
def test_no_minute_holds_more_than_the_limit(seed: int) -> None:
    """Over any minute, of requests that come at random, with tokens that are settled afterwards."""
    clock, draws = FakeClock(), random.Random(seed)
    paced = limits(clock, requests=50, tokens=3000)
    used: list[tuple[float, int]] = []

    async def ask() -> None:
        for _ in range(400):
            clock.time += draws.expovariate(2)
            reserved = draws.randint(1, 200)
            await paced.admit(reserved)
            used.append((clock.now(), actual := draws.randint(1, reserved)))
            paced.settle(reserved, actual)

    asyncio.run(ask())
    for moment, _ in used:
        minute = [tokens for when, tokens in used if moment <= when < moment + 60 - 1e-6]
        assert len(minute) <= 50
        assert sum(minute) <= 3000 + 200  # the last one's tokens count from when it starts
