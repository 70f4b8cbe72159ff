"""What a first reading of lighteval's details finds: documents, their scores, what to know of them."""

import math
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from harness.imported.fields import as_number, as_object
from harness.imported.lighteval_rows import LightevalDetail
from harness.imported.metric_values import MEANS, as_parts
from harness.imported.score_tally import ScoreTally, other_means
from harness.pluralize import pluralize


class Declared(NamedTuple):
    """What a task's configuration says of a metric."""

    higher_is_better: object = None
    aggregation: str = "mean"


@dataclass(slots=True)
class LightevalReading:
    """Everything that the lines of a task's details say together."""

    declared: Mapping[str, Declared]
    keys: list[str] = field(default_factory=list)
    """Of each line, its document."""
    last: dict[str, int] = field(default_factory=dict)
    """Of each document, its last line."""
    tallies: dict[str, ScoreTally] = field(default_factory=dict)
    refused: set[str] = field(default_factory=set)
    """Metrics that are no mean over documents."""
    draws: int = 0
    """The most texts of a document."""
    empty: int = 0
    """Texts without anything in them."""
    times: dict[bool, Counter[str]] = field(default_factory=lambda: defaultdict(Counter))

    def add(self, number: int, detail: LightevalDetail) -> None:
        """Note a line. A document has one for each way in which it is asked; equal documents are numbered."""
        times = self.times[bool(detail.model_response.logprobs)]
        times[detail.id] += 1
        key = detail.id if times[detail.id] == 1 else f"{detail.id}-{times[detail.id]}"
        self.keys.append(key)
        self.last[key] = number
        responses = detail.responses
        self.draws = max(self.draws, len(responses))
        self.empty += sum(not (each.text or each.thought) for each in responses)
        for metric, value in detail.metric.items():
            if value is not None:  # of another way of asking
                self._add_value(metric, value)

    def _add_value(self, metric: str, value: object) -> None:
        values, declared = as_parts(value), self.declared.get(metric, Declared())
        if values is None or not (declared.aggregation in MEANS or isinstance(value, list)):
            self.refused.add(metric)
            return
        tally = self.tallies.setdefault(metric, ScoreTally())
        for each in filter(math.isfinite, values):
            tally.add(each)

    @property
    def kept(self) -> dict[str, ScoreTally]:
        """The metrics that are taken."""
        return {name: tally for name, tally in self.tallies.items() if name not in self.refused}

    @property
    def lower(self) -> list[str]:
        """The metrics of which less is better."""
        return [name for name, declared in self.declared.items() if declared.higher_is_better is False]

    def notes(self, task: str, results: Mapping[str, Any]) -> Iterator[str]:
        """What a reader of the imported scores must know; `results`: lighteval's own means."""
        if self.refused:
            yield f"{task}: {', '.join(sorted(self.refused))} left out: no mean over documents"
        known = {name for name, declared in self.declared.items() if declared.higher_is_better is not None}
        unknown = [name for name in self.kept if name not in known]
        if unknown:
            yield f"{task}: of {', '.join(unknown)} the files do not say whether more is better: taken to be"
        if self.empty:
            yield (
                f"{task}: {pluralize(self.empty, 'answer')} to {len(self.last):,} documents without a text, "
                "which lighteval also writes where a service gave none"
            )
        means = {name: value for name in self.kept if (value := as_number(results.get(name))) is not None}
        yield from other_means(task, self.kept, means, "the results")


def declared_metrics(metrics: object) -> dict[str, Declared]:
    """The metrics of a task's configuration; those that are worked out together have a list of names."""
    found = {}
    for each in _objects(metrics):
        names, better = each.get("metric_name"), each.get("higher_is_better")
        aggregation = each.get("corpus_level_fn")
        for name in map(str, names if isinstance(names, list) else [names]):
            found[name] = Declared(_of(better, name), str(_of(aggregation, name)))
    return found


def _objects(given: object) -> Iterable[Mapping[str, Any]]:
    return map(as_object, given) if isinstance(given, list) else ()


def _of(given: object, name: str) -> object:
    return given.get(name) if isinstance(given, Mapping) else given
