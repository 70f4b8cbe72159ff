"""What W&B and Trackio are given, by stand-ins of their packages, and what is said where they are missing."""

import json
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import harness
from harness.errors import UsageError
from harness.verbs.project import Project
from reports import tracked
from tests.harness.kept_results import keep_results

WANDB = """
import json
CALLS = []
class Error(Exception): pass
class Settings:
    def __init__(self, **given): self.given = given
class Table:
    def __init__(self, columns, data, allow_mixed_types): self.columns, self.data = columns, data
class Run:
    def __init__(self, given): self.summary, self.logged, self.given = {}, {}, given
    def __enter__(self): return self
    def __exit__(self, *_): CALLS.append(self)
    def log(self, what): self.logged |= what
def init(**given):
    if given["name"] == "refused": raise Error("no entity")
    return Run(given)
"""
TRACKIO = """
import os
from pathlib import Path
CALLS = []
class utils: TRACKIO_DIR = Path(os.environ["TRACKIO_DIR"])
class Table:
    def __init__(self, data): self.data = data
class Run:
    def __init__(self, given): self.given, self.logged = given, {}
    def log(self, what): self.logged |= what
def init(**given):
    print("how to look at it")
    CALLS.append(Run(given))
    return CALLS[-1]
def finish(): pass
"""


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Project]:
    """A project with results, and a folder in which packages are found."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "harness.toml").write_text("")
    (tmp_path / "packages").mkdir()
    monkeypatch.syspath_prepend(tmp_path / "packages")
    for name in ("WANDB_MODE", "TRACKIO_DIR"):
        monkeypatch.delenv(name, raising=False)
    keep_results(tmp_path)
    yield harness.open_project()
    for name in ("wandb", "trackio"):
        sys.modules.pop(name, None)


def test_without_the_package_it_is_said(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    """One sentence with what installs it; a folder `wandb`, as W&B makes one, is no package."""
    monkeypatch.setattr(sys, "path", [str(Path("packages").absolute())])
    Path("packages/wandb").mkdir()
    for name, command in (("wandb", "pip install wandb"), ("trackio", "pip install trackio")):
        with pytest.raises(UsageError, match=f"is not installed here, and this format needs it: {command}"):
            harness.export(project, format_name=name, folder=Path("out"))


def test_wandb_is_given_runs(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    """One for each model, offline, in the folder, with means and tables; of a long one the beginning."""
    Path("packages/wandb.py").write_text(WANDB)
    monkeypatch.setattr(tracked, "MOST_LINES", 5)

    notes = harness.export(project, ["base", "x_&_y"], format_name="wandb", folder=Path("out")).notes

    base, other = sys.modules["wandb"].CALLS
    assert ("base", "offline", "out") == tuple(base.given[key] for key in ("name", "mode", "dir"))
    assert 0.5 == base.summary["quiz/right"]
    assert {"results", "scores/quiz", "scores/choices", "scores/draws", "scores/prompts:tried"} == set(
        base.logged
    )
    assert 5 == len(base.logged["results"].data)
    decision = base.logged["results"].columns.index("decision")
    assert {None} == {line[decision] for line in base.logged["results"].data}
    assert {"NO DIFFERENCE SHOWN"} == {line[decision] for line in other.logged["results"].data}
    assert "quiz of base: the first 5 scores are in the table, 7 scores are not" in notes
    assert "nothing was sent; `wandb sync out/wandb/offline-run-*` sends it" in notes
    json.dumps(base.given["config"])


def test_trackio_is_given_runs(project: Project, capsys: pytest.CaptureFixture[str]) -> None:
    """One for each model, in the folder; nothing of its own is printed, and no variable stays changed."""
    Path("packages/trackio.py").write_text(TRACKIO)

    notes = harness.export(project, format_name="trackio", folder=Path("out")).notes

    package: Any = sys.modules["trackio"]
    assert Path("out").absolute() == package.utils.TRACKIO_DIR
    assert ["base", "x_&_y"] == [run.given["name"] for run in package.CALLS]
    first = package.CALLS[0].logged["scores/quiz"].data[0]
    assert ("q0", "right", 1.0) == (first["sample"], first["metric"], first["value"])
    assert "TRACKIO_DIR" not in os.environ
    assert not capsys.readouterr().out
    assert "`TRACKIO_DIR=out trackio show --project harness` shows it" in notes
    with pytest.raises(UsageError, match="trackio is in use in this process"):
        harness.export(project, format_name="trackio", folder=Path("elsewhere"))
