"""One rater's figures for an audit: a bias to one side, agreement with itself, and checks passed."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from harness.stats.preferences import Bias, Share, position_bias, share

Side = Literal["left", "right", "tie"]


@dataclass(frozen=True, slots=True, kw_only=True)
class RaterFigures:
    """What can be said of a rater without knowing who is right. None: there was no such case."""

    votes: int
    ties: int
    left: Bias | None
    """The left side's share of decided votes, and its exact p."""
    repeats: Share | None
    """Pairs shown again that got the same vote."""
    checks: Share | None
    """Pairs with a known answer that were voted so."""


def rater_figures(
    votes: Sequence[Side],
    repeats: Sequence[tuple[Side, Side]],
    checks: Sequence[bool],
    *,
    level: float = 0.95,
) -> RaterFigures:
    """Votes by the side of the screen; votes on pairs shown twice, by candidate; checks passed."""
    same = sum(before == after for before, after in repeats)
    return RaterFigures(
        votes=len(votes),
        ties=votes.count("tie"),
        left=position_bias(votes.count("left"), votes.count("right"), level=level),
        repeats=share(same, len(repeats), level=level),
        checks=share(sum(checks), len(checks), level=level),
    )
