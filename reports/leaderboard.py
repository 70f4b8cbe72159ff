"""The leaderboard: what the store and the verdicts say, arranged for reading.

It does not compare anything: differences, intervals and decisions come in with the verdicts, and only the
means of single runs and the mean over suites are computed here. It does not know how it will look.
"""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from harness.records import (
    Comparison,
    Interval,
    Metric,
    Observation,
    Row,
    Run,
    Sample,
    Verdict,
)
from harness.stats import mean_interval
from harness.store import Store

Flip = Literal["won", "lost", "equal", "unscored"]
"""How a candidate's headline score on one sample stands against the baseline's."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Estimate:
    """A number and how far it can be trusted."""

    value: float
    interval: Interval | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Cell:
    """One model on one metric."""

    score: Estimate | None
    """The mean over every score of the run; None where nothing was scored."""
    n: int
    """Samples with at least one score."""
    unscored: Mapping[str, int]
    """Scores that are missing, counted by reason."""
    comparison: Comparison | None
    """Against the baseline; None for the baseline itself, and where no verdict speaks of it."""

    @property
    def difference(self) -> Estimate | None:
        """To the baseline, over the samples both were scored on, in the metric's own unit."""
        if self.comparison is None or self.comparison.difference is None:
            return None
        return Estimate(value=self.comparison.difference, interval=self.comparison.interval)

    @property
    def relative(self) -> float | None:
        """The difference as a share of the baseline's mean; None where that is 0."""
        if self.comparison is None or self.comparison.difference is None or not self.comparison.baseline_mean:
            return None
        return self.comparison.difference / self.comparison.baseline_mean


@dataclass(frozen=True, slots=True, kw_only=True)
class Column:
    """One headline metric: a column of the ranked table."""

    suite: str
    metric: Metric


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """One row of the ranked table."""

    rank: int | None
    """By the mean; equal means share a rank. None where a headline is missing."""
    model: str
    cells: tuple[Cell | None, ...]
    """One per column; None where the suite was not run."""
    mean: Estimate | None
    """Of the headlines, each turned so that higher is better; None where one is missing."""
    difference: Estimate | None
    """Of that mean to the baseline's, from the paired differences."""
    relative: float | None
    """The same as a share of the baseline's mean."""
    verdict: Verdict | None
    """None for the baseline."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MetricLine:
    """One metric of a suite for every model."""

    metric: Metric
    cells: tuple[Cell | None, ...]
    """One per model of the leaderboard."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SideBySide:
    """One sample with what every model made of it."""

    sample: Sample
    rows: tuple[Row | None, ...]
    """One per model of the leaderboard."""
    flips: tuple[Flip | None, ...]
    """One per model; None for the baseline and for runs that are not comparable with it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Section:
    """Everything about one suite."""

    suite: str
    lines: tuple[MetricLine, ...]
    decided_by: Metric | None
    """The metric by which a sample was won or lost; None where the suite measures nothing."""
    samples: tuple[SideBySide, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Leaderboard:
    """All that a report says."""

    title: str
    created: str
    """ISO 8601, UTC."""
    label: str | None
    """What every reader must know first: `toy world: says nothing about real models`."""
    baseline: str
    models: tuple[str, ...]
    """In the order they were asked for."""
    columns: tuple[Column, ...]
    standings: tuple[Standing, ...]
    """Best mean first; models without a mean last."""
    verdicts: tuple[Verdict, ...]
    sections: tuple[Section, ...]
    notes: tuple[str, ...]
    """Warnings: what was forced, what differs between the runs."""
    runs: tuple[Run, ...]
    """The conditions under which every number was made."""

    @property
    def exploratory(self) -> tuple[Comparison, ...]:
        """Comparisons on metrics that no verdict rests on."""
        return tuple(c for v in self.verdicts for c in v.comparisons if not c.metric.headline)


def latest(store: Store, names: Sequence[str], suites: Sequence[str]) -> dict[str, list[Run]]:
    """Each model's newest whole run of each suite, where it has one, in the order of `names` and `suites`."""
    found: dict[str, list[Run]] = {}
    for name in names:
        newest = (store.latest_run(name, suite) for suite in suites)
        found[name] = [run for run in newest if run is not None]
    return found


