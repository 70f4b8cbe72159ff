"""Several tasks of lm-eval asked as one suite: `lm_eval:GROUP`, and what `general` shares with it.

All requests of all tasks reach the engine in one call, so that it can find what they share. A document is
named by its task and itself, and pairs by that.

A group's metrics are means over all documents of its tasks, which is lm-eval's mean where the group weighs by
size. A tag of lm-eval's has no mean; its tasks are taken together in the same way.

It does not know what a task measures.
"""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import accumulate
from typing import TYPE_CHECKING

from harness.errors import UnknownName, UsageError
from harness.protocols import Engine, Suite
from harness.records import Json, Metric, Row
from suites.lm_eval_task import LmEvalSuite
from suites.official import hash_rows
from suites.settings import LmEvalSettings, Surroundings

if TYPE_CHECKING:
    from harness.adaptors.lm_eval.definitions import TaskGroup


AT_MOST_NAMED = 8
"""Tasks that a version names one by one."""


@dataclass(frozen=True)
class Together:
    """Tasks that are asked in one go."""

    tasks: Sequence[LmEvalSuite]

    @property
    def versions(self) -> str:
        """Every task with the version of its definition; one version for all is told once.

        Of many tasks only how many have which version: the data's hash names them.
        """
        versions = {task.task_name: task.task_version for task in self.tasks}
        if len(versions) > AT_MOST_NAMED:
            counted = Counter(versions.values()).items()
            return "tasks: " + ", ".join(f"{count} of version {version}" for version, count in counted)
        if len(versions) > 1 and len(set(versions.values())) == 1:
            return f"{', '.join(versions)}, all {next(iter(versions.values()))}"
        return ", ".join(f"{name} {version}" for name, version in versions.items())

    @property
    def data_hash(self) -> str:
        """Over the documents of each task."""
        return hash_rows({"task": task.task_name, "data": task.data_hash} for task in self.tasks)

    @property
    def size(self) -> int:
        """Documents of all tasks."""
        return sum(task.size for task in self.tasks)

    def settings(self, chat_template: str | None) -> Mapping[str, Json]:
        """By setting; where tasks differ, by setting and task."""
        of_tasks = {task.task_name: task.settings(chat_template) for task in self.tasks}
        names = dict.fromkeys(name for settings in of_tasks.values() for name in settings)
        return {name: _shared({task: of[name] for task, of in of_tasks.items()}) for name in names}

    def rows(self, engine: Engine) -> Iterator[tuple[str, Row]]:
        """Every document with its task's name, scored in all the task's metrics."""
        # imported here because lm-eval takes seconds to import, and a stored evaluation needs none of it
        from harness.adaptors.lm_eval.tasks import ask_apart  # noqa: PLC0415

        starts = [0, *accumulate(task.size for task in self.tasks)]
        for place, answered in ask_apart(
            [task.posed(engine.info.chat_template) for task in self.tasks], engine
        ):
            task = self.tasks[place]
            row = task.row(answered)
            sample = replace(
                row.sample, id=f"{task.task_name}:{row.sample.id}", tags={"task": task.task_name}
            )
            yield task.task_name, replace(row, sample=sample, position=starts[place] + row.position)


def opened(suite: str, names: Sequence[str], given: LmEvalSettings, surroundings: Surroundings) -> Together:
    """The tasks of these names with the same settings. `data` may name a file for each of them.

    Raises UnknownName for data of a task that is not asked, and UsageError for a task that is asked twice.
    """
    for name in given.data if isinstance(given.data, Mapping) else ():
        if name not in names:
            raise UnknownName(f"task of {suite}, for which it has data,", name, names)
    twice = sorted({name for name in names if list(names).count(name) > 1})
    if twice:
        raise UsageError(f"{suite}: {', '.join(twice)} would be asked twice; name each task once")
    return Together([LmEvalSuite(name, given, surroundings) for name in names])


def _shared(values: Mapping[str, Json]) -> Json:
    """One value where it is everybody's."""
    first = next(iter(values.values()))
    return first if all(value == first for value in values.values()) else values


@dataclass(frozen=True)
class LmEvalGroup:
    """The suite `lm_eval:GROUP`."""

    group: "TaskGroup"
    given: LmEvalSettings
    surroundings: Surroundings

    @property
    def name(self) -> str:
        """With the prefix."""
        return f"lm_eval:{self.group.name}"

    @property
    def version(self) -> str:
        """The group's and its tasks'."""
        own = "" if self.group.version is None else f" {self.group.version}"
        return f"2 (lm-eval {self.group.name}{own}: {self._together.versions})"

    @cached_property
    def metrics(self) -> tuple[Metric, ...]:
        """What the group has a mean of, the first as headline; each also task by task.

        Raises UsageError where the tasks have no metric in common.
        """
        return group_metrics(self.name, self.group, self._together.tasks)

    @property
    def data_hash(self) -> str:
        """Over the documents of each task."""
        return self._together.data_hash

    @property
    def size(self) -> int:
        """Documents of all tasks."""
        return self._together.size

    def settings(self, chat_template: str | None) -> Mapping[str, Json]:
        """By setting; where tasks differ, by setting and task."""
        return self._together.settings(chat_template)

    def rows(self, engine: Engine) -> Iterator[Row]:
        """One row per document."""
        kept = {metric.name for metric in self.metrics}
        for _, row in self._together.rows(engine):
            yield replace(row, scores=tuple(score for score in row.scores if score.metric in kept))

    @cached_property
    def _together(self) -> Together:
        if self.given.data is not None and not isinstance(self.given.data, Mapping):
            raise UsageError(
                f"{self.name} is a group: give a file for each task, "
                f'[suites."{self.name}".data] {self.group.tasks[0]} = "file.jsonl"'
            )
        return opened(self.name, self.group.tasks, self.given, self.surroundings)


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
    binary = {
        metric.name: all(
            each.kind == "binary" for task in tasks for each in task.metrics if each.name == metric.name
        )
        for metric in common
    }
    return tuple(
        replace(
            metric,
            kind="binary" if binary[metric.name] else "number",
            headline=place == 0,
            splits=("task",),
        )
        for place, metric in enumerate(common)
    )


@dataclass(frozen=True)
class LmEvalNamed:
    """The suite `lm_eval:NAME`, be it a task or a group: which one lm-eval says, when it is first asked."""

    task_name: str
    given: LmEvalSettings
    surroundings: Surroundings

    @property
    def name(self) -> str:
        """With the prefix."""
        return f"lm_eval:{self.task_name}"

    @property
    def version(self) -> str:
        """The definition's."""
        return self._suite.version

    @property
    def metrics(self) -> tuple[Metric, ...]:
        """Means over documents; the first is the headline."""
        return self._suite.metrics

    @property
    def data_hash(self) -> str:
        """Over whole documents."""
        return self._suite.data_hash

    @property
    def size(self) -> int:
        """Documents."""
        return self._suite.size

    def settings(self, chat_template: str | None) -> Mapping[str, Json]:
        """Worked examples become turns where a chat template is applied."""
        return self._suite.settings(chat_template)

    def rows(self, engine: Engine) -> Iterator[Row]:
        """One row per document."""
        return self._suite.rows(engine)

    @cached_property
    def _suite(self) -> Suite:
        # imported here because lm-eval takes seconds to import, and is only asked when it must say
        from harness.adaptors.lm_eval.definitions import task_group  # noqa: PLC0415

        group = task_group(self.task_name)
        if group is not None:
            return LmEvalGroup(group, self.given, self.surroundings)
        return LmEvalSuite(self.task_name, self.given, self.surroundings)
