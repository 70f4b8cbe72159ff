"""The verb `runs`: list the runs in the store, show one with its answers, drop some."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import Any

from harness.checkpoint_selection import LeftOut
from harness.errors import UnknownName, UsageError
from harness.observed import NOTHING_OBSERVED, Observed
from harness.records.answers import Metric, Row, Run
from harness.records.models import Json
from harness.store import Failures, Removal, Store
from harness.verbs.checkpoint_selection import left_out
from harness.verbs.overview import summarise_runs
from harness.verbs.project import Project
from reports.board import MetricSummary
from reports.conditions import samples
from suites.catalogue import settings_of

SHOWN_OF_ID = 8
"""Characters of a run's id that are shown, where they distinguish it from all others."""


@dataclass(frozen=True, slots=True, kw_only=True)
class KeptRun:
    """A run as a list shows it."""

    id: str
    short: str
    """So much of the id as distinguishes it from every other."""
    model: str
    suite: str
    version: str
    settings: Mapping[str, Json]
    """Those that are not the suite's own."""
    rows: int
    """Samples that are there."""
    size: int
    """Samples of the whole run."""
    samples: str
    """The same as reports say it: of a suite asked in part, of how many these are the first."""
    started: str
    finished: str | None
    """None: not complete yet."""
    headlines: Mapping[str, float | None]
    """The mean of each headline metric, over what was scored."""
    unscored: int
    """Samples with a headline, or else any metric, that has no value."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ShownRun:
    """A run with its conditions, its numbers and some of its answers."""

    run: Run
    measured: Sequence[MetricSummary]
    unscored: Mapping[str, Mapping[str, int]]
    """The reasons for missing scores with their counts, by metric."""
    failures: Failures | None
    rows: int
    """Samples that are there."""
    answers: Sequence[Row]


@dataclass(frozen=True, slots=True, kw_only=True)
class Drop:
    """A run that is to be dropped, and what goes with it."""

    run: Run
    removal: Removal


def list_runs(project: Project) -> list[KeptRun]:
    """Every run in the store, oldest first."""
    store = project.store_if_any(reading=True)
    if store is None:
        return []
    with store:
        runs = store.runs.find()
        short = _short_ids([run.id for run in runs])
        reserved = left_out(project.registry, store, (run.model for run in runs))
        return [_listed(store, run, short[run.id], reserved) for run in runs]


def show_run(project: Project, named: str, *, answers: int = 0, worst_first: bool = False) -> ShownRun:
    """One run by the beginning of its id, with its first answers.

    `worst_first`: unscored samples come first, then those with the worst headline, then all others; else
    they come in the suite's order. Raises UnknownName, and UsageError where several runs begin so.
    """
    with project.existing_store(reading=True) as store:
        run = _found(store, named)
        rows = store.runs.rows(run.id)
        if worst_first:
            rows = iter(sorted(rows, key=_worst_first(run)))
        return ShownRun(
            run=run,
            measured=summarise_runs(project, [run]),
            unscored=store.runs.unscored(run.id),
            failures=store.runs.failures(run.id),
            rows=store.runs.count_rows(run.id),
            answers=[row for row, _ in zip(rows, range(answers), strict=False)],
        )


def plan_drops(project: Project, named: Sequence[str]) -> list[Drop]:
    """The runs that begin so, and what would go with each of them.

    Raises what `show_run` does, and UsageError for a run whose answers a blind test shows: its sealed design
    names them, and could never be unsealed.
    """
    with project.existing_store() as store:
        runs = {run.id: run for run in (_found(store, name) for name in named)}
        for study in store.studies.find():
            shown = _runs_of(study.design)
            for run in runs.values():
                if run.id in shown:
                    raise UsageError(
                        f"run {run.id[:SHOWN_OF_ID]} ({run.model!r}, {run.suite!r}) cannot be dropped: the "
                        f"blind test {study.name!r} shows its answers, and its sealed design names the run"
                    )
        return [Drop(run=run, removal=store.removals.plan(run.id)) for run in runs.values()]


def drop_runs(project: Project, drops: Sequence[Drop]) -> None:
    """Take these runs out of the store, with what nothing else holds."""
    with project.store() as store:
        for drop in drops:
            store.removals.remove(drop.run.id)


def _found(store: Store, named: str) -> Run:
    """The one run whose id begins so."""
    runs = store.runs.find()
    found = [run for run in runs if run.id.startswith(named)]
    if not found:
        raise UnknownName("run", named, [run.id[:SHOWN_OF_ID] for run in runs])
    if len(found) > 1:
        alike = ", ".join(f"{run.id} ({run.model!r}, {run.suite!r})" for run in found[:10])
        raise UsageError(f"{len(found)} runs begin with {named!r}; write more of the id: {alike}")
    return found[0]


def _short_ids(ids: Sequence[str]) -> dict[str, str]:
    """So much of each id as distinguishes it from all others, and at least SHOWN_OF_ID characters."""
    length = SHOWN_OF_ID
    while len({run_id[:length] for run_id in ids}) < len(ids):
        length += 1
    return {run_id: run_id[:length] for run_id in ids}


def _listed(store: Store, run: Run, short: str, reserved: LeftOut) -> KeptRun:
    observations = reserved.without(run.suite, store.runs.observations(run.id))
    headlines = [metric for metric in run.metrics if metric.headline]
    counted = headlines or run.metrics
    unscored = {
        observed.samples.ids[row]
        for metric in counted
        if (observed := observations.get(metric.name)) is not None
        for row in observed.rows[~observed.is_scored]
    }
    return KeptRun(
        id=run.id,
        short=short,
        model=run.model,
        suite=run.suite,
        version=run.suite_version,
        settings=_own_settings(run),
        rows=run.size if run.finished else store.runs.count_rows(run.id),
        size=run.size,
        samples=samples(run),
        started=run.started,
        finished=run.finished,
        headlines={
            metric.name: _mean(observations.get(metric.name, NOTHING_OBSERVED)) for metric in headlines
        },
        unscored=len(unscored),
    )


def _mean(observed: Observed) -> float | None:
    values = observed.scored.values
    return fmean(values) if len(values) else None


# ---------------------------------------------------------------- what is not usual about a run


def _own_settings(run: Run) -> dict[str, Json]:
    """The settings of a run that are not its suite's own, by the names that `[suites.NAME]` has for them.

    What the schema leaves to the data or the model, such as the chat template, has no value of its own, and
    is shown where it was decided otherwise than usual: no template, or few-shot examples.
    """
    usual = {"num_fewshot": 0} | _defaults(run.suite)
    sampling = run.settings.get("sampling")
    given = {**(sampling if isinstance(sampling, Mapping) else {}), **run.settings}
    found = {key: value for key, value in given.items() if key in usual and usual[key] != value}
    if given.get("chat_template") is False:
        found["chat_template"] = False
    return found | ({"seed": run.seed} if run.seed else {})


def _defaults(suite: str) -> dict[str, Json]:
    """The values that a suite's schema gives by itself, where they are plain."""
    plain = (bool, int, float, str)
    fields = settings_of(suite).model_fields.items()
    return {name: field.default for name, field in fields if isinstance(field.default, plain)}


# ---------------------------------------------------------------- which answers come first


def _worst_first(run: Run) -> Any:
    """What rows are sorted by for the worst to come first: unscored, then the headline, then their order."""
    metric = _first_metric(run.metrics)

    def place_of(row: Row) -> tuple[bool, float, int]:
        if metric is None:
            return (True, 0.0, row.position)
        values = [score.value for score in row.scores if score.metric == metric.name]
        scored = [value for value in values if value is not None]
        if len(scored) < len(values) or not values:
            return (False, 0.0, row.position)
        mean = fmean(scored)
        return (True, mean if metric.higher_is_better else -mean, row.position)

    return place_of


def _first_metric(metrics: Sequence[Metric]) -> Metric | None:
    """The first headline, or else the first of all."""
    return next((metric for metric in metrics if metric.headline), next(iter(metrics), None))


def _runs_of(design: Mapping[str, Any]) -> set[str]:
    """The ids of the runs whose answers a blind test shows."""
    return set(design["runs"].values())
