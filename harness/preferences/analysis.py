"""Judgements become findings: who is preferred, whether it could be chance, and whom to believe.

Each pair of models and each rater is a finding, and so are all humans together where there are several. The
sign tests of all findings are one family for Holm's correction. BETTER and WORSE need what they need
everywhere: an adjusted p below 1 - level, and an interval wholly on one side, here of one half.

Judges and humans are treated alike. It does not know models, prompts or the store: it is given judgements.
"""

import hashlib
import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import combinations, permutations
from typing import Any

from harness.preferences.findings import HUMANS, JURY, Analysis, Finding, GroupAgreement, RaterAgreement
from harness.preferences.judgement import NO_REASON, Choice, Judgement, Kind, Winner, choices
from harness.records import Decision
from harness.stats.agreement import cohen_kappa, fleiss_kappa, krippendorff_alpha, raw_agreement
from harness.stats.clusters import by_cluster
from harness.stats.multiplicity import holm
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

Numbers = dict[str, Any]
"""Keyword arguments of a resampling: level, resamples, seed."""


@dataclass(frozen=True, slots=True)
class _Plan:
    """How to compute: the same for every finding of a call."""

    level: float
    resamples: int
    seed: int

    @property
    def alpha(self) -> float:
        """1 - level, without the float's dust."""
        return round(1 - self.level, 12)

    def __call__(self, *what: str) -> Numbers:
        """Arguments of a resampling, whose generator is its own in whatever company it is computed."""
        digest = hashlib.sha256(json.dumps([self.seed, *what]).encode()).digest()
        seed = int.from_bytes(digest[:8])
        return {"level": self.level, "resamples": self.resamples, "seed": seed}


@dataclass(frozen=True, slots=True)
class _Heard:
    """What was said between two models, with the baseline on the left; or between all of them."""

    models: tuple[str, str] | None
    judgements: tuple[Judgement, ...]

    def raters(self, kind: Kind) -> list[str]:
        """In the order in which they are first heard."""
        return list(dict.fromkeys(each.rater for each in self.judgements if each.kind == kind))

    def by(self, *raters: str) -> "_Heard":
        """What these raters alone said."""
        return replace(self, judgements=tuple(each for each in self.judgements if each.rater in raters))


def analyse(
    judgements: Sequence[Judgement],
    *,
    baseline: str | None = None,
    level: float = 0.95,
    resamples: int = 10_000,
    seed: int = 0,
) -> Analysis:
    """Everything that these judgements come to; at least one of them.

    `baseline` is one of the models; by default it is the first left one. Of two others, the one that is
    named first is the baseline of their pair.
    """
    plan = _Plan(level, resamples, seed)
    named = dict.fromkeys(name for each in judgements for name in (each.left, each.right))
    models = tuple(dict.fromkeys([baseline or judgements[0].left, *named]))
    heard = [_between(judgements, *pair) for pair in combinations(models, 2)]
    heard = [each for each in heard if each.judgements]
    shared = [_overall(judgements), *heard] if len(heard) > 1 else heard
    return Analysis(
        baseline=models[0],
        models=models,
        level=level,
        findings=tuple(_decided([found for each in heard for found in _findings(each, plan)], plan)),
        agreements=tuple(found for each in shared for found in _agreements(each, plan)),
        groups=tuple(found for each in shared for found in _groups(each, plan)),
    )


def _between(judgements: Sequence[Judgement], baseline: str, candidate: str) -> _Heard:
    between = (each for each in judgements if {each.left, each.right} == {baseline, candidate})
    return _Heard((baseline, candidate), tuple(each.facing(baseline) for each in between))


def _overall(judgements: Sequence[Judgement]) -> _Heard:
    """All judgements, those of an item and a pair of models facing as the first of them does."""
    left: dict[tuple[str, frozenset[str]], str] = {}
    for each in judgements:
        left.setdefault((each.item, frozenset((each.left, each.right))), each.left)
    return _Heard(
        None,
        tuple(each.facing(left[each.item, frozenset((each.left, each.right))]) for each in judgements),
    )


# ---------------------------------------------------------------- who is preferred


def _findings(heard: _Heard, plan: _Plan) -> Iterator[Finding]:
    judges, humans = heard.raters("judge"), heard.raters("human")
    for rater in judges:
        yield _finding(heard.by(rater), rater, "judge", plan)
    for rater in humans:
        yield _finding(heard.by(rater), rater, "human", plan)
    if len(humans) > 1:
        yield _finding(heard.by(*humans), HUMANS, "human", plan)


def _finding(heard: _Heard, rater: str, kind: Kind, plan: _Plan) -> Finding:
    """One finding's numbers; adjusted p and decision are still to come, for they need the family."""
    asked = choices(heard.judgements)
    kept = [each for each in asked if each.value is not None and not each.identical]
    values, units = [each.value or 0.0 for each in kept], [each.unit for each in kept]
    assert heard.models is not None
    baseline, candidate = heard.models
    numbers = plan(baseline, candidate, rater)
    return Finding(
        baseline=baseline,
        candidate=candidate,
        rater=rater,
        kind=kind,
        decision=Decision.NO_DIFFERENCE if kept else Decision.NOT_COMPARABLE,
        n=len(kept),
        identical=sum(each.identical for each in asked),
        unreadable=dict(Counter(each.reason or NO_REASON for each in asked if each.value is None)),
        win_rate=win_rate(values, units, **numbers) if kept else None,
        standard_error=_standard_error(values, units),
        test=sign_test(values, units) if kept else None,
        adjusted_p=None,
        position=_position(heard.judgements, plan.level),
        consistency=_consistency(heard.judgements, numbers),
        length=_length(kept, numbers),
    )


