"""What judgements of pairs say: the win rate, whether it could be chance, and what else moved the judge.

A judgement is the candidate's share of the win: 1 won, 0.5 a tie, 0 lost, and fractions between them where
a judge gives a probability. Judgements of one prompt (both orders, several judges, repeats) belong together:
the prompt is what is resampled, permuted and counted.

Coverage of 95 % intervals of the win rate, per cent of 1,000 simulated experiments each (± 1.4):

    prompts                                    20      60
    one judgement each, true rate 0.60       97.0    95.1
    one judgement each, true rate 0.95       92.4    96.8
    three correlated ones each, rate 0.60    96.7    94.9
"""

from collections.abc import Hashable, Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from harness.records.comparisons import Interval
from harness.stats.clusters import Floats, by_cluster
from harness.stats.intervals import mean_interval, wilson
from harness.stats.paired import mcnemar, sign_flip
from harness.stats.plan import DEFAULT_RESAMPLING, Resampling

TIE = 0.5


@dataclass(frozen=True, slots=True, kw_only=True)
class WinRate:
    """The candidate's share of all judgements, a tie counting half."""

    value: float
    interval: Interval
    won: int
    tied: int
    lost: int
    """Judgements above, at and below one half."""
    prompts: int

    @property
    def shows_something(self) -> bool:
        """Whether it is of more than one prompt: of one alone no statistic says anything."""
        return self.prompts > 1


@dataclass(frozen=True, slots=True, kw_only=True)
class SignTest:
    """Prompts that the candidate won or lost, and how surprising that is if both were equally likely."""

    won: int
    lost: int
    tied: int
    """Prompts whose judgements balance; they are dropped from the test."""
    p: float
    """Exact, two-sided."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Share:
    """A proportion and its interval."""

    count: int
    of: int
    value: float
    interval: Interval

    @property
    def shows_something(self) -> bool:
        """Whether it is of more than one case."""
        return self.of > 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Bias:
    """How often one side was preferred, and how surprising that is if the side did not matter."""

    share: Share
    p: float
    """Two-sided, of a share of one half."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Consistency:
    """Pairs asked in both orders: the share with one verdict, and where the others went."""

    share: Share
    to_first: int
    """Pairs of which each answer did better where it was shown first."""
    to_second: int


def win_rate(
    values: Sequence[float] | Floats,
    clusters: Sequence[Hashable],
    how: Resampling = DEFAULT_RESAMPLING,
) -> WinRate:
    """The mean judgement, with an interval over prompts: Wilson's or bootstrap-t, as for any mean.

    `values` in [0, 1] and the prompt of each, at least one. Raises ValueError for a value outside.
    """
    shares = as_shares(values)
    kind: Literal["binary", "number"] = "binary" if np.isin(shares, (0.0, 1.0)).all() else "number"
    grouped = by_cluster(shares, clusters)
    signs = verdicts(shares)
    return WinRate(
        value=grouped.mean,
        interval=mean_interval(shares, clusters, kind, how),
        won=int((signs > 0).sum()),
        tied=int((signs == 0).sum()),
        lost=int((signs < 0).sum()),
        prompts=grouped.count,
    )


def sign_test(values: Sequence[float] | Floats, clusters: Sequence[Hashable]) -> SignTest:
    """The exact sign test over prompts; each counts once, by the side that has most of its judgements.

    5 prompts won and 1 lost give p = .21875, and 1 to 0 gives 1. Ties are dropped, and counted.
    """
    grouped = by_cluster(as_shares(values), clusters)
    signs = verdicts(grouped.sums / grouped.sizes)
    won, lost = int((signs > 0).sum()), int((signs < 0).sum())
    return SignTest(won=won, lost=lost, tied=grouped.count - won - lost, p=mcnemar(won, lost))


def share(count: int, of: int, *, level: float = 0.95) -> Share | None:
    """A proportion of independent cases with Wilson's interval. None: there was no case."""
    if not of:
        return None
    return Share(count=count, of=of, value=count / of, interval=wilson(count, of, level))


def position_bias(first: int, second: int, *, level: float = 0.95) -> Bias | None:
    """The share of decided judgements won by the answer shown first, tested exactly (binomial).

    It is evidence of bias where the order was drawn by lot or each pair was asked in both orders; in the
    latter case the test is on the safe side, for a firm preference adds one to each count. None: nothing
    was decided.
    """
    proportion = share(first, first + second, level=level)
    return None if proportion is None else Bias(share=proportion, p=mcnemar(first, second))


def position_consistency(
    shown_first: Sequence[float] | Floats,
    shown_second: Sequence[float] | Floats,
    clusters: Sequence[Hashable],
    how: Resampling = DEFAULT_RESAMPLING,
) -> Consistency | None:
    """The share of pairs with the same verdict (won, tied, lost) in both orders (Zheng et al. 2023).

    Both sequences hold the candidate's share: where it was shown first, and where second. Pairs of one
    prompt share a cluster. None: no pair was asked twice.
    """
    if not len(shown_first):
        return None
    change = verdicts(as_shares(shown_first)) - verdicts(as_shares(shown_second))
    return Consistency(
        share=_clustered_share(change == 0, clusters, how),
        to_first=int((change > 0).sum()),
        to_second=int((change < 0).sum()),
    )


def length_bias(
    values: Sequence[float] | Floats,
    longer_by: Sequence[float] | Floats,
    clusters: Sequence[Hashable],
    how: Resampling = DEFAULT_RESAMPLING,
) -> Bias | None:
    """The share of decided judgements won by the longer answer, and a sign-flip test over prompts.

    `longer_by` is the candidate's length less its opponent's, in any unit. Judgements that are tied, or of
    answers equally long, do not count. None: no judgement is left. A share above one half is not in itself
    a fault: longer answers may be better ones (see `length_control`).
    """
    signs, lengths = verdicts(as_shares(values)), np.sign(np.asarray(longer_by, dtype=np.float64))
    known = (signs != 0) & (lengths != 0)
    if not known.any():
        return None
    longer_won = signs[known] == lengths[known]
    kept = [cluster for cluster, keep in zip(clusters, known, strict=True) if keep]
    rng = how.generator()
    test = sign_flip(by_cluster(2.0 * longer_won - 1, kept).sums, resamples=how.resamples, rng=rng)
    return Bias(share=_clustered_share(longer_won, kept, replace(how, seed=rng)), p=test.p)


def as_shares(values: Sequence[float] | Floats) -> Floats:
    """Judgements as an array. Raises ValueError where one is not within [0, 1]."""
    shares = np.asarray(values, dtype=np.float64)
    outside = shares[~((shares >= 0) & (shares <= 1))]
    if len(outside):
        raise ValueError(f"a judgement is a share of the win, from 0 to 1, and not {outside[0]:g}")
    return shares


def verdicts(shares: Floats) -> Floats:
    """1 won, 0 tied, -1 lost; shares nearer to one half than rounding errors are ties."""
    return np.sign(np.round(shares - TIE, 12))


def _clustered_share(cases: NDArray[np.bool_], clusters: Sequence[Hashable], how: Resampling) -> Share:
    """The share of true cases, at least one, with the interval of any clustered mean."""
    interval = mean_interval(cases.astype(np.float64), clusters, "binary", how)
    return Share(count=int(cases.sum()), of=len(cases), value=float(cases.mean()), interval=interval)
