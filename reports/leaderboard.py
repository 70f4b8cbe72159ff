"""Builds the leaderboard from the store and the verdicts.

Differences, intervals and decisions come with the verdicts; only the means of single runs are computed here.
"""

import math
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from harness.bounds import bounds
from harness.checkpoint_selection import NOTHING, LeftOut, cluster_of
from harness.comparison.breakdown import Breakdown
from harness.preferences.named import NO_REASON
from harness.preferences.results import HUMANS, Analysis
from harness.records.answers import Metric, Row, Run, Sample, Score
from harness.records.comparisons import Comparison, Verdict
from harness.stats import mean_interval
from harness.stats.plan import DEFAULT_PLAN, AnalysisPlan
from harness.store import CutAnswers, Store
from reports.board import (
    Cell,
    Column,
    Flip,
    GroupLine,
    GroupTable,
    Leaderboard,
    MetricLine,
    ModelPreferences,
    Section,
    ShownEstimate,
    SideBySide,
)
from reports.ranking import rank
from reports.scorers import CLASSIFIED, classifier_notes, hardly_varies, scorer
from reports.wording import cut_short

Rows = Mapping[str, Mapping[str, Row]]
"""A suite's rows, by model and sample."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Compared:
    """What runs come to, before it is laid out."""

    baseline: str
    """One of the models."""
    verdicts: Sequence[Verdict]
    """The verdicts on the other models against the baseline."""
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
    store: Store, runs: Mapping[str, Sequence[Run]], compared: Compared, heading: Heading
) -> Leaderboard:
    """The leaderboard of `runs` (model name -> its runs, one per suite), read from `store`.

    Suites and metrics keep the order in which the runs bring them; a run without metrics is no suite's, and
    only its conditions are shown.
    """
    models, every = tuple(runs), [run for theirs in runs.values() for run in theirs]
    suites = dict.fromkeys(run.suite for run in every if run.metrics)
    rows = {suite: _rows(store, suite, runs) for suite in suites}
    cut = {run.id: store.runs.cut_answers(run.id) for run in every}
    scorers = {suite: _scorer(store, _of(suite, every)) for suite in suites}
    sections = tuple(
        _section(suite, runs, _without(found, suite, compared.left_out), compared, cut)
        for suite, found in rows.items()
    )
    notes = [
        *heading.notes,
        *_notes_on_rows(rows, compared.left_out, scorers),
        *(note for suite in suites for note in classifier_notes(store, suite, _of(suite, every))),
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
    rows: Mapping[str, Rows], left_out: LeftOut, scorers: Mapping[str, str | None]
) -> Iterator[str]:
    """By suite: the samples that chose a checkpoint, and a classifier that hardly tells texts apart."""
    reserved = (left_out.note(suite, _clusters(found)) for suite, found in rows.items())
    alike = (hardly_varies(suite, _classified(found)) for suite, found in rows.items() if scorers[suite])
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


def _rows(store: Store, suite: str, runs: Mapping[str, Sequence[Run]]) -> Rows:
    """What each model that was asked this suite answered, by the sample."""
    asked = {model: run for model, theirs in runs.items() for run in theirs if run.suite == suite}
    return {model: {row.sample.id: row for row in store.runs.rows(run.id)} for model, run in asked.items()}


def _without(rows: Rows, suite: str, left_out: LeftOut) -> Rows:
    """The rows of samples that chose no checkpoint."""
    return {
        model: {
            name: row for name, row in theirs.items() if not left_out.holds(suite, cluster_of(row.sample))
        }
        for model, theirs in rows.items()
    }


def _clusters(rows: Rows) -> dict[str, str]:
    """Every sample's cluster, by its id."""
    return {name: cluster_of(row.sample) for theirs in rows.values() for name, row in theirs.items()}


def _of(suite: str, runs: Sequence[Run]) -> list[Run]:
    return [run for run in runs if run.suite == suite]


def _scorer(store: Store, runs: Sequence[Run]) -> str | None:
    """Who gave a suite's numbers; of several, all."""
    return " or ".join(dict.fromkeys(name for run in runs if (name := scorer(store, run)))) or None


def _classified(rows: Rows) -> Iterator[float | None]:
    """What the classifier said of every model's texts."""
    for theirs in rows.values():
        for row in theirs.values():
            yield from (score.value for score in row.scores if score.metric == CLASSIFIED)


def _section(
    suite: str,
    runs: Mapping[str, Sequence[Run]],
    rows: Rows,
    whole: Compared,
    cut: Mapping[str, CutAnswers | None],
) -> Section:
    baseline, verdicts, plan = whole.baseline, whole.verdicts, whole.plan
    breakdowns = [each for each in whole.breakdowns if each.suite == suite]
    asked = {model: run for model, theirs in runs.items() for run in theirs if run.suite == suite}
    found = {(v.candidate, c.metric.name): c for v in verdicts for c in v.comparisons if c.suite == suite}
    metrics = tuple({metric.name: metric for run in asked.values() for metric in run.metrics}.values())
    lines = tuple(
        MetricLine(
            metric=metric,
            cells=tuple(
                replace(
                    _bounded(metric, list(rows[model].values()), found.get((model, metric.name)), plan),
                    cut=None if metric.excerpt else cut[asked[model].id],
                )
                if model in asked
                else None
                for model in runs
            ),
        )
        for metric in metrics
    )
    compared = {metric: _compared(found, metric) for metric in metrics}
    decided = list(_side_by_side(tuple(runs), rows, baseline, compared))
    by_metrics = {metric for metric, _ in decided} or {deciding(metrics)}
    return Section(
        suite=suite,
        lines=lines,
        decided_by=by_metrics.pop() if len(by_metrics) == 1 else None,
        samples=tuple(sample for _, sample in decided),
        groups=tuple(_group_table(breakdown, tuple(runs), rows, plan) for breakdown in breakdowns),
    )


