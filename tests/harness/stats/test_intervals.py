"""Intervals: golden values, oracles, degenerate cases, and what must hold whatever the numbers."""

import sys
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats as scipy_stats
from scipy.optimize import brentq, minimize_scalar
from scipy.special import xlogy
from statsmodels.stats.proportion import proportion_confint

from harness.records.comparisons import Interval
from harness.stats import mean_interval
from harness.stats.clusters import Clusters, by_cluster
from harness.stats.intervals import Estimate, difference_interval, one_sided_p, tango, wilson
from harness.stats.plan import Resampling

Z2 = 1.959963984540054**2

few_values = st.lists(st.sampled_from([-1.0, 0.0, 0.5, 1.0]), min_size=1, max_size=60)
many_values = st.lists(
    st.floats(min_value=-1, max_value=1, allow_subnormal=False), min_size=12, max_size=60, unique=True
)


def estimate(sums: object, sizes: object = None, range_width: float = 1.0, resamples: int = 499) -> Estimate:
    """The interval of seeded differences, given as clusters' sums; single ones where no sizes are given."""
    totals = np.asarray(sums, dtype=float)
    clusters = Clusters(totals, np.ones(len(totals)) if sizes is None else np.asarray(sizes, dtype=float))
    return difference_interval(
        clusters, range_width, level=0.95, resamples=resamples, rng=np.random.default_rng(20261122)
    )


def ends(interval: Interval) -> tuple[float, float]:
    """What pytest can compare approximately."""
    return interval.low, interval.high


@pytest.mark.parametrize(("successes", "n"), [(0, 30), (30, 30), (3, 30), (257, 817), (1, 1)])
@pytest.mark.parametrize("level", [0.8, 0.95, 0.99])
def test_wilson_agrees_with_statsmodels(successes: int, n: int, level: float):
    """Proportions from none to all."""
    expected = proportion_confint(successes, n, alpha=1 - level, method="wilson")

    assert expected == pytest.approx(ends(wilson(successes, n, level)), abs=1e-12)


@pytest.mark.parametrize(("won", "lost", "n"), [(1, 7, 21), (12, 1, 44), (150, 120, 541), (0, 3, 50)])
def test_tango_agrees_with_a_search(won: int, lost: int, n: int):
    """The likelihood maximised numerically at each difference, and the score's root found by scipy."""

    def score(difference: float) -> float:
        low, high = max(0.0, -difference), (1 - difference) / 2
        counts = np.array([won, lost, n - won - lost])

        def unlikely(share: float) -> float:
            return float(-xlogy(counts, [share + difference, share, 1 - 2 * share - difference]).sum())

        share = minimize_scalar(unlikely, bounds=(low, high), method="bounded", options={"xatol": 1e-12}).x
        return (won - lost - n * difference) / np.sqrt(n * (2 * share + difference - difference**2))

    z, seen, edge = np.sqrt(Z2), (won - lost) / n, 1 - 1e-6
    expected = brentq(lambda d: score(d) - z, -edge, seen), brentq(lambda d: score(d) + z, seen, edge)

    assert expected == pytest.approx(ends(tango(won, lost, n, 0.95)), abs=1e-5)


def test_tango_as_published():
    """1 won and 7 lost of 21 (Fagerland, Lydersen and Laake 2014, airway hyper-responsiveness)."""
    assert (-0.517, -0.026) == pytest.approx(ends(tango(1, 7, 21, 0.95)), abs=5e-4)


@pytest.mark.parametrize("n", [1, 44, 817])
def test_tango_where_nothing_or_everything_flips(n: int):
    """In closed form: ± z² / (n + z²) without a flip, from (n - z²) / (n + z²) up if all were won."""
    bound = Z2 / (n + Z2)

    assert (-bound, bound) == pytest.approx(ends(tango(0, 0, n, 0.95)))
    assert ((n - Z2) / (n + Z2), 1.0) == pytest.approx(ends(tango(n, 0, n, 0.95)))


