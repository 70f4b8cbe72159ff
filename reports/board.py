"""The records that reports are made of, as frozen dataclasses."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from harness.preferences.results import Analysis, RaterAgreement, RaterWinRate
from harness.records.answers import Metric, Row, Run, Sample
from harness.records.comparisons import Comparison, Interval, Verdict
from harness.store import CutAnswers

Flip = Literal["won", "lost", "equal", "unscored"]
"""How a candidate's headline score on one sample stands against the baseline's."""


def has_changed(flips: Sequence[Flip | None]) -> bool:
    """Whether any candidate won or lost."""
    return "won" in flips or "lost" in flips


@dataclass(frozen=True, slots=True, kw_only=True)
class ShownEstimate:
    """A number and how far it can be trusted."""

    value: float
    interval: Interval | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Cell:
    """One model on one metric."""

    score: ShownEstimate | None
    """The mean over every score of the run; None where nothing was scored."""
    n: int
    """Samples with at least one score."""
    unscored: Mapping[str, int]
    """Scores that are missing, counted by reason."""
    comparison: Comparison | None
    """Against the baseline; None for the baseline itself, and where no verdict speaks of it."""
    cut: CutAnswers | None = None
    """The answers that were cut at their limit; None where none was, and where that says nothing."""
    bounds: tuple[float, float] | None = None
    """The lowest and the highest mean that were possible if nothing were unscored (`harness.bounds`)."""

    @property
    def difference(self) -> ShownEstimate | None:
        """To the baseline, over the samples both were scored on, in the metric's own unit."""
        if self.comparison is None or self.comparison.difference is None:
            return None
        return ShownEstimate(value=self.comparison.difference, interval=self.comparison.interval)

    @property
    def relative(self) -> float | None:
        """The difference as a share of the baseline's mean; None where that is 0."""
        if self.comparison is None or self.comparison.difference is None or not self.comparison.baseline_mean:
            return None
        return self.comparison.difference / self.comparison.baseline_mean


