"""Ratings of several candidates from comparisons of two: the Bradley-Terry model.

P(i preferred to j) = 1 / (1 + 10^((r_j - r_i) / 400)), so that ratings read as Elo's do: 100 more is a win
rate of 64 %. They are the maximum of the likelihood, found by Newman's iteration (2023, "Efficient
computation of rankings from pairwise comparisons", JMLR 24), with a tie as half a win for either, and mean 0.

One comparison's weight of ties, spread evenly over the pairs that were compared, keeps a candidate's rating
finite that won or lost everything; its rating is then marked as unbounded. Intervals are percentiles
over resampled prompts, refitted each time with the same made-up ties.
"""

from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from math import ceil, floor, log

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array

from harness.records.comparisons import Interval
from harness.stats.clusters import Floats
from harness.stats.plan import Resampling
from harness.stats.preferences import as_shares
from harness.stats.resampling import resamplings

ROUNDS = 200
"""Of the iteration, at most; it ends when no rating moves by a hundredth."""
SCALE = 400 / log(10)
MADE_UP = 1.0
"""Comparisons that the made-up ties weigh."""

RATING_RESAMPLING = Resampling(resamples=1_000)
"""Fewer, for each resample is fitted anew."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rating:
    """One candidate's strength among those it was compared with."""

    name: str
    value: float
    interval: Interval
    comparisons: int
    unbounded: bool
    """Whether it won, or lost, all it was in: the data set no limit to its rating on that side."""


def ratings(
    lefts: Sequence[str],
    rights: Sequence[str],
    left_shares: Sequence[float] | Floats,
    clusters: Sequence[Hashable],
    how: Resampling = RATING_RESAMPLING,
) -> list[Rating]:
    """Ratings, best first. A comparison is two names, the left one's share of the win, and the prompt.

    Raises ValueError where the candidates fall into parts that were never compared with each other.
    """
    names = list(dict.fromkeys([*lefts, *rights]))
    _check_connected(names, lefts, rights)
    index = {name: place for place, name in enumerate(names)}
    shares = as_shares(left_shares)
    wins = _wins_of_clusters(
        [index[n] for n in lefts], [index[n] for n in rights], shares, clusters, len(names)
    )
    total = np.asarray(wins.sum(axis=0), dtype=np.float64).reshape(len(names), len(names))
    met = (total + total.T) > 0
    fitted = _fit(total[None], met)[0]
    drawn = np.concatenate(
        [
            _fit((weights @ wins).reshape(-1, *total.shape), met)
            for weights in resamplings(wins.shape[0], how.resamples, max(wins.shape), how.generator())
        ]
    )
    won, lost = total.sum(axis=1), total.sum(axis=0)
    found = [
        Rating(
            name=name,
            value=float(fitted[place]),
            interval=_percentiles(drawn[:, place], how.level),
            comparisons=round(float(won[place] + lost[place])),
            unbounded=bool(won[place] == 0 or lost[place] == 0),
        )
        for place, name in enumerate(names)
    ]
    return sorted(found, key=lambda rating: -rating.value)


def _wins_of_clusters(
    lefts: Sequence[int], rights: Sequence[int], shares: Floats, clusters: Sequence[Hashable], size: int
) -> csr_array:
    """Clusters × (size · size): what each candidate won against each other in the cluster, mostly nothing."""
    rows: dict[Hashable, int] = {}
    codes = np.array([rows.setdefault(cluster, len(rows)) for cluster in clusters], dtype=np.intp)
    left, right = np.asarray(lefts, dtype=np.intp), np.asarray(rights, dtype=np.intp)
    won = np.concatenate([shares, 1 - shares])
    cells = np.concatenate([codes, codes]), np.concatenate([left * size + right, right * size + left])
    return csr_array((won, cells), shape=(len(rows), size * size))


def _fit(wins: Floats, met: NDArray[np.bool_]) -> Floats:
    """Ratings (tables, candidates) for each of (tables, candidates, candidates) wins.

    The made-up ties are between those who met in the data, also in a resample in which they did not: it has
    ratings for everybody.
    """
    table = wins + MADE_UP * met / met.sum()
    strength = np.ones(table.shape[:2])
    for _ in range(ROUNDS):
        before = strength.copy()
        # each from the others' newest: all at once, two candidates would swing for ever
        for one in range(len(met)):
            both = strength[:, one, None] + strength
            gained = (table[:, one] * strength / both).sum(axis=1)
            given = (table[:, :, one] / both).sum(axis=1)
            strength[:, one] = gained / given
        strength /= np.exp(np.log(strength).mean(axis=1, keepdims=True))
        if np.abs(np.log(strength / before)).max() * SCALE < 0.01:
            break
    return SCALE * np.log(strength)


def _percentiles(drawn: Floats, level: float) -> Interval:
    ordered = np.sort(drawn)
    tail = (1 - level) / 2 * (len(ordered) + 1)
    low, high = max(floor(tail), 1), min(ceil(len(ordered) + 1 - tail), len(ordered))
    return Interval(low=float(ordered[low - 1]), high=float(ordered[high - 1]), level=level)


def _check_connected(names: Sequence[str], lefts: Sequence[str], rights: Sequence[str]) -> None:
    part = {name: name for name in names}

    def root(name: str) -> str:
        while part[name] != name:
            name = part[name]
        return name

    for left, right in zip(lefts, rights, strict=True):
        part[root(left)] = root(right)
    parts: dict[str, list[str]] = {}
    for name in names:
        parts.setdefault(root(name), []).append(name)
    if len(parts) > 1:
        groups = "; ".join(", ".join(part) for part in parts.values())
        raise ValueError(f"these were never compared with each other, so no rating orders them: {groups}")
