"""General ability: what a model could do before it was aligned, and how much of it alignment cost.

Tasks of lm-eval, by its own definitions and versions, zero-shot as these say: HellaSwag (Zellers et al. 2019,
https://arxiv.org/abs/1905.07830), ARC easy (Clark et al. 2018, https://arxiv.org/abs/1803.05457), PIQA (Bisk
et al. 2020, https://arxiv.org/abs/1911.11641), WinoGrande (Sakaguchi et al. 2020,
https://arxiv.org/abs/1907.10641) and LAMBADA in OpenAI's version (Paperno et al. 2016,
https://arxiv.org/abs/1606.06031). `tasks` names others, such as MMLU.

One metric per task, named after it: accuracy, for HellaSwag that of the choice likeliest per character, as is
usual. None is a headline unless `headline` says so. A comparison holds the loss of each against `margin`:
general ability is the price of alignment and not its aim (`harness.comparison.non_inferiority`).

A group of tasks is one metric, over all its documents, also shown task by task.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, ClassVar

from harness.protocols import Engine
from harness.records.answers import Metric, Row
from suites.lm_eval_group import MultiTaskSuite, group_metrics, opened, versions_of
from suites.lm_eval_task import LmEvalSuite
from suites.settings import GeneralSettings, LmEvalSettings, SuiteContext

if TYPE_CHECKING:
    from harness.adaptors.lm_eval.definitions import TaskGroup

MEASURED_BY: Mapping[str, str] = {
    "hellaswag": "acc_norm",
    "arc_easy": "acc",
    "piqa": "acc",
    "winogrande": "acc",
    "lambada_openai": "acc",
}
"""The metric of lm-eval that each task is reported by; of other tasks the first."""


@dataclass(frozen=True)
class Part:
    """What is one metric of the suite: a task, or the tasks of a group."""

    name: str
    tasks: tuple[str, ...]
    measured: Metric


@dataclass(frozen=True)
class General(MultiTaskSuite):
    """The suite `general`."""

    given: GeneralSettings
    context: SuiteContext

    name: ClassVar[str] = "general"

    @property
    def version(self) -> str:
        return f"2 (lm-eval {versions_of(self.tasks)})"

    @cached_property
    def metrics(self) -> tuple[Metric, ...]:
        return tuple(
            replace(
                part.measured,
                name=part.name,
                headline=self.given.headline,
                splits=("task",) if len(part.tasks) > 1 else (),
                note=f"{part.measured.name} of lm-eval's {part.name}",
                margin=self.given.margin,
            )
            for part in self._parts
        )

    def rows(self, engine: Engine) -> Iterator[Row]:
        """One row per document, scored in its task's metric alone."""
        of_task = {task: part for part in self._parts for task in part.tasks}
        for task, row in self.rows_by_task(engine):
            part = of_task[task]
            scores = (score for score in row.scores if score.metric == part.measured.name)
            yield replace(row, scores=tuple(replace(score, metric=part.name) for score in scores))

    @cached_property
    def _groups(self) -> Mapping[str, "TaskGroup"]:
        found = {name: _group(name) for name in self.given.tasks}
        return {name: group for name, group in found.items() if group is not None}

    @cached_property
    def _parts(self) -> tuple[Part, ...]:
        return tuple(self._part(name) for name in self.given.tasks)

    def _part(self, name: str) -> Part:
        if name in MEASURED_BY:
            return Part(name, (name,), Metric(name=MEASURED_BY[name], kind="binary"))
        by_name = {task.task_name: task for task in self.tasks}
        group = self._groups.get(name)
        if group is None:
            return Part(name, (name,), by_name[name].metrics[0])
        tasks = [by_name[task] for task in group.tasks]
        return Part(name, group.tasks, group_metrics(self.name, group, tasks)[0])

    @cached_property
    def tasks(self) -> Sequence[LmEvalSuite]:
        given = LmEvalSettings(
            data=self.given.data,
            limit=self.given.limit,
            chat_template=self.given.chat_template,
            num_fewshot=self.given.num_fewshot,
            seed=self.given.seed,
        )
        members = [
            (self._groups[name].tasks if name in self._groups else (name,)) for name in self.given.tasks
        ]
        return opened(self.name, [task for tasks in members for task in tasks], given, self.context)


def _group(name: str) -> "TaskGroup | None":
    if name in MEASURED_BY:
        return None
    from harness.adaptors.lm_eval.definitions import task_group  # noqa: PLC0415 - lm-eval takes seconds to import

    return task_group(name)
