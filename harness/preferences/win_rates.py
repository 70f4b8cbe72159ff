"""Who is preferred: each rater's win rate, whether it could be chance, and what else moved the rater."""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from math import fsum
from statistics import fmean

from harness.preferences.named import NO_REASON, Kind, NamedPreference, over_orders
from harness.preferences.preference_set import PreferenceSet
from harness.preferences.results import HUMANS, RaterWinRate
from harness.records.comparisons import Decision, Interval
from harness.stats.clusters import by_cluster
from harness.stats.decisions import decide_difference
from harness.stats.length_control import LengthControlled, length_controlled
from harness.stats.multiplicity import holm
from harness.stats.plan import AnalysisPlan, Resampling
from harness.stats.prediction_powered import CorrectedWinRate, corrected_win_rate
from harness.stats.preferences import (
    TIE,
    Bias,
    Consistency,
    length_bias,
    position_bias,
    position_consistency,
    sign_test,
    win_rate,
)

REFITS = 2_000
"""The most resamples where each fits a model again."""


def win_rates(chosen: PreferenceSet, plan: AnalysisPlan) -> Iterator[RaterWinRate]:
    """The win rates between two models: each judge's, each person's, and all humans'; not decided yet.

    For a crowd there is only the one of all humans.
    """
    judges, humans = chosen.raters("judge"), chosen.raters("human")
    truth = _means(chosen.by(*humans))
    for rater in judges:
        yield _rater_win_rate(chosen.by(rater), rater, "judge", truth, plan)
    for rater in chosen.people:
        yield _rater_win_rate(chosen.by(rater), rater, "human", {}, plan)
    if chosen.pools_people:
        yield _rater_win_rate(chosen.by(*humans), HUMANS, "human", {}, plan)


def _means(chosen: PreferenceSet) -> dict[str, float]:
    """What these raters say of each item, all of them together."""
    values: dict[str, list[float]] = {}
    for each in chosen.decided():
        values.setdefault(each.item, []).extend(_values([each]))
    return {item: fmean(said) for item, said in values.items()}


def _rater_win_rate(
    chosen: PreferenceSet, rater: str, kind: Kind, truth: Mapping[str, float], plan: AnalysisPlan
) -> RaterWinRate:
    """One result's numbers; adjusted p and decision are still to come, for they need the family."""
    asked = over_orders(chosen.preferences)
    kept = chosen.decided()
    values, units = _values(kept), [each.unit for each in kept]
    assert chosen.models is not None
    baseline, candidate = chosen.models
    identical = sum(each.identical for each in asked)
    how = plan.resampling(baseline, candidate, rater)
    refitted = plan.at_most(REFITS).resampling(baseline, candidate, rater)
    return RaterWinRate(
        baseline=baseline,
        candidate=candidate,
        rater=rater,
        kind=kind,
        decision=Decision.NOT_COMPARABLE,  # until all are corrected together
        n=len(kept),
        identical=identical,
        with_identical=fmean([*values, *[TIE] * identical]) if kept else None,
        unreadable=_counted(each.reason or NO_REASON for each in asked if each.value is None),
        replies=sum(each.is_reply for each in chosen.preferences),
        without_verdict=_counted(_kind(each) for each in chosen.preferences if _says_nothing(each)),
        win_rate=win_rate(values, units, how) if kept else None,
        bounds=_bounds(values, sum(each.value is None for each in asked)),
        standard_error=_standard_error(values, units),
        test=sign_test(values, units) if kept else None,
        adjusted_p=None,
        position=_position(chosen, plan.level),
        consistency=_consistency(chosen, how),
        length=_length(kept, how),
        length_controlled=_length_controlled(kept, refitted),
        corrected=_corrected(kept, truth, refitted),
    )


def _counted(reasons: Iterable[str]) -> dict[str, int]:
    """How often there is each, the commonest first."""
    return dict(sorted(Counter(reasons).items(), key=lambda found: (-found[1], found[0])))


def _says_nothing(preference: NamedPreference) -> bool:
    return preference.is_reply and preference.winner is None


def _kind(preference: NamedPreference) -> str:
    """What a reply that says nothing is: unreadable, refused, …"""
    return (preference.reason or NO_REASON).partition(": ")[0]


def _values(decided: Sequence[NamedPreference]) -> list[float]:
    return [each.value for each in decided if each.value is not None]


