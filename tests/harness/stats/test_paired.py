"""Paired tests: exact small cases, oracles, and what must hold whatever the numbers."""

import sys
from itertools import product

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats as scipy_stats
from statsmodels.stats.contingency_tables import mcnemar as statsmodels_mcnemar

from harness.stats.paired import mcnemar, sign_flip

counts = st.integers(min_value=0, max_value=400)
differences = st.lists(
    st.floats(min_value=-1, max_value=1, allow_subnormal=False), min_size=1, max_size=40
).map(np.array)


def generator() -> np.random.Generator:
    """The same one every time."""
    return np.random.default_rng(20261122)


def p_of(sums: object) -> float:
    """The permutation test's p, seeded."""
    return sign_flip(np.asarray(sums, dtype=float), resamples=999, rng=generator()).p


@pytest.mark.parametrize(
    ("won", "lost", "expected"),
    [(5, 1, 0.21875), (8, 2, 0.109375), (1, 0, 1.0), (0, 0, 1.0), (3, 3, 1.0), (6, 0, 0.03125)],
)
def test_mcnemar_in_small_cases(won: int, lost: int, expected: float):
    """Binomial tails counted by hand: a normal approximation says .0455 for 5-1 and 0 for 1-0."""
    assert expected == mcnemar(won, lost) == mcnemar(lost, won)


@given(counts, counts)
def test_mcnemar_agrees_with_statsmodels(won: int, lost: int):
    """Its exact test, whatever the counts."""
    assert statsmodels_mcnemar([[7, won], [lost, 7]], exact=True).pvalue == pytest.approx(mcnemar(won, lost))


@given(counts, counts)
def test_mcnemar_agrees_with_the_binomial_test(won: int, lost: int):
    """A two-sided test of 1/2 on the pairs that changed."""
    expected = scipy_stats.binomtest(won, won + lost).pvalue if won + lost else 1.0

    assert expected == pytest.approx(mcnemar(won, lost))


def test_p_is_never_zero():
    """Where a float is too coarse, the smallest float stands for it."""
    assert sys.float_info.min == mcnemar(5000, 0)
    assert sys.float_info.min == p_of(np.ones(3000))


@given(counts.filter(bool), counts)
def test_a_permutation_of_single_flips_is_mcnemar(won: int, lost: int):
    """Both tests are one where every cluster holds one binary score."""
    assert mcnemar(won, lost) == pytest.approx(p_of([1.0] * won + [-1.0] * lost + [0.0] * 5))


@pytest.mark.parametrize("sums", [[3.0, -1.0, 2.0, 2.0, 5.0], [0.25, -0.5, 0.75, 0.125, 1.5, 0.0]])
def test_all_exchanges_are_counted(sums: list[float]):
    """Whole and fractional sums alike, against counting one by one."""
    flipped = [
        abs(sum(s * d for s, d in zip(signs, sums, strict=True)))
        for signs in product((1, -1), repeat=len(sums))
    ]
    expected = sum(each >= abs(sum(sums)) for each in flipped) / len(flipped)

    assert expected == pytest.approx(p_of(sums))


def test_exact_enumeration_agrees_with_scipy():
    """scipy's permutation test over all exchanges of twelve pairs."""
    sums = generator().normal(0.5, 1, 12)
    oracle = scipy_stats.permutation_test(
        (sums,), np.sum, permutation_type="samples", n_resamples=np.inf, vectorized=False
    )

    assert oracle.pvalue == pytest.approx(p_of(sums))


def test_whole_numbers_give_an_exact_p_where_others_are_simulated():
    """200 clusters of whole sums against the same with a little dust: the simulation finds the exact p."""
    sums = generator().integers(-5, 7, 200).astype(float)
    exact = sign_flip(sums, resamples=999, rng=generator())
    simulated = sign_flip(sums * 1.1, resamples=40_000, rng=generator())

    assert exact.method.endswith("exact")
    assert simulated.method.endswith("40000 random exchanges")
    assert exact.p == pytest.approx(simulated.p, abs=4 * np.sqrt(exact.p / 40_000))


