"""How far judges and people agree, on the items and pairs of models that both judged."""

from collections.abc import Iterator, Mapping, Sequence
from itertools import combinations
from operator import itemgetter

from harness.preferences.named import NamedPreference
from harness.preferences.preference_set import PreferenceSet
from harness.preferences.results import HUMANS, JURY, GroupAgreement, RaterAgreement
from harness.records.preferences import Winner
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
        yield from _agreement(chosen, pair, _shared(decided, pair[:1], pair[1:]), plan)
    if chosen.pools_people:
        for judge in judges:
            yield from _agreement(chosen, (judge, HUMANS), _shared(decided, [judge], humans), plan)
        yield from _agreement(chosen, (HUMANS, HUMANS), _shared(decided, humans, humans), plan)


def _shared(
    decided: Decided, firsts: Sequence[str], seconds: Sequence[str]
) -> list[tuple[NamedPreference, NamedPreference]]:
    """What two raters say of the same item: one of the firsts and a second one, each two of them once.

    In a crowd few share an item, so that this goes by items and not by pairs of raters.
    """
    place = {rater: number for number, rater in enumerate(dict.fromkeys([*firsts, *seconds]))}
    by_item: dict[Pair, list[str]] = {}
    for rater in seconds:
        for item in decided[rater]:
            by_item.setdefault(item, []).append(rater)
    found = []
    for first in firsts:
        both = [
            (place[second], preference, decided[second][item])
            for item, preference in decided[first].items()
            for second in by_item.get(item, ())
            if place[second] > place[first]
        ]
        found += [(one, other) for _, one, other in sorted(both, key=itemgetter(0))]
    return found


def _agreement(
    chosen: PreferenceSet,
    names: tuple[str, str],
    shared: Sequence[tuple[NamedPreference, NamedPreference]],
    plan: AnalysisPlan,
) -> Iterator[RaterAgreement]:
    """The agreement of the first's verdicts with the second's on the same items, if there are any."""
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
        units = {item: each.unit for rater in raters for item, each in decided[rater].items()}
        units = dict(sorted(units.items()))
        said: dict[Pair, list[Winner | None]] = {item: [] for item in units}
        for rater in raters:
            for item, each in decided[rater].items():
                said[item].append(each.verdict)
        ratings = list(said.values())
        if any(len(row) > 1 for row in ratings):
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
