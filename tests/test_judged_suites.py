"""Suites that need a judge, from the command line: a model on this machine, judged over a real socket."""

import json
from collections.abc import Iterator
from functools import partialmethod
from importlib.util import find_spec
from pathlib import Path
from typing import Any, ClassVar

import pytest

from harness.cli import main
from harness.engine import replicas
from harness.engine.opening import open_engine
from harness.engine.services import retrying
from harness.records.models import Model
from harness.verbs import placement
from harness.verbs.placement import Cluster
from harness.verbs.project import Project
from tests.serving import FINE, Asked, ModelServer, status
from tests.suites.rows import write_rows
from tests.suites.test_truthfulqa_gen import OPEN_QUESTIONS
from tests.tiny_models import tiny_llama

PROJECT = """
[models.tiny]
path = "./tiny"
[models.twin]
path = "./tiny"
[models.judge]
endpoint = "URL"
model = "m"
retries = 1
[models.other]
endpoint = "URL"
model = "m"
api = "completions"
[models.locked]
endpoint = "URL"
model = "m"
key_env = "NOT_SET_ANYWHERE"
[suites.truthfulqa-gen]
data = "questions.jsonl"
judge = "judge"
max_tokens = 5
[suites."deepeval:helpfulness"]
data = "prompts.jsonl"
judge = "judge"
criteria = "The answer helps."
max_tokens = 5
"""
GEN, HELP = "truthfulqa-gen", "deepeval:helpfulness"
PROMPTS = [{"prompt": "Name a tool."}, {"turns": ["Name two.", "And three?"], "category": "writing"}]


class Working:
    """A project's folder, and the server that its judge stands behind."""

    def __init__(self, folder: Path, server: ModelServer, capsys: pytest.CaptureFixture[str]) -> None:
        self.folder, self.server, self._capsys = folder, server, capsys

    def run(self, *arguments: str) -> tuple[int, str, str]:
        """Exit code, standard output and standard error of a command in this process."""
        with pytest.raises(SystemExit) as stopped:
            main(arguments)
        shown = self._capsys.readouterr()
        return int(stopped.value.code or 0), shown.out, shown.err

    def measured(self, suite: str, code: int = 0, model: str = "tiny") -> dict[str, dict[str, Any]]:
        """By metric, what `harness eval` says of it."""
        found, out, err = self.run("eval", model, "-s", suite, "--json")
        assert code == found, err
        return {line["metric"]: line for line in json.loads(out)}

    def change(self, old: str, new: str) -> None:
        """Change every such text of the configuration."""
        file = self.folder / "harness.toml"
        assert old in file.read_text()
        file.write_text(file.read_text().replace(old, new))


class OneAtATime:
    """An engine in this process, of which no two may be awake."""

    awake: ClassVar[set[str]] = set()
    asked: ClassVar[list[str]] = []

    def __init__(self, model: Model, **_: Any) -> None:
        self._model, self._engine = model, open_engine(model)
        self.info, self.render, self.can_score = self._engine.info, self._engine.render, True
        self._wake()

    def generate(self, *asked: Any) -> Any:
        """As the engine."""
        self._wake()
        self.asked.append(self._model.name)
        return self._engine.generate(*asked)

    def _wake(self) -> None:
        self.awake.add(self._model.name)
        assert {self._model.name} == self.awake

    def rest(self) -> None:
        """It gives back its room."""
        self.awake.discard(self._model.name)

    close = rest


def judges(asked: Asked) -> str:
    """Everything is true, and only what is asked about tools informative; helpfulness is 7 of 10."""
    if "steps" in asked.text and "score" not in asked.text:
        return '{"steps": ["Does it help?"]}'
    if "score" in asked.text:
        return '{"reason": "It helps.", "score": 7}'
    return "no" if "informative?" in asked.text and "flapping" in asked.text else "yes"


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A candidate that has room for the preamble."""
    return tiny_llama(tmp_path_factory.mktemp("models") / "tiny", max_length=2048)


@pytest.fixture
def project(
    tiny: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Iterator[Working]:
    """A project whose waits between tries are short."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(retrying, "FIRST_WAIT", 0.01)
    (tmp_path / "tiny").symlink_to(tiny)
    write_rows(tmp_path / "questions.jsonl", OPEN_QUESTIONS)
    write_rows(tmp_path / "prompts.jsonl", PROMPTS)
    with ModelServer(answer=judges) as server:
        (tmp_path / "harness.toml").write_text(PROJECT.replace("URL", server.url))
        yield Working(tmp_path, server, capsys)


