"""When to stop asking a judge: once its preferred model is decided, or can no longer be decided.

An ordinary interval that is looked at after every batch would in the end exclude one half even if neither
model is better; a confidence sequence (`harness.stats.sequential`) may be looked at as often as one likes. A
pair counts once, all orders together: 1 for the right model, 0 for the left, 0.5 for a tie.

Pairs are taken to be independent, and must come in an order that does not depend on the verdicts. Pairs of
identical answers, which are not judged, and pairs without a verdict do not count.
"""

from collections.abc import Sequence
from typing import Literal

from harness.preferences.named import SHARES, agreed
from harness.records.comparisons import Interval
from harness.records.preferences import Preference
from harness.stats.sequential import ConfidenceSequence


class UntilDecided:
    """Matches `suites.judge.session.StoppingRule`."""

    def __init__(self, level: float) -> None:
        self.level = level
        self._sequence = ConfidenceSequence(level=level)

    def forget(self) -> None:
        self._sequence = ConfidenceSequence(level=self.level)

    def learn(self, preferences: Sequence[Preference]) -> None:
        winner = agreed(each.winner for each in preferences)
        if winner is not None:
            self._sequence.update([SHARES[winner]])

    def verdict(self, left: int) -> Literal["decided", "undecidable"] | None:
        """Whether to stop: `left` further pairs might not decide it even if all went the same way."""
        if self._sequence.decided():
            return "decided"
        return "undecidable" if self._sequence.cannot_be_decided(left) else None

    @property
    def is_decided(self) -> bool:
        """Whether the share of the right model is shown not to be one half."""
        return self._sequence.decided()

    @property
    def count(self) -> int:
        """Pairs that were judged."""
        return self._sequence.count

    @property
    def share(self) -> float | None:
        """The right model's share of the wins; None before anything was judged."""
        return self._sequence.mean if self._sequence.count else None

    @property
    def interval(self) -> Interval:
        """The interval of that share, valid at this level however often it is looked at."""
        return self._sequence.interval
