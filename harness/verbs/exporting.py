"""The verb `export`: results in the formats that others read, of a comparison or of the whole store.

Every number comes from where `harness report` and `harness runs` have it. A format is a function that lays
out what it is given; `FORMATS` is the table of them.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache, partial
from pathlib import Path

from harness.checkpoint_selection import LeftOut, cluster_of
from harness.engine.hub import HUB_ID
from harness.errors import UnknownName, UsageError
from harness.named_preferences import named_preferences
from harness.preferences.named import NamedPreference
from harness.records.answers import Row, Run
from harness.records.comparisons import Verdict
from harness.records.models import Local
from harness.registry import labelled
from harness.store import Store
from harness.verbs.checkpoint_selection import left_out
from harness.verbs.comparing import (
    chosen_runs,
    leaderboard,
    named_among,
    verdicts_on,
    with_judged,
)
from harness.verbs.overview import left_out_notes, summarise_runs
from harness.verbs.project import Project
from harness.verbs.report_runs import ReportRuns, report_runs
from reports import (
    csv_tables,
    eval_results,
    every_eval_ever,
    junit,
    latex,
    model_card,
    parquet_tables,
    step_summary,
    trackio_tables,
    wandb_tables,
)
from reports.board import Leaderboard, MetricSummary
from reports.exported import Exported, HubDataset
from reports.whole_files import WholeFiles, whole_files
from suites.catalogue import known_suites
from suites.hub_datasets import hub_dataset

FORMATS: Mapping[str, Callable[[Exported, WholeFiles], Sequence[str]]] = {
    "csv": csv_tables.write,
    "parquet": parquet_tables.write,
    "latex": latex.write,
    "model-card": model_card.write,
    "eval-results": eval_results.write,
    "every-eval-ever": every_eval_ever.write,
    "junit": junit.write,
    "step-summary": step_summary.write,
    "wandb": wandb_tables.write,
    "trackio": trackio_tables.write,
}
"""Every format: what writes its files, and returns what a user must know of them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ExportedFiles:
    """What an export wrote."""

    files: tuple[Path, ...]
    notes: tuple[str, ...]
    """What was left out, and what the format has no place for."""


def export(
    project: Project,
    names: Sequence[str] = (),
    *,
    format_name: str,
    folder: Path,
    baseline: str | None = None,
    suites: Sequence[str] = (),
    force: bool = False,
) -> ExportedFiles:
    """Write results in a format of `FORMATS` into a folder, where files of other names stay.

    With names a comparison is exported: the runs that `report` shows of these models, the first of which is
    the baseline unless one is given, with their verdicts. Without names everything in the store is, and no
    verdicts; formats of a leaderboard then have the one that `report` makes without names. `suites`: only
    these.

    Raises UnknownName for a format or a model that is none, UsageError where there is nothing to export or
    the folder cannot be written, and DiskFull; the files from before are then as they were.
    """
    if format_name not in FORMATS:
        raise UnknownName("format", format_name, FORMATS)
    with project.existing_store("harness compare", reading=True) as store:
        chosen = _chosen(project, store, names, baseline, suites, force=force)
        exported, notes = _exported(project, store, chosen)
        how = {"again": "the same command", "elsewhere": "--output FOLDER"}
        with whole_files(folder, "the export", **how) as files:
            said = FORMATS[format_name](exported, files)
    return ExportedFiles(files=files.paths, notes=tuple(dict.fromkeys([*notes, *said])))


@dataclass(frozen=True, slots=True)
class _Chosen:
    """Which runs are exported, of a comparison or of the store."""

    runs: tuple[Run, ...]
    report: ReportRuns
    """What a report shows of the same models and suites."""
    notes: tuple[str, ...]
    is_comparison: bool
    force: bool


