"""Who is preferred: each rater's win rate, whether it could be chance, and what else moved the rater.

It does not know how far raters agree, nor where judgements come from.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from statistics import fmean
from typing import Any

from harness.preferences.findings import HUMANS, Finding
from harness.preferences.heard import Heard
from harness.preferences.judgement import NO_REASON, Choice, Judgement, Kind, choices
from harness.records import Decision
from harness.stats.clusters import by_cluster
from harness.stats.decisions import decide_difference
from harness.stats.length_control import LengthControlled, length_controlled
from harness.stats.multiplicity import holm
from harness.stats.plan import AnalysisPlan
from harness.stats.prediction_powered import Corrected, corrected_win_rate
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
"""At most so many resamples where each is a model fitted anew."""


def findings(heard: Heard, plan: AnalysisPlan) -> Iterator[Finding]:
    """Of two models: each judge's, each person's, and all humans' together. They are still to be decided.

    Of a crowd there is only what they say together.
    """
    judges, humans = heard.raters("judge"), heard.raters("human")
    truth = _means(heard.by(*humans))
    for rater in judges:
        yield _finding(heard.by(rater), rater, "judge", truth, plan)
    for rater in heard.people:
        yield _finding(heard.by(rater), rater, "human", {}, plan)
    if len(humans) > 1 or (humans and heard.crowd):
        yield _finding(heard.by(*humans), HUMANS, "human", {}, plan)


def _means(heard: Heard) -> dict[str, float]:
    """What these raters say of each item, all of them together."""
    values: dict[str, list[float]] = {}
    for each in heard.decided():
        values.setdefault(each.item, []).extend(_values([each]))
    return {item: fmean(said) for item, said in values.items()}


def _finding(heard: Heard, rater: str, kind: Kind, truth: Mapping[str, float], plan: AnalysisPlan) -> Finding:
    """One finding's numbers; adjusted p and decision are still to come, for they need the family."""
    asked = choices(heard.judgements)
    kept = heard.decided()
    values, units = _values(kept), [each.unit for each in kept]
    assert heard.models is not None
    baseline, candidate = heard.models
    identical = sum(each.identical for each in asked)
    numbers = plan.numbers(baseline, candidate, rater)
    refitted = plan.at_most(REFITS).numbers(baseline, candidate, rater)
    return Finding(
        baseline=baseline,
        candidate=candidate,
        rater=rater,
        kind=kind,
        decision=Decision.NO_DIFFERENCE if kept else Decision.NOT_COMPARABLE,
        n=len(kept),
        identical=identical,
        with_identical=fmean([*values, *[TIE] * identical]) if kept else None,
        unreadable=_counted(each.reason or NO_REASON for each in asked if each.value is None),
        replies=sum(each.is_reply for each in heard.judgements),
        without_verdict=_counted(_kind(each) for each in heard.judgements if _says_nothing(each)),
        win_rate=win_rate(values, units, **numbers) if kept else None,
        standard_error=_standard_error(values, units),
        test=sign_test(values, units) if kept else None,
        adjusted_p=None,
        position=_position(heard, plan.level),
        consistency=_consistency(heard, numbers),
        length=_length(kept, numbers),
        length_controlled=_length_controlled(kept, refitted),
        corrected=_corrected(kept, truth, refitted),
    )


def _counted(reasons: Iterable[str]) -> dict[str, int]:
    """How often there is each, the commonest first."""
    return dict(sorted(Counter(reasons).items(), key=lambda found: (-found[1], found[0])))


def _says_nothing(judgement: Judgement) -> bool:
    return judgement.is_reply and judgement.winner is None


def _kind(judgement: Judgement) -> str:
    """What a reply that says nothing is: unreadable, refused, …"""
    return (judgement.reason or NO_REASON).partition(": ")[0]


def _values(decided: Sequence[Choice | Judgement]) -> list[float]:
    return [each.value for each in decided if each.value is not None]


def _standard_error(values: Sequence[float], units: Sequence[str]) -> float | None:
    return by_cluster(values, units).standard_error if len(set(units)) > 1 else None


def _position(heard: Heard, level: float) -> Bias | None:
    """None where one model was always shown first: then a side cannot be told from a model."""
    ordered = [each for each in heard.usable() if each.shown_first is not None]
    if len({each.shown_first for each in ordered}) < 2:
        return None
    won = [each.verdict == each.shown_first for each in ordered if each.verdict != "tie"]
    return position_bias(sum(won), len(won) - sum(won), level=level)


def _consistency(heard: Heard, numbers: dict[str, Any]) -> Consistency | None:
    """Over pairs that one rater judged with the candidate (the right one) shown first, and shown second."""
    orders: dict[str | None, dict[tuple[str, str], Judgement]] = {}
    for each in heard.usable():
        orders.setdefault(each.shown_first, {})[each.rater, each.item] = each
    first, second = orders.get("right", {}), orders.get("left", {})
    both = [pair for pair in first if pair in second]
    return position_consistency(
        _values([first[pair] for pair in both]),
        _values([second[pair] for pair in both]),
        [first[pair].unit for pair in both],
        **numbers,
    )


def _length(kept: Sequence[Choice], numbers: dict[str, Any]) -> Bias | None:
    known = [each for each in kept if each.longer_by is not None]
    return length_bias(_values(known), _longer_by(known), [each.unit for each in known], **numbers)


def _length_controlled(kept: Sequence[Choice], numbers: dict[str, Any]) -> LengthControlled | None:
    values, longer_by = _values(kept), _longer_by(kept)
    if not longer_by:
        return None
    if len(longer_by) < len(kept):
        return LengthControlled(
            value=None, interval=None, raw=fmean(values), length_weight=None, extrapolated=False,
            method="none",
            reason=f"of {len(kept) - len(longer_by):,} of {len(kept):,} pairs the lengths are not known",
        )  # fmt: skip
    return length_controlled(values, longer_by, [each.unit for each in kept], **numbers)


def _longer_by(kept: Sequence[Choice]) -> list[int]:
    return [each.longer_by for each in kept if each.longer_by is not None]


def _corrected(
    kept: Sequence[Choice], truth: Mapping[str, float], numbers: dict[str, Any]
) -> Corrected | None:
    shared = [each for each in kept if each.item in truth]
    others = [each for each in kept if each.item not in truth]
    if not shared:
        return None
    return corrected_win_rate(
        [truth[each.item] for each in shared],
        _values(shared),
        [each.unit for each in shared],
        _values(others),
        [each.unit for each in others],
        **numbers,
    )


def decided(found: Sequence[Finding], plan: AnalysisPlan) -> Iterator[Finding]:
    """The same findings, corrected as one family and decided; a judge that was not read decides nothing."""
    tested = [each for each in found if each.test and each.unread is None]
    adjusted = iter(holm([each.test.p for each in tested if each.test]))
    for finding in found:
        if finding in tested:
            yield _decided(finding, next(adjusted), plan)
        else:
            yield replace(finding, decision=Decision.NOT_COMPARABLE)


def _decided(finding: Finding, adjusted_p: float, plan: AnalysisPlan) -> Finding:
    assert finding.win_rate is not None
    decision = decide_difference(finding.win_rate.interval, adjusted_p, plan.alpha, equal=TIE)
    return replace(finding, adjusted_p=adjusted_p, decision=decision)
