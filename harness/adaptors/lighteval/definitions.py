"""Finds the definition of a lighteval task by name, without importing all of its modules.

lighteval's own registry imports every module of tasks, and one of these downloads a pickle and loads it. So
modules are searched as text, and only those that mention a task are imported.
"""

import copy
import re
from collections.abc import Iterable, Mapping
from importlib import import_module
from pathlib import Path

import lighteval
from lighteval.tasks.lighteval_task import LightevalTaskConfig

from harness.adaptors.engine_requests import quiet
from harness.errors import UnknownName, UsageError

TASKS = Path(lighteval.__file__).parent / "tasks" / "tasks"
NAME = re.compile(r'\bname="([^"]+)"')
"""A task's name in the text of a module: enough to propose the nearest one."""

REFUSED: Mapping[str, str] = {
    "real_toxicity_prompts": (
        "lighteval scores it by whether a continuation equals a reference word for word, and there is none; "
        "use the suite 'realtoxicityprompts', which judges toxicity"
    ),
    "truthfulqa:gen": (
        "lighteval scores it by whether an answer equals a reference word for word, as free answers hardly "
        "ever do; use the suite 'truthfulqa', or 'lighteval:truthfulqa:mc'"
    ),
    "tiny": "lighteval downloads a pickle for it and loads it, which could run any code",
}
"""Tasks, and families of tasks, that would mislead or harm, and why."""


def definition_of(name: str) -> LightevalTaskConfig:
    """A copy of the definition. Raises UnknownName; UsageError for a refused task, and for a family."""
    family = name.partition(":")[0]
    reason = REFUSED.get(name) or REFUSED.get(family)
    if reason is not None:
        raise UsageError(f"lighteval's task {name!r} is not run: {reason}")
    texts = {file: file.read_text("utf-8") for file in [*TASKS.glob("[!_]*.py"), *TASKS.glob("*/main.py")]}
    mentions = [file for file, text in texts.items() if f'"{name}"' in text]
    likely = [file for file, text in texts.items() if f'"{family}' in text or name.startswith(_module(file))]
    found: dict[str, LightevalTaskConfig] = {}
    for files in (mentions, likely):
        found |= _defined(files)
        if name in found:
            return copy.deepcopy(found[name])
    members = [known for known in found if known.startswith(f"{name}:")]
    if members:
        raise UsageError(f"{name!r} is a family of lighteval's tasks; name its members: {', '.join(members)}")
    raise UnknownName("task of lighteval", name, {*found, *NAME.findall("\n".join(texts.values()))})


def _defined(files: Iterable[Path]) -> dict[str, LightevalTaskConfig]:
    """What these modules define, but for the one that downloads when it is imported: see REFUSED."""
    found: dict[str, LightevalTaskConfig] = {}
    for module in sorted(map(_module, files)):
        if module != "tiny_benchmarks":
            with quiet("lighteval"):
                table = import_module(f"lighteval.tasks.tasks.{module}").TASKS_TABLE
            found |= {config.name: config for config in table}
    return found


def _module(file: Path) -> str:
    return ".".join(file.relative_to(TASKS).with_suffix("").parts)