def test_a_simulated_p_is_at_least_one_in_all_exchanges_and_the_seen_one():
    """(0 + 1) / (999 + 1): never 0, however large the difference."""
    assert p_of(np.linspace(1, 1.5, 100)) == 0.001


def test_a_true_null_is_rejected_as_often_as_claimed():
    """Among 1,000 seeded experiments without a difference, about 5 % come below .05."""
    rng = generator()
    rejected = sum(sign_flip(rng.normal(size=30), resamples=399, rng=rng).p < 0.05 for _ in range(1000))

    assert pytest.approx(rejected, abs=3 * np.sqrt(1000 * 0.05 * 0.95)) == 50


@given(differences)
def test_direction_and_order_change_nothing(sums: np.ndarray):
    """Exchanging the two sides or shuffling clusters gives the same p, to the last bit."""
    assert p_of(sums) == p_of(-sums) == p_of(sums[::-1])


@given(differences, st.sampled_from([2.0**-20, 2.0, 1024.0]))
def test_the_unit_changes_nothing(sums: np.ndarray, scale: float):
    """Seconds or milliseconds, one p."""
    fractions = sums + np.copysign(1e-3, sums) * np.pi

    assert p_of(fractions) == pytest.approx(p_of(fractions * scale))


@given(differences)
def test_p_is_a_chance_above_zero(sums: np.ndarray):
    """0 < p <= 1."""
    assert 0 < p_of(sums) <= 1


@pytest.mark.parametrize(
    ("sums", "method"),
    [
        (np.zeros(3), "sign-flip permutation test, exact"),
        (np.arange(1.0, 30), "sign-flip permutation test, exact"),
        (np.full(20, 0.1), "sign-flip permutation test, exact"),
        (np.full(21, 0.1), "sign-flip permutation test, 99 random exchanges"),
        (np.full(600, 1e6), "sign-flip permutation test, 99 random exchanges"),
    ],
)
def test_a_p_says_how_it_was_found(sums: np.ndarray, method: str) -> None:
    """Whole numbers are counted while that is quick, others up to 20, and exchanges are drawn beyond."""
    assert method == sign_flip(sums, resamples=99, rng=generator()).method


@pytest.mark.parametrize("held", [1, 40 * 699])
def test_how_many_numbers_are_held_at_once_changes_nothing(
    monkeypatch: pytest.MonkeyPatch, held: int
) -> None:
    """As many exchanges are counted in one piece as in many, the last of which is shorter."""
    sums = np.random.default_rng(2).normal(0.1, 1.0, 40)
    expected = sign_flip(sums, resamples=1000, rng=np.random.default_rng(1)).p
    monkeypatch.setattr("harness.stats.paired.CHUNK", held)
    found = sign_flip(sums, resamples=1000, rng=np.random.default_rng(1)).p
    assert pytest.approx(expected, abs=0.06) == found


def test_random_exchanges_count_what_is_as_extreme() -> None:
    """One large difference among rounding errors: every exchange is as extreme, so p is 1; of unequal ones
    p is the share of exchanges that a second draw from the same generator counts."""
    dust = np.full(30, 1e-17)
    dust[0] = 0.1
    assert 1.0 == sign_flip(dust, resamples=199, rng=np.random.default_rng(1)).p

    sums = np.random.default_rng(2).normal(0.3, 1.0, 40)
    found = sign_flip(sums, resamples=4000, rng=np.random.default_rng(1))
    signs = np.random.default_rng(9).choice([-1.0, 1.0], (4000, 40))
    assert pytest.approx((np.abs(signs @ sums) >= abs(sums.sum())).mean(), abs=0.03) == found.p
    assert round(found.p * 4001) == pytest.approx(found.p * 4001)