def test_judged_once(project: Working) -> None:
    """Two questions are asked about each answer; a second command asks nobody, and needs no judge."""
    measured = project.measured(GEN)
    assert (1.0, 2, 0) == tuple(measured["truth"][key] for key in ("value", "n", "unscored"))
    assert (0.5, 0.5) == (measured["info"]["value"], measured["truth_info"]["value"])
    assert [1] * 4 == list(project.server.answered.values())

    project.server.stop()
    assert measured == project.measured(GEN)
    assert 4 == len(project.server.asked)


def test_a_judge_has_the_room_of_what_it_judges(project: Working, monkeypatch: pytest.MonkeyPatch) -> None:
    """With replicas, which may hold a whole cluster, a model rests before its judge is opened."""
    project.change("[models.judge]\nendpoint", '[models.judge]\npath = "./tiny"\n[models.unused]\nendpoint')
    monkeypatch.setattr(replicas, "ReplicatedEngine", OneAtATime)
    monkeypatch.setattr(
        placement, "cluster_of", lambda of: Cluster(address="", slots=1, gpus_per_slot=1, largest=1)
    )
    OneAtATime.awake.clear()
    code, _, err = project.run("eval", "tiny", "-s", GEN, "--on", "ray")
    assert (0, ["tiny", "judge"]) == (code, OneAtATime.asked), err


def test_a_budget_holds_what_judges_cost(project: Working) -> None:
    """It stops with 3 before the question that might cost more; a judge without a price is wrong use."""
    assert 2 == project.run("eval", "tiny", "-s", GEN, "--budget", "1")[0]
    file = project.folder / "harness.toml"
    file.write_text(f"{file.read_text()}[prices.judge]\ninput = 1000\noutput = 1000\n")
    code, _, err = project.run("eval", "tiny", "-s", GEN, "--budget", "0.0001")
    assert (3, 0) == (code, len(project.server.asked))
    assert "the budget of 0.0001 does not hold another request of 'judge'" in err
    assert 0 == project.run("eval", "tiny", "-s", GEN, "--budget", "1000")[0]


def test_what_was_judged_is_not_asked_again(project: Working) -> None:
    """Another run that needs the same judgements takes them from the store; the judge is not even reached."""
    project.measured(GEN)
    project.server.stop()
    project.change("max_tokens = 5\n[suites.", "max_tokens = 5\nlimit = 1\n[suites.")
    assert 1 == project.measured(GEN)["truth"]["n"]
    assert 4 == len(project.server.asked)


def test_other_judges_other_runs(project: Working) -> None:
    """Models that different judges have judged are not comparable, and the report says what differs."""
    project.measured(GEN)
    project.change('judge = "judge"', 'judge = "other"')
    project.measured(GEN, model="twin")
    code, out, err = project.run("report")
    assert 0 == code, err
    assert "NOT COMPARABLE" in out
    assert "judge" in out.partition("NOT COMPARABLE")[2]