@given(st.integers(0, 40), st.integers(0, 40), st.integers(0, 500))
def test_tango_holds_what_mcnemar_would_not_reject(won: int, lost: int, same: int):
    """It contains the estimate, and zero exactly where |won - lost| / √(won + lost) is at most z."""
    n = won + lost + same + 1
    interval = tango(won, lost, n, 0.95)

    assert -1 <= interval.low <= (won - lost) / n <= interval.high <= 1
    assert (interval.low <= 0 <= interval.high) is ((won - lost) ** 2 <= Z2 * (won + lost))


@pytest.mark.parametrize("sums", [[0.0] * 817, [1.0] * 100, [0.5] * 60, [0.0], [1.0], [-0.2, 0.3]])
def test_what_was_never_seen_to_vary_is_not_certain(sums: list[float]):
    """Resampling equal differences gives a point; the score interval takes its place and says so."""
    found = estimate(sums)

    assert found.method == "Tango score interval"
    assert Z2 / (len(sums) + Z2) <= found.interval.high - found.interval.low


@pytest.mark.parametrize(("sizes", "units"), [(None, "samples"), ([2.0] * 60, "clusters")])
def test_an_interval_says_what_was_resampled(sizes: list[float] | None, units: str) -> None:
    """Samples, or clusters where they hold several; and its level."""
    found = estimate(np.random.default_rng(1).normal(size=60), sizes)
    assert (f"bootstrap-t over 60 {units}, 499 resamples", 0.95) == (found.method, found.interval.level)


def test_two_clusters_of_many_scores_are_two_units():
    """50 scores from two prompts say as little as two scores."""
    many, two = estimate([5.0, 10.0], sizes=[25.0, 25.0]), estimate([0.2, 0.4])

    assert ends(two.interval) == pytest.approx(ends(many.interval))
    assert many.interval.high - many.interval.low > 1


def test_the_unit_of_scores_is_kept_where_nothing_varies():
    """No difference among 100 scores of 0 to 50: fifty times what it is for 0 to 1."""
    unit, fifty = estimate([0.0] * 100), estimate([0.0] * 100, range_width=50.0)

    assert ends(fifty.interval) == pytest.approx(tuple(50 * end for end in ends(unit.interval)))


def test_the_bootstrap_of_a_normal_sample_is_students_interval():
    """Symmetric bootstrap-t finds t's own quantile to within its Monte Carlo error."""
    values = np.random.default_rng(3).normal(0.1, 0.3, 60)
    found = estimate(values, range_width=4.0, resamples=20_000)
    half = scipy_stats.t.ppf(0.975, 59) * scipy_stats.sem(values)

    assert values.mean() == pytest.approx(found.value)
    assert half == pytest.approx(found.interval.high - found.value, rel=0.05)
    assert found.method == "bootstrap-t over 60 samples, 20000 resamples"


def test_the_bootstrap_of_a_large_sample_agrees_with_scipy():
    """With 800 pairs all bootstraps meet: scipy's BCa interval is the oracle."""
    values = np.random.default_rng(4).choice([-1.0, 0.0, 1.0], 800, p=[0.1, 0.7, 0.2])
    oracle = scipy_stats.bootstrap((values,), np.mean, n_resamples=4000, rng=np.random.default_rng(5))

    assert tuple(oracle.confidence_interval) == pytest.approx(
        ends(estimate(values, resamples=9999).interval), abs=0.004
    )


def test_grouping_equal_clusters_changes_no_distribution():
    """Drawing how often each kind comes, or each cluster by itself, gives the same interval."""
    values = np.repeat([-1.0, 0.0, 1.0], [20, 100, 40])
    alone = values + np.linspace(0, 1e-9, 160)

    grouped, single = (estimate(each, resamples=40_000).interval for each in (values, alone))
    assert ends(grouped) == pytest.approx(ends(single), abs=0.003)


