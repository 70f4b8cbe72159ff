"""One rater's figures, by hand."""

import pytest

from harness.stats.raters import Side, rater_figures


def test_figures_of_a_rater_who_leans_left() -> None:
    """9 left, 1 right, 2 ties; 1 of 2 repeats the same; both checks passed."""
    found = rater_figures(
        ["left"] * 9 + ["right"] + ["tie"] * 2, [("left", "left"), ("left", "tie")], [True, True]
    )
    assert found.left is not None
    assert found.repeats is not None
    assert found.checks is not None

    assert (12, 2, 9, 10) == (found.votes, found.ties, found.left.share.count, found.left.share.of)
    assert pytest.approx(22 / 1024) == found.left.p
    assert (0.5, 1.0) == (found.repeats.value, found.checks.value)


def test_what_did_not_happen_is_none() -> None:
    """No votes, repeats or checks: no figures, and not 0."""
    found = rater_figures([], [], [])

    assert (None, None, None) == (found.left, found.repeats, found.checks)


def test_intervals_are_of_the_level_asked_for() -> None:
    """Three of four repeats got the same vote; every share carries the level."""
    same: tuple[Side, Side] = "left", "left"

    found = rater_figures(["left", "right"], [same, same, same, ("left", "tie")], [True, False], level=0.8)

    assert found.left is not None
    assert found.repeats is not None
    assert found.checks is not None
    assert 3 == found.repeats.count
    shares = found.left.share, found.repeats, found.checks
    assert [0.8] * 3 == [each.interval.level for each in shares]
