"""A confidence sequence: an interval for a mean that may be looked at after every value, and stopped at will.

Values in [0, 1], each from an independent unit (with several judgements of a prompt: their mean), in an order
that does not depend on them. The chance that the sequence ever misses the true mean is at most 1 - level,
however often it is looked at; a fixed interval looked at after every value misses it almost surely.

The method is betting (Waudby-Smith and Ramdas 2024, "Estimating means of bounded random variables by
betting", JRSSB 86): against each possible mean m two gamblers bet, one on higher and one on lower values,
with the predictable plug-in stakes of their section 4.1, cut off at `STAKE` so that neither can be ruined.
A mean is excluded once half of either's capital has grown to 1 / (1 - level): their hedged capital.

Simulated at 95 % with values 0 and 1, looked at after every one, 4,000 runs each:

    true mean                               0.50     0.55     0.60     0.70
    decided within 500                     3.7 %   16.9 %   73.9 %    100 %
    decided within 2,000                   3.4 %   53.9 %   99.8 %    100 %
    values seen of 2,000, on average       1,937    1,414      367       58
    power of a fixed test of 2,000         4.8 %   99.3 %    100 %    100 %

At 0.50 every decision is an error. Looking at will costs power where the mean is near one half, and saves
most of the values where it is not.
"""

from collections.abc import Sequence
from math import inf, log

import numpy as np

from harness.records.comparisons import Interval
from harness.stats.clusters import Floats
from harness.stats.preferences import as_shares

GRID = 1_000
"""Means are considered in steps of 1 / GRID; ends of intervals are rounded outwards."""
STAKE = 0.5
"""The most that may be lost in one bet, as a share of the capital."""
BATCH = 256
"""Values worked through at once."""


class ConfidenceSequence:
    """Feed it values as they come; at any time it has an interval for their mean."""

    def __init__(self, *, level: float = 0.95) -> None:
        """`level` is the chance that the truth is never excluded."""
        self.level = level
        self.count = 0
        self._total = 0.0
        self._spread = 0.25
        self._means = np.arange(GRID + 1) / GRID
        self._higher = np.zeros(GRID + 1)
        self._lower = np.zeros(GRID + 1)
        self._possible = np.ones(GRID + 1, dtype=np.bool_)

    def update(self, values: Sequence[float] | Floats) -> Interval:
        """Further values, in the order in which they came. Raises ValueError for one outside [0, 1]."""
        shares = as_shares(values)
        for start in range(0, len(shares), BATCH):
            self._bet(shares[start : start + BATCH])
        return self.interval

    @property
    def interval(self) -> Interval:
        """All means not excluded so far; it only ever shrinks."""
        kept = np.flatnonzero(self._possible)
        if not len(kept):  # values whose mean drifts can exclude everything
            return Interval(low=self.mean, high=self.mean, level=self.level)
        low, high = max(kept[0] - 1, 0), min(kept[-1] + 1, GRID)
        return Interval(low=float(self._means[low]), high=float(self._means[high]), level=self.level)

    @property
    def mean(self) -> float:
        """The mean of the values so far; there must be one."""
        return self._total / self.count

    def decided(self, against: float = 0.5) -> bool:
        """Whether the mean is shown to differ from `against`, a multiple of 1 / GRID."""
        return not self._possible[round(against * GRID)]

    def cannot_be_decided(self, remaining: int, against: float = 0.5) -> bool:
        """Whether `remaining` further values cannot decide, not even if all went the same way.

        Never true by mistake: the stakes counted with are the largest that any values could lead to.
        """
        if self.decided(against):
            return False
        place = round(against * GRID)
        needed = self._threshold - np.array([self._higher[place], self._lower[place]])
        stakes = self._stakes(np.arange(self.count + 1.0, self.count + remaining + 1), self._spread)
        gains = [
            float(np.log1p(np.minimum(stakes, STAKE / room) * (1 - room)).sum()) if room else inf
            for room in (against, 1 - against)
        ]
        return bool((needed > gains).all())

    @property
    def _threshold(self) -> float:
        return log(2 / (1 - self.level))

    def _stakes(self, t: Floats, spread: Floats | float) -> Floats:
        """√(2 log(2 / (1 - level)) / (variance × t log(1 + t))), the variance being spread / t."""
        return np.sqrt(2 * self._threshold / (spread * np.log1p(t)))

    def _bet(self, values: Floats) -> None:
        t = np.arange(self.count + 1.0, self.count + len(values) + 1)
        running = (0.5 + self._total + np.cumsum(values)) / (t + 1)
        spreads = self._spread + np.cumsum((values - running) ** 2)
        before = np.concatenate([[self._spread], spreads[:-1]])
        stakes = self._stakes(t, before)[:, None]
        away = values[:, None] - self._means
        with np.errstate(divide="ignore"):
            higher = np.minimum(stakes, STAKE / self._means)
            lower = np.minimum(stakes, STAKE / (1 - self._means))
        richer = self._higher + np.cumsum(np.log1p(higher * away), axis=0)
        poorer = self._lower + np.cumsum(np.log1p(-lower * away), axis=0)
        self._possible &= np.maximum(richer, poorer).max(axis=0) < self._threshold
        self._higher, self._lower = richer[-1], poorer[-1]
        self.count, self._total, self._spread = (
            int(t[-1]),
            self._total + float(values.sum()),
            float(spreads[-1]),
        )
