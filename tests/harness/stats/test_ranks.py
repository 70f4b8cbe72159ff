"""AUC and Spearman's rho: scipy as oracle, what they must not depend on, and how often intervals cover."""

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from scipy import stats

from harness.stats.clusters import Floats
from harness.stats.intervals import Estimate, wilson
from harness.stats.ranks import METHOD, auc, mid_ranks, spearman

EXPERIMENTS = 300
LEAST = 0.95 - 3 * np.sqrt(0.95 * 0.05 / EXPERIMENTS)
"""Three standard errors of the simulation below the claim: 91.2 %."""

few_levels = st.lists(st.tuples(st.integers(0, 5), st.integers(0, 5), st.booleans()), min_size=3, max_size=60)


def columns(rows: list[tuple[int, int, bool]]) -> tuple[Floats, Floats, np.ndarray]:
    """Two columns of numbers with many ties, and one of kinds."""
    one, other, kind = zip(*rows, strict=True)
    return np.array(one, dtype=float), np.array(other, dtype=float), np.array(kind)


@given(few_levels)
@settings(max_examples=60)
def test_values_are_those_of_scipy(rows: list[tuple[int, int, bool]]) -> None:
    """Mann and Whitney's U over all pairs, and spearmanr; None where they have no number."""
    one, other, kind = columns(rows)
    found, area = spearman(one, other, range(len(rows))), auc(one, kind, range(len(rows)))
    if found is not None:
        assert stats.spearmanr(one, other).statistic == pytest.approx(found.value, abs=1e-12)
    assert (found is None) == (len(set(one)) == 1 or len(set(other)) == 1)
    if area is not None:
        pairs = kind.sum() * (~kind).sum()
        assert stats.mannwhitneyu(one[kind], one[~kind]).statistic / pairs == pytest.approx(area.value)
    assert (area is None) == (len(set(kind.tolist())) == 1)


@given(few_levels)
@settings(max_examples=60)
def test_only_the_order_counts(rows: list[tuple[int, int, bool]]) -> None:
    """Stretched scores give the same numbers, intervals included; reversed ones the opposite."""
    one, other, kind = columns(rows)
    each = range(len(rows))
    assert spearman(one, other, each) == spearman(np.exp(one), other, each)
    assert auc(one, kind, each) == auc(np.exp(one), kind, each)
    found, turned = auc(one, kind, each), auc(-one, kind, each)
    assume(found is not None and turned is not None)
    assert 1.0 == pytest.approx(found.value + turned.value)  # type: ignore[union-attr]  # assumed
    assert 1.0 == pytest.approx(found.interval.low + turned.interval.high)  # type: ignore[union-attr]  # the same


def test_mid_ranks_by_hand() -> None:
    """A tie shares its places."""
    assert [0.5, 2.0, 2.0, 3.5] == mid_ranks(np.array([1.0, 2.0, 2.0, 3.0])).tolist()


@pytest.mark.parametrize("which", ["auc", "spearman"])
def test_standard_errors_are_the_jackknifes(which: str) -> None:
    """On 200 numbers with ties, half of the interval is about two jackknife standard errors."""
    rng = np.random.default_rng(3)
    one = np.round(rng.normal(size=200), 1)
    other = np.round(0.2 * one + rng.normal(size=200), 1)

    def of(kept: np.ndarray) -> Estimate:
        rest = range(int(kept.sum()))
        if which == "spearman":
            return spearman(one[kept], other[kept], rest)  # type: ignore[return-value]  # there is one
        return auc(one[kept], other[kept] > 0, rest)  # type: ignore[return-value]  # the same

    without = [of(np.arange(200) != left).value for left in range(200)]
    error = float(np.std(without)) * 199 / np.sqrt(200)
    whole = of(np.ones(200, dtype=bool)).interval
    assert pytest.approx(1.96 * error, rel=0.15) == (whole.high - whole.low) / 2


def below(values: Floats) -> Floats:
    """Whether a column's case is lower than a row's: 1, for a tie one half, 0."""
    return (values[None, :] < values[:, None]) + (values[None, :] == values[:, None]) / 2


def weighted_auc(scores: Floats, positive: np.ndarray, weights: Floats) -> float:
    """The chance that a positive case is above a negative one, both drawn by their weights."""
    pairs = np.outer(weights * positive, weights * ~positive)
    return float((pairs * below(scores)).sum() / pairs.sum())


def weighted_rho(one: Floats, other: Floats, weights: Floats) -> float:
    """The correlation of ranks among cases drawn by their weights."""
    share = weights / weights.sum()
    left, right = below(one) @ share - 0.5, below(other) @ share - 0.5
    return float(share @ (left * right) / np.sqrt((share @ left**2) * (share @ right**2)))


