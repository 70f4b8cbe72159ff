"""Finds the definition of an lm-eval task or group by name, without reading its thousands of files."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields
from functools import cache
from pathlib import Path
from typing import Any

import lm_eval.tasks
from lm_eval.config.group import AggMetricConfig, GroupConfig
from lm_eval.tasks import TaskManager
from lm_eval.tasks._index import Entry, Kind  # the public index holds these, and has no other name for them

from harness.adaptors.engine_requests import quiet
from harness.errors import UnknownName, UsageError

TASKS = Path(lm_eval.tasks.__file__).parent
TASK_NAME = re.compile(r"^[ -]*task: *([\w.-]+) *$", re.MULTILINE)
"""A task's name in the text of a definition: enough to propose the nearest one."""
GROUP_KEYS = frozenset(field.name for field in fields(GroupConfig))


@cache
def _manager(*folders: Path) -> TaskManager:
    """An index of the definitions under these folders: milliseconds for few, and half a minute for all."""
    with quiet("lm_eval"):
        return TaskManager(include_path=list(folders), include_defaults=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskGroup:
    """Tasks of lm-eval that have a name together."""

    name: str
    version: str | None
    """None for a tag, which has none."""
    tasks: tuple[str, ...]
    """All of them, those of groups within the group included."""
    means: tuple[str, ...] | None
    """The metrics of which the group has a mean over all its documents; None for a tag, which names none."""


def task_group(name: str) -> TaskGroup | None:
    """The group or tag of this name; None where it names a task, or nothing.

    Raises UsageError for a group whose mean weighs its tasks alike, whatever their sizes, and for one whose
    tasks are variants that have no names of their own.
    """
    entry = _entry(name)
    if entry is None or entry.kind in (Kind.TASK, Kind.PY_TASK):
        return None
    if entry.kind is Kind.TAG:
        return TaskGroup(name=name, version=None, tasks=tuple(sorted(entry.tags)), means=None)
    config = GroupConfig(**{key: value for key, value in (entry.cfg or {}).items() if key in GROUP_KEYS})
    means = config.aggregate_metric_list or []
    if not all(isinstance(mean, AggMetricConfig) and mean.weight_by_size for mean in means):
        raise UsageError(
            f"the mean of lm-eval's group {name!r} is over its tasks and not over their documents, so "
            f"that it has no pairs; name its members: {', '.join(_tasks(name))}"
        )
    return TaskGroup(
        name=name,
        version=str((config.metadata or {}).get("version")),
        tasks=tuple(dict.fromkeys(_tasks(name))),
        means=tuple(mean.metric for mean in means if isinstance(mean, AggMetricConfig)),
    )


def manager_that_knows(name: str) -> TaskManager:
    """An index with this task. Most tasks lie in a folder whose name begins theirs: that comes first.

    Otherwise only folders with a file that mentions the name are indexed: searching is quicker than parsing.
    """
    for manager in _likely(name):
        if name in manager.all_subtasks:
            return manager
    manager = _mentioning(name)
    if name in manager.all_subtasks:
        return manager
    if name in manager.all_tags or name in manager.all_groups:
        raise UsageError(
            f"{name!r} is a group of lm-eval's tasks; name its members: {', '.join(_tasks(name))}"
        )
    written = (TASK_NAME.findall(text) for text in _definitions(TASKS).values())
    raise UnknownName("task of lm-eval", name, {task for tasks in written for task in tasks})


def task_dataset(name: str) -> tuple[str, str | None] | None:
    """The data set on the hub that a task asks, and its configuration; None where the definition names none.

    Raises what `manager_that_knows` raises.
    """
    definition = manager_that_knows(name).task_index[name].cfg or {}
    dataset, config = definition.get("dataset_path"), definition.get("dataset_name")
    if not isinstance(dataset, str) or "/" not in dataset:  # a kind of files, or none
        return None
    return dataset, config if isinstance(config, str) else None


def _likely(name: str) -> Iterator[TaskManager]:
    folders = sorted(folder for folder in TASKS.iterdir() if folder.is_dir() and name.startswith(folder.name))
    return map(_manager, reversed(folders))


def _mentioning(name: str) -> TaskManager:
    return _manager(*sorted({file.parent for file, text in _definitions(TASKS).items() if name in text}))


@cache
def _definitions(folder: Path) -> Mapping[Path, str]:
    return {file: file.read_text("utf-8") for file in folder.rglob("*.yaml")}


def _entry(name: str) -> Entry | None:
    """What lm-eval calls by this name. A tag's tasks may lie anywhere, so all that mention it are read."""
    for manager in _likely(name):
        entry = manager.task_index.get(name)
        if entry is not None and entry.kind is not Kind.TAG:
            return entry
    return _mentioning(name).task_index.get(name)


def _tasks(name: str) -> list[str]:
    """The names of the tasks that a name stands for, in the order of the definition."""
    entry = _entry(name)
    if entry is None:
        raise UsageError(f"lm-eval's {name!r} is named by a group, and defined nowhere")
    if entry.kind is Kind.TAG:
        return sorted(entry.tags)
    if entry.kind is not Kind.GROUP:
        return [name]
    members = (entry.cfg or {}).get("task", [])
    return [task for member in members for task in _tasks_of_member(name, member)]


def _tasks_of_member(group: str, member: str | Mapping[str, Any]) -> list[str]:
    """A member is a name, or a table: a group of its own, or a task with settings that make it another."""
    if isinstance(member, str):
        return _tasks(member)
    if set(member) == {"task"} and isinstance(member["task"], str):
        return _tasks(member["task"])
    if "group" in member and isinstance(member.get("task"), list):
        return [task for each in member["task"] for task in _tasks_of_member(group, each)]
    raise UsageError(
        f"lm-eval's group {group!r} has variants of tasks that no name stands for "
        f"({member.get('task')!r} with other settings), which is not supported; name the tasks themselves"
    )