@dataclass(frozen=True, slots=True, kw_only=True)
class MetricSummary:
    """One metric of one run."""

    model: str
    suite: str
    metric: str
    value: float | None
    interval: Interval | None
    n: int
    """Samples with at least one score."""
    scores: int
    """Scores that the mean is of: several for a sample, where it has several."""
    unscored: int
    """Scores that are missing."""
    bounds: tuple[float, float] | None
    """The lowest and the highest mean that were possible if nothing were unscored (`harness.bounds`)."""
    cut: CutAnswers | None
    """The answers that were cut at their limit; None where none was, and where that says nothing."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Column:
    """One headline metric: a column of the ranked table."""

    suite: str
    metric: Metric
    scorer: str | None = None
    """Who gave the numbers, where a model did: a classifier's or judge's name, rows and hash."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelPreferences:
    """What judges and people say of one model against the baseline."""

    judges: tuple[RaterWinRate, ...]
    """The juries, or where there is none each judge."""
    humans: RaterWinRate | None
    """The result of all humans together."""
    agreements: tuple[RaterAgreement | None, ...]
    """Each judge's agreement with the humans."""
    among_humans: RaterAgreement | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """One row of the ranked table."""

    rank: int | None
    """The rank by the mean; means that are shown as equal share it. None if a headline is missing."""
    model: str
    cells: tuple[Cell | None, ...]
    """One per column; None where the suite was not run."""
    mean: ShownEstimate | None
    """The mean of the headlines, each turned so that higher is better; None if one is missing."""
    difference: ShownEstimate | None
    """The difference of that mean to the baseline's, from the paired differences."""
    relative: float | None
    """The same as a share of the baseline's mean."""
    verdict: Verdict | None
    """None for the baseline."""
    preferred: ModelPreferences | None = None
    """None for the baseline, and if nothing was judged."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MetricLine:
    """One metric of a suite for every model."""

    metric: Metric
    cells: tuple[Cell | None, ...]
    """One per model of the leaderboard."""


@dataclass(frozen=True, slots=True, kw_only=True)
class GroupLine:
    """One group of a split for every model."""

    group: str
    scores: int
    """Scores that belong to it, whatever model they are of."""
    samples: int
    """Samples that have any of them."""
    cells: tuple[Cell | None, ...]
    """One per model of the leaderboard."""


@dataclass(frozen=True, slots=True, kw_only=True)
class GroupTable:
    """One metric of a suite group by group: exploratory, and corrected within the table."""

    suite: str
    metric: Metric
    split: str
    """The tag that the groups are values of."""
    lines: tuple[GroupLine, ...]
    ungrouped: int
    """Scores that belong to no group."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SideBySide:
    """One sample with what every model made of it."""

    sample: Sample
    rows: tuple[Row | None, ...]
    """One per model of the leaderboard."""
    flips: tuple[Flip | None, ...]
    """One per model; None for the baseline and for runs that are not comparable with it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Unshown:
    """How many samples a page has no room for: they are in the store."""

    samples: int
    changed: int
    """Those of them that any candidate won or lost."""


NONE_UNSHOWN = Unshown(samples=0, changed=0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Section:
    """Everything about one suite."""

    suite: str
    lines: tuple[MetricLine, ...]
    decided_by: Metric | None
    """The metric by which a sample was won or lost; None where samples have metrics of their own, or none."""
    samples: tuple[SideBySide, ...]
    """Those that are shown, in the suite's order."""
    unshown: Unshown = NONE_UNSHOWN
    groups: tuple[GroupTable, ...] = ()

    @property
    def notes(self) -> tuple[str, ...]:
        """What a reader of its metrics must know, each with the metrics it is about."""
        metrics: dict[str, list[str]] = {}
        for line in self.lines:
            if line.metric.note:
                metrics.setdefault(line.metric.note, []).append(line.metric.name)
        return tuple(f"{', '.join(names)}: {note}." for note, names in metrics.items())


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class Leaderboard:
    """All that a report says."""

    title: str
    created: str
    """ISO 8601, UTC."""
    label: str | None
    """What every reader must know first: `toy world: says nothing about real models`."""
    baseline: str
    models: tuple[str, ...]
    """The models, in the order they were asked for."""
    columns: tuple[Column, ...]
    standings: tuple[Standing, ...]
    """Best mean first; models without a mean last."""
    verdicts: tuple[Verdict, ...]
    sections: tuple[Section, ...]
    notes: tuple[str, ...]
    """Warnings: what was forced, what differs between the runs."""
    runs: tuple[Run, ...]
    """The conditions under which every number was made."""
    preferences: Analysis | None = None
    """What judges and people say of these models; no verdict rests on it."""

    def __repr__(self) -> str:
        """The verdicts in words: a notebook shows a result by its name, and this one holds every answer."""
        verdicts = [
            f"{each.candidate} against {each.baseline}: {each.decision} – {each.reason}"
            for each in self.verdicts
        ]
        return "\n".join([f"{self.title} of {', '.join(self.models)} (baseline {self.baseline})", *verdicts])

    @property
    def groups(self) -> tuple[GroupTable, ...]:
        return tuple(table for section in self.sections for table in section.groups)

    @property
    def uncertain(self) -> tuple[tuple[str, str, Metric, Cell], ...]:
        """Model, suite, metric and cell wherever what is unscored leaves a mean open."""
        return tuple(
            (model, section.suite, line.metric, cell)
            for section in self.sections
            for line in section.lines
            for model, cell in zip(self.models, line.cells, strict=True)
            if cell is not None and cell.bounds is not None
        )

    @property
    def exploratory(self) -> tuple[Comparison, ...]:
        """Comparisons on metrics that no verdict rests on, and that are no price."""
        return tuple(
            c
            for v in self.verdicts
            for c in v.comparisons
            if not c.metric.headline and c.metric.margin is None
        )

    @property
    def prices(self) -> tuple[Comparison, ...]:
        """Comparisons on metrics with a margin: what was lost."""
        return tuple(c for v in self.verdicts for c in v.comparisons if c.metric.margin is not None)
