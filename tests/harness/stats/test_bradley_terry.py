"""Ratings: exact for two, right for several, honest where candidates never met or never lost."""

from math import log10

import numpy as np
import pytest

from harness.stats.bradley_terry import Rating, ratings
from harness.stats.plan import Resampling
from harness.stats.resampling import resamplings


def by_name(found: list[Rating]) -> dict[str, Rating]:
    """The ratings by the candidate's name."""
    return {rating.name: rating for rating in found}


def test_two_candidates_have_the_rating_of_their_win_rate() -> None:
    """750 of 1,000 is 400 · log10(3) apart, up to the made-up tie; the mean is 0."""
    found = by_name(
        ratings(["a"] * 1000, ["b"] * 1000, [1.0] * 750 + [0.0] * 250, range(1000), Resampling(resamples=99))
    )

    assert found["a"].value - found["b"].value == pytest.approx(400 * log10(3), abs=1)
    assert found["a"].value == pytest.approx(-found["b"].value)
    assert found["a"].interval.low < found["a"].value < found["a"].interval.high


def test_ties_are_half_a_win() -> None:
    """All ties, and half the wins each, rate both alike."""
    assert 0.0 == pytest.approx(
        ratings(["a"] * 9, ["b"] * 9, [0.5] * 9, range(9), Resampling(resamples=9))[0].value, abs=0.01
    )


def test_sides_do_not_matter() -> None:
    """A comparison told from the other side is the same."""
    draw = np.random.default_rng(2)
    pairs = [("a", "b"), ("b", "c"), ("a", "c")] * 30
    shares = draw.choice([0.0, 0.5, 1.0], 90)
    one = by_name(
        ratings([a for a, _ in pairs], [b for _, b in pairs], shares, range(90), Resampling(resamples=9))
    )
    other = by_name(
        ratings([b for _, b in pairs], [a for a, _ in pairs], 1 - shares, range(90), Resampling(resamples=9))
    )

    assert {name: pytest.approx(rating.value, abs=0.1) for name, rating in one.items()} == {
        name: rating.value for name, rating in other.items()
    }