def _chosen(
    project: Project,
    store: Store,
    names: Sequence[str],
    baseline: str | None,
    suites: Sequence[str],
    *,
    force: bool,
) -> _Chosen:
    whole = [run for run in store.runs.find() if run.finished is not None]
    if not whole:
        raise UsageError(
            f"{store.name} holds no finished run; `harness compare` or `harness import` makes some"
        )
    known = {run.suite for run in whole}
    for suite in suites:
        if suite not in known:
            raise UnknownName("evaluated suite", suite, known)
    if names or baseline is not None:
        report = chosen_runs(project, store, names, baseline=baseline, suites=suites)
        runs = with_judged(store, report.runs) if named_among(store, report.runs) else report.runs
        every = tuple(run for theirs in runs.values() for run in theirs)
        return _Chosen(every, report, report.notes, is_comparison=True, force=force)
    asked = [run for run in whole if not suites or run.suite in suites]
    models = list(dict.fromkeys(run.model for run in asked))
    report = report_runs(project, store, models, list(dict.fromkeys(run.suite for run in asked)))
    every = tuple(sorted(asked, key=lambda run: models.index(run.model)))
    return _Chosen(every, report, tuple(_unfinished(store)), is_comparison=False, force=force)


def _unfinished(store: Store) -> Iterator[str]:
    """The runs that are not whole yet."""
    for run in store.runs.find():
        if run.finished is None:
            yield f"{run.suite} of {run.model}: left out, its run is not whole yet"


def _exported(project: Project, store: Store, chosen: _Chosen) -> tuple[Exported, Sequence[str]]:
    """What formats are given, and what a user must know of it."""
    models = dict.fromkeys(run.model for run in chosen.runs)
    reserved = left_out(project.registry, store, models)
    scored = [run for run in chosen.runs if run.metrics]
    exported = Exported(
        created=datetime.now(UTC).isoformat(timespec="seconds"),
        label=project.label_of(chosen.runs),
        runs=chosen.runs,
        shown=frozenset(run.id for theirs in chosen.report.runs.values() for run in theirs),
        rows=partial(_rows, store, reserved),
        measured=_measured(project, scored),
        verdicts=cache(partial(_verdicts, project, store, chosen)),
        preferences=cache(partial(_preferences, store, chosen)),
        board=partial(_board, project, store, chosen),
        dataset=_dataset,
        hub_model=partial(_hub_model, project),
    )
    return exported, [*chosen.notes, *(left_out_notes(project, scored) if reserved.splits else [])]


# ---------------------------------------------------------------- what formats ask for


def _rows(store: Store, reserved: LeftOut, run: Run) -> Iterator[Row]:
    """A run's rows, without those that chose a checkpoint."""
    rows = store.runs.rows(run.id)
    return (row for row in rows if not reserved.holds(run.suite, cluster_of(row.sample)))


def _measured(project: Project, scored: Sequence[Run]) -> Callable[[Run], Sequence[MetricSummary]]:
    """The metrics of a run, all of which are computed when the first is asked for."""

    @cache
    def by_run() -> Mapping[str, Sequence[MetricSummary]]:
        found = iter(summarise_runs(project, scored))
        return {run.id: [next(found) for _ in run.metrics] for run in scored}

    return lambda run: by_run().get(run.id, ())


def _verdicts(project: Project, store: Store, chosen: _Chosen) -> Sequence[Verdict]:
    if not chosen.is_comparison:
        return ()
    return verdicts_on(project, store, chosen.report.runs, force=chosen.force)


def _preferences(store: Store, chosen: _Chosen) -> Sequence[NamedPreference]:
    return named_among(store, chosen.report.runs) if chosen.is_comparison else named_preferences(store)


def _board(project: Project, store: Store, chosen: _Chosen) -> Leaderboard:
    report = chosen.report
    return leaderboard(project, store, report.runs, force=chosen.force, notes=report.notes)[0]


def _dataset(run: Run) -> HubDataset | None:
    """The data set on the hub that the run's suite has, unless the samples were a user's own."""
    if run.request is not None and run.request.settings.get("data") is not None:
        return None
    found = _known_dataset(labelled(run.suite, known_suites()) or run.suite)
    return found and HubDataset(repository=found[0], config=found[1])


_known_dataset = cache(hub_dataset)


def _hub_model(project: Project, run: Run) -> str | None:
    """The hub's id of a model that harness.toml takes from there as it is."""
    model = project.registry.models.get(run.model)
    source = model and model.source
    if not isinstance(source, Local) or source.adapter is not None or Path(source.path).exists():
        return None
    return source.path if "/" in source.path and HUB_ID.fullmatch(source.path) else None
