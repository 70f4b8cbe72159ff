"""`harness eval --rescore`: kept answers are scored as the suite now is, and no model is loaded for it."""

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from harness.cli import main
from harness.engine import local, network
from harness.store import Store
from harness.verbs.project import open_project
from harness.verbs.work import report
from suites.toy import ToyIFEval, ToyTruthfulQA
from tests.tiny_models import tiny_llama

PROJECT = """
[models.one]
path = "./one"

[suites.toy-ifeval]
limit = 6

[suites.toy-truthfulqa]
limit = 6

[pipelines.untrained]
base = "one"
[[pipelines.untrained.stages]]
kind = "sft"
data = "toy:sft"

[compare]
suites = ["toy-truthfulqa", "toy-ifeval"]
"""
SUITES = ("toy-truthfulqa", "toy-ifeval")


class Working:
    """A project's folder, in which commands are run."""

    def __init__(self, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
        self.folder = folder
        self._capsys = capsys

    def run(self, *arguments: str) -> tuple[int, str]:
        """Exit code and standard error of a command in this process."""
        with pytest.raises(SystemExit) as stopped:
            main(arguments)
        return int(stopped.value.code or 0), self._capsys.readouterr().err

    def answers(self) -> list[tuple[str, str]]:
        """Every kept answer with its key."""
        with closing(sqlite3.connect(self.folder / "harness.db")) as connection:
            return sorted(connection.execute("SELECT key, answer FROM answers"))

    def runs(self) -> list[tuple[str, str, bool]]:
        """Suite, version and wholeness of every run."""
        with Store.open(f"sqlite:///{self.folder}/harness.db") as store:
            return [(run.suite, run.suite_version, run.finished is not None) for run in store.runs()]


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Working:
    """A project of one tiny model with a chat template, as the working folder."""
    tiny_llama(tmp_path / "one", seed=1)
    (tmp_path / "harness.toml").write_text(PROJECT)
    monkeypatch.chdir(tmp_path)
    return Working(tmp_path, capsys)


@pytest.fixture
def no_weights(monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither an engine can be opened nor weights be loaded."""

    def refuse(*given: object, **named: object) -> None:
        raise AssertionError("weights were loaded")

    monkeypatch.setattr(local, "open_local", refuse)
    monkeypatch.setattr(network, "_load_weights", refuse)


def change_suites(monkeypatch: pytest.MonkeyPatch) -> None:
    """Both suites get a new version, which asks the same."""
    monkeypatch.setattr(ToyIFEval, "version", "new")
    monkeypatch.setattr(ToyTruthfulQA, "version", "new")


def test_a_new_version_scores_kept_answers(
    project: Working, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest
) -> None:
    """Both runs stay, nothing is generated, no weights are loaded, and the report takes the newest."""
    assert 0 == project.run("eval", "one")[0]
    before = project.answers()
    change_suites(monkeypatch)
    request.getfixturevalue("no_weights")

    code, shown = project.run("eval", "one", "--rescore")

    assert 0 == code, shown
    assert before == project.answers()
    assert [(suite, version, True) for version in ("1", "new") for suite in SUITES] == project.runs()
    outcome = report(open_project(), ["one"])
    assert {"new"} == {run.suite_version for run in outcome.board.runs}


def test_rescored_runs_say_who_answered(project: Working, monkeypatch: pytest.MonkeyPatch) -> None:
    """A rescored run has the rows and scores of the one before, and records the engine that answered."""
    project.run("eval", "one")
    change_suites(monkeypatch)
    project.run("eval", "one", "--rescore")
    with Store.open(f"sqlite:///{project.folder}/harness.db") as store:
        first, _, again, _ = store.runs()
        assert list(store.rows(first.id)) == list(store.rows(again.id))
    assert first.settings["chat_template"]  # turns were rendered without the weights
    assert first.environment["engine"] == again.environment["engine"]
    assert first.fingerprint == again.fingerprint


@pytest.mark.usefixtures("no_weights")
def test_missing_answers_are_refused(project: Working) -> None:
    """Where nothing was asked yet, it says how much is missing and what to do, and begins no run."""
    code, shown = project.run("eval", "one", "--rescore", "--suite", "toy-ifeval")
    assert 2 == code
    assert "model 'one', suite 'toy-ifeval': 6 of 6 answers are not in the store" in shown
    assert "`harness eval one --suite toy-ifeval`, without --rescore, asks them" in shown
    assert [] == project.runs()


def test_one_missing_answer_is_enough(
    project: Working, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest
) -> None:
    """A suite that asks more than was answered is not scored in part."""
    project.run("eval", "one", "--suite", "toy-ifeval", "--limit", "4")
    request.getfixturevalue("no_weights")
    code, shown = project.run("eval", "one", "--rescore", "--suite", "toy-ifeval")
    assert 2 == code
    assert "2 of 6 answers are not in the store" in shown
    assert [("toy-ifeval", "1", True)] == project.runs()


@pytest.mark.usefixtures("no_weights")
def test_an_untrained_pipeline_is_not_trained(project: Working) -> None:
    """Re-scoring trains nothing."""
    code, shown = project.run("eval", "untrained", "--rescore")
    assert 2 == code
    assert "pipeline 'untrained' has no candidate yet, and so no answers to score again" in shown
    assert not (project.folder / "candidates").exists()
