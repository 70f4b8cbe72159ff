"""AUC and Spearman's rho: scipy as oracle, what they must not depend on, and how often intervals cover."""

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from scipy import stats

from harness.stats.clusters import Floats
from harness.stats.intervals import Estimate
from harness.stats.ranks import auc, mid_ranks, spearman

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
