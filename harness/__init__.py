"""From candidate to decision: train, evaluate and honestly compare aligned language models.

The library face: the verbs of the command line as functions, so that a notebook does what the terminal does.

    import harness
    outcome = harness.compare(harness.open_project(), ["sft", "grpo_dpo"])
    outcome.verdicts[0].reason

Importing this package is quick: a verb and what it needs are loaded when it is first named. Completion shows
the verbs; the types that they take and give (`TYPES`) are attributes all the same.
"""

from importlib import import_module
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from harness.preferences import Analysis as Analysis
    from harness.verbs.blind import StudyRequest as StudyRequest
    from harness.verbs.blind import (
        audit_study,
        ballot_box,
        export_ballots,
        import_votes,
        list_studies,
        new_study,
        unseal_study,
    )
    from harness.verbs.comparing import Outcome as Outcome
    from harness.verbs.comparing import compare, report
    from harness.verbs.data import list_mixes, make_mix
    from harness.verbs.doctor import diagnose
    from harness.verbs.evaluating import evaluate
    from harness.verbs.frames import answers_frame, preferences_frame, runs_frame, scores_frame
    from harness.verbs.judge import JudgeRequest as JudgeRequest
    from harness.verbs.judge import JudgeResult as JudgeResult
    from harness.verbs.judge import judge
    from harness.verbs.judge_estimates import estimate_judging
    from harness.verbs.overview import means, overview
    from harness.verbs.preferences import analyse_preferences, analyse_preferences_file
    from harness.verbs.project import Project as Project
    from harness.verbs.project import open_project
    from harness.verbs.prune import plan_pruning, prune
    from harness.verbs.runs import drop_runs, list_runs, plan_drops, show_run
    from harness.verbs.sampling import sample
    from harness.verbs.training import plan_training, train
    from harness.verbs.verify import verify_store
    from suites.blind.audit import Audit as Audit

VERBS = {
    "analyse_preferences": "harness.verbs.preferences",
    "analyse_preferences_file": "harness.verbs.preferences",
    "answers_frame": "harness.verbs.frames",
    "audit_study": "harness.verbs.blind",
    "ballot_box": "harness.verbs.blind",
    "compare": "harness.verbs.comparing",
    "diagnose": "harness.verbs.doctor",
    "drop_runs": "harness.verbs.runs",
    "estimate_judging": "harness.verbs.judge_estimates",
    "evaluate": "harness.verbs.evaluating",
    "export_ballots": "harness.verbs.blind",
    "import_votes": "harness.verbs.blind",
    "judge": "harness.verbs.judge",
    "list_mixes": "harness.verbs.data",
    "list_runs": "harness.verbs.runs",
    "list_studies": "harness.verbs.blind",
    "make_mix": "harness.verbs.data",
    "means": "harness.verbs.overview",
    "new_study": "harness.verbs.blind",
    "open_project": "harness.verbs.project",
    "overview": "harness.verbs.overview",
    "plan_drops": "harness.verbs.runs",
    "plan_pruning": "harness.verbs.prune",
    "plan_training": "harness.verbs.training",
    "preferences_frame": "harness.verbs.frames",
    "prune": "harness.verbs.prune",
    "report": "harness.verbs.comparing",
    "runs_frame": "harness.verbs.frames",
    "sample": "harness.verbs.sampling",
    "scores_frame": "harness.verbs.frames",
    "show_run": "harness.verbs.runs",
    "train": "harness.verbs.training",
    "unseal_study": "harness.verbs.blind",
    "verify_store": "harness.verbs.verify",
}
"""Every verb, and the module that it is loaded from."""

TYPES = {
    "Analysis": "harness.preferences",
    "Audit": "suites.blind.audit",
    "JudgeResult": "harness.verbs.judge",
    "JudgeRequest": "harness.verbs.judge",
    "Outcome": "harness.verbs.comparing",
    "Project": "harness.verbs.project",
    "StudyRequest": "harness.verbs.blind",
}
"""What verbs take and give."""

__all__ = [
    "analyse_preferences",
    "analyse_preferences_file",
    "answers_frame",
    "audit_study",
    "ballot_box",
    "compare",
    "diagnose",
    "drop_runs",
    "estimate_judging",
    "evaluate",
    "export_ballots",
    "import_votes",
    "judge",
    "list_mixes",
    "list_runs",
    "list_studies",
    "make_mix",
    "means",
    "new_study",
    "open_project",
    "overview",
    "plan_drops",
    "plan_pruning",
    "plan_training",
    "preferences_frame",
    "prune",
    "report",
    "runs_frame",
    "sample",
    "scores_frame",
    "show_run",
    "train",
    "unseal_study",
    "verify_store",
]


def __getattr__(name: str) -> Any:
    if name == "__version__":
        return version(__name__)
    home = VERBS.get(name) or TYPES.get(name)
    if home is None:
        raise AttributeError(f"module 'harness' has no attribute {name!r}")
    return getattr(import_module(home), name)


def __dir__() -> list[str]:
    return [*__all__, "__version__"]
