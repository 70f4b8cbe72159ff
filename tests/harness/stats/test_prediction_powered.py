"""The corrected win rate: unbiased whatever the judge, and better than people alone with a good one."""

from collections.abc import Callable

import numpy as np
import pytest

from harness.stats.intervals import mean_interval
from harness.stats.plan import Resampling
from harness.stats.prediction_powered import FEWEST, corrected_win_rate


def labelled(agree: float, bias: float, n: int, draw: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """People who prefer the candidate in 60 %, and a judge who follows them, or a coin, or the candidate."""
    people = (draw.random(n) < 0.6).astype(float)
    judge = np.where(draw.random(n) < agree, people, draw.random(n) < 0.5)
    return people, np.where(draw.random(n) < bias, 1.0, judge)


def first(count: int, people: np.ndarray) -> list[float | None]:
    """What people said of the first items, and nothing of the others."""
    return [float(label) if place < count else None for place, label in enumerate(people)]


@pytest.mark.parametrize("shared", [20, 50, 200])
def test_it_covers_the_truth_with_a_biased_judge(shared: int) -> None:
    """In at least 88 of 100 seeded experiments, although the judge alone never would."""
    draw = np.random.default_rng(shared)
    covered = misled = 0
    for _ in range(100):
        people, judge = labelled(0.8, 0.25, 1000, draw)
        found = corrected_win_rate(
            first(shared, people), judge, range(1000), Resampling(resamples=199, seed=draw)
        )
        assert found.interval is not None
        covered += found.interval.low <= 0.6 <= found.interval.high
        misled += judge.mean() > 0.6 + 2 * 0.0155
    assert covered >= 88
    assert misled >= 95


def test_a_perfect_judge_is_followed() -> None:
    """The interval is nearly that of all items judged by people."""
    people, _ = labelled(1.0, 0.0, 1000, np.random.default_rng(1))
    found = corrected_win_rate(first(100, people), people, range(1000))
    assert found.interval is not None
    assert found.human is not None
    assert found.weight is not None

    assert found.weight > 0.85
    assert found.interval.high - found.interval.low < 0.45 * (found.human.high - found.human.low)


def test_a_useless_judge_is_not_followed() -> None:
    """A coin's labels leave what people said."""
    draw = np.random.default_rng(2)
    people, judge = labelled(0.0, 0.0, 1000, draw)
    found = corrected_win_rate(first(200, people), judge, range(1000))
    assert found.value is not None
    assert found.weight is not None

    assert found.weight < 0.2
    assert found.value == pytest.approx(people[:200].mean(), abs=0.02)


def test_a_judge_that_is_always_wrong_is_not_followed() -> None:
    """One that contradicts people has weight 0, never below."""
    people, _ = labelled(1.0, 0.0, 400, np.random.default_rng(3))
    found = corrected_win_rate(first(100, people), 1 - people, range(400))

    assert (0.0, pytest.approx(people[:100].mean())) == (found.weight, found.value)


def test_too_few_labels_give_no_number() -> None:
    """None and why."""
    few = corrected_win_rate([1.0] * 5 + [None] * 50, [1.0] * 55, range(55))
    alone = corrected_win_rate([1.0] * 20, [1.0] * 20, range(20))

    helpless = corrected_win_rate([1.0] * 20 + [None] * 9, [1.0] * 29, range(29))
    enough = corrected_win_rate([0.0, 1.0] * 5 + [None] * 10, [0.0, 1.0] * 10, range(20))

    assert (None, None, None) == (few.value, alone.value, helpless.value)
    assert f"people judged 5 of the judge's items, and at least {FEWEST} are needed" == few.reason
    assert "the judge has judged nothing but what people have" == alone.reason
    assert "only 9 items were judged by the judge alone: too few to help" == helpless.reason
    assert [(5, 0), (20, 0), (20, 0)] == [(each.shared, each.judged) for each in (few, alone, helpless)]
    assert (10, 10, None) == (enough.shared, enough.judged, enough.reason)


@pytest.mark.parametrize(
    ("people", "judge", "others"),
    [([1.0] * 20, [0.0, 1.0] * 10, [0.0, 1.0] * 50), ([0.0, 1.0] * 10, [0.0, 1.0] * 10, [1.0] * 100)],
)
def test_without_spread_people_alone_say_everything(
    people: list[float], judge: list[float], others: list[float]
) -> None:
    """Where people all say the same, or nothing is uncertain with the judge: weight 0, and no NaN."""
    found = corrected_win_rate([*people, *[None] * 100], [*judge, *others], range(120))

    assert (sum(people) / 20, 0.0) == (found.value, found.weight)
    assert found.human is not None
    assert found.human == found.interval
    assert (20, 100) == (found.shared, found.judged)
    assert 0 <= found.human.low < found.human.high <= 1


def coarse(people: np.ndarray, draw: np.random.Generator) -> np.ndarray:
    """A judge that says what people say, or prefers the candidate."""
    return np.where(draw.random(len(people)) < 0.7, people, 1.0)


def faint(people: np.ndarray, draw: np.random.Generator) -> np.ndarray:
    """One that leans where people lean, by a twentieth of how far: its lean counts twenty-fold."""
    return 0.5 + (people - 0.5) / 20


def dim(people: np.ndarray, draw: np.random.Generator) -> np.ndarray:
    """One whose shares hardly differ, and a little more by chance than by what people say."""
    return 0.5 + (people - 0.5) / 50 + draw.normal(0, 0.04, len(people))


@pytest.mark.parametrize(
    ("judge_of", "followed"), [(coarse, (0.2, 0.8)), (faint, (1, 1)), (dim, (0.05, 0.9))]
)
def test_the_correction_by_hand(
    monkeypatch: pytest.MonkeyPatch,
    judge_of: Callable[[np.ndarray, np.random.Generator], np.ndarray],
    followed: tuple[float, float],
) -> None:
    """The weight is the covariance over the judge's variance, both of means of clusters of unequal sizes.

    Where critical t is 1, the interval is the standard error on either side."""
    monkeypatch.setattr("harness.stats.prediction_powered.critical_t", lambda t, level: 1.0)
    draw = np.random.default_rng(11)
    clusters = np.repeat(np.arange(60), draw.integers(1, 4, 60))
    people = (draw.random(len(clusters)) < 0.6).astype(float)
    judge = judge_of(people, draw)
    both = clusters < 25

    found = corrected_win_rate(
        [float(y) if shared else None for y, shared in zip(people, both, strict=True)],
        judge,
        clusters.tolist(),
        Resampling(resamples=19),
    )

    def by_item(values: np.ndarray, mask: np.ndarray) -> np.ndarray:
        """Each cluster's sum of distances from the mean, over all scores."""
        away = values[mask] - values[mask].mean()
        sums = np.bincount(clusters[mask], weights=away)[np.unique(clusters[mask])]
        count = len(sums)
        return np.asarray(sums / mask.sum() * np.sqrt(count / (count - 1)))

    ours, theirs, far = by_item(people, both), by_item(judge, both), by_item(judge, ~both)
    weight = min((ours @ theirs) / (theirs @ theirs + far @ far), 1.0)
    assert followed[0] <= weight <= followed[1]
    assert pytest.approx(weight) == found.weight
    expected = people[both].mean() + weight * (judge[~both].mean() - judge[both].mean())
    assert pytest.approx(expected) == found.value
    error = np.sqrt(((ours - weight * theirs) ** 2).sum() + weight**2 * (far @ far))
    assert found.interval is not None
    assert (expected - error, expected + error) == pytest.approx((found.interval.low, found.interval.high))
    assert (25, 35) == (found.shared, found.judged)
    labels, prompts = people[both].tolist(), clusters[both].tolist()
    how = Resampling(resamples=19, seed=np.random.default_rng(0))
    assert mean_interval(labels, prompts, "number", how) == found.human
