"""Whom to believe: how far judges and people agree, on the items and pairs of models that both judged."""

from collections.abc import Iterator, Mapping, Sequence
from itertools import combinations

from harness.preferences.named import NamedPreference
from harness.preferences.preference_set import PreferenceSet
from harness.preferences.results import HUMANS, JURY, GroupAgreement, RaterAgreement
from harness.records.preferences import Winner
from harness.stats.agreement import cohen_kappa, fleiss_kappa, krippendorff_alpha, raw_agreement
from harness.stats.plan import AnalysisPlan

Pair = tuple[str, str, str]
"""An item and the two models."""
Verdicts = Mapping[str, Mapping[Pair, NamedPreference]]
"""Each rater's usable choices between different answers."""


def agreements(chosen: PreferenceSet, plan: AnalysisPlan) -> Iterator[RaterAgreement]:
    """Of each two raters; of each judge with all humans, and of these with one another, where several are.

    Of a crowd there are only the latter. A jury repeats its judges: its agreement with judges is left out.
    """
    said = _verdicts(chosen)
    judges, humans = chosen.raters("judge"), chosen.raters("human")
    for pair in combinations([*judges, *chosen.people], 2):
        if pair[1] in judges and any(each.startswith(JURY) for each in pair):
            continue
        yield from _agreement(chosen, pair, [pair], said, plan)
    if len(humans) > 1 or chosen.crowd:
        for judge in judges:
            yield from _agreement(chosen, (judge, HUMANS), [(judge, each) for each in humans], said, plan)
        yield from _agreement(chosen, (HUMANS, HUMANS), list(combinations(humans, 2)), said, plan)


def _agreement(
    chosen: PreferenceSet,
    names: tuple[str, str],
    pairs: Sequence[tuple[str, str]],
    said: Verdicts,
    plan: AnalysisPlan,
) -> Iterator[RaterAgreement]:
    """Of every verdict of the first with every one of the second on the same item; nothing where none is."""
    shared = [
        (choice, said[second][item])
        for first, second in pairs
        for item, choice in said.get(first, {}).items()
        if item in said.get(second, {})
    ]
    if not shared:
        return
    first = [one.verdict for one, _ in shared]
    second = [other.verdict for _, other in shared]
    numbers = plan.numbers(*(chosen.models or ()), *names) | {"clusters": [one.unit for one, _ in shared]}
    yield RaterAgreement(
        models=chosen.models,
        first=names[0],
        second=names[1],
        raw=raw_agreement(list(zip(first, second, strict=True)), **numbers),
        kappa=cohen_kappa(first, second, **numbers),
    )


def groups(chosen: PreferenceSet, plan: AnalysisPlan) -> Iterator[GroupAgreement]:
    """Of all humans, and of all raters where there are others; a jury only repeats its judges."""
    said = _verdicts(chosen)
    humans = tuple(chosen.raters("human"))
    judges = tuple(each for each in chosen.raters("judge") if not each.startswith(JURY))
    for raters in dict.fromkeys([humans, (*judges, *humans)]):
        units = {item: choice.unit for each in raters for item, choice in said.get(each, {}).items()}
        units = dict(sorted(units.items()))
        ratings = [[_verdict(said, rater, item) for rater in raters] for item in units]
        if any(len(row) - row.count(None) > 1 for row in ratings):
            numbers = plan.numbers(*(chosen.models or ()), *raters) | {"clusters": list(units.values())}
            yield GroupAgreement(
                models=chosen.models,
                raters=raters,
                raw=raw_agreement(ratings, **numbers),
                fleiss=fleiss_kappa(ratings, **numbers),
                alpha=krippendorff_alpha(ratings, **numbers),
            )


def _verdicts(chosen: PreferenceSet) -> Verdicts:
    found: dict[str, dict[Pair, NamedPreference]] = {}
    for each in chosen.decided():
        found.setdefault(each.rater, {})[each.item, each.left, each.right] = each
    return found


def _verdict(said: Verdicts, rater: str, item: Pair) -> Winner | None:
    choice = said.get(rater, {}).get(item)
    return None if choice is None else choice.verdict
