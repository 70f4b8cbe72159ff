"""How far judges and people agree, on the items and pairs of models that both judged."""

from collections.abc import Iterator, Mapping, Sequence
from itertools import combinations

from harness.preferences.named import NamedPreference
from harness.preferences.preference_set import PreferenceSet
from harness.preferences.results import HUMANS, JURY, GroupAgreement, RaterAgreement
from harness.stats.agreement import cohen_kappa, fleiss_kappa, krippendorff_alpha, raw_agreement
from harness.stats.plan import AnalysisPlan

Pair = tuple[str, str, str]
"""An item and the two models."""
Decided = Mapping[str, Mapping[Pair, NamedPreference]]
"""Each rater's usable preferences between different answers."""


def agreements(chosen: PreferenceSet, plan: AnalysisPlan) -> Iterator[RaterAgreement]:
    """The agreement of each two raters, of each judge with all humans, and of humans with one another.

    In a crowd, single humans are left out. A jury repeats its judges: its agreement with them is left out.
    """
    decided = _decided(chosen)
    judges, humans = chosen.raters("judge"), chosen.raters("human")
    for pair in combinations([*judges, *chosen.people], 2):
        if pair[1] in judges and any(each.startswith(JURY) for each in pair):
            continue
        yield from _agreement(chosen, pair, [pair], decided, plan)
    if chosen.pools_people:
        for judge in judges:
            yield from _agreement(chosen, (judge, HUMANS), [(judge, each) for each in humans], decided, plan)
        yield from _agreement(chosen, (HUMANS, HUMANS), list(combinations(humans, 2)), decided, plan)


def _agreement(
    chosen: PreferenceSet,
    names: tuple[str, str],
    pairs: Sequence[tuple[str, str]],
    decided: Decided,
    plan: AnalysisPlan,
) -> Iterator[RaterAgreement]:
    """The agreement of the first's verdicts with the second's on the same items, if there are any."""
    shared = [
        (preference, decided[second][item])
        for first, second in pairs
        for item, preference in decided[first].items()
        if item in decided[second]
    ]
    if not shared:
        return
    first = [one.verdict for one, _ in shared]
    second = [other.verdict for _, other in shared]
    how, units = plan.resampling(*(chosen.models or ()), *names), [one.unit for one, _ in shared]
    yield RaterAgreement(
        models=chosen.models,
        first=names[0],
        second=names[1],
        raw=raw_agreement(list(zip(first, second, strict=True)), units, how),
        kappa=cohen_kappa(first, second, units, how),
    )


def groups(chosen: PreferenceSet, plan: AnalysisPlan) -> Iterator[GroupAgreement]:
    """The agreement of all humans, and of all raters if there are others; a jury only repeats its judges."""
    decided = _decided(chosen)
    humans = tuple(chosen.raters("human"))
    judges = tuple(each for each in chosen.raters("judge") if not each.startswith(JURY))
    for raters in dict.fromkeys([humans, (*judges, *humans)]):
        by_rater = [decided[rater] for rater in raters]
        units = {item: each.unit for theirs in by_rater for item, each in theirs.items()}
        units = dict(sorted(units.items()))
        rated = ([theirs.get(item) for theirs in by_rater] for item in units)
        ratings = [[each and each.verdict for each in row] for row in rated]
        if any(len(row) - row.count(None) > 1 for row in ratings):
            how, clusters = plan.resampling(*(chosen.models or ()), *raters), list(units.values())
            yield GroupAgreement(
                models=chosen.models,
                raters=raters,
                raw=raw_agreement(ratings, clusters, how),
                fleiss=fleiss_kappa(ratings, clusters, how),
                alpha=krippendorff_alpha(ratings, clusters, how),
            )


def _decided(chosen: PreferenceSet) -> Decided:
    found: dict[str, dict[Pair, NamedPreference]] = {each.rater: {} for each in chosen.preferences}
    for each in chosen.decided():
        found[each.rater][each.item, each.left, each.right] = each
    return found
