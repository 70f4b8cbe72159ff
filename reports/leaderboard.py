"""Builds the leaderboard from the store and the verdicts.

Differences, intervals and decisions come with the verdicts; only the means of single runs are computed here.
"""

import math
from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from harness.bounds import observed_bounds
from harness.checkpoint_selection import NOTHING, LeftOut
from harness.comparison.breakdown import Breakdown
from harness.comparison.paired import ScoredRun
from harness.observed import NOTHING_OBSERVED, Observed
from harness.preferences.named import NO_REASON
from harness.preferences.results import HUMANS, Analysis
from harness.records.answers import Metric, Run
from harness.records.comparisons import Comparison, Verdict
from harness.stats import mean_interval
from harness.stats.plan import DEFAULT_PLAN, AnalysisPlan
from harness.store import CutAnswers, Store
from reports.board import (
    Cell,
    Column,
    GroupLine,
    GroupTable,
    Leaderboard,
    MetricLine,
    ModelPreferences,
    Section,
    ShownEstimate,
    SideBySide,
    Unshown,
    has_changed,
)
from reports.ranking import rank
from reports.samples import BUDGET, fitting
from reports.scorers import CLASSIFIED, classifier_notes, hardly_varies, scorer
from reports.side_by_side import Changes, cards, changes, deciding
from reports.wording import cut_short


@dataclass(frozen=True, slots=True, kw_only=True)
class Compared:
    """What runs come to, before it is laid out."""

    baseline: str
    """One of the models."""
    verdicts: Sequence[Verdict]
    """The verdicts on the other models against the baseline."""
    scored: Mapping[str, Sequence[ScoredRun]]
    """Each model's runs, one per suite, with the scores that may be reported."""
    breakdowns: Sequence[Breakdown] = ()
    preferences: Analysis | None = None
    plan: AnalysisPlan = DEFAULT_PLAN
    left_out: LeftOut = NOTHING
    """Samples that are left out for every model, as the notes say."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Heading:
    """What stands above the numbers."""

    created: str
    """ISO 8601, UTC."""
    title: str = "Leaderboard"
    label: str | None = None
    notes: Sequence[str] = ()


def build(
    store: Store,
    runs: Mapping[str, Sequence[Run]],
    compared: Compared,
    heading: Heading,
    *,
    budget: int = BUDGET,
) -> Leaderboard:
    """The leaderboard of `runs` (model name -> its runs, one per suite), with answers from `store`.

    Suites and metrics keep the order in which the runs bring them; a run without metrics is no suite's, and
    only its conditions are shown. `budget`: bytes of samples that are shown side by side, over all suites.
    """
    models, every = tuple(runs), [run for theirs in runs.values() for run in theirs]
    suites = [_Suite.of(store, name, compared) for name in dict.fromkeys(r.suite for r in every if r.metrics)]
    scorers = {suite.name: _scorer(store, suite.runs) for suite in suites}
    sections = _with_samples(
        store,
        compared,
        [(suite, _section(store, models, suite, compared)) for suite in suites],
        models,
        budget,
    )
    notes = [
        *heading.notes,
        *_notes_on_rows(suites, compared.left_out, scorers),
        *(note for suite in suites for note in classifier_notes(store, suite.name, suite.runs)),
        *_cut_unseen(sections, models),
        *notes_on_comparisons(compared.verdicts),
    ]
    return Leaderboard(
        title=heading.title,
        created=heading.created,
        label=heading.label,
        baseline=compared.baseline,
        models=models,
        columns=tuple(
            Column(suite=section.suite, metric=line.metric, scorer=scorers[section.suite])
            for section in sections
            for line in section.lines
            if line.metric.headline
        ),
        standings=tuple(
            replace(standing, preferred=_preferred(compared.preferences, standing.model))
            for standing in rank(models, compared.baseline, sections, compared.verdicts)
        ),
        verdicts=tuple(compared.verdicts),
        sections=sections,
        notes=tuple(dict.fromkeys(notes)),
        runs=tuple(every),
        preferences=compared.preferences,
    )


def _preferred(preferences: Analysis | None, model: str) -> ModelPreferences | None:
    if preferences is None:
        return None
    judges, humans = preferences.judges(model), preferences.humans(model)
    if not judges and humans is None:
        return None
    return ModelPreferences(
        judges=judges,
        humans=humans,
        agreements=tuple(preferences.agreement(model, judge.rater) for judge in judges),
        among_humans=preferences.agreement(model, HUMANS),
    )


def _notes_on_rows(
    suites: Sequence["_Suite"], left_out: LeftOut, scorers: Mapping[str, str | None]
) -> Iterator[str]:
    """By suite: the samples that chose a checkpoint, and a classifier that hardly tells texts apart."""
    reserved = (left_out.note(suite.name, suite.clusters) for suite in suites)
    alike = (hardly_varies(suite.name, suite.classified) for suite in suites if scorers[suite.name])
    yield from filter(None, [*reserved, *alike])


def _cut_unseen(sections: Sequence[Section], models: Sequence[str]) -> Iterator[str]:
    """For suites without a headline, which have no column: how many of each model's answers were cut."""
    for section in sections:
        if not any(line.metric.headline for line in section.lines):
            for line in section.lines:
                for model, cell in zip(models, line.cells, strict=True):
                    if cell is not None and cell.cut is not None:
                        yield f"{section.suite}: {cut_short(cell.cut)} of {model}"


