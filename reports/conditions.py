"""The conditions under which runs were made, without saying the same thing once per run.

It does not judge whether conditions match: that is `harness.comparison`.
"""

import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from harness.records.answers import REQUEST, SECONDS_BEFORE, Run
from harness.records.models import Json


@dataclass(frozen=True, slots=True, kw_only=True)
class Group:
    """Runs that share the same values, and the values, by dotted name."""

    runs: str
    values: tuple[tuple[str, str], ...]


def settings(runs: Sequence[Run]) -> list[Group]:
    """What answers and scores depended on besides model and data, by suite."""
    suites = dict.fromkeys(run.suite for run in runs)
    return [
        group
        for suite in suites
        for group in _grouped(
            [r for r in runs if r.suite == suite], lambda r: r.settings, lambda r: r.model, suite
        )
    ]


def environments(runs: Sequence[Run]) -> list[Group]:
    """Packages and hardware."""
    return _grouped(runs, _machine, lambda r: f"{r.model} on {r.suite}", "")


def limits(runs: Iterable[Run]) -> list[str]:
    """Which suites were asked in part only, and of which part the numbers are."""
    return list(
        dict.fromkeys(
            f"{run.suite}: asked {samples(run)} samples" for run in runs if _suite_size(run) is not None
        )
    )


def samples(run: Run) -> str:
    """How many a run is of; of a suite asked in part only, of how many these are the first."""
    whole = _suite_size(run)
    return f"{run.size:,}" if whole is None else f"the first {run.size:,} of {whole:,}"


def _suite_size(run: Run) -> int | None:
    """Samples of the suite that a run asked the first of; None where it asked all."""
    whole = None if run.request is None else run.request.rows
    return whole if whole is not None and run.size < whole else None


def short(hashed: str) -> str:
    """Enough of a hash to tell two apart, without the algorithm in front."""
    return hashed.rpartition(":")[2][:12]


def moment(iso: str) -> str:
    """A time to the minute, UTC."""
    return f"{datetime.fromisoformat(iso):%Y-%m-%d %H:%M} UTC"


def duration(run: Run) -> str:
    """How long the run took, in words; a run that is not whole says so."""
    if run.finished is None:
        return "not finished"
    seconds = round(
        (datetime.fromisoformat(run.finished) - datetime.fromisoformat(run.started)).total_seconds()
    )
    hours, minutes = seconds // 3600, seconds // 60 % 60
    if hours:
        return f"{hours} h {minutes} min"
    return f"{minutes} min {seconds % 60} s" if minutes else f"{seconds} s"


def _grouped(
    runs: Sequence[Run], values: Callable[[Run], Mapping[str, Json]], name: Callable[[Run], str], prefix: str
) -> list[Group]:
    groups: dict[tuple[tuple[str, str], ...], list[str]] = {}
    for run in runs:
        groups.setdefault(tuple(_flat(values(run), "")), []).append(name(run))
    if len(groups) == 1:
        return [Group(runs=prefix or "all runs", values=flat) for flat in groups]
    names = {flat: ", ".join(dict.fromkeys(of)) for flat, of in groups.items()}
    return [Group(runs=f"{prefix}: {of}" if prefix else of, values=flat) for flat, of in names.items()]


def _machine(run: Run) -> Mapping[str, Json]:
    return {name: value for name, value in run.environment.items() if name not in (REQUEST, SECONDS_BEFORE)}


def _flat(value: Json, name: str) -> Iterator[tuple[str, str]]:
    if isinstance(value, Mapping):
        for key in sorted(value):
            yield from _flat(value[key], f"{name}.{key}" if name else key)
    else:
        yield name, value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
