"""What experiment trackers are given: a run for each model, with its numbers and tables of its samples.

Trackers show tables whole and keep them in memory, so that each table has a most.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from itertools import islice

from harness.errors import UsageError
from harness.pluralize import pluralize
from harness.records.answers import Run
from harness.records.models import Json
from reports.export_tables import METRICS, SCORES, Line, score_lines, tables
from reports.exported import Exported

PROJECT = "harness"
MOST_LINES = 10_000
"""Lines of one table: W&B's own limit for a table that is logged."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TrackedTable:
    """A table in memory."""

    name: str
    columns: tuple[str, ...]
    lines: Sequence[Line]


@dataclass(frozen=True, slots=True, kw_only=True)
class TrackedModel:
    """A model as a tracker's run."""

    name: str
    config: Mapping[str, Json]
    numbers: Mapping[str, float]
    """The means, by suite and metric."""
    tables: Iterator[TrackedTable]
    """`results`, the lines of `metrics`, and the scores of each suite; made as they are asked for."""


def check_installed(package: str, name: str) -> None:
    """Raise UsageError where a tracker's package is not installed."""
    found = find_spec(package)
    if found is None or found.origin is None:  # a folder of this name, as W&B makes one, is no package
        raise UsageError(f"{name} is not installed here, and this format needs it: pip install {package}")


def tracked(exported: Exported, notes: list[str]) -> Iterator[TrackedModel]:
    """Each model; what was left out of its tables is added to `notes` as they are made."""
    for model in dict.fromkeys(run.model for run in exported.runs):
        runs = [run for run in exported.runs if run.model == model]
        yield TrackedModel(
            name=model,
            config={"label": exported.label, **{_key(runs, run): _conditions(run) for run in runs}},
            numbers=dict(_numbers(exported, runs)),
            tables=_tables(exported, model, runs, notes),
        )


def _numbers(exported: Exported, runs: Sequence[Run]) -> Iterator[tuple[str, float]]:
    for run in runs:
        for found in exported.measured(run):
            if found.value is not None:
                yield f"{_key(runs, run)}/{found.metric}", found.value


def _key(runs: Sequence[Run], run: Run) -> str:
    """The suite, and where a model has several runs of it, which."""
    several = sum(each.suite == run.suite for each in runs) > 1
    return f"{run.suite} {run.id[:8]}" if several else run.suite


def _conditions(run: Run) -> Json:
    kept = ("id", "suite_version", "data_hash", "seed", "fingerprint", "size")
    return {**{name: getattr(run, name) for name in kept}, "settings": dict(run.settings)}


def _tables(exported: Exported, model: str, runs: Sequence[Run], notes: list[str]) -> Iterator[TrackedTable]:
    metrics = next(table for table in tables(exported) if table.name == "metrics")
    of_model = METRICS.index("model")
    theirs = [line for line in metrics.lines() if line[of_model] == model]
    yield TrackedTable(name="results", columns=METRICS, lines=theirs)
    for run in runs:
        lines = score_lines(exported, run)
        kept = list(islice(lines, MOST_LINES))
        if left := sum(1 for _ in lines):
            notes.append(
                f"{run.suite} of {model}: the first {MOST_LINES:,} scores are in the table, "
                f"{pluralize(left, 'score')} {'is' if left == 1 else 'are'} not"
            )
        yield TrackedTable(name=f"scores/{_key(runs, run)}", columns=SCORES, lines=kept)