def test_known_strengths_are_found() -> None:
    """Four candidates 100 apart: the intervals hold the truth mostly, and the order is right."""
    truth = dict(zip("abcd", (150.0, 50.0, -50.0, -150.0), strict=True))
    draw = np.random.default_rng(4)
    covered = 0
    for _ in range(20):
        pairs = [(a, b) for a in "abcd" for b in "abcd" if a < b] * 60
        chance = [1 / (1 + 10 ** ((truth[b] - truth[a]) / 400)) for a, b in pairs]
        wins = (draw.random(len(pairs)) < chance).astype(float)
        prompts = [number // 6 for number in range(len(pairs))]
        found = ratings(
            [a for a, _ in pairs],
            [b for _, b in pairs],
            wins,
            prompts,
            Resampling(resamples=199, seed=draw),
        )
        covered += sum(r.interval.low <= truth[r.name] <= r.interval.high for r in found)
        assert {"a", "b"} == {rating.name for rating in found[:2]}
    assert covered >= 68  # of 80; 76 are promised


def test_who_never_lost_has_no_bound() -> None:
    """The rating is finite, and is told to be no more than a lower limit."""
    found = by_name(
        ratings(
            ["a", "a", "b"] * 5,
            ["b", "c", "c"] * 5,
            [1.0, 1.0, 0.5] * 5,
            range(15),
            Resampling(resamples=99),
        )
    )

    assert (True, False, False) == tuple(found[name].unbounded for name in "abc")
    assert np.isfinite(found["a"].value)
    assert 10 == found["a"].comparisons


def test_parts_that_never_met_are_named() -> None:
    """A rating across them would be invented."""
    with pytest.raises(ValueError, match="a, b; c, d"):
        ratings(["a", "c"], ["b", "d"], [1.0, 0.0], [0, 1])


def test_intervals_are_percentiles_of_refitted_resamples() -> None:
    """Of two candidates the rating is known in closed form, half a made-up win each, and so is every
    resample's; the ends are the order statistics that leave (1 - level) / 2 of one more than there are."""
    shares = np.random.default_rng(1).random(20)
    for resamples, level, low, high in ((79, 0.875, 4, 74), (19, 0.95, 0, 18), (39, 0.5, 9, 29)):
        how = Resampling(level=level, resamples=resamples, seed=7)
        found = ratings(["a"] * 20, ["b"] * 20, shares, range(20), how)
        drawn = np.concatenate(list(resamplings(20, resamples, 4, np.random.default_rng(7)))) @ shares
        expected = np.sort(200 * np.log10((drawn + 0.5) / (20.5 - drawn)))
        interval = by_name(found)["a"].interval
        assert (expected[low], expected[high]) == pytest.approx((interval.low, interval.high), abs=0.02)
        value = 200 * log10((shares.sum() + 0.5) / (20.5 - shares.sum()))
        assert value == pytest.approx(by_name(found)["a"].value, abs=0.01)
        assert level == interval.level


def test_who_met_once_have_met() -> None:
    """One game, won: half a made-up win stands against one and a half."""
    found = by_name(ratings(["a"], ["b"], [1.0], [0], Resampling(resamples=9)))
    assert pytest.approx(200 * log10(1.5 / 0.5), abs=0.01) == found["a"].value


def test_what_a_caller_leaves_out() -> None:
    """95 %, a thousand resamples, seed 0."""
    data = ["a", "a", "b"] * 3, ["b", "c", "c"] * 3, [1.0, 0.0, 0.5] * 3, range(9)
    assert ratings(*data) == ratings(*data, Resampling(level=0.95, resamples=1000, seed=0))


def test_what_was_won_and_lost_counts_as_comparisons() -> None:
    """Of everyone, and one win or one loss is a bound."""
    found = by_name(ratings(["a", "a", "b", "b"], ["b", "b", "c", "c"], [1.0, 0.0, 1.0, 0.5], range(4)))

    assert [2, 4, 2] == [found[name].comparisons for name in "abc"]
    assert [False, False, False] == [found[name].unbounded for name in "abc"]


def test_long_chains_of_pairs_are_one_part() -> None:
    """Whoever met somebody who met the others is rated with them, in whatever order they met."""
    lefts, rights = ["a", "c", "b", "d"], ["b", "d", "c", "e"]
    assert 5 == len(ratings(lefts, rights, [1.0, 0.0, 0.5, 1.0], range(4), Resampling(resamples=9)))


def test_a_resample_without_a_candidate_still_rates_it() -> None:
    """Of few prompts some are left out: the interval is finite and holds the rating, mean 0."""
    found = ratings(["a", "a", "b", "b"], ["b", "b", "c", "c"], [1.0, 0.0, 1.0, 0.5], range(4))

    for rating in found:
        assert -1000 < rating.interval.low < rating.value < rating.interval.high < 1000
    assert pytest.approx(0) == sum(rating.value for rating in found)


def test_ratings_are_the_likelihoods_maximum() -> None:
    """Where it is, every candidate has won as much as its chances promise, made-up ties included."""
    lefts, rights = ["a", "a", "b", "c"] * 5, ["b", "c", "c", "d"] * 5
    shares = np.random.default_rng(6).choice([0.0, 0.25, 1.0], 20)
    found = {rating.name: rating.value for rating in ratings(lefts, rights, shares, range(20))}
    surplus = dict.fromkeys("abcd", 0.0)
    for left, right, share in zip(lefts, rights, shares, strict=True):
        chance = 1 / (1 + 10 ** ((found[right] - found[left]) / 400))
        surplus[left] += share - chance
        surplus[right] += chance - share
    for left, right in (("a", "b"), ("a", "c"), ("b", "c"), ("c", "d")):
        chance = 1 / (1 + 10 ** ((found[right] - found[left]) / 400))
        surplus[left] += (0.5 - chance) / 4  # a tie's weight over four pairs
        surplus[right] += (chance - 0.5) / 4
    assert [0.0] * 4 == pytest.approx(list(surplus.values()), abs=1e-3)