def _bounds(values: Sequence[float], without: int) -> tuple[float, float] | None:
    """The mean if so many more had been 0, and 1."""
    if not (values and without):
        return None
    won, of = fsum(values), len(values) + without
    return won / of, (won + without) / of


def _standard_error(values: Sequence[float], units: Sequence[str]) -> float | None:
    return by_cluster(values, units).standard_error if len(set(units)) > 1 else None


def _position(chosen: PreferenceSet, level: float) -> Bias | None:
    """None where one model was always shown first: then a side cannot be distinguished from a model."""
    ordered = [each for each in chosen.usable() if each.shown_first is not None]
    if len({each.shown_first for each in ordered}) < 2:
        return None
    won = [each.verdict == each.shown_first for each in ordered if each.verdict != "tie"]
    return position_bias(sum(won), len(won) - sum(won), level=level)


def _consistency(chosen: PreferenceSet, how: Resampling) -> Consistency | None:
    """Over pairs that one rater judged with the candidate (the right one) shown first, and shown second."""
    orders: dict[str | None, dict[tuple[str, str], NamedPreference]] = {}
    for each in chosen.usable():
        orders.setdefault(each.shown_first, {})[each.rater, each.item] = each
    first, second = orders.get("right", {}), orders.get("left", {})
    both = [pair for pair in first if pair in second]
    return position_consistency(
        _values([first[pair] for pair in both]),
        _values([second[pair] for pair in both]),
        [first[pair].unit for pair in both],
        how,
    )


def _length(kept: Sequence[NamedPreference], how: Resampling) -> Bias | None:
    known = [each for each in kept if each.longer_by is not None]
    return length_bias(_values(known), _longer_by(known), [each.unit for each in known], how)


def _length_controlled(kept: Sequence[NamedPreference], how: Resampling) -> LengthControlled | None:
    values, longer_by = _values(kept), _longer_by(kept)
    if not longer_by:
        return None
    if len(longer_by) < len(kept):
        return LengthControlled(
            value=None, interval=None, raw=fmean(values), length_weight=None, extrapolated=False,
            method="none",
            reason=f"of {len(kept) - len(longer_by):,} of {len(kept):,} pairs the lengths are not known",
        )  # fmt: skip
    return length_controlled(values, longer_by, [each.unit for each in kept], how)


def _longer_by(kept: Sequence[NamedPreference]) -> list[int]:
    return [each.longer_by for each in kept if each.longer_by is not None]


def _corrected(
    kept: Sequence[NamedPreference], truth: Mapping[str, float], how: Resampling
) -> CorrectedWinRate | None:
    human = [truth.get(each.item) for each in kept]
    if all(label is None for label in human):
        return None
    return corrected_win_rate(human, _values(kept), [each.unit for each in kept], how)


def against_itself(chosen: PreferenceSet, plan: AnalysisPlan) -> Iterator[RaterWinRate]:
    """The win rates of a model against itself: one half by definition, whatever was said."""
    half = Interval(low=TIE, high=TIE, level=plan.level)
    ties = replace(chosen, preferences=tuple(map(_tied, chosen.preferences)))
    for result in win_rates(ties, plan):
        assert result.win_rate is not None
        assert result.test is not None
        yield replace(
            result,
            win_rate=replace(result.win_rate, interval=half),
            adjusted_p=result.test.p,
            corrected=None,
            decision=Decision.NO_DIFFERENCE,
        )


def _tied(preference: NamedPreference) -> NamedPreference:
    """A tie, of which nothing is known that could be a bias."""
    return replace(
        preference,
        winner="tie",
        share=None,
        reason=None,
        shown_first=None,
        left_length=None,
        right_length=None,
    )


def decided(found: Sequence[RaterWinRate], plan: AnalysisPlan) -> Iterator[RaterWinRate]:
    """The same results, corrected as one family and decided; a judge that was not read decides nothing."""
    tested = [each for each in found if each.test and each.unread is None]
    adjusted = iter(holm([each.test.p for each in tested if each.test]))
    for result in found:
        if result in tested:
            yield _decided(result, next(adjusted), plan)
        else:
            yield replace(result, decision=Decision.NOT_COMPARABLE)


def _decided(result: RaterWinRate, adjusted_p: float, plan: AnalysisPlan) -> RaterWinRate:
    assert result.win_rate is not None
    decision = decide_difference(result.win_rate.interval, adjusted_p, plan.alpha, equal=TIE)
    return replace(result, adjusted_p=adjusted_p, decision=decision)
