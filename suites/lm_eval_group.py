"""Several tasks of lm-eval asked as one suite: `lm_eval:GROUP`, and what `general` shares with it.

All requests of all tasks reach the engine in one call, so that it can find what they share. A document is
named by its task and itself, and pairs by that.

A group's metrics are means over all documents of its tasks, which is lm-eval's mean where the group weighs by
size. A tag of lm-eval's has no mean; its tasks are taken together in the same way.
"""

from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import accumulate
from typing import TYPE_CHECKING

from harness.errors import UnknownName, UsageError
from harness.protocols import Engine, Suite
from harness.records.answers import Metric, Row
from harness.records.models import Json
from suites.labelled import SuiteWrapper
from suites.lm_eval_task import LmEvalNamed, LmEvalSuite
from suites.row_suite import hash_rows
from suites.settings import LmEvalSettings, SuiteContext

if TYPE_CHECKING:
    from harness.adaptors.lm_eval.definitions import TaskGroup


AT_MOST_NAMED = 8
"""Tasks that a version names one by one."""


class MultiTaskSuite(ABC):
    """A suite of several tasks, which are asked in one go."""

    @property
    @abstractmethod
    def tasks(self) -> Sequence[LmEvalSuite]:
        """The tasks, whose documents follow one another."""

    @property
    def data_hash(self) -> str:
        return hash_rows({"task": task.task_name, "data": task.data_hash} for task in self.tasks)

    @property
    def size(self) -> int:
        return sum(task.size for task in self.tasks)

    def settings(self, chat_template: str | None) -> Mapping[str, Json]:
        """The settings; where tasks differ, by setting and task."""
        of_tasks = {task.task_name: task.settings(chat_template) for task in self.tasks}
        names = dict.fromkeys(name for settings in of_tasks.values() for name in settings)
        return {name: _shared({task: of[name] for task, of in of_tasks.items()}) for name in names}

    def rows_by_task(self, engine: Engine) -> Iterator[tuple[str, Row]]:
        """Every document with its task's name, scored in all the task's metrics."""
        from harness.adaptors.lm_eval.tasks import ask_tasks  # noqa: PLC0415 - lm-eval takes seconds to import

        starts = [0, *accumulate(task.size for task in self.tasks)]
        for place, answered in ask_tasks(
            [task.configured(engine.info.chat_template) for task in self.tasks], engine
        ):
            task = self.tasks[place]
            row = task.row(answered)
            sample = replace(
                row.sample, id=f"{task.task_name}:{row.sample.id}", tags={"task": task.task_name}
            )
            yield task.task_name, replace(row, sample=sample, position=starts[place] + row.position)


def versions_of(tasks: Sequence[LmEvalSuite]) -> str:
    """Every task with the version of its definition; one version for all is named once.

    Of many tasks only how many have which version: the data's hash names them.
    """
    versions = {task.task_name: task.task_version for task in tasks}
    if len(versions) > AT_MOST_NAMED:
        counted = Counter(versions.values()).items()
        return "tasks: " + ", ".join(f"{count} of version {version}" for version, count in counted)
    if len(versions) > 1 and len(set(versions.values())) == 1:
        return f"{', '.join(versions)}, all {next(iter(versions.values()))}"
    return ", ".join(f"{name} {version}" for name, version in versions.items())


def opened(
    suite: str, names: Sequence[str], given: LmEvalSettings, context: SuiteContext
) -> list[LmEvalSuite]:
    """The tasks of these names with the same settings. `data` may name a file for each of them.

    Raises UnknownName for data of a task that is not asked, and UsageError for a task that is asked twice.
    """
    for name in given.data if isinstance(given.data, Mapping) else ():
        if name not in names:
            raise UnknownName(f"task of {suite}, for which it has data,", name, names)
    twice = sorted({name for name in names if list(names).count(name) > 1})
    if twice:
        raise UsageError(f"{suite}: {', '.join(twice)} would be asked twice; name each task once")
    return [LmEvalSuite(name, given, context) for name in names]


def _shared(values: Mapping[str, Json]) -> Json:
    """The value that all share; by task where they differ."""
    first = next(iter(values.values()))
    return first if all(value == first for value in values.values()) else values


@dataclass(frozen=True)
class LmEvalGroup(MultiTaskSuite):
    """The suite `lm_eval:GROUP`."""

    group: "TaskGroup"
    given: LmEvalSettings
    context: SuiteContext

    @property
    def name(self) -> str:
        return f"lm_eval:{self.group.name}"

    @property
    def version(self) -> str:
        own = "" if self.group.version is None else f" {self.group.version}"
        return f"2 (lm-eval {self.group.name}{own}: {versions_of(self.tasks)})"

    @cached_property
    def metrics(self) -> tuple[Metric, ...]:
        """What the group has a mean of, the first as headline; each also task by task.

        Raises UsageError where the tasks have no metric in common.
        """
        return group_metrics(self.name, self.group, self.tasks)

    def rows(self, engine: Engine) -> Iterator[Row]:
        kept = {metric.name for metric in self.metrics}
        for _, row in self.rows_by_task(engine):
            yield replace(row, scores=tuple(score for score in row.scores if score.metric in kept))

    @cached_property
    def tasks(self) -> Sequence[LmEvalSuite]:
        if self.given.data is not None and not isinstance(self.given.data, Mapping):
            raise UsageError(
                f"{self.name} is a group: give a file for each task, "
                f'[suites."{self.name}".data] {self.group.tasks[0]} = "file.jsonl"'
            )
        return opened(self.name, self.group.tasks, self.given, self.context)


def group_metrics(suite: str, group: "TaskGroup", tasks: Sequence[LmEvalSuite]) -> tuple[Metric, ...]:
    """The metrics that all tasks of a group have and of which it has a mean, the first of them a headline."""
    common = [
        metric
        for metric in tasks[0].metrics
        if all(metric.name in {other.name for other in task.metrics} for task in tasks)
        and (group.means is None or metric.name.partition(",")[0] in group.means)
    ]
    if not common:
        raise UsageError(
            f"{suite}: the group has no mean over documents that all its tasks share; name its tasks: "
            f"{', '.join(group.tasks)}"
        )
    numbers = {metric.name for task in tasks for metric in task.metrics if metric.kind == "number"}
    return tuple(
        replace(
            metric,
            kind="number" if metric.name in numbers else "binary",
            headline=place == 0,
            splits=("task",),
        )
        for place, metric in enumerate(common)
    )


@dataclass(frozen=True)
class TaskOrGroup(LmEvalNamed, SuiteWrapper):
    """The suite `lm_eval:NAME`, be it a task or a group: which one, lm-eval says when it is first needed."""

    @cached_property
    def suite(self) -> Suite:
        from harness.adaptors.lm_eval.definitions import task_group  # noqa: PLC0415 - lm-eval takes seconds to import

        group = task_group(self.task_name)
        if group is not None:
            return LmEvalGroup(group, self.given, self.context)
        return LmEvalSuite(self.task_name, self.given, self.context)
