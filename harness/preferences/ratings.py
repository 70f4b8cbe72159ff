"""Three or more models on one scale: each judge's Bradley-Terry ratings, and all humans'."""

from collections.abc import Iterator

from harness.preferences.preference_set import PreferenceSet
from harness.preferences.results import HUMANS, Ratings
from harness.stats.bradley_terry import ratings
from harness.stats.plan import AnalysisPlan

REFITS = 1_000
"""The most resamples, each of which fits the model again."""


def ranked(chosen: PreferenceSet, plan: AnalysisPlan) -> Iterator[Ratings]:
    """Ratings by each rater whose pairs hold three models or more."""
    humans = chosen.raters("human")
    for judge in chosen.raters("judge"):
        yield from _ratings(chosen.by(judge), judge, plan)
    if humans:
        yield from _ratings(chosen.by(*humans), HUMANS if chosen.pools_people else humans[0], plan)


def _ratings(chosen: PreferenceSet, rater: str, plan: AnalysisPlan) -> Iterator[Ratings]:
    decided = chosen.decided()
    if len({name for each in decided for name in (each.left, each.right)}) < 3:
        return
    try:
        rated = ratings(
            [each.left for each in decided],
            [each.right for each in decided],
            [1 - each.value for each in decided if each.value is not None],
            [each.unit for each in decided],
            plan.at_most(REFITS).resampling(rater),
        )
    except ValueError as error:  # models that were never compared with each other, not even over others
        yield Ratings(rater=rater, ratings=(), reason=str(error))
    else:
        yield Ratings(rater=rater, ratings=tuple(rated))