def build(
    store: Store,
    runs: Mapping[str, Sequence[Run]],
    *,
    baseline: str,
    verdicts: Sequence[Verdict],
    created: str,
    title: str = "Leaderboard",
    label: str | None = None,
    notes: Sequence[str] = (),
    level: float = 0.95,
) -> Leaderboard:
    """The leaderboard of `runs` (model name -> its runs, one per suite), read from `store`.

    `baseline` is one of the names; `verdicts` are those of the other names against it, over the same runs.
    Suites and metrics keep the order in which the runs bring them.
    """
    models = tuple(runs)
    suites = dict.fromkeys(run.suite for theirs in runs.values() for run in theirs)
    sections = tuple(_section(store, suite, runs, baseline, verdicts, level) for suite in suites)
    columns = tuple(
        Column(suite=s.suite, metric=x.metric) for s in sections for x in s.lines if x.metric.headline
    )
    return Leaderboard(
        title=title,
        created=created,
        label=label,
        baseline=baseline,
        models=models,
        columns=columns,
        standings=rank(models, baseline, sections, verdicts),
        verdicts=tuple(verdicts),
        sections=sections,
        notes=tuple(dict.fromkeys([*notes, *_told(verdicts)])),
        runs=tuple(run for theirs in runs.values() for run in theirs),
    )


def _told(verdicts: Sequence[Verdict]) -> Iterator[str]:
    for verdict in verdicts:
        for comparison in verdict.comparisons:
            yield from (f"{comparison.suite}: {note}" for note in comparison.notes)


# ---------------------------------------------------------------- one suite


def _section(
    store: Store,
    suite: str,
    runs: Mapping[str, Sequence[Run]],
    baseline: str,
    verdicts: Sequence[Verdict],
    level: float,
) -> Section:
    theirs = {
        model: next((run for run in of_model if run.suite == suite), None) for model, of_model in runs.items()
    }
    found = {(v.candidate, c.metric.name): c for v in verdicts for c in v.comparisons if c.suite == suite}
    metrics = {metric.name: metric for run in theirs.values() if run for metric in run.metrics}
    cells = {
        model: _cells(store, run, {name: found.get((model, name)) for name in metrics}, level)
        for model, run in theirs.items()
        if run
    }
    lines = tuple(
        MetricLine(metric=metric, cells=tuple(cells.get(model, {}).get(name) for model in theirs))
        for name, metric in metrics.items()
    )
    decided_by = deciding(list(metrics.values()))
    return Section(
        suite=suite,
        lines=lines,
        decided_by=decided_by,
        samples=_side_by_side(
            store, theirs, baseline, next((x for x in lines if x.metric is decided_by), None)
        ),
    )


def deciding(metrics: Sequence[Metric]) -> Metric | None:
    """By which metric a sample counts as won or lost: a binary one, the headline before others.

    A number differs a little on nearly every sample, so that it would call all of them flips; where a
    suite has no binary metric it decides all the same.
    """
    return min(metrics, key=lambda metric: (metric.kind != "binary", not metric.headline), default=None)


def _cells(
    store: Store, run: Run, comparisons: Mapping[str, Comparison | None], level: float
) -> dict[str, Cell]:
    observations = store.observations(run.id)
    unscored = store.unscored(run.id)
    return {
        metric.name: _cell(
            metric,
            observations.get(metric.name, []),
            unscored.get(metric.name, {}),
            comparisons[metric.name],
            level,
        )
        for metric in run.metrics
    }


def _cell(
    metric: Metric,
    observations: Sequence[Observation],
    unscored: Mapping[str, int],
    comparison: Comparison | None,
    level: float,
) -> Cell:
    values = [o.value for o in observations if o.value is not None]
    clusters = [o.cluster for o in observations if o.value is not None]
    score = None
    if values:
        interval = mean_interval(values, clusters, metric.kind, level=level)
        score = Estimate(value=math.fsum(values) / len(values), interval=interval)
    scored = {o.sample for o in observations if o.value is not None}
    return Cell(score=score, n=len(scored), unscored=unscored, comparison=comparison)


