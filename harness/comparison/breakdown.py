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

import numpy as np

from harness.comparison.paired import ScoredRun
from harness.comparison.verdicts import compare_family
from harness.observed import NOTHING_OBSERVED, Mask, Observed, Samples
from harness.records.answers import Metric
from harness.records.comparisons import Comparison
from harness.records.models import Json
from harness.stats.clusters import Codes
from harness.stats.plan import DEFAULT_PLAN, AnalysisPlan


@dataclass(frozen=True, slots=True, kw_only=True)
class GroupSize:
    """What belongs to one group, whatever run it is of."""

    scores: int
    samples: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Breakdown:
    """One metric of one suite, split by one tag."""

    suite: str
    metric: Metric
    split: str
    groups: Mapping[str, GroupSize]
    """In the order of their names."""
    ungrouped: int
    """The scores that belong to none."""
    observed: Mapping[str, Mapping[str, Observed]]
    """The scores of each model in each group, also where there are none."""
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
    tables: list[Breakdown] = []
    for suite in suites:
        reference = _of_suite(baseline, suite)
        others = {name: found for name, runs in candidates.items() if (found := _of_suite(runs, suite))}
        asked = [*([reference] if reference else []), *others.values()]
        for metric, split in _splits(asked):
            grouping = _Grouping.of(asked, metric, split)
            if len(grouping.sizes) > 1:
                tables.append(_table(suite, reference, others, grouping, plan))
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


@dataclass(frozen=True, slots=True, kw_only=True)
class _Grouping:
    """Which group each score of a metric belongs to, by its sample and its part."""

    metric: Metric
    split: str
    samples: Samples
    """Of all runs."""
    codes: Codes
    """Samples × parts: a group's number, or -1."""
    sizes: Mapping[str, GroupSize]
    """In the order of these numbers."""
    ungrouped: int

    @classmethod
    def of(cls, runs: Sequence[ScoredRun], metric: Metric, split: str) -> "_Grouping":
        """What these runs' tags say."""
        every = [scored.observations.get(metric.name, NOTHING_OBSERVED) for scored in runs]
        samples = Samples.of_all([observed.samples for observed in every])
        parts = 1 + max(int(observed.parts.max(initial=0)) for observed in every)
        is_met = np.zeros((len(samples.ids), parts), dtype=np.bool_)
        for observed in every:
            is_met[observed.samples.where(samples)[observed.rows], observed.parts] = True
        tagged = _tagged(runs, split)
        named = np.array(
            [_names(tagged.get(sample, ()), split, parts) for sample in samples.ids], dtype=object
        ).reshape(is_met.shape)
        names = sorted(set(named[is_met]) - {None})
        codes = np.full(is_met.shape, -1)
        for place, name in enumerate(names):
            codes[is_met & (named == name)] = place
        return cls(
            metric=metric,
            split=split,
            samples=samples,
            codes=codes,
            sizes={name: _size(codes == place) for place, name in enumerate(names)},
            ungrouped=int(np.count_nonzero(is_met & (codes < 0))),
        )

    def parted(self, observed: Observed) -> dict[str, Observed]:
        """Scores by group, also where there are none."""
        codes = self.codes[observed.samples.where(self.samples)[observed.rows], observed.parts]
        return {name: observed.only(codes == place) for place, name in enumerate(self.sizes)}


def _size(members: Mask) -> GroupSize:
    return GroupSize(
        scores=int(np.count_nonzero(members)), samples=int(np.count_nonzero(members.any(axis=1)))
    )


def _tagged(runs: Sequence[ScoredRun], split: str) -> dict[str, list[Mapping[str, Json]]]:
    """The tags of each sample that say something else of the split, the first run's first."""
    found: dict[str, list[Mapping[str, Json]]] = {}
    for scored in runs:
        for sample, tags in scored.tags.items():
            known = found.setdefault(sample, [])
            if tags.get(split) is not None and all(tags[split] != each[split] for each in known):
                known.append(tags)
    return found


def _names(tagged: Sequence[Mapping[str, Json]], split: str, parts: int) -> list[str | None]:
    """The group of each of a sample's parts, by the first tags that name one."""
    if not any(isinstance(tags[split], list | tuple) for tags in tagged):
        return [group_of(tagged[0], split, 0) if tagged else None] * parts
    found = [[group_of(tags, split, part) for tags in tagged] for part in range(parts)]
    return [next((name for name in names if name is not None), None) for names in found]


def _table(
    suite: str,
    baseline: ScoredRun | None,
    candidates: Mapping[str, ScoredRun],
    grouping: _Grouping,
    plan: AnalysisPlan,
) -> Breakdown:
    metric, split = grouping.metric, grouping.split
    asked = candidates if baseline is None else {baseline.run.model: baseline, **candidates}
    parted = {
        name: grouping.parted(scored.observations.get(metric.name, NOTHING_OBSERVED))
        for name, scored in asked.items()
    }
    pairs = {
        (name, group): (
            _alone(baseline, metric, parted[baseline.run.model][group]),
            _alone(candidate, metric, parted[name][group]),
        )
        for name, candidate in candidates.items()
        for group in grouping.sizes
        if baseline is not None
    }
    compared = compare_family(list(pairs.values()), f"{suite} {metric.name} by {split}", plan)
    return Breakdown(
        suite=suite,
        metric=metric,
        split=split,
        groups=grouping.sizes,
        ungrouped=grouping.ungrouped,
        observed=parted,
        comparisons=dict(zip(pairs, compared, strict=True)),
    )


def _alone(scored: ScoredRun, metric: Metric, within: Observed) -> ScoredRun:
    """A run as if it had asked one group alone."""
    run = replace(scored.run, metrics=(replace(metric, headline=False, margin=None),))
    return ScoredRun(run=run, observations={metric.name: within})
