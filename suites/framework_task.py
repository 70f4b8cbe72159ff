"""What the suites for other frameworks' tasks share: rows, ids, metrics and scores."""

import json
import math
from abc import abstractmethod
from collections import Counter
from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any, Protocol

from harness.adaptors.engine_requests import AnsweredDocument, TaskMetric, TaskRows
from harness.errors import DataError, UsageError
from harness.files import json_lines
from harness.records.answers import Metric, Row, Sample, Score
from suites.row_suite import RowSuite, short_hash


def suite_metrics(suite: str, found: Sequence[TaskMetric]) -> tuple[Metric, ...]:
    """A task's metrics that are means over documents; the first of them is the headline.

    Raises UsageError for a task that has none.
    """
    if not found:
        raise UsageError(f"{suite}: none of the task's metrics is a mean over its documents")
    return tuple(
        Metric(
            name=metric.name,
            kind="binary" if metric.binary else "number",
            higher_is_better=metric.higher_is_better,
            headline=place == 0,
        )
        for place, metric in enumerate(found)
    )


def scores_of(metric: str, answered: AnsweredDocument, task_metric: str) -> tuple[Score, ...]:
    """A metric's scores from what a task made of a document; one without a value where it gave none."""
    values = answered.values.get(task_metric, ())
    if not values:
        reason = answered.failure or "the task gave no value"
        return (Score(metric=metric, value=None, reason=reason),)
    return tuple(
        Score(metric=metric, value=value)
        if math.isfinite(value)
        else Score(metric=metric, value=None, reason=f"the task gave {value}")
        for value in values
    )


class FrameworkTask(Protocol):
    """A framework's task with its documents."""

    @property
    def docs(self) -> Sequence[Mapping[str, Any]]: ...

    @property
    def metrics(self) -> Sequence[TaskMetric]: ...

    def question(self, index: int) -> str: ...

    def choices(self, index: int) -> tuple[str, ...]: ...

    def target(self, index: int) -> str | None: ...


class DocumentSuite(RowSuite[Mapping[str, Any]]):
    """A suite of the documents of one task, each named by its hash."""

    @property
    @abstractmethod
    def name(self) -> str:
        """The framework's prefix and the task's name."""

    @property
    @abstractmethod
    def task(self) -> FrameworkTask:
        """The task, which loads the framework."""

    @property
    def items(self) -> Sequence[Mapping[str, Any]]:
        return self.task.docs

    def content(self, item: Mapping[str, Any]) -> Mapping[str, Any]:
        return item

    @cached_property
    def metrics(self) -> tuple[Metric, ...]:
        """The task's metrics that are means over documents; the first of them is the headline.

        Raises UsageError for a task that has none.
        """
        return suite_metrics(self.name, self.task.metrics)

    def row(self, answered: AnsweredDocument) -> Row:
        """A document, and what the answers are worth in each metric."""
        index = answered.index
        scores = [scores_of(metric.name, answered, metric.name) for metric in self.metrics]
        return Row(
            sample=Sample(
                id=self._ids[index],
                prompt=self.task.question(index),
                choices=self.task.choices(index),
                target=self.task.target(index),
            ),
            responses=answered.responses,
            scores=tuple(score for several in scores for score in several),
            position=index,
        )

    @cached_property
    def _ids(self) -> Sequence[str]:
        return document_ids(self.items)


def document_ids(docs: Sequence[Mapping[str, Any]]) -> Sequence[str]:
    """A hash of each document; equal documents are distinguished by their order."""
    seen: Counter[str] = Counter()
    ids = []
    for doc in docs:
        digest = short_hash(json.dumps(doc, sort_keys=True, default=str))
        seen[digest] += 1
        ids.append(digest if seen[digest] == 1 else f"{digest}-{seen[digest]}")
    return ids


def uniform_rows(file: Path) -> TaskRows:
    """A file's rows, which must all have the fields of the first: which ones a task needs only it knows.

    Raises DataError.
    """
    rows = list(json_lines(file))
    if not rows:
        raise DataError(str(file), 0, "holds no rows")
    first, needed = rows[0]
    for number, row in rows:
        missing = needed.keys() - row.keys()
        if missing:
            raise DataError(str(file), number, f"lacks {', '.join(sorted(missing))}, which row {first} has")
    return TaskRows([row for _, row in rows], str(file))
