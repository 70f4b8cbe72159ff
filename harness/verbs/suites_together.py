"""Which suites of a model are asked in one plan.

Suites that score, or that write with the same sampling, are: what their requests share is computed once, and
only one batch at the end is not full. Replicas are given everything at once, so that none of them waits for
the end of one suite before another begins.

What a suite asks is found out by asking it of an engine that answers nothing. Its rows are then asked as
ever, and find their answers in the store.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from harness.calls import AnswersTogether, Call, ScoringCall, merged
from harness.engine.noting_engine import NotingEngine
from harness.protocols import Engine, Suite
from harness.records.answers import SamplingParameters

MOST_TOGETHER = 500_000
"""Requests that are planned together: with their keys they take half a gigabyte."""

Kind = SamplingParameters | None
"""How a call writes; None: it scores."""


@dataclass(frozen=True, slots=True)
class AskedTogether:
    """Suites that are asked in one plan."""

    shares: dict[int, float]
    """Which suites these are, in their order, and what part of the requests each has."""
    calls: list[Call]
    """What they ask; nothing where it is one suite, which asks it itself."""


def one_by_one(suites: Sequence[Suite]) -> list[AskedTogether]:
    """Each suite for itself."""
    return [AskedTogether({place: 1.0}, []) for place in range(len(suites))]


def plan_together(engine: Engine, suites: Sequence[Suite]) -> list[AskedTogether]:
    """Which of these suites are asked together, in the order of the first of each."""
    alone = one_by_one(suites)
    if len(suites) < 2:
        return alone
    noted: list[list[Call]] = []
    for suite in suites:
        noted.append(_calls_of(engine, suite))
        if sum(map(_requests, noted)) > MOST_TOGETHER:
            return alone
    everything = isinstance(engine, AnswersTogether)
    groups = [[*range(len(suites))]] if everything else _grouped([set(map(_kind, calls)) for calls in noted])
    return [_together(places, noted) if len(places) > 1 else alone[places[0]] for places in groups]


def _together(places: Sequence[int], noted: Sequence[list[Call]]) -> AskedTogether:
    total = max(1, sum(_requests(noted[place]) for place in places))
    shares = {place: _requests(noted[place]) / total for place in places}
    return AskedTogether(shares, merged([call for place in places for call in noted[place]]))


def _requests(calls: Sequence[Call]) -> int:
    return sum(map(len, calls))


def _calls_of(engine: Engine, suite: Suite) -> list[Call]:
    """What a suite asks before it has seen an answer."""
    noting = NotingEngine(engine)
    for _ in suite.rows(noting):
        pass
    return noting.calls


def _kind(call: Call) -> Kind:
    return None if isinstance(call, ScoringCall) else call.sampling


def _grouped(kinds: Sequence[set[Kind]]) -> list[list[int]]:
    """The places of those that have a kind in common, directly or through others."""
    groups: list[tuple[set[Kind], list[int]]] = []
    for place, own in enumerate(kinds):
        joined = [group for group in groups if group[0] & own]
        groups = [group for group in groups if not group[0] & own]
        groups.append(
            (own.union(*(some for some, _ in joined)), [*(p for _, ps in joined for p in ps), place])
        )
    return sorted(sorted(places) for _, places in groups)