def test_copies_of_a_score_do_not_narrow_the_interval():
    """25 equal draws per prompt hold no more than one."""
    values = np.random.default_rng(6).normal(0, 0.2, 80)
    one, copied = estimate(values), estimate(25 * values, sizes=np.full(80, 25.0))

    assert ends(one.interval) == pytest.approx(ends(copied.interval), abs=0.004)


def test_more_level_is_wider():
    """80, 95 and 99 %, each within the next."""
    clusters = by_cluster(np.random.default_rng(8).normal(0, 0.2, 80), range(80))
    intervals = [
        difference_interval(clusters, 2.0, level=level, resamples=1999, rng=np.random.default_rng(1)).interval
        for level in (0.8, 0.95, 0.99)
    ]

    assert all(wide.low < narrow.low < narrow.high < wide.high for narrow, wide in pairwise(intervals))


@settings(max_examples=50)
@given(st.one_of(few_values, many_values))
def test_exchanging_the_sides_mirrors_the_interval(values: list[float]):
    """`compare a b` and `compare b a` tell one story, to the last bit."""
    forth, back = estimate(values).interval, estimate([-value for value in values]).interval

    assert (forth.low, forth.high) == (-back.high, -back.low)


@settings(max_examples=50)
@given(st.one_of(few_values, many_values), st.randoms())
def test_order_changes_nothing(values: list[float], random: object):
    """Samples are a set."""
    shuffled = values.copy()
    random.shuffle(shuffled)  # type: ignore[attr-defined]  # of the value that is made here

    assert estimate(values) == estimate(shuffled)


@settings(max_examples=50)
@given(st.one_of(few_values, many_values), st.sampled_from([0.125, 4.0, 1024.0]))
def test_another_unit_scales_the_interval(values: list[float], scale: float):
    """Milliseconds for seconds: a thousand times the interval."""
    one, scaled = estimate(values), estimate(np.array(values) * scale, range_width=scale)

    assert ends(scaled.interval) == pytest.approx(tuple(scale * end for end in ends(one.interval)), rel=1e-6)


@settings(max_examples=50)
@given(st.one_of(few_values, many_values))
def test_it_holds_the_estimate_and_is_never_a_point(values: list[float]):
    """Some width is left whatever was seen, within the range of differences."""
    found = estimate(values)

    assert -1 <= found.interval.low <= found.value <= found.interval.high <= 1
    assert found.interval.low < found.interval.high


def test_a_binary_mean_has_wilsons_interval():
    """For single scores; the seed then changes nothing."""
    values = [1.0] * 40 + [0.0] * 10

    assert wilson(40, 50, 0.95) == mean_interval(values, range(50), "binary", Resampling(seed=1))


def test_a_mean_at_the_border_is_not_certain():
    """300 prompts, all 25 draws of each harmless: 300 units of evidence, not 7,500, and not certainty."""
    clusters = np.repeat(np.arange(300), 25).tolist()

    assert wilson(300, 300, 0.95) == mean_interval([1.0] * 7500, clusters, "binary")


def test_a_mean_of_clusters_stays_within_the_range():
    """A share is at most 1, however wide its interval."""
    values = np.random.default_rng(2).binomial(1, 0.97, 40 * 25).astype(float)
    interval = mean_interval(
        values, np.repeat(np.arange(40), 25).tolist(), "binary", Resampling(resamples=999)
    )

    assert 0.94 < interval.low < values.mean() < interval.high <= 1


@pytest.mark.parametrize("varied", [False, True], ids=["few differ", "resampled"])
def test_a_mean_in_another_unit_has_its_interval_there(varied: bool) -> None:
    """Scores from -20 to 60 are those from 0 to 1, times 80 and less 20, and so are their intervals."""
    rng = np.random.default_rng(5)
    values = np.concatenate([[0.0, 1.0], rng.random(38) if varied else np.full(38, 0.25)])
    how = Resampling(level=0.9, resamples=299, seed=2)
    unit, scaled = (mean_interval(each, range(40), "number", how) for each in (values, 80 * values - 20))
    assert [80 * unit.low - 20, 80 * unit.high - 20] == pytest.approx([scaled.low, scaled.high])
    assert (0.9, 0.9) == (unit.level, scaled.level)


