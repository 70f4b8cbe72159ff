"""The face for notebooks: what completion shows, and how results look."""

import json
import sys
from pathlib import Path
from subprocess import run

import pytest

import harness
from harness.cli import VERBS as COMMANDS

SPOKEN = {
    "blind": {"new_study", "list_studies", "audit_study", "unseal_study", "export_ballots", "import_votes"},
    "compare": {"compare"},
    "data": {"list_mixes", "make_mix"},
    "doctor": {"diagnose"},
    "eval": {"evaluate", "summarise_runs"},
    "export": {"export"},
    "gate": {"gate", "write_gate"},
    "import": {"import_results"},
    "judge": {"judge", "estimate_judging"},
    "list": {"overview"},
    "preferences": {"analyse_preferences", "analyse_preferences_file"},
    "prune": {"plan_pruning", "prune"},
    "report": {"report"},
    "runs": {"list_runs", "show_run", "plan_drops", "drop_runs"},
    "sample": {"sample_answers"},
    "store": {"verify_store"},
    "train": {"train", "plan_training"},
}
"""The functions of each verb of the command line; `init` writes a file, and has none."""


def test_every_verb_is_a_function() -> None:
    """What the command line can do, a notebook can: no verb lacks its functions."""
    assert set(COMMANDS) - {"init"} == set(SPOKEN)
    for name in set.union(*SPOKEN.values()):
        assert callable(getattr(harness, name)), name


def test_completion_shows_the_verbs_alone() -> None:
    """Also after other modules of the package were imported: neither they nor helpers are listed."""
    from harness import stats  # noqa: PLC0415 - what becomes an attribute of the package

    assert stats is not None
    frames = {"runs_frame", "scores_frame", "answers_frame", "preferences_frame"}
    others = {"open_project", "ballot_box", "__version__"}
    assert set.union(*SPOKEN.values(), frames, others) == set(dir(harness))


def test_every_name_is_typed() -> None:
    """Each lazily loaded name is there, a type checker finds it too, and the packages are marked as typed."""
    source = Path(harness.__file__).read_text()
    checked = source.partition("if TYPE_CHECKING:")[2].partition("VERBS = {")[0]
    for names in (*harness.VERBS.values(), *harness.TYPES.values()):
        for name in names:
            assert f" {name} as {name}\n" in checked, name
            assert name == getattr(harness, name).__name__
    for package in ("harness", "suites", "trainers", "reports"):
        assert (Path(harness.__file__).parent.parent / package / "py.typed").is_file()


def test_an_unknown_name_is_none() -> None:
    """As of any module."""
    with pytest.raises(AttributeError, match="no attribute 'comapre'"):
        _ = harness.comapre


def test_importing_loads_no_library() -> None:
    """Nothing is loaded before it is named, and `from harness import *` is not needed for it."""
    script = "import json, sys, harness; dir(harness); print(json.dumps(sorted(sys.modules)))"
    found = run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    loaded = {name.partition(".")[0] for name in json.loads(found.stdout)}
    assert not loaded & {"torch", "pandas", "sqlalchemy", "pydantic", "transformers", "rich"}
