"""Turns comparisons into verdicts: corrects them within their families, decides, and words the result.

A comparison is refused where the runs differ in what makes them comparable, unless it is forced, and then it
says so.

Three numbers say different things, and are made to agree before anything is decided. The **interval** holds
the plausible values of one difference, at its own level. The **p** asks whether that one difference could be
chance; the **adjusted p** asks it knowing how many headlines were looked at. BETTER and WORSE need both
(`harness.stats.decisions`). A metric with a margin is decided on it besides (`non_inferiority`).
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

from harness.comparison import non_inferiority
from harness.comparison.comparability import comparability
from harness.comparison.paired import ScoredRun, compare_metric, not_compared
from harness.pluralize import pluralize
from harness.records.answers import Metric, Run
from harness.records.comparisons import Comparison, Decision, Verdict
from harness.stats.decisions import decide_difference
from harness.stats.multiplicity import holm
from harness.stats.plan import DEFAULT_PLAN, AnalysisPlan

SHOWN = 0.001
"""The smallest difference that three decimals can show."""


def compare_all(
    baseline: Sequence[ScoredRun],
    candidates: Mapping[str, Sequence[ScoredRun]],
    plan: AnalysisPlan = DEFAULT_PLAN,
) -> list[Verdict]:
    """Each candidate against the baseline: one run per suite on each side, and at least one of the baseline.

    Holm's correction covers the headline comparisons of all candidates and suites as one family, and all
    others as a second, exploratory one; metrics with a margin that are no headlines are a third. Numbers
    before it do not depend on what else is compared.
    """
    by_candidate = {name: list(_over_suites(baseline, runs, name, plan)) for name, runs in candidates.items()}
    adjusted = iter(_adjusted([each for found in by_candidate.values() for each in found], plan))
    return [
        _verdict(baseline[0].run.model, name, [next(adjusted) for _ in found])
        for name, found in by_candidate.items()
    ]


def compare_family(
    pairs: Sequence[tuple[ScoredRun, ScoredRun]], family: str, plan: AnalysisPlan = DEFAULT_PLAN
) -> list[Comparison]:
    """Pairs of a baseline's and a candidate's run of one metric, corrected together as a family of their own.

    One comparison per pair, in their order.
    """
    found = [each for pair in pairs for each in _over_metrics(*pair, plan)]
    return _adjusted([replace(each, family=family) for each in found], plan)


def _over_suites(
    baseline: Sequence[ScoredRun], candidate: Sequence[ScoredRun], name: str, plan: AnalysisPlan
) -> Iterator[Comparison]:
    """All comparisons of one candidate, suites in the baseline's order."""
    ours, theirs = ({scored.run.suite: scored for scored in runs} for runs in (baseline, candidate))
    reference = baseline[0].run.model
    for suite in dict.fromkeys([*ours, *theirs]):
        if suite in ours and suite in theirs:
            yield from _over_metrics(ours[suite], theirs[suite], plan)
            continue
        lonely, absent = (ours[suite], name) if suite in ours else (theirs[suite], reference)
        for metric in lonely.run.metrics:
            yield not_compared(reference, name, suite, metric, [f"{absent} has no run of this suite"])


def _over_metrics(baseline: ScoredRun, candidate: ScoredRun, plan: AnalysisPlan) -> list[Comparison]:
    blocking, notes = comparability(baseline.run, candidate.run)
    metrics = _of_both(baseline.run, candidate.run)
    if blocking and not plan.force:
        names = baseline.run.model, candidate.run.model
        return [not_compared(*names, baseline.run.suite, metric, blocking) for metric in metrics]
    notes = [*(f"forced: {reason}" for reason in blocking), *notes]
    return [compare_metric(baseline, candidate, metric, notes, plan) for metric in metrics]


def _of_both(baseline: Run, candidate: Run) -> list[Metric]:
    """The metrics of both runs, as the baseline has them; numbers where they are numbers in one of the two.

    What an imported metric is shows in its values, which may all be 0 or 1 in one run and not in another.
    """
    found: dict[str, Metric] = {}
    for metric in (*candidate.metrics, *baseline.metrics):
        is_number = metric.name in found and "number" in (metric.kind, found[metric.name].kind)
        found[metric.name] = replace(metric, kind="number") if is_number else metric
    return list(found.values())


def _adjusted(comparisons: Sequence[Comparison], plan: AnalysisPlan) -> list[Comparison]:
    """The same comparisons in the same order, corrected within their families and decided."""
    adjusted: dict[int, float] = {}
    for family in {each.family for each in comparisons}:
        raw = {
            index: each.p
            for index, each in enumerate(comparisons)
            if each.family == family and each.p is not None
        }
        adjusted |= zip(raw, holm(list(raw.values())), strict=True)
    compared = [
        _decided(each, adjusted[index], plan) if index in adjusted else each
        for index, each in enumerate(comparisons)
    ]
    return non_inferiority.decided(compared, plan.alpha)