def notes_on_comparisons(verdicts: Sequence[Verdict]) -> Iterator[str]:
    """What comparisons note and no verdict says: once, with the candidates and suites of which it is so."""
    candidates: dict[tuple[str, bool, str], list[str]] = {}
    for verdict in verdicts:
        ending = f" for {verdict.candidate}"
        for each in verdict.comparisons:
            for note in (note for note in each.notes if note not in verdict.reason):
                place = note.removesuffix(ending), note.endswith(ending), each.suite
                candidates.setdefault(place, []).append(verdict.candidate)
    suites: dict[str, list[str]] = {}
    for (note, is_of_one, suite), found in candidates.items():
        whole = f"{note} for {', '.join(dict.fromkeys(found))}" if is_of_one else note
        suites.setdefault(whole, []).append(suite)
    yield from (f"{', '.join(where)}: {note}" for note, where in suites.items())


# ---------------------------------------------------------------- one suite


@dataclass(frozen=True, slots=True, kw_only=True)
class _Suite:
    """What is known of one suite before its answers are read."""

    name: str
    scored: Mapping[str, ScoredRun]
    """By model."""
    samples: Mapping[str, Mapping[str, str]]
    """The clusters of each model's samples, by their ids, those that are left out included."""
    asked: Mapping[str, Collection[str]]
    """Without them."""

    @classmethod
    def of(cls, store: Store, name: str, compared: Compared) -> "_Suite":
        scored = {
            model: each
            for model, theirs in compared.scored.items()
            for each in theirs
            if each.run.suite == name
        }
        samples = {model: store.runs.clusters(each.run.id) for model, each in scored.items()}
        return cls(
            name=name,
            scored=scored,
            samples=samples,
            asked={model: compared.left_out.remaining(name, theirs) for model, theirs in samples.items()},
        )

    @property
    def runs(self) -> list[Run]:
        return [each.run for each in self.scored.values()]

    @property
    def clusters(self) -> dict[str, str]:
        """Every sample's cluster, by its id."""
        return {sample: cluster for theirs in self.samples.values() for sample, cluster in theirs.items()}

    @property
    def classified(self) -> list[Observed]:
        """What the classifier said of every model's texts."""
        return [each.observations.get(CLASSIFIED, NOTHING_OBSERVED) for each in self.scored.values()]


def _scorer(store: Store, runs: Sequence[Run]) -> str | None:
    """Who gave a suite's numbers; of several, all."""
    return " or ".join(dict.fromkeys(name for run in runs if (name := scorer(store, run)))) or None


def _section(store: Store, models: Sequence[str], suite: _Suite, whole: Compared) -> Section:
    """A suite without its samples."""
    cut = {model: _cut(store, each.run) for model, each in suite.scored.items()}
    compared, plan = _comparisons(suite.name, whole.verdicts), whole.plan
    metrics = {metric.name: metric for run in suite.runs for metric in run.metrics}.values()
    return Section(
        suite=suite.name,
        lines=tuple(
            MetricLine(
                metric=metric,
                cells=tuple(
                    _metric_cell(
                        metric, suite.scored[model], compared.get((model, metric.name)), plan, cut[model]
                    )
                    if model in suite.scored
                    else None
                    for model in models
                ),
            )
            for metric in metrics
        ),
        decided_by=None,
        samples=(),
        groups=tuple(
            _group_table(breakdown, models, plan)
            for breakdown in whole.breakdowns
            if breakdown.suite == suite.name
        ),
    )


