"""Trying again: which waits, how often, and when to give up on a request and on a service."""

import asyncio
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest

from harness.engine.services import retrying
from harness.engine.services.retry_after import retry_after
from harness.engine.services.retrying import GaveUp, Retryable, Service
from harness.errors import EngineError, ModelError
from harness.records.answers import Response
from harness.records.models import RequestLimits
from tests.harness.engine.services.test_rate_limits import FakeClock


class Trying:
    """An attempt that fails with each of these in turn, and then answers."""

    def __init__(self, *failures: Exception) -> None:
        self.failures = list(failures)
        self.tries = 0

    async def __call__(self) -> tuple[Response, int]:
        self.tries += 1
        if self.failures:
            raise self.failures.pop(0)
        return Response(text="yes", stop_reason="end"), 5


@pytest.fixture(autouse=True)
def no_jitter(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every wait is as long as it can be."""
    monkeypatch.setattr(retrying.random, "uniform", lambda low, high: high)  # type: ignore[attr-defined]  # patched here


def service(clock: FakeClock, **limits: int) -> Service:
    """A service, asked by a clock that stands still."""
    return Service("m", "http://x", RequestLimits(**{"concurrency": 1, **limits}), clock)


def response(asked: Service, attempt: Trying) -> Response:
    """What comes of it."""
    return asyncio.run(asked.response(attempt, 10))


def test_waits_double() -> None:
    """1, 2, 4, … seconds, and never more than a minute."""
    clock, attempt = FakeClock(), Trying(*[Retryable("busy")] * 8)
    assert "yes" == response(service(clock, retries=8), attempt).text
    assert [1, 2, 4, 8, 16, 32, 60, 60] == clock.slept


def test_waits_are_jittered(monkeypatch: pytest.MonkeyPatch) -> None:
    """Between half the wait and the whole."""
    monkeypatch.setattr(retrying.random, "uniform", lambda low, high: low)  # type: ignore[attr-defined]  # patched here
    clock = FakeClock()
    response(service(clock), Trying(Retryable("busy"), Retryable("busy")))
    assert [0.5, 1] == clock.slept


def test_after_the_last_try_the_answer_is_failed() -> None:
    """It is data: no text, and why."""
    attempt = Trying(*[Retryable("busy")] * 9)
    answer = response(service(FakeClock(), retries=2), attempt)
    assert ("", "failed", "busy (tried 3 times)") == (answer.text, answer.stop_reason, answer.reason)
    assert 3 == attempt.tries


def test_no_retries_is_one_try() -> None:
    """`retries = 0` tries once."""
    attempt = Trying(Retryable("busy"))
    assert "busy" == response(service(FakeClock(), retries=0), attempt).reason
    assert 1 == attempt.tries


def test_what_will_not_pass_is_not_tried_again() -> None:
    """Any other error is raised at once."""
    attempt = Trying(ModelError("wrong key"))
    with pytest.raises(ModelError, match="wrong key"):
        response(service(FakeClock()), attempt)
    assert 1 == attempt.tries


def test_a_wait_that_is_asked_for_is_kept_by_everybody() -> None:
    """The request waits at least so long, and the next one does not come earlier either."""
    clock = FakeClock()
    asked = service(clock)
    first = Trying(Retryable("busy", after=30))

    async def both() -> list[float]:
        moments = []

        async def second() -> tuple[Response, int]:
            moments.append(clock.time)
            return Response(text="", stop_reason="end"), 0

        began = clock.time
        waiting = asyncio.create_task(asked.response(first, 1))
        await asyncio.sleep(0)
        clock.time = began + 1
        await asked.response(second, 1)
        await waiting
        return [moment - began for moment in moments]

    [moment] = asyncio.run(both())
    assert moment >= 30


def test_an_endless_wait_is_not_waited_for() -> None:
    """A service that asks for an hour has used up a quota: the answer fails at once, with its words."""
    clock = FakeClock()
    answer = response(service(clock), Trying(Retryable("quota used up", after=3600)))
    assert ("failed", "quota used up") == (answer.stop_reason, answer.reason)
    assert [] == clock.slept


def test_a_service_that_answers_nobody_ends_the_work() -> None:
    """After so many failed requests in a row; an answer in between starts the count again."""
    asked = service(FakeClock(), retries=0)
    for _ in range(2):
        for _ in range(7):
            assert "failed" == response(asked, Trying(Retryable("down"))).stop_reason
        response(asked, Trying())
    for _ in range(7):
        response(asked, Trying(Retryable("down")))
    with pytest.raises(
        EngineError, match=r"model 'm': http://x has answered none of the last 8 requests \(down"
    ):
        response(asked, Trying(Retryable("down")))


def test_an_answer_that_cannot_be_done_without() -> None:
    """`with_retries` says that it gave up instead of making data of it."""
    with pytest.raises(GaveUp, match="busy"):
        asyncio.run(service(FakeClock(), retries=1).with_retries(Trying(*[Retryable("busy")] * 2), 1))


def test_tokens_that_were_used_take_the_place_of_the_guess() -> None:
    """10 were reserved and 5 used: at 60 a minute, the next request comes after 5 seconds."""
    clock = FakeClock()
    asked = service(clock, tokens_per_minute=60)
    response(asked, Trying())
    began = clock.time
    response(asked, Trying())
    assert 5 == pytest.approx(clock.time - began)


BEYOND = "Fri, 31 Dec 9999 23:59:59 -0100"
"""A moment in the year 10000 in UTC."""


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        (None, None),
        ("7", 7),
        ("0.5", 0.5),
        ("-3", 0),
        ("soon", None),
        ("", None),
        ("Mon, 99 Foo", None),
        (BEYOND, None),
    ],
)
def test_retry_after(value: str | None, seconds: float | None) -> None:
    """Seconds are read, nonsense is not."""
    assert seconds == retry_after(value)


@pytest.mark.parametrize(("later", "seconds"), [(90, 90), (-90, 0)])
def test_retry_after_as_a_date(later: int, seconds: int) -> None:
    """An HTTP date is so many seconds from now; one that is past is no wait."""
    moment = datetime.now(UTC) + timedelta(seconds=later)
    assert seconds == pytest.approx(retry_after(format_datetime(moment, usegmt=True)), abs=2)