def _decided(comparison: Comparison, adjusted_p: float, plan: AnalysisPlan) -> Comparison:
    interval = comparison.interval
    assert interval is not None
    decision = decide_difference(
        interval, adjusted_p, plan.alpha, higher_is_better=comparison.metric.higher_is_better
    )
    return replace(comparison, adjusted_p=adjusted_p, decision=decision)


def _verdict(baseline: str, candidate: str, comparisons: Sequence[Comparison]) -> Verdict:
    headlines = [each for each in comparisons if each.metric.headline]
    prices = [] if headlines else [each for each in comparisons if each.metric.margin is not None]
    incomparable = [each for each in prices if each.non_inferiority is None]
    by_headlines = _overall({each.decision for each in headlines})
    reason = _reason([*headlines, *incomparable], non_inferiority.clauses(comparisons))
    return Verdict(
        candidate=candidate,
        baseline=baseline,
        decision=non_inferiority.overall(prices) if prices else by_headlines,
        comparisons=tuple(comparisons),
        reason="; ".join([reason, *_nearly_equal(comparisons)]),
    )


def _nearly_equal(comparisons: Sequence[Comparison]) -> Iterator[str]:
    """The suites on which nearly all of the candidate's answers equal the baseline's."""
    found = {each.suite: each.equal_answers for each in comparisons if each.equal_answers is not None}
    yield from (equal.in_words(suite) for suite, equal in found.items())


def _overall(decisions: set[Decision]) -> Decision:
    """One decision over all headlines.

    A single headline that cannot be compared leaves the whole open: a candidate must not come out better
    because the suite it is worse in was left out.
    """
    if not decisions or Decision.NOT_COMPARABLE in decisions:
        return Decision.NOT_COMPARABLE
    if decisions >= {Decision.BETTER, Decision.WORSE}:
        return Decision.MIXED
    return next(iter(decisions - {Decision.NO_DIFFERENCE}), Decision.NO_DIFFERENCE)


def _reason(headlines: Sequence[Comparison], prices: Sequence[str]) -> str:
    """The headlines' outcomes in a sentence, what is shown first, then the price, then what was forced.

    Where there is no headline, what has a margin and cannot be compared is reported in their place.
    """
    words = {
        Decision.BETTER: "better on",
        Decision.WORSE: "worse on",
        Decision.NO_DIFFERENCE: "no difference shown on",
    }
    clauses = [] if headlines or prices else ["no headline metric was compared"]
    for decision, opening in words.items():
        found = [_in_words(each) for each in headlines if each.decision == decision]
        if found:
            clauses.append(f"{opening} {', '.join(found)}")
    refused = list(_refused([each for each in headlines if each.decision is Decision.NOT_COMPARABLE]))
    if refused:
        clauses.append(f"not comparable on {', '.join(refused)}")
    forced = dict.fromkeys(note for each in headlines for note in each.notes if note.startswith("forced: "))
    return "; ".join([*clauses, *prices, *forced])


def _refused(comparisons: Sequence[Comparison]) -> Iterator[str]:
    """Why, once for all metrics of a suite of which it is the same."""
    metrics: dict[tuple[str, tuple[str, ...]], list[str]] = {}
    for each in comparisons:
        metrics.setdefault((each.suite, each.notes), []).append(each.metric.name)
    for (suite, notes), names in metrics.items():
        yield f"{suite} ({', '.join(names)}): {', '.join(notes)}"


def _in_words(comparison: Comparison) -> str:
    """What was found on a metric that has numbers."""
    interval = comparison.interval
    assert interval is not None
    size = f"{comparison.difference:+z.3f} {interval:+z.3f}"
    found = f"{comparison.suite} ({comparison.metric.name} {size})"
    if comparison.depends_on_unscored and comparison.difference_bounds is not None:
        least, most = comparison.difference_bounds
        return f"{found}, though what is unscored could make it {least:+z.3f} to {most:+z.3f}"
    if comparison.decision != Decision.NO_DIFFERENCE:
        return found
    detectable = comparison.detectable_difference
    if detectable is None:
        return f"{found}: {_samples(comparison)} cannot show any"
    least_shown = f"±{detectable:.3f}" if detectable >= SHOWN else f"less than ±{SHOWN}"
    return f"{found}: {_samples(comparison)} would have shown {least_shown}"


def _samples(comparison: Comparison) -> str:
    """How many were compared, and how many are independent where not all are."""
    n, clusters = comparison.n, comparison.clusters
    return pluralize(n, "sample") + (f" in {pluralize(clusters, 'cluster')}" if clusters != n else "")