def _standard_error(values: Sequence[float], units: Sequence[str]) -> float | None:
    return by_cluster(values, units).standard_error if len(set(units)) > 1 else None


def _usable(judgements: Sequence[Judgement]) -> Iterator[Judgement]:
    return (each for each in judgements if each.value is not None and not each.identical)


def _position(judgements: Sequence[Judgement], level: float) -> Bias | None:
    ordered = [each for each in _usable(judgements) if each.shown_first is not None]
    won = [each.verdict == each.shown_first for each in ordered if each.verdict != "tie"]
    return position_bias(sum(won), len(won) - sum(won), level=level)


def _consistency(judgements: Sequence[Judgement], numbers: Numbers) -> Consistency | None:
    by_order = {(each.rater, each.item, each.shown_first): each for each in _usable(judgements)}
    twice = [
        (second, by_order[rater, item, "left"])
        for (rater, item, first), second in by_order.items()
        if first == "right" and (rater, item, "left") in by_order
    ]
    first = [each.value or 0.0 for each, _ in twice]
    second = [each.value or 0.0 for _, each in twice]
    return position_consistency(first, second, [each.unit for each, _ in twice], **numbers)


def _length(kept: Sequence[Choice], numbers: Numbers) -> Bias | None:
    known = [(each.value or 0.0, each.longer_by, each.unit) for each in kept if each.longer_by is not None]
    if not known:
        return None
    values, longer_by, units = zip(*known, strict=True)
    return length_bias(values, longer_by, units, **numbers)


def _decided(findings: Sequence[Finding], plan: _Plan) -> Iterator[Finding]:
    """The same findings, corrected as one family and decided."""
    adjusted = iter(holm([each.test.p for each in findings if each.test]))
    for finding in findings:
        yield replace(finding, **_decision(finding, next(adjusted), plan)) if finding.test else finding


def _decision(finding: Finding, adjusted_p: float, plan: _Plan) -> dict[str, Any]:
    assert finding.win_rate is not None
    interval, decision = finding.win_rate.interval, Decision.NO_DIFFERENCE
    if adjusted_p < plan.alpha and interval.low > TIE:
        decision = Decision.BETTER
    if adjusted_p < plan.alpha and interval.high < TIE:
        decision = Decision.WORSE
    return {"adjusted_p": adjusted_p, "decision": decision}


# ---------------------------------------------------------------- whom to believe

Pair = tuple[str, str, str]
"""An item and the two models."""
Verdicts = Mapping[str, Mapping[Pair, Choice]]
"""Each rater's usable choices between different answers."""


def _verdicts(heard: _Heard) -> Verdicts:
    found: dict[str, dict[Pair, Choice]] = {}
    for each in choices(_usable(heard.judgements)):
        found.setdefault(each.rater, {})[each.item, each.left, each.right] = each
    return found


def _agreements(heard: _Heard, plan: _Plan) -> Iterator[RaterAgreement]:
    said = _verdicts(heard)
    judges, humans = heard.raters("judge"), heard.raters("human")
    for pair in combinations([*judges, *humans], 2):
        yield from _agreement(heard, pair, [pair], said, plan)
    if len(humans) > 1:
        for judge in judges:
            yield from _agreement(heard, (judge, HUMANS), [(judge, each) for each in humans], said, plan)
        yield from _agreement(heard, (HUMANS, HUMANS), list(permutations(humans, 2)), said, plan)


def _agreement(
    heard: _Heard,
    names: tuple[str, str],
    pairs: Sequence[tuple[str, str]],
    said: Verdicts,
    plan: _Plan,
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
    numbers = plan(*(heard.models or ()), *names)
    yield RaterAgreement(
        models=heard.models,
        first=names[0],
        second=names[1],
        raw=raw_agreement(list(zip(first, second, strict=True)), **numbers),
        kappa=cohen_kappa(first, second, **numbers),
    )


def _groups(heard: _Heard, plan: _Plan) -> Iterator[GroupAgreement]:
    """Of all humans, and of all raters where there are others; a jury only repeats its judges."""
    said = _verdicts(heard)
    humans = tuple(heard.raters("human"))
    judges = tuple(each for each in heard.raters("judge") if not each.startswith(JURY))
    for raters in dict.fromkeys([humans, (*judges, *humans)]):
        items = list(dict.fromkeys(item for rater in raters for item in said.get(rater, {})))
        ratings = [[_verdict(said, rater, item) for rater in raters] for item in items]
        if any(len(row) - row.count(None) > 1 for row in ratings):
            numbers = plan(*(heard.models or ()), *raters)

            yield GroupAgreement(
                models=heard.models,
                raters=raters,
                raw=raw_agreement(ratings, **numbers),
                fleiss=fleiss_kappa(ratings, **numbers),
                alpha=krippendorff_alpha(ratings, **numbers),
            )


def _verdict(said: Verdicts, rater: str, item: Pair) -> Winner | None:
    choice = said.get(rater, {}).get(item)
    return None if choice is None else choice.verdict
