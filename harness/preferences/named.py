"""A preference with the models' names, and how those of both orders of a pair are combined.

Judges' and humans' preferences have this one form, whether they were made here or elsewhere.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from statistics import fmean
from typing import Literal, TypeVar, cast

from harness.records.preferences import Side, Winner

Kind = Literal["judge", "human"]

SHARES: Mapping[Winner, float] = {"left": 0.0, "tie": 0.5, "right": 1.0}
"""The right side's share of the win."""
OTHER = {"left": "right", "right": "left"}
NO_REASON = "no reason given"
BOTH_BAD = "both bad"
"""The reason of a tie that a person gave because neither answer is good."""
IDENTICAL = "identical answers"
"""The reason of a tie between identical answers, which are not judged."""

UNREADABLE, CUT, THINKING = "unreadable: ", "cut: ", "thinking: "
"""How the reason of a reply begins that was given, and from which no verdict can be read."""
NO_ANSWER = "no answer to judge"
"""How the reason begins if a candidate's answer is missing, so that the pair was not judged."""

_Turned = TypeVar("_Turned", Side | None, Winner | None)


@dataclass(frozen=True, slots=True, kw_only=True)
class NamedPreference:
    """What one rater prefers of two models' answers to one item, shown in one order or over all of them."""

    item: str
    left: str
    right: str
    """The models' names. The sides are those of the pair, whatever the screen's were."""
    rater: str
    winner: Winner | None
    """None: no usable answer, and `reason` says why."""
    kind: Kind = "human"
    cluster: str = ""
    """Items of one cluster (a prompt asked twice) are not independent. Empty: the item stands alone."""
    shown_first: Side | None = None
    """None: not known, or over both orders."""
    share: float | None = None
    """The share from 0 to 1 by which `right` is preferred, if the rater says more than a winner."""
    reason: str | None = None
    left_length: int | None = None
    right_length: int | None = None
    """Characters of the answers."""
    seconds: float | None = None

    @property
    def identical(self) -> bool:
        """Whether the answers were the same and therefore not judged: a tie of its own kind."""
        return self.winner == "tie" and self.reason == IDENTICAL

    @property
    def is_reply(self) -> bool:
        """Whether somebody was asked: there were two answers, and they differed."""
        return not self.identical and not (self.reason or "").startswith(NO_ANSWER)

    @property
    def unit(self) -> str:
        """The cluster, or the item that stands alone."""
        return self.cluster or self.item

    @property
    def value(self) -> float | None:
        """The share of the win that `right` has: 1 won, 0.5 a tie, 0 lost; None: no usable answer."""
        if self.winner is None:
            return None
        return SHARES[self.winner] if self.share is None else self.share

    @property
    def verdict(self) -> Winner | None:
        """The value as a winner."""
        return None if self.value is None else winner_of(self.value)

    @property
    def longer_by(self) -> int | None:
        """Characters that the right answer has more than the left one; None where one is not known."""
        if self.left_length is None or self.right_length is None:
            return None
        return self.right_length - self.left_length

    def facing(self, left: str) -> "NamedPreference":
        """The same preference with this model on the left."""
        if self.left == left:
            return self
        return replace(
            self,
            left=self.right,
            right=self.left,
            winner=_other(self.winner),
            shown_first=_other(self.shown_first),
            share=None if self.share is None else 1 - self.share,
            left_length=self.right_length,
            right_length=self.left_length,
        )


def winner_of(share: float) -> Winner:
    """Who wins with this share of the win; nearer to one half than rounding errors is a tie."""
    excess = round(share - 0.5, 12)
    return "tie" if excess == 0 else "right" if excess > 0 else "left"


def agreed(winners: Iterable[Winner | None]) -> Winner | None:
    """What the orders of one pair agree on; where they disagree, a tie.

    None where one of them has no winner, and where there is no order.
    """
    found = set(winners)
    if not found or None in found:
        return None
    return found.pop() if len(found) == 1 else "tie"


def over_orders(preferences: Iterable[NamedPreference]) -> list[NamedPreference]:
    """One preference of each rater about each item and pair of models, in the order of the first of them.

    Preferences about one pair face the same way (`NamedPreference.facing`). The winner is what the orders
    agree on; where the rater gives shares, the mean of them decides. An item of which one order has no
    usable answer has none: the other alone would let the rater's bias to a side through.
    """
    asked: dict[tuple[str, ...], list[NamedPreference]] = {}
    for each in preferences:
        asked.setdefault((each.rater, each.item, each.left, each.right), []).append(each)
    return [_together(orders) for orders in asked.values()]


def _together(orders: list[NamedPreference]) -> NamedPreference:
    together = replace(orders[0], winner=None, share=None, shown_first=None, seconds=None)
    winner = agreed(each.verdict for each in orders)
    if winner is None:
        return replace(together, reason=next(each.reason or NO_REASON for each in orders if not each.winner))
    identical = any(each.identical for each in orders)
    is_plain_tie = winner == "tie" and not all(each.share is not None for each in orders)
    values = [each.value for each in orders if each.value is not None]
    share = SHARES["tie"] if identical or is_plain_tie else fmean(values)
    return replace(together, winner=winner_of(share), share=share, reason=IDENTICAL if identical else None)


def _other(side: _Turned) -> _Turned:
    """The other side; a tie and None have none."""
    return cast(_Turned, OTHER.get(cast(str, side), side))