@pytest.mark.parametrize("which", ["auc", "rho"])
@pytest.mark.parametrize("each", [1, 3], ids=["single", "clustered"])
def test_intervals_by_hand(which: str, each: int) -> None:
    """Wilson's, of as many cases as have the standard error of the numerical influence, by cluster.

    Clusters are of unequal sizes and go together, and scores have ties.
    """
    rng = np.random.default_rng(11)
    left, right = (np.repeat(rng.normal(size=30), 3) for _ in "ab")
    one = np.round(left + 0.3 * rng.normal(size=90), 1)
    other = np.round(0.5 * left + right + 0.3 * rng.normal(size=90), 1)
    kind = 0.2 * left + right + 0.3 * rng.normal(size=90) > 0.1
    clusters = (np.arange(90) // each - (np.arange(90) % 7 == 0)).tolist()
    found = auc(one, kind, clusters, 0.9) if which == "auc" else spearman(one, other, clusters, 0.9)
    assert found is not None

    def at(weights: Floats) -> float:
        if which == "auc":
            return weighted_auc(one, kind, weights)
        return (1 + weighted_rho(one, other, weights)) / 2

    step = 1e-5
    influence = [90 * (at(1 + move) - at(1 - move)) / (2 * step) for move in np.eye(90) * step]
    sums = np.array([sum(np.array(influence)[np.array(clusters) == name]) for name in set(clusters)])
    variance = (sums**2).sum() * len(sums) / (len(sums) - 1) / 90**2
    share = at(np.ones(90))
    cases = share * (1 - share) / variance
    expected = wilson(share * cases, cases, 0.9)
    ends = np.array([expected.low, expected.high]) * (1 if which == "auc" else 2) - (which == "rho")
    assert ends.tolist() == pytest.approx([found.interval.low, found.interval.high], abs=1e-6)
    assert (METHOD, 0.9) == (found.method, found.interval.level)


def test_no_more_cases_than_twice_the_rarer_kinds_clusters() -> None:
    """A nearly perfect order of 6 clusters of positive cases among 60: Wilson's interval of 12 cases."""
    positive = np.arange(120) < 12
    scores = np.where(positive, 200.0, 0.0) + np.arange(120)
    scores[119] = 205.5
    found, turned = (auc(scores, kind, np.arange(120) // 2, 0.9) for kind in (positive, ~positive))
    assert found is not None
    assert turned is not None
    expected = wilson(12 * found.value, 12, 0.9)
    assert (expected.low, expected.high) == pytest.approx(
        (found.interval.low, found.interval.high), abs=1e-12
    )
    assert (1 - expected.high) == pytest.approx(turned.interval.low, abs=1e-12)


@pytest.mark.parametrize(("clusters", "cases"), [("aaaa", 2.0), ("abba", 0.75), ("abcd", 2.25)])
def test_few_clusters_by_hand(clusters: str, cases: float) -> None:
    """An AUC of 0.75, and influences of ± 1/2, which two of the clusters sum to 1 and -1.

    One cluster has no variance, and is as good as two cases.
    """
    found = auc([1.0, 2.0, 3.0, 4.0], [False, True, False, True], clusters)
    assert found is not None
    expected = wilson(0.75 * cases, cases, 0.95)
    assert (expected.low, expected.high) == pytest.approx((found.interval.low, found.interval.high))


def test_cases_that_go_together_say_less() -> None:
    """Twenty cases ten times each are not two hundred."""
    rng = np.random.default_rng(3)
    one = np.repeat(rng.normal(size=20), 10)
    other = one + np.repeat(rng.normal(size=20), 10)
    for apart, together in (
        (spearman(one, other, range(200)), spearman(one, other, one.tolist())),
        (auc(one, other > 0, range(200)), auc(one, other > 0, one.tolist())),
    ):
        assert apart is not None
        assert together is not None
        longer, shorter = (each.interval.high - each.interval.low for each in (together, apart))
        assert longer > 2 * shorter


def test_a_perfect_order_is_no_certainty() -> None:
    """All right in 40 cases, 20 of them positive: the interval is Wilson's, of twice the rarer kind."""
    area = auc([1, 2, 3, 4] * 10, [False, False, True, True] * 10, range(40))
    order = spearman(range(40), range(40), range(40))
    assert area is not None
    assert order is not None
    assert (1.0, pytest.approx(0.912, abs=1e-3)) == (area.value, area.interval.low)
    assert (1.0, pytest.approx(0.908, abs=1e-3)) == (order.value, order.interval.low)
    assert (1.0, 1.0) == (area.interval.high, order.interval.high)


def test_scores_that_are_all_equal_order_nothing() -> None:
    """An AUC of one half, and no correlation at all."""
    area = auc([1.0] * 40, [False, True] * 20, range(40))
    assert area is not None
    assert (0.5, True) == (area.value, area.interval.low < 0.5 < area.interval.high)
    assert spearman([1.0] * 40, range(40), range(40)) is None


@pytest.mark.parametrize(("n", "share"), [(60, 0.3), (100, 0.05), (200, 0.1)])
@pytest.mark.parametrize("truth", [0.5, 0.8, 0.97])
def test_intervals_of_an_auc_cover(n: int, share: float, truth: float) -> None:
    """With many positive cases and with few."""
    rng = np.random.default_rng(20261122)
    apart = stats.norm.ppf(truth) * np.sqrt(2)
    found = []
    for _ in range(EXPERIMENTS):
        positive = rng.random(n) < share
        found.append(auc(rng.normal(size=n) + apart * positive, positive, range(n)))

    seen = [each.interval for each in found if each is not None]
    assert sum(each.low <= truth <= each.high for each in seen) / len(seen) >= LEAST


@pytest.mark.parametrize("truth", [0.0, 0.5, 0.9])
def test_intervals_of_a_rank_correlation_cover(truth: float) -> None:
    """Pairs of cases that go together, of normal numbers."""
    rng = np.random.default_rng(20261122)
    pearson = 2 * np.sin(np.pi / 6 * truth)
    clusters = np.repeat(np.arange(40), 2).tolist()
    held = 0
    for _ in range(EXPERIMENTS):
        one, noise = (
            0.7 * np.repeat(rng.normal(size=40), 2) + np.sqrt(0.51) * rng.normal(size=80) for _ in "ab"
        )
        seen = spearman(one, pearson * one + np.sqrt(1 - pearson**2) * noise, clusters)
        assert seen is not None
        held += seen.interval.low <= truth <= seen.interval.high

    assert held / EXPERIMENTS >= LEAST