def test_rescoring_asks_another_judge_and_not_the_candidate(
    project: Working, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A judge is a scorer: kept answers are put to the new one, once; the candidate is not even opened."""
    project.measured(GEN)
    monkeypatch.setattr(Project, "open", partialmethod(opened_but_no_candidate, Project.open))
    assert 0 == project.run("eval", "tiny", "-s", GEN, "--rescore")[0]
    assert 4 == len(project.server.asked)  # the same judge has said it all

    project.change('judge = "judge"\nmax', 'judge = "other"\nmax')
    for _ in range(2):
        code, _, err = project.run("eval", "tiny", "-s", GEN, "--rescore")
        assert 0 == code, err
    assert 8 == len(project.server.asked)


def opened_but_no_candidate(project: Project, opens: Any, model: Model, **how: Any) -> Any:
    """In the place of what opens models."""
    assert model.name != "tiny", "the candidate was opened"
    return opens(project, model, **how)


def test_unreadable_and_refused(project: Working) -> None:
    """What the judge does not say is counted as unscored; overlap, which needs no judge, is scored."""
    project.server.answer = lambda asked: "It depends."
    measured = project.measured(GEN)
    assert (None, 0, 2) == tuple(measured["truth_info"][key] for key in ("value", "n", "unscored"))
    assert (2, 0) == tuple(measured["rouge1_acc"][key] for key in ("n", "unscored"))


def test_refusals(project: Working) -> None:
    """A judge that refuses leaves the score without value, and is not asked again: a refusal is an answer."""
    project.server.finish_reason = "content_filter"
    for _ in range(2):
        assert 2 == project.measured(GEN)["truth"]["unscored"]
    assert 4 == len(project.server.asked)


def test_a_judge_that_fails_is_asked_again(project: Working) -> None:
    """The command ends with 3 and shows what there is; the same command asks the judge for the rest."""
    project.server.wrong = lambda asked: status(503, "overloaded") if "informative" in asked.text else FINE
    measured = project.measured(GEN, code=3)
    assert (2, 2) == (measured["truth"]["n"], measured["info"]["unscored"])

    project.server.wrong = lambda asked: FINE
    before = len(project.server.asked)
    assert 0 == project.measured(GEN)["info"]["unscored"]
    assert 2 == len(project.server.asked) - before


def test_a_judge_that_nothing_defines(project: Working) -> None:
    """The mistake is told with its key and the nearest name, before anything is loaded."""
    project.change('judge = "judge"\nmax', 'judge = "juge"\nmax')
    code, out, err = project.run("eval", "tiny", "-s", GEN)
    assert (2, "") == (code, out)
    assert "suites.truthfulqa-gen.judge: there is no model or pipeline named 'juge'" in err
    assert "did you mean 'judge'?" in err


def test_a_judge_without_its_key(project: Working) -> None:
    """A key that is not set shows before the model is asked."""
    project.change('judge = "judge"\nmax', 'judge = "locked"\nmax')
    code, _, err = project.run("eval", "tiny", "-s", GEN)
    assert 2 == code
    assert "NOT_SET_ANYWHERE, which `key_env` names, is not set" in err
    assert not (project.folder / "harness.db").exists()


@pytest.mark.skipif(find_spec("deepeval") is None, reason="the extra `deepeval` is not installed")
def test_criteria_in_ones_own_words(project: Working) -> None:
    """Steps are made once, each answer is judged once, and the score is a tenth; nothing is asked twice."""
    measured = project.measured(HELP)
    assert (0.7, 2, 0) == tuple(measured["score"][key] for key in ("value", "n", "unscored"))
    assert 1.0 == measured["passed"]["value"]
    asked = len(project.server.asked)
    assert 3 == asked
    assert measured == project.measured(HELP)
    assert asked == len(project.server.asked)


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        ('judge = "judge"\ncrit', "crit", "deepeval:helpfulness: needs a model that judges; set `judge` in"),
        ('criteria = "The answer helps."\n', "", "set `criteria` or `evaluation_steps` in"),
        (
            'data = "prompts.jsonl"\n',
            'prompts = "none.jsonl"\n',
            "deepeval:helpfulness: there are no prompts",
        ),
    ],
)
@pytest.mark.skipif(find_spec("deepeval") is None, reason="the extra `deepeval` is not installed")
def test_what_a_criterion_lacks(
    project: Working, monkeypatch: pytest.MonkeyPatch, old: str, new: str, told: str
) -> None:
    """A suite without judge, criteria or prompts says so with its section, before anything is asked."""
    monkeypatch.delenv("HARNESS_DATA", raising=False)
    project.change(old, new)
    code, out, err = project.run("eval", "tiny", "-s", HELP)
    assert (2, "") == (code, out)
    assert told in err
