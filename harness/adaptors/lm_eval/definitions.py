"""Where lm-eval keeps the definition of a task, found by name without reading all thousands of them.

It does not know what a task asks.
"""

import re
from functools import cache
from pathlib import Path

import lm_eval.tasks
from lm_eval.tasks import TaskManager

from harness.adaptors.asking import quiet
from harness.errors import UnknownName, UsageError

TASKS = Path(lm_eval.tasks.__file__).parent
TASK_NAME = re.compile(r"^[ -]*task: *([\w.-]+) *$", re.MULTILINE)
"""A task's name in the text of a definition: enough to propose the nearest one."""


def task_names() -> list[str]:
    """Every task that can be loaded by name. Reads thousands of definitions, which takes half a minute."""
    return list(_manager(TASKS).all_subtasks)


@cache
def _manager(*folders: Path) -> TaskManager:
    """An index of the definitions under these folders: milliseconds for few, and half a minute for all."""
    with quiet("lm_eval"):
        return TaskManager(include_path=list(folders), include_defaults=False)


def manager_that_knows(name: str) -> TaskManager:
    """An index with this task. Most tasks lie in a folder whose name begins theirs: that comes first.

    Otherwise only folders with a file that mentions the name are indexed: searching is quicker than parsing.
    """
    likely = sorted(folder for folder in TASKS.iterdir() if folder.is_dir() and name.startswith(folder.name))
    for folder in reversed(likely):
        manager = _manager(folder)
        if name in manager.all_subtasks:
            return manager
    definitions = {file: file.read_text("utf-8") for file in TASKS.rglob("*.yaml")}
    manager = _manager(*sorted({file.parent for file, text in definitions.items() if name in text}))
    if name in manager.all_subtasks:
        return manager
    if name in manager.all_tags or name in manager.all_groups:
        raise UsageError(
            f"{name!r} is a group of lm-eval's tasks; name its members: {_members(manager, name)}"
        )
    written = (TASK_NAME.findall(text) for text in definitions.values())
    raise UnknownName("task of lm-eval", name, {task for tasks in written for task in tasks})


def _members(manager: TaskManager, name: str) -> str:
    entry = manager.task_index[name]
    listed = sorted(entry.tags) or [
        member if isinstance(member, str) else member.get("task") or member.get("group")
        for member in (entry.cfg or {}).get("task", [])
    ]
    return ", ".join(map(str, listed))
