"""From candidate to decision: train, evaluate and honestly compare aligned language models.

These are the verbs of the command line as functions, so that a notebook does what the terminal does.

    import harness
    outcome = harness.compare(harness.open_project(), ["sft", "grpo_dpo"])
    outcome.verdicts[0].reason

Importing this package is quick: a verb and what it needs are loaded when it is first named. Completion shows
the verbs; the types that they take and return (`TYPES`) are attributes too.
"""

from importlib import import_module
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from harness.preferences.results import Analysis as Analysis
    from harness.verbs.blind import StudyRequest as StudyRequest
    from harness.verbs.blind import audit_study as audit_study
    from harness.verbs.blind import ballot_box as ballot_box
    from harness.verbs.blind import export_ballots as export_ballots
    from harness.verbs.blind import import_votes as import_votes
    from harness.verbs.blind import list_studies as list_studies
    from harness.verbs.blind import new_study as new_study
    from harness.verbs.blind import unseal_study as unseal_study
    from harness.verbs.comparing import Outcome as Outcome
    from harness.verbs.comparing import compare as compare
    from harness.verbs.comparing import report as report
    from harness.verbs.data import list_mixes as list_mixes
    from harness.verbs.data import make_mix as make_mix
    from harness.verbs.doctor import diagnose as diagnose
    from harness.verbs.evaluating import evaluate as evaluate
    from harness.verbs.exporting import ExportedFiles as ExportedFiles
    from harness.verbs.exporting import export as export
    from harness.verbs.frames import answers_frame as answers_frame
    from harness.verbs.frames import preferences_frame as preferences_frame
    from harness.verbs.frames import runs_frame as runs_frame
    from harness.verbs.frames import scores_frame as scores_frame
    from harness.verbs.gate import GateOutcome as GateOutcome
    from harness.verbs.gate import gate as gate
    from harness.verbs.gate import write_gate as write_gate
    from harness.verbs.importing import import_results as import_results
    from harness.verbs.judge import JudgeRequest as JudgeRequest
    from harness.verbs.judge import JudgeResult as JudgeResult
    from harness.verbs.judge import judge as judge
    from harness.verbs.judge_estimates import estimate_judging as estimate_judging
    from harness.verbs.overview import overview as overview
    from harness.verbs.overview import summarise_runs as summarise_runs
    from harness.verbs.preferences import analyse_preferences as analyse_preferences
    from harness.verbs.preferences import analyse_preferences_file as analyse_preferences_file
    from harness.verbs.project import Project as Project
    from harness.verbs.project import open_project as open_project
    from harness.verbs.prune import plan_pruning as plan_pruning
    from harness.verbs.prune import prune as prune
    from harness.verbs.runs import drop_runs as drop_runs
    from harness.verbs.runs import list_runs as list_runs
    from harness.verbs.runs import plan_drops as plan_drops
    from harness.verbs.runs import show_run as show_run
    from harness.verbs.sampling import sample_answers as sample_answers
    from harness.verbs.training import plan_training as plan_training
    from harness.verbs.training import train as train
    from harness.verbs.verify import verify_store as verify_store
    from suites.blind.audit import Audit as Audit

VERBS = {
    "harness.verbs.blind": (
        "audit_study",
        "ballot_box",
        "export_ballots",
        "import_votes",
        "list_studies",
        "new_study",
        "unseal_study",
    ),
    "harness.verbs.comparing": ("compare", "report"),
    "harness.verbs.data": ("list_mixes", "make_mix"),
    "harness.verbs.doctor": ("diagnose",),
    "harness.verbs.evaluating": ("evaluate",),
    "harness.verbs.exporting": ("export",),
    "harness.verbs.frames": ("answers_frame", "preferences_frame", "runs_frame", "scores_frame"),
    "harness.verbs.gate": ("gate", "write_gate"),
    "harness.verbs.importing": ("import_results",),
    "harness.verbs.judge": ("judge",),
    "harness.verbs.judge_estimates": ("estimate_judging",),
    "harness.verbs.overview": ("overview", "summarise_runs"),
    "harness.verbs.preferences": ("analyse_preferences", "analyse_preferences_file"),
    "harness.verbs.project": ("open_project",),
    "harness.verbs.prune": ("plan_pruning", "prune"),
    "harness.verbs.runs": ("drop_runs", "list_runs", "plan_drops", "show_run"),
    "harness.verbs.sampling": ("sample_answers",),
    "harness.verbs.training": ("plan_training", "train"),
    "harness.verbs.verify": ("verify_store",),
}
"""Every verb, by the module that it is loaded from."""

TYPES = {
    "harness.preferences.results": ("Analysis",),
    "harness.verbs.blind": ("StudyRequest",),
    "harness.verbs.comparing": ("Outcome",),
    "harness.verbs.exporting": ("ExportedFiles",),
    "harness.verbs.gate": ("GateOutcome",),
    "harness.verbs.judge": ("JudgeRequest", "JudgeResult"),
    "harness.verbs.project": ("Project",),
    "suites.blind.audit": ("Audit",),
}
"""What verbs take and give."""

_MODULES = {name: module for table in (VERBS, TYPES) for module, names in table.items() for name in names}

__all__ = [name for names in VERBS.values() for name in names]


def __getattr__(name: str) -> Any:
    if name == "__version__":
        return version(__name__)
    if name not in _MODULES:
        raise AttributeError(f"module 'harness' has no attribute {name!r}")
    return getattr(import_module(_MODULES[name]), name)


def __dir__() -> list[str]:
    return [*__all__, "__version__"]