def _cut(store: Store, run: Run) -> CutAnswers | None:
    """The answers that were cut; None where that says nothing, since all metrics are of excerpts."""
    return None if all(metric.excerpt for metric in run.metrics) else store.runs.cut_answers(run.id)


def _comparisons(suite: str, verdicts: Sequence[Verdict]) -> dict[tuple[str, str], Comparison]:
    """A suite's comparisons, by candidate and metric."""
    return {
        (verdict.candidate, each.metric.name): each
        for verdict in verdicts
        for each in verdict.comparisons
        if each.suite == suite
    }


def _metric_cell(
    metric: Metric,
    scored: ScoredRun,
    comparison: Comparison | None,
    plan: AnalysisPlan,
    cut: CutAnswers | None,
) -> Cell:
    cell = _cell(metric, scored.observations.get(metric.name, NOTHING_OBSERVED), comparison, plan)
    bounds = observed_bounds(metric, scored.observations)
    return replace(cell, bounds=bounds, cut=None if metric.excerpt else cut)


def _cell(metric: Metric, observed: Observed, comparison: Comparison | None, plan: AnalysisPlan) -> Cell:
    scored = observed.scored
    estimate = None
    if len(scored):
        interval = mean_interval(scored.values, scored.clusters, metric.kind, plan.of_means)
        estimate = ShownEstimate(value=math.fsum(scored.values) / len(scored), interval=interval)
    return Cell(
        score=estimate,
        n=scored.sample_count,
        unscored=dict(Counter(reason or NO_REASON for reason in observed.reasons)),
        comparison=comparison,
    )


def _group_table(breakdown: Breakdown, models: Sequence[str], plan: AnalysisPlan) -> GroupTable:
    metric, observed = breakdown.metric, breakdown.observed
    return GroupTable(
        suite=breakdown.suite,
        metric=metric,
        split=breakdown.split,
        lines=tuple(
            GroupLine(
                group=group,
                scores=size.scores,
                samples=size.samples,
                cells=tuple(
                    _cell(metric, observed[model][group], breakdown.comparisons.get((model, group)), plan)
                    if model in observed
                    else None
                    for model in models
                ),
            )
            for group, size in breakdown.groups.items()
        ),
        ungrouped=breakdown.ungrouped,
    )


# ---------------------------------------------------------------- samples side by side


def _with_samples(
    store: Store,
    whole: Compared,
    made: Sequence[tuple[_Suite, Section]],
    models: Sequence[str],
    budget: int,
) -> tuple[Section, ...]:
    """The sections with the samples that are shown; suites that need less leave their share to the others."""
    filled = {}
    for left, (suite, section) in zip(
        range(len(made), 0, -1), sorted(made, key=lambda each: len(each[0].clusters)), strict=True
    ):
        found = _changes(models, suite, section, whole.baseline)
        shown, cost = fitting(cards(store, models, suite.scored, found), budget // left)
        budget -= cost
        filled[suite.name] = _filled(section, found, shown)
    return tuple(filled[suite.name] for suite, _ in made)


def _changes(models: Sequence[str], suite: _Suite, section: Section, baseline: str) -> Changes:
    compared = {
        line.metric: {
            model for model, cell in zip(models, line.cells, strict=True) if cell and cell.difference
        }
        for line in section.lines
    }
    return changes(models, suite.asked, suite.scored, baseline, compared)


def _filled(section: Section, found: Changes, shown: Sequence[SideBySide]) -> Section:
    """The section with these samples, in the suite's order, and what is known of all."""
    deciders = set(found.decided_by) or {deciding([line.metric for line in section.lines])}
    places = found.places
    ordered = sorted(shown, key=lambda each: places[each.sample.id])
    changed = sum(map(found.changed, range(len(found.samples))))
    return replace(
        section,
        decided_by=deciders.pop() if len(deciders) == 1 else None,
        samples=tuple(ordered),
        unshown=Unshown(
            samples=len(found.samples) - len(shown),
            changed=changed - sum(has_changed(each.flips) for each in shown),
        ),
    )