@pytest.mark.parametrize("changed", [3, 30], ids=["few differ", "resampled"])
def test_a_difference_has_the_level_asked_for(changed: int) -> None:
    """Both kinds of interval say which they are of."""
    found = difference_interval(
        by_cluster([0.1 * place for place in range(changed)] + [0.0] * 30, range(changed + 30)),
        3.0, level=0.8, resamples=99, rng=np.random.default_rng(0),
    )  # fmt: skip
    assert 0.8 == found.interval.level
    assert 0.8 == tango(3, 1, 20, 0.8).level


def test_clusters_of_unequal_sizes_by_hand() -> None:
    """The bootstrap-t of a ratio: what each resample's clusters have above its own mean, squared."""
    rng = np.random.default_rng(8)
    sizes = np.array([1.0, 2.0, 3.0, 4.0] * 5)
    sums = sizes * rng.normal(0.1, 0.3, 20)
    found = estimate(sums, sizes, range_width=10.0)
    clusters = Clusters(sums, sizes)
    residuals = clusters.residuals
    if tuple(np.sort(residuals)) < tuple(np.sort(-residuals)):
        residuals = -residuals
    order = np.lexsort((sizes, residuals))
    residuals, sizes = residuals[order], sizes[order]
    drawn = np.random.default_rng(20261122).integers(0, 20, (499, 20))
    t = []
    for places in drawn:
        shift = residuals[places].sum() / sizes[places].sum()
        spread = ((residuals[places] - shift * sizes[places]) ** 2).sum() * 20 / 19
        t.append(abs(shift * sizes[places].sum() / np.sqrt(spread)))
    half = np.sort(t)[int(np.ceil(0.95 * 500)) - 1] * clusters.standard_error
    assert [clusters.mean - half, clusters.mean + half] == pytest.approx(
        [found.interval.low, found.interval.high]
    )


def test_a_seed_or_a_generator_is_taken():
    """As numpy's own functions take either."""
    values, clusters = np.linspace(0, 1, 30).tolist(), range(30)
    seeded = mean_interval(values, clusters, "number", Resampling(seed=5))

    assert seeded == mean_interval(values, clusters, "number", Resampling(seed=np.random.default_rng(5)))
    assert seeded != mean_interval(values, clusters, "number", Resampling(seed=6))


def test_the_chance_of_a_larger_loss_mirrors() -> None:
    """Differences as far below the bound as others are above it have 1 - p; what no resample reaches has the
    smallest p there is; beyond the scores' range nothing can be lost."""
    values = np.random.default_rng(3).normal(0.02, 0.3, 60)

    def chance(of: np.ndarray, bound: float, range_width: float = 1.0, resamples: int = 99) -> float:
        rng = np.random.default_rng(5)
        return one_sided_p(by_cluster(of, range(60)), range_width, bound, resamples=resamples, rng=rng)

    above, below = chance(values, -0.05), chance(-0.1 - values, -0.05)
    assert above < 0.5 < below
    assert 0.3 < chance(values - values.mean(), -0.01) < 0.5  # not a standard error above it
    assert pytest.approx(1 - above) == below
    assert pytest.approx(0.5 / 100) == chance(values + 5, -0.05)
    assert sys.float_info.min == chance(values, -1.0)


def test_the_chance_of_a_larger_loss_knows_no_unit() -> None:
    """Where few differ, scores twice as large with a bound twice as low have the same p."""
    few = [1.0, -1.0, -1.0] + [0.0] * 57

    def chance(scale: float) -> float:
        clusters = by_cluster(np.array(few) * scale, range(60))
        rng = np.random.default_rng(5)
        return one_sided_p(clusters, scale, -0.1 * scale, resamples=99, rng=rng)

    assert pytest.approx(chance(1.0)) == chance(4.0)