def _side_by_side(
    store: Store, runs: Mapping[str, Run | None], baseline: str, line: MetricLine | None
) -> tuple[SideBySide, ...]:
    rows: dict[str, dict[str, Row]] = {}
    for model, run in runs.items():
        for row in store.rows(run.id) if run else ():
            rows.setdefault(row.sample.id, {})[model] = row
    compared = _compared(tuple(runs), line) if line else {}
    return tuple(
        SideBySide(
            sample=next(iter(by_model.values())).sample,
            rows=tuple(by_model.get(model) for model in runs),
            flips=tuple(
                flip(by_model.get(baseline), by_model.get(model), compared[model])
                if model in compared
                else None
                for model in runs
            ),
        )
        for by_model in rows.values()
    )


def _compared(models: Sequence[str], line: MetricLine) -> dict[str, Metric]:
    """The models that have a difference on this line's metric, with the metric."""
    pairs = zip(models, line.cells, strict=True)
    return {model: line.metric for model, cell in pairs if cell and cell.difference}


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


# ---------------------------------------------------------------- over the suites


def rank(
    models: Sequence[str], baseline: str, sections: Sequence[Section], verdicts: Sequence[Verdict]
) -> tuple[Standing, ...]:
    """The rows of the table, best mean of headlines first."""
    lines = [line for section in sections for line in section.lines if line.metric.headline]
    by_candidate = {verdict.candidate: verdict for verdict in verdicts}
    cells = {model: tuple(line.cells[i] for line in lines) for i, model in enumerate(models)}
    metrics = [line.metric for line in lines]
    means = {model: _mean_of_scores(metrics, cells[model]) for model in models}
    differences = {model: _mean_of_differences(metrics, cells[model]) for model in models}
    return tuple(
        Standing(
            rank=_place(means, model),
            model=model,
            cells=cells[model],
            mean=means[model],
            difference=differences[model],
            relative=_share(differences[model], means[baseline]),
            verdict=by_candidate.get(model),
        )
        for model in sorted(models, key=lambda model: -_value(means[model]))
    )


def _value(mean: Estimate | None) -> float:
    return mean.value if mean else -math.inf


def _place(means: Mapping[str, Estimate | None], model: str) -> int | None:
    mean = means[model]
    return None if mean is None else 1 + sum(_value(other) > mean.value for other in means.values())


def _share(difference: Estimate | None, baseline: Estimate | None) -> float | None:
    return difference.value / baseline.value if difference and baseline and baseline.value else None


def _mean_of_scores(metrics: Sequence[Metric], cells: Sequence[Cell | None]) -> Estimate | None:
    pairs = zip(metrics, cells, strict=True)
    return mean_of([_turned(cell.score, metric, around=1.0) if cell else None for metric, cell in pairs])


def _mean_of_differences(metrics: Sequence[Metric], cells: Sequence[Cell | None]) -> Estimate | None:
    pairs = zip(metrics, cells, strict=True)
    return mean_of([_turned(cell.difference, metric, around=0.0) if cell else None for metric, cell in pairs])


def _turned(estimate: Estimate | None, metric: Metric, *, around: float) -> Estimate | None:
    """On a scale where higher is better: a score turns to 1 - score, a difference to its negative."""
    if estimate is None or metric.higher_is_better:
        return estimate
    interval = estimate.interval
    turned = interval and Interval(
        low=around - interval.high, high=around - interval.low, level=interval.level
    )
    return Estimate(value=around - estimate.value, interval=turned)


def mean_of(estimates: Sequence[Estimate | None]) -> Estimate | None:
    """The mean of estimates made on different samples; None where there is none, or one is missing.

    Its interval recovers the variance from the parts' limits (MOVER): Zou and Donner, "Construction of
    confidence limits about effect measures", Statistics in Medicine 27 (2008). It holds because suites
    share no samples, and it is None where a part has no interval.
    """
    parts = [estimate for estimate in estimates if estimate is not None]
    if not parts or len(parts) < len(estimates):
        return None
    value = math.fsum(part.value for part in parts) / len(parts)
    limits = [
        (part.value - part.interval.low, part.interval.high - part.value, part.interval.level)
        for part in parts
        if part.interval
    ]
    if len(limits) < len(parts):
        return Estimate(value=value, interval=None)
    below = math.hypot(*(low for low, _, _ in limits)) / len(parts)
    above = math.hypot(*(high for _, high, _ in limits)) / len(parts)
    return Estimate(value=value, interval=Interval(low=value - below, high=value + above, level=limits[0][2]))
