"""Decisions: a difference needs its corrected test and its interval, and a margin its own of both."""

import pytest

from harness.records.comparisons import Decision, Interval, MarginDecision
from harness.stats.decisions import decide_difference, decide_non_inferiority

BETTER, WORSE, NONE = Decision.BETTER, Decision.WORSE, Decision.NO_DIFFERENCE
LOST = MarginDecision.WORSE


def interval(low: float, high: float) -> Interval:
    """At the usual level."""
    return Interval(low=low, high=high, level=0.95)


@pytest.mark.parametrize(
    ("low", "high", "p", "decision"),
    [
        (0.1, 0.3, 0.049, BETTER),
        (-0.3, -0.1, 0.049, WORSE),
        (0.1, 0.3, 0.051, NONE),
        (-0.3, -0.1, 0.051, NONE),
        (-0.01, 0.3, 0.001, NONE),
        (-0.3, 0.01, 0.001, NONE),
        (0.0, 0.3, 0.001, NONE),
        (-0.3, 0.0, 0.001, NONE),
        (0.1, 0.3, 0.05, NONE),
    ],
)
def test_a_difference_needs_its_test_and_its_interval(
    low: float, high: float, p: float, decision: Decision
) -> None:
    """Neither a small p nor an interval on one side is enough alone; what touches a limit is not shown."""
    assert decision == decide_difference(interval(low, high), p, 0.05)
    assert decision == decide_difference(interval(low + 0.5, high + 0.5), p, 0.05, equal=0.5)


def test_lower_can_be_better() -> None:
    """Where less is better, a fall is BETTER and a rise WORSE."""
    assert WORSE == decide_difference(interval(0.1, 0.3), 0.01, 0.05, higher_is_better=False)
    assert BETTER == decide_difference(interval(-0.3, -0.1), 0.01, 0.05, higher_is_better=False)


@pytest.mark.parametrize(
    ("low", "high", "p", "difference", "decision"),
    [
        (-0.02, 0.01, 0.024, NONE, MarginDecision.NOT_WORSE),
        (-0.02, -0.01, 0.024, WORSE, MarginDecision.NOT_WORSE),
        (-0.02, 0.01, 0.026, NONE, MarginDecision.UNDECIDED),
        (-0.04, 0.01, 0.001, NONE, MarginDecision.UNDECIDED),
        (-0.03, 0.01, 0.001, NONE, MarginDecision.UNDECIDED),
        (-0.04, -0.01, 0.001, WORSE, LOST),
        (-0.02, -0.01, 0.026, WORSE, LOST),
        (0.01, 0.02, 0.024, BETTER, MarginDecision.NOT_WORSE),
    ],
)
def test_a_margin_needs_its_test_and_its_interval(
    low: float, high: float, p: float, difference: Decision, decision: MarginDecision
) -> None:
    """Less than 0.03 is lost where the one-sided p is below half of alpha and the interval ends above it."""
    assert decision == decide_non_inferiority(
        interval(low, high), p, 0.05, margin=0.03, difference=difference
    )
    assert decision == decide_non_inferiority(
        interval(-high, -low), p, 0.05, margin=0.03, difference=difference, higher_is_better=False
    )


def test_what_touches_the_margin_is_not_within_it() -> None:
    """Half of alpha itself is not below it, and neither is the margin."""
    for low, p in ((-0.04, 0.025), (-0.05, 0.001)):
        found = decide_non_inferiority(interval(low, 0.1), p, 0.05, margin=0.05, difference=NONE)
        assert MarginDecision.UNDECIDED == found
