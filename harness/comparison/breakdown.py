"""Results group by group: on which kinds of samples a difference to the baseline arose.

A metric names the tags of samples by which it is split. A tag that is a list says of each part of a sample's
scores which group it belongs to (the instructions of a prompt); any other says it of all of them. Where some
runs have a sample's tag and others do not, it counts for all: tags describe the sample, not the run.

All of it is exploratory: no verdict rests on it. The comparisons of one table, over its groups and all
candidates, are a family of their own for Holm's correction; an interval is each group's alone.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from harness.comparison.paired import ScoredRun
from harness.comparison.verdicts import compare_family
from harness.records.answers import Metric, Observation
from harness.records.comparisons import Comparison
from harness.records.models import Json
from harness.stats.plan import DEFAULT_PLAN, AnalysisPlan

Place = tuple[str, int]
"""One score of a metric: the sample's id, and the part."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Breakdown:
    """One metric of one suite, split by one tag."""

    suite: str
    metric: Metric
    split: str
    groups: Mapping[str, frozenset[Place]]
    """What belongs to each group, in the order of their names."""
    ungrouped: frozenset[Place]
    """What belongs to none."""
    comparisons: Mapping[tuple[str, str], Comparison]
    """The comparisons, by candidate and group. Empty where nothing is compared."""


def break_down(
    baseline: Sequence[ScoredRun],
    candidates: Mapping[str, Sequence[ScoredRun]],
    plan: AnalysisPlan = DEFAULT_PLAN,
) -> list[Breakdown]:
    """Every split that the runs' metrics name and that parts their samples in two groups or more.

    Arguments are those of `harness.comparison.verdicts.compare_all`.
    """
    suites = dict.fromkeys(scored.run.suite for runs in (baseline, *candidates.values()) for scored in runs)
    tables = []
    for suite in suites:
        reference = _of_suite(baseline, suite)
        others = {name: found for name, runs in candidates.items() if (found := _of_suite(runs, suite))}
        asked = [*([reference] if reference else []), *others.values()]
        for metric, split in _splits(asked):
            groups, ungrouped = _grouped(asked, metric, split)
            if len(groups) < 2:
                continue
            pairs = _pairs(reference, others, metric, groups) if reference else {}
            compared = compare_family(list(pairs.values()), f"{suite} {metric.name} by {split}", plan)
            tables.append(
                Breakdown(
                    suite=suite,
                    metric=metric,
                    split=split,
                    groups=groups,
                    ungrouped=ungrouped,
                    comparisons=dict(zip(pairs, compared, strict=True)),
                )
            )
    return tables


def group_of(tags: Mapping[str, Json], split: str, part: int) -> str | None:
    """The name of the group that this part of a sample's scores belongs to; None where it has none."""
    value = tags.get(split)
    if isinstance(value, Sequence) and not isinstance(value, str):
        value = value[part] if part < len(value) else None
    if value is None or isinstance(value, str):
        return value
    if isinstance(value, bool):
        return "yes" if value else "no"
    return json.dumps(value)


def _of_suite(runs: Sequence[ScoredRun], suite: str) -> ScoredRun | None:
    return next((scored for scored in runs if scored.run.suite == suite), None)


def _splits(runs: Sequence[ScoredRun]) -> Iterator[tuple[Metric, str]]:
    """Each metric with each tag that any of the runs splits it by."""
    seen = set()
    for scored in runs:
        for metric in scored.run.metrics:
            for split in metric.splits:
                if (metric.name, split) not in seen:
                    seen.add((metric.name, split))
                    yield metric, split


def _grouped(
    runs: Sequence[ScoredRun], metric: Metric, split: str
) -> tuple[dict[str, frozenset[Place]], frozenset[Place]]:
    """The places of each group, and those of none."""
    names: dict[Place, str | None] = {}
    for scored in runs:
        for seen in scored.observations.get(metric.name, ()):
            place = seen.sample, seen.part
            if names.get(place) is None:
                names[place] = group_of(scored.tags.get(seen.sample, {}), split, seen.part)
    members: dict[str | None, set[Place]] = {}
    for place, name in names.items():
        members.setdefault(name, set()).add(place)
    ungrouped = frozenset(members.pop(None, set()))
    return {str(name): frozenset(members[name]) for name in sorted(members, key=str)}, ungrouped


def _pairs(
    baseline: ScoredRun,
    candidates: Mapping[str, ScoredRun],
    metric: Metric,
    groups: Mapping[str, frozenset[Place]],
) -> dict[tuple[str, str], tuple[ScoredRun, ScoredRun]]:
    """What is compared, by candidate and group."""
    ours = _by_group(baseline, metric, groups)
    return {
        (name, group): (ours[group], within)
        for name, candidate in candidates.items()
        for group, within in _by_group(candidate, metric, groups).items()
    }


def _by_group(
    scored: ScoredRun, metric: Metric, groups: Mapping[str, frozenset[Place]]
) -> dict[str, ScoredRun]:
    """A run as if it had asked one group alone, for each group."""
    group_at = {place: group for group, places in groups.items() for place in places}
    within: dict[str, list[Observation]] = {group: [] for group in groups}
    for seen in scored.observations.get(metric.name, ()):
        group = group_at.get((seen.sample, seen.part))
        if group is not None:
            within[group].append(seen)
    run = replace(scored.run, metrics=(replace(metric, headline=False, margin=None),))
    return {group: ScoredRun(run=run, observations={metric.name: them}) for group, them in within.items()}
