"""The win rate at equal length: exact where length says nothing, right where it says a known amount."""

import numpy as np
import pytest
from scipy.optimize import minimize

from harness.stats.intervals import critical_t, wilson
from harness.stats.length_control import RIDGE, length_controlled
from harness.stats.plan import Resampling
from harness.stats.resampling import resamplings

EXACTLY = {"xatol": 1e-9, "fatol": 1e-12, "maxiter": 2000}
"""Where Nelder and Mead's search stops."""


def simulated(
    merit: float, weight: float, n: int, draw: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """Judgements by the model itself: shares, and how much longer the candidate's answers are."""
    lengths = draw.normal(150, 300, n)
    chance = 1 / (1 + np.exp(-(merit + weight * np.tanh(lengths / lengths.std()))))
    return (draw.random(n) < chance).astype(float), lengths


def test_without_differences_in_length_it_is_the_win_rate() -> None:
    """65 of 100, but for a penalty too small to be seen."""
    found = length_controlled([1.0] * 65 + [0.0] * 35, [0.0] * 100, range(100), Resampling(resamples=199))

    assert found.value == pytest.approx(0.65, abs=1e-4)
    assert (pytest.approx(0.65), pytest.approx(0.0)) == (found.raw, found.length_weight)


def test_a_preference_that_is_all_length_vanishes() -> None:
    """The longer answer wins four of five times, and the candidate's is longer thrice as often."""
    longer = np.array([1.0] * 150 + [-1.0] * 50)
    wins = np.array(([1.0] * 4 + [0.0]) * 30 + ([0.0] * 4 + [1.0]) * 10)
    found = length_controlled(wins, longer, range(200), Resampling(resamples=499))

    assert found.raw == pytest.approx(0.65)
    assert found.value == pytest.approx(0.5, abs=0.005)
    assert found.length_weight is not None
    assert found.length_weight > 1


def test_mirrored_candidates_have_mirrored_rates() -> None:
    """Who is called the candidate does not matter."""
    wins, lengths = simulated(0.6, 1.0, 200, np.random.default_rng(1))
    one = length_controlled(wins, lengths, range(200), Resampling(resamples=199))
    other = length_controlled(1 - wins, -lengths, range(200), Resampling(resamples=199))

    assert one.value is not None
    assert one.interval is not None
    assert other.interval is not None
    assert other.value == pytest.approx(1 - one.value)
    assert other.interval.low == pytest.approx(1 - one.interval.high)


@pytest.mark.parametrize(("merit", "weight"), [(0.0, 1.0), (0.4, -1.0), (1.5, 0.5)])
def test_the_interval_covers(merit: float, weight: float) -> None:
    """In at least 88 of 100 seeded experiments where 95 are promised (97.5 % of such hundreds have 91)."""
    draw = np.random.default_rng(7)
    truth = 1 / (1 + np.exp(-merit))
    covered = 0
    for _ in range(100):
        wins, lengths = simulated(merit, weight, 120, draw)
        interval = length_controlled(wins, lengths, range(120), Resampling(resamples=199, seed=draw)).interval
        covered += interval is not None and interval.low <= truth <= interval.high
    assert covered >= 88


def test_winning_everything_is_no_certainty() -> None:
    """A model without any loss to fit has an interval below 1, and no infinite merit."""
    found = length_controlled([1.0] * 30, np.linspace(-5, 5, 30), range(30), Resampling(resamples=199))

    assert found.value is not None
    assert found.interval is not None
    assert found.value > 0.95
    assert found.interval.low < 0.95


def test_length_that_tells_every_winner_gives_no_rate() -> None:
    """None and why, where merit and length are one."""
    told = length_controlled([1.0] * 20 + [0.0] * 20, [3.0] * 20 + [-2.0] * 20, range(40))
    alike = length_controlled([1.0] * 20 + [0.0] * 20, [3.0] * 40, range(40))

    assert (None, None) == (told.value, alike.value)
    assert "length alone tells who won" in str(told.reason)
    assert "differ in length by the same" in str(alike.reason)


def test_one_side_always_longer_is_an_extrapolation() -> None:
    """Nothing was seen near equal length, which is said."""
    draw = np.random.default_rng(3)
    found = length_controlled(
        (draw.random(60) < 0.6).astype(float), draw.uniform(1, 9, 60), range(60), Resampling(resamples=99)
    )

    assert found.extrapolated


def test_few_losses_leave_the_units_that_lengths_do_not_use_up() -> None:
    """Wilson's interval of n (1 - rho²) / k units: rho is how far length and merit explain the same, and k
    the judgements of one prompt."""
    lengths = np.tile(np.linspace(-1, 3, 30), 2)
    wins = np.ones(60)
    wins[[3, 33]] = 0.0
    found = length_controlled(wins, lengths, [i % 30 for i in range(60)], Resampling(level=0.9))

    assert "Wilson's, reduced" == found.method
    assert found.value is not None
    assert found.length_weight is not None
    away = np.tanh(lengths / lengths.std())
    merit = np.log(found.value / (1 - found.value))
    chance = 1 / (1 + np.exp(-(merit + found.length_weight * away)))
    weights = chance * (1 - chance)
    rho = (weights @ away) / np.sqrt((weights.sum() + 0.01) * (weights @ away**2 + 0.01))
    units = 60 / 2 * (1 - rho**2)
    expected = wilson(found.value * units, units, 0.9)
    assert found.interval is not None
    assert (pytest.approx(expected.low), pytest.approx(expected.high)) == (
        found.interval.low,
        found.interval.high,
    )


def fitted(shares: np.ndarray, lengths: np.ndarray, each: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Merit and weight that maximise the penalised likelihood of weighted judgements, and the information."""
    columns = np.column_stack([np.ones(len(lengths)), lengths])

    def loss(beta: np.ndarray) -> float:
        logit = columns @ beta
        gained = each * (shares * logit - np.logaddexp(0, logit))
        return float(RIDGE / 2 * (beta @ beta) - gained.sum())

    beta = np.asarray(minimize(loss, np.zeros(2), method="Nelder-Mead", options=EXACTLY).x)
    chance = 1 / (1 + np.exp(-columns @ beta))
    information = (columns * (each * chance * (1 - chance))[:, None]).T @ columns + RIDGE * np.eye(2)
    return beta, information


def error_of(
    beta: np.ndarray,
    information: np.ndarray,
    weights: np.ndarray,
    by_prompt: list[tuple[np.ndarray, np.ndarray]],
) -> float:
    """The sandwich's standard error of the merit: prompts' scores, squared, between two inverses."""
    meat = np.zeros((2, 2))
    for weight, (shares, lengths) in zip(weights, by_prompt, strict=True):
        columns = np.column_stack([np.ones(len(lengths)), lengths])
        score = (shares - 1 / (1 + np.exp(-columns @ beta))) @ columns
        meat += weight * np.outer(score, score)
    inverse = np.linalg.inv(information)
    count = len(by_prompt)
    return float(np.sqrt((inverse @ meat @ inverse)[0, 0] * count / (count - 1)))


def told_by_length(shares: np.ndarray, lengths: np.ndarray) -> bool:
    """Whether all that won something are at least as long as all that lost something, or at most."""
    won, lost = lengths[shares > 0], lengths[shares < 1]
    if not len(won) or not len(lost):
        return True
    return bool(max(won) <= min(lost) or max(lost) <= min(won))


@pytest.mark.parametrize("level", [0.7, 0.98])
def test_the_interval_by_hand(level: float) -> None:
    """Prompts of unequal sizes, resampled, refitted one by one with another optimiser; a resample that length
    alone explains is infinitely far off, so that at a high level the interval says nothing."""
    draw = np.random.default_rng(5)
    prompts = np.repeat(np.arange(20), draw.integers(1, 4, 20))
    wins, differences = simulated(0.0, 3.0, len(prompts), draw)
    wins[0] = 0.5
    how = Resampling(level=level, resamples=39, seed=3)
    found = length_controlled(wins, differences, prompts.tolist(), how)

    lengths = np.tanh(differences / differences.std())
    by_prompt = [(wins[prompts == prompt], lengths[prompts == prompt]) for prompt in range(20)]
    beta, information = fitted(wins, lengths, np.ones(len(wins)))
    ts = []
    for weights in np.concatenate(list(resamplings(20, 39, 4 * len(wins), np.random.default_rng(3)))):
        each = weights[prompts]
        again, known = fitted(wins, lengths, each)
        if told_by_length(wins[each > 0], lengths[each > 0]):
            ts.append(np.inf)
        else:
            ts.append((again[0] - beta[0]) / error_of(again, known, weights, by_prompt))
    half = critical_t(np.array(ts), level) * error_of(beta, information, np.ones(20), by_prompt)

    assert 0 < sum(np.isinf(ts)) < 10
    assert np.isinf(half) == (level > 0.9)
    assert found.interval is not None
    assert beta[1] == pytest.approx(found.length_weight, abs=1e-4)
    ends = [0.5 * (1 + np.tanh((beta[0] + away) / 2)) for away in (0, -half, half)]
    assert ends == pytest.approx([found.value, found.interval.low, found.interval.high], abs=1e-4)
    assert (level, "bootstrap-t over 20 clusters, 39 resamples") == (found.interval.level, found.method)


def test_a_rate_that_is_not_found_says_what_was_seen() -> None:
    """The raw rate stands, and whether one side was always longer; 0 is no longer."""
    told = length_controlled([1.0] * 20 + [0.0] * 20, [3.0] * 20 + [2.0] * 20, range(40))
    level = length_controlled([1.0] * 20 + [0.0] * 20, [3.0] * 20 + [0.0] * 20, range(40))
    shorter = length_controlled([1.0] * 20 + [0.0] * 20, [-0.3] * 20 + [-0.2] * 20, range(40))

    assert (0.5, True, "none") == (told.raw, told.extrapolated, told.method)
    assert (0.5, False) == (level.raw, level.extrapolated)
    assert shorter.extrapolated
