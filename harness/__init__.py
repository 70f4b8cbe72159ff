"""From candidate to decision: train, evaluate and honestly compare aligned language models.

The library face: the verbs of the command line as functions, so that a notebook does what the terminal does.

    import harness
    outcome = harness.compare(harness.open_project(), ["sft", "grpo_dpo"])
    outcome.board.verdicts[0].reason

Importing this package is quick: a verb and what it needs are loaded when it is first named.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from harness.verbs.judge import Judged, Judging, judge
    from harness.verbs.overview import means, overview
    from harness.verbs.project import Project, open_project
    from harness.verbs.work import Outcome, compare, evaluate, report, sample, train

__all__ = [
    "Judged",
    "Judging",
    "Outcome",
    "Project",
    "compare",
    "evaluate",
    "judge",
    "means",
    "open_project",
    "overview",
    "report",
    "sample",
    "train",
]

_HOMES = {
    "Judged": "harness.verbs.judge",
    "Judging": "harness.verbs.judge",
    "Outcome": "harness.verbs.work",
    "Project": "harness.verbs.project",
    "compare": "harness.verbs.work",
    "evaluate": "harness.verbs.work",
    "judge": "harness.verbs.judge",
    "means": "harness.verbs.overview",
    "open_project": "harness.verbs.project",
    "overview": "harness.verbs.overview",
    "report": "harness.verbs.work",
    "sample": "harness.verbs.work",
    "train": "harness.verbs.work",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'harness' has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)
