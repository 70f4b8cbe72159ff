"""What is unscored could be anything from 0 to 1, and no more than that is ever claimed."""

import pytest

from harness.bounds import bounded, difference_bounds, is_bound, observed_bounds
from harness.observed import Observed
from harness.records.answers import Metric, Observation, Score
from tests.harness.compared import bounds

RIGHT = Metric(name="right", kind="binary")
SHARE = Metric(name="share", kind="number")


def of(metric: str, *values: float | None) -> list[Score]:
    """A row's scores of one metric."""
    return [Score(metric=metric, value=value) for value in values]


def test_nothing_unscored() -> None:
    """A mean that nothing could move has no bounds."""
    assert bounds(RIGHT, [of("right", 1, 0), of("other", None)]) is None
    assert bounds(RIGHT, []) is None


def test_unscored_is_anything_from_0_to_1() -> None:
    """One of four is missing: it is 0 at least and 1 at most."""
    assert (0.5, 0.75) == bounds(RIGHT, [of("right", 1, None), of("right", 1, 0)])
    assert (0.0, 1.0) == bounds(RIGHT, [of("right", None)])


def test_what_the_suite_says_is_taken() -> None:
    """Beside a score stands what it could have been, where that is something else."""
    scores = bounded(Score(metric="share", value=0.5), least=0.25, most=0.75)
    assert (0.375, 0.625) == bounds(SHARE, [scores, of("share", 0.5)])
    assert ["share"] == [score.metric for score in scores if not is_bound(score)]


def test_a_bound_that_is_the_score_is_not_kept() -> None:
    """A score that could not have been other stands alone."""
    certain = Score(metric="share", value=1.0)
    assert (certain,) == bounded(certain, least=1.0, most=1.0)
    assert ["share", "share:least"] == [each.metric for each in bounded(certain, least=0.5, most=1.0)]


@pytest.mark.parametrize("value", [1.5, -0.5])
def test_a_range_that_is_not_known(value: float) -> None:
    """A number that leaves 0 to 1 could be anything, and so could a number that was never scored."""
    assert bounds(SHARE, [of("share", value, None)]) is None
    assert bounds(SHARE, [of("share", None)]) is None
    assert (0.0, 1.0) == bounds(Metric(name="share", kind="number", headline=True), [of("share", None)])


def test_from_the_store() -> None:
    """Scores as the store gives them, by metric, have the bounds of their rows."""

    def seen(sample: str, value: float | None) -> Observation:
        return Observation(sample=sample, part=0, cluster=sample, value=value)

    observations = {
        "share": Observed.of([seen("1", 0.5), seen("2", 0.5), seen("3", None)]),
        "share:least": Observed.of([seen("1", 0.25)]),
        "share:most": Observed.of([seen("2", 0.75)]),
    }
    assert (0.25, 0.75) == observed_bounds(SHARE, observations)


def seen(*values: float | None) -> Observed:
    """One score per sample."""
    return Observed.of(
        Observation(sample=f"s{place}", part=0, cluster=f"s{place}", value=value)
        for place, value in enumerate(values)
    )


def test_a_difference_is_bounded_on_both_sides() -> None:
    """Four pairs, by hand: 1-0 is known; a missing one against 1, 0 against a missing one, 0 against 0."""
    before, after = {"right": seen(0, 1, None, 0)}, {"right": seen(1, None, 0, 0)}
    assert ((1 - 1 - 1 + 0) / 4, (1 + 0 + 0 + 0) / 4) == difference_bounds(RIGHT, before, after)


def test_a_difference_that_nothing_could_move_has_no_bounds() -> None:
    """All scored, or no sample in common."""
    assert difference_bounds(RIGHT, {"right": seen(0, 1)}, {"right": seen(1, 1)}) is None
    assert difference_bounds(RIGHT, {"right": seen(None)}, {"right": seen()}) is None


def test_a_difference_heeds_what_the_suite_says() -> None:
    """A score that rests on some of its parts moves the difference as far as its suite says."""
    before = {"share": seen(0.5, 0.0)}
    after = {"share": seen(0.5, 1.0), "share:least": seen(0.25), "share:most": seen(0.75)}
    assert (0.375, 0.625) == difference_bounds(SHARE, before, after)