def deciding(metrics: Sequence[Metric]) -> Metric | None:
    """The metric by which a sample counts as won or lost: a binary one, the headline before others.

    A number differs a little on nearly every sample, so that it would call all of them flips; where a
    suite has no binary metric it decides all the same.
    """
    return min(metrics, key=lambda metric: (metric.kind != "binary", not metric.headline), default=None)


@dataclass(frozen=True, slots=True)
class _Given:
    """A score, and the place that it has: the sample, and which part of its scores."""

    sample: Sample
    part: int
    score: Score


def _scores(rows: Iterable[Row], metric: Metric) -> list[_Given]:
    return [
        _Given(row.sample, part, score)
        for row in rows
        for part, score in enumerate(score for score in row.scores if score.metric == metric.name)
    ]


def _bounded(metric: Metric, rows: Sequence[Row], comparison: Comparison | None, plan: AnalysisPlan) -> Cell:
    cell = _cell(metric, _scores(rows, metric), comparison, plan)
    return replace(cell, bounds=bounds(metric, [row.scores for row in rows]))


def _cell(metric: Metric, given: Sequence[_Given], comparison: Comparison | None, plan: AnalysisPlan) -> Cell:
    scored = [(each.sample, each.score.value) for each in given if each.score.value is not None]
    values = [value for _, value in scored]
    estimate = None
    if values:
        clusters = [sample.cluster or sample.id for sample, _ in scored]
        interval = mean_interval(values, clusters, metric.kind, plan.of_means)
        estimate = ShownEstimate(value=math.fsum(values) / len(values), interval=interval)
    missing = (each.score.reason for each in given if each.score.value is None)
    return Cell(
        score=estimate,
        n=len({sample.id for sample, _ in scored}),
        unscored=dict(Counter(reason or NO_REASON for reason in missing)),
        comparison=comparison,
    )


def _group_table(breakdown: Breakdown, models: Sequence[str], rows: Rows, plan: AnalysisPlan) -> GroupTable:
    metric = breakdown.metric
    given = {model: _scores(theirs.values(), metric) for model, theirs in rows.items()}
    lines = []
    for group, places in breakdown.groups.items():
        within = {
            model: [each for each in theirs if (each.sample.id, each.part) in places]
            for model, theirs in given.items()
        }
        lines.append(
            GroupLine(
                group=group,
                scores=len(places),
                samples=len({sample for sample, _ in places}),
                cells=tuple(
                    _cell(metric, within[model], breakdown.comparisons.get((model, group)), plan)
                    if model in within
                    else None
                    for model in models
                ),
            )
        )
    return GroupTable(
        suite=breakdown.suite,
        metric=metric,
        split=breakdown.split,
        lines=tuple(lines),
        ungrouped=len(breakdown.ungrouped),
    )


def _compared(found: Mapping[tuple[str, str], Comparison], metric: Metric) -> set[str]:
    """The candidates that have a difference to the baseline on this metric."""
    return {
        candidate
        for (candidate, name), comparison in found.items()
        if name == metric.name and comparison.difference is not None
    }


def _side_by_side(
    models: Sequence[str],
    rows: Rows,
    baseline: str,
    compared: Mapping[Metric, Collection[str]],
) -> Iterator[tuple[Metric | None, SideBySide]]:
    """Every sample that any model was asked, in the order of the first that was asked it.

    Each with the metric by which it was won or lost, of those that it was scored in: a suite of several
    tasks has one for each. `compared` names by metric the candidates that have a difference.
    """
    samples = {row.sample.id: row.sample for theirs in rows.values() for row in theirs.values()}
    for sample in samples.values():
        by_model = {model: rows.get(model, {}).get(sample.id) for model in models}
        scored = {score.metric for row in by_model.values() if row for score in row.scores}
        metric = deciding([each for each in compared if each.name in scored])
        flips = tuple(
            flip(by_model[baseline], row, metric) if metric and model in compared[metric] else None
            for model, row in by_model.items()
        )
        yield metric, SideBySide(sample=sample, rows=tuple(by_model.values()), flips=flips)


def flip(baseline: Row | None, candidate: Row | None, metric: Metric) -> Flip | None:
    """Whether `candidate` gained or lost on this sample; None where one of the rows is missing.

    Several scores of one metric pair by their order, and their mean decides.
    """
    if baseline is None or candidate is None:
        return None
    before = [s.value for s in baseline.scores if s.metric == metric.name]
    after = [s.value for s in candidate.scores if s.metric == metric.name]
    gains = [b - a for a, b in zip(before, after, strict=False) if a is not None and b is not None]
    if not gains:
        return "unscored"
    gain = math.fsum(gains) if metric.higher_is_better else -math.fsum(gains)
    if math.isclose(gain, 0, abs_tol=1e-12):
        return "equal"
    return "won" if gain > 0 else "lost"
