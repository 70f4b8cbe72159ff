"""`harness eval --rescore`: kept answers are scored as the suite now is, and no model is loaded for it."""

import subprocess
import sys
from pathlib import Path

import pytest

from harness.engine.local import engine, loading
from harness.store import Store
from harness.verbs.comparing import report
from harness.verbs.project import open_project
from suites.toy.ifeval import ToyIFEval
from suites.toy.truthfulqa import ToyTruthfulQA
from tests.serving import ModelServer
from tests.tiny_models import tiny_llama
from tests.working import Working

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

    monkeypatch.setattr(engine, "open_local", refuse)
    monkeypatch.setattr(loading, "load_weights", refuse)


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

    code, _, shown = project.run("eval", "one", "--rescore")

    assert 0 == code, shown
    assert before == project.answers()
    assert [(suite, version, True) for version in ("2", "new") for suite in SUITES] == project.runs()
    outcome = report(open_project(), ["one"])
    assert {"new"} == {run.suite_version for run in outcome.board.runs}


def test_rescored_runs_say_who_answered(project: Working, monkeypatch: pytest.MonkeyPatch) -> None:
    """A rescored run has the rows and scores of the one before, and records the engine that answered."""
    project.run("eval", "one")
    change_suites(monkeypatch)
    project.run("eval", "one", "--rescore")
    with Store.open(f"sqlite:///{project.folder}/harness.db") as store:
        first, _, again, _ = store.runs.find()
        assert list(store.runs.rows(first.id)) == list(store.runs.rows(again.id))
    assert first.settings["chat_template"]  # turns were rendered without the weights
    assert first.environment["engine"] == again.environment["engine"]
    assert first.fingerprint == again.fingerprint


def test_no_model_library_is_loaded(project: Working) -> None:
    """Where no turns become text here, kept answers are scored without torch and transformers."""
    project.run("eval", "one", "-s", "toy-ifeval")
    code = (
        "import sys\n"
        "from harness import evaluate, open_project\n"
        "from suites.toy.ifeval import ToyIFEval\n"
        "ToyIFEval.version = 'new'\n"
        "evaluate(open_project(), ['one'], suites=['toy-ifeval'], rescore=True)\n"
        "print(sorted({'torch', 'transformers'} & set(sys.modules)))\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "[]\n" == done.stdout
    assert [("toy-ifeval", "2", True), ("toy-ifeval", "new", True)] == project.runs()


def test_a_service_need_not_be_there(project: Working, monkeypatch: pytest.MonkeyPatch) -> None:
    """Answers of a model behind a server are scored anew without the server and without its key."""
    monkeypatch.setenv("SERVED_KEY", "a-key")
    with ModelServer() as server, (project.folder / "harness.toml").open("a") as file:
        file.write(f'[models.served]\nendpoint = "{server.url}"\nmodel = "m"\nkey_env = "SERVED_KEY"\n')
        file.flush()
        assert 0 == project.run("eval", "served", "-s", "toy-ifeval")[0]
    monkeypatch.delenv("SERVED_KEY")
    change_suites(monkeypatch)
    code, _, err = project.run("eval", "served", "-s", "toy-ifeval", "--rescore")
    assert 0 == code, err
    assert [("toy-ifeval", "2", True), ("toy-ifeval", "new", True)] == project.runs()


def test_an_unknown_name(project: Working) -> None:
    """The nearest name is proposed, as everywhere."""
    assert "did you mean 'one'?" in project.complaint(2, "eval", "oen", "--rescore")


@pytest.mark.usefixtures("no_weights")
def test_missing_answers_are_refused(project: Working) -> None:
    """Where nothing was asked yet, it says how much is missing and what to do, and begins no run."""
    expected = (
        "model 'one', suite 'toy-ifeval': 6 of 6 answers are not in the store, so nothing was scored and no "
        "run begun; `harness eval one --suite toy-ifeval`, without --rescore, asks them"
    )
    assert expected == project.complaint(2, "eval", "one", "--rescore", "--suite", "toy-ifeval")
    assert [] == project.runs()


def test_one_missing_answer_is_enough(
    project: Working, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest
) -> None:
    """A suite that asks more than was answered is not scored in part."""
    project.run("eval", "one", "--suite", "toy-ifeval", "--limit", "4")
    request.getfixturevalue("no_weights")
    complaint = project.complaint(2, "eval", "one", "--rescore", "--suite", "toy-ifeval")
    assert "2 of 6 answers are not in the store" in complaint
    assert [("toy-ifeval", "2", True)] == project.runs()


@pytest.mark.usefixtures("no_weights")
def test_an_untrained_pipeline_is_not_trained(project: Working) -> None:
    """Re-scoring trains nothing."""
    complaint = project.complaint(2, "eval", "untrained", "--rescore")
    assert "pipeline 'untrained' has no candidate yet, and so no answers to score again" in complaint
    assert not (project.folder / "candidates").exists()
