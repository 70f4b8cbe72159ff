"""Which of the kept runs a report shows: those that the configuration asks for as it is now.

A model can have many runs of a suite: of an earlier rule, of the first rows only, of last week's weights.
Shown is the one that an evaluation asked for last with the settings of today, which need not be the newest: a
run that is there is not asked again. Where too few models have such a run, the latest are shown.

Nothing is opened for it: the store has the settings that a run was asked with.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from harness.comparison.comparability import incomparable
from harness.errors import UnknownName
from harness.pluralize import pluralize
from harness.records.answers import Run
from harness.records.models import CHAT_SETTINGS, Json
from harness.store import Store, canonical
from harness.verbs.project import Project
from reports.conditions import samples

REASONS = 3
"""The most differences that are named for a run that is left out."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ReportRuns:
    """What a report shows, and what it does not."""

    runs: Mapping[str, list[Run]]
    """Each model's, one per suite."""
    notes: tuple[str, ...]
    """What was left out, and what does not fit the configuration."""
    unfit: Mapping[str, tuple[str, ...]]
    """Those that do not fit it, by their ids: the names of what they were asked with otherwise than now."""


def report_runs(project: Project, store: Store, names: Sequence[str], suites: Sequence[str]) -> ReportRuns:
    """The runs of these models and suites that fit the configuration, in the given orders."""
    runs: dict[str, list[Run]] = {name: [] for name in names}
    notes: list[str] = []
    unfit: dict[str, tuple[str, ...]] = {}
    for suite in suites:
        whole = [run for run in store.runs.whole(suite=suite) if run.model in runs]
        today = _today(project, suite)
        otherwise = {run.id: tuple(_asked_otherwise(run, today, project)) for run in whole}
        fitting = {name for name, what in otherwise.items() if not what}
        shown = _shown(whole, fitting)
        for name, run in shown.items():
            runs[name].append(run)
            unfit |= {} if run.id in fitting else {run.id: otherwise[run.id]}
        notes += _unfit(suite, shown, fitting)
        notes += _left_out(suite, shown, whole)
    return ReportRuns(runs=runs, notes=tuple(notes), unfit=unfit)


def _today(project: Project, suite: str) -> Mapping[str, Json] | None:
    """What the suite is asked with now; None where the configuration does not know it any more."""
    try:
        return project.asked_settings(suite) if project.knows_suite(suite) else None
    except UnknownName:  # a label whose section is gone
        return None


def _asked_otherwise(run: Run, today: Mapping[str, Json] | None, project: Project) -> Iterator[str]:
    """What a run was asked with otherwise than it would be now, by name, as far as that is known of it."""
    if run.request is None or today is None:
        return
    if run.seed != project.registry.project.seed:
        yield "seed"
    yield from _differing(run.request.settings, today)
    yield from _differing(_chat_settings(run), project.chat_settings(run.model))


def _differing(before: Mapping[str, Json], now: Mapping[str, Json]) -> Iterator[str]:
    for key in dict.fromkeys([*before, *now]):
        if key not in before or key not in now or canonical(before[key]) != canonical(now[key]):
            yield key


def _chat_settings(run: Run) -> dict[str, Json]:
    """How the model was asked, as far as its section said."""
    engine = run.environment.get("engine")
    return (
        {}
        if not isinstance(engine, Mapping)
        else {name: engine[name] for name in CHAT_SETTINGS if name in engine}
    )


def _shown(whole: Sequence[Run], fitting: set[str]) -> dict[str, Run]:
    """Each model's run: one that fits, unless they are too few to compare; else the newest."""
    newest = {run.model: run for run in whole}
    best = {run.model: run for run in whole if run.id in fitting}
    return newest if len(best) < min(2, len(newest)) else newest | best


def _unfit(suite: str, shown: Mapping[str, Run], fitting: set[str]) -> Iterator[str]:
    unfit = [name for name, run in shown.items() if run.id not in fitting]
    if unfit:
        yield (
            f"{suite}: {', '.join(unfit)} {'was' if len(unfit) == 1 else 'were'} not asked with the settings "
            "that the configuration has now; the newest results are shown"
        )


def _left_out(suite: str, shown: Mapping[str, Run], whole: Sequence[Run]) -> Iterator[str]:
    """One line for all runs that are left out for the same reason."""
    reasons: dict[str, list[str]] = {}
    for run in whole:
        if run.id != shown[run.model].id:
            reasons.setdefault(_reason(run, shown[run.model]), []).append(run.model)
    for reason, models in reasons.items():
        of = ", ".join(dict.fromkeys(models))
        yield f"{suite}: left out {pluralize(len(models), 'run')} of {of}: {reason}"


def _reason(run: Run, shown: Run) -> str:
    """What makes a run another than the one that is shown."""
    if run.size != shown.size:
        return f"asked {samples(run)} samples"
    differences = [f"{each.what} {each.candidate}" for each in incomparable(shown, run)]
    if differences:
        return ", ".join([*differences[:REASONS], *(["…"] if len(differences) > REASONS else [])])
    before, now = _chat_settings(run), _chat_settings(shown)
    if other := [name for name in CHAT_SETTINGS if before.get(name) != now.get(name)]:
        return f"asked with another {', '.join(other)}"
    if run.fingerprint != shown.fingerprint:
        return "of other weights or another template under the same name"
    return f"seed {run.seed}" if run.seed != shown.seed else "made earlier"
