"""Pairs of answers through the command line's verb: who is asked, what is paired, and what is refused."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from harness.errors import DataError, DownloadNeeded, UnknownName, UsageError
from harness.records.answers import SamplingParameters
from harness.records.preferences import Pair
from harness.store import Store
from harness.verbs.pairs import Answered, answer_pairs, kept_answers
from harness.verbs.progress import Progress
from harness.verbs.project import Project, open_project
from tests.tiny_models import tiny_llama
from tests.working import Working

PROJECT = """
[models.one]
path = "./one"
[models.two]
path = "./two"
[models.twin]
path = "./one"
[suites.mine]
prompts = "mine.jsonl"
rule = "exact"
max_tokens = 4
[suites.toy-truthfulqa]
limit = 3
"""
SAMPLING = SamplingParameters(max_tokens=6)
PROMPTS: Sequence[Mapping[str, Any]] = [
    {"id": f"p{number}", "prompt": f"Say {number}."} for number in range(5)
]


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two tiny models, to be read only."""
    folder = tmp_path_factory.mktemp("models")
    tiny_llama(folder / "one", seed=1)
    tiny_llama(folder / "two", seed=2)
    return folder


@pytest.fixture
def project(
    models: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Project:
    """A project of these models, one of them under two names."""
    for name in ("one", "two"):
        (tmp_path / name).symlink_to(models / name)
    working = Working(tmp_path, capsys)
    working.write("harness.toml", PROJECT)
    working.write("prompts.jsonl", *PROMPTS)
    working.write("mine.jsonl", *({**row, "target": "x"} for row in PROMPTS))
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("HARNESS_DATA", raising=False)
    return open_project()


def paired(project: Project, *names: str, prompts: str | None = "prompts.jsonl", **others: Any) -> Answered:
    """The pairs of these models."""
    with project.store() as store:
        return answer_pairs(
            project, names, store, Progress(), prompts=prompts, sampling=others.get("sampling", SAMPLING)
        )


def test_every_two_models_are_paired(project: Project) -> None:
    """In the order of the names and of the prompts; each model is asked once, in the same way."""
    answered = paired(project, "one", "two", "twin")
    assert "prompts:prompts" == answered.prompts
    assert [("one", "two"), ("one", "twin"), ("two", "twin")] == list(answered.pairs)
    assert ["one", "two", "twin"] == list(answered.runs)
    for (left, right), pairs in answered.pairs.items():
        assert [row["id"] for row in PROMPTS] == [pair.sample.id for pair in pairs]
        assert {(answered.runs[left].id, answered.runs[right].id)} == {
            (pair.left_run, pair.right_run) for pair in pairs
        }
    assert all(pair.identical for pair in answered.pairs["one", "twin"])
    assert not all(pair.identical for pair in answered.pairs["one", "two"])
    assert all(pair.missing is None for pair in answered.pairs["one", "two"])


def test_an_answer_is_asked_once(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    """The same names and prompts again load no model; another sampling is another answer."""
    first = paired(project, "one", "two")
    with monkeypatch.context() as without_models:
        without_models.setattr(
            "harness.verbs.project.open_engine", lambda *given, **named: pytest.fail("asked")
        )
        assert first.pairs == paired(project, "one", "two").pairs
        assert list(first.runs) == list(paired(project, "two", "one").runs)[::-1]
    other = paired(project, "one", "two", sampling=SamplingParameters(max_tokens=5))
    assert first.runs["one"].id != other.runs["one"].id


def test_a_suite_is_asked_as_it_is_set_up(project: Project) -> None:
    """Its own sampling holds, and its run is the one that `harness eval` makes."""
    answered = paired(project, "one", "two", prompts="mine")
    assert "mine" == answered.prompts
    assert {5} == {len(pairs) for pairs in answered.pairs.values()}
    [pair] = [pair for pair in answered.pairs["one", "two"] if pair.sample.id == "p0"]
    assert pair.left.completion_tokens <= 4


def test_what_is_kept_is_known_without_asking(project: Project) -> None:
    """Before, nothing is; afterwards, everything; and the runs are the same."""

    def kept(*names: str, prompts: str = "prompts.jsonl") -> Any:
        with project.store() as store:
            return kept_answers(project, names, store, prompts=prompts, sampling=SAMPLING)

    before = kept("one", "two")
    assert (5, {"one": {}, "two": {}}) == (before.size, before.answers)
    assert [row["id"] for row in PROMPTS] == list(before.samples), "a file's prompts are known before"
    assert 5 == len(kept("one", "two", prompts="mine").samples), "so are a suite's"
    answered = paired(project, "one", "two")
    after = kept("one", "two")
    assert {name: run.id for name, run in answered.runs.items()} == after.runs == before.runs
    left: Pair = answered.pairs["one", "two"][0]
    assert left.left == after.answers["one"][left.sample.id]


@pytest.mark.parametrize(
    ("names", "prompts", "error", "message"),
    [
        (("one",), "prompts.jsonl", UsageError, "a preference needs two different models"),
        (("one", "one"), "prompts.jsonl", UsageError, "a preference needs two different models"),
        (("one", "tow"), "prompts.jsonl", UnknownName, "named 'tow'; did you mean 'two'"),
        (
            ("one", "two"),
            "promts.jsonl",
            UnknownName,
            "no file, suite or set of prompts named 'promts.jsonl'",
        ),
        (("one", "two"), "toy-truthfulqa", UsageError, "asks for log-likelihoods and no text"),
        (("one", "two"), "empty.jsonl", DataError, "holds no prompts"),
        (("one", "two"), None, UsageError, "HARNESS_DATA names, and it is not set"),
        (("one", "two"), "mt_bench", UsageError, "HARNESS_DATA names, and it is not set"),
        (("one", "two"), "someone/prompts", DownloadNeeded, "cannot be downloaded from the hub"),
    ],
)
def test_what_is_refused(
    project: Project, names: tuple[str, ...], prompts: str | None, error: type[Exception], message: str
) -> None:
    """With what is wrong and what to do, by both verbs alike."""
    Path("empty.jsonl").write_text("\n")
    with pytest.raises(error, match=message):
        paired(project, *names, prompts=prompts)


def test_official_prompts(project: Project, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Both sets of the folder of official data where none is named; a missing file is told by its path."""
    data = tmp_path / "data"
    (data / "mt_bench").mkdir(parents=True)
    (data / "sft").mkdir()
    (data / "mt_bench" / "question.jsonl").write_text('{"question_id": 81, "turns": ["Compose."]}\n')
    monkeypatch.setenv("HARNESS_DATA", str(data))
    with pytest.raises(DataError, match=r"user_oriented_instructions\.jsonl: there is no such file"):
        paired(open_project(), "one", "two", prompts=None)
    (data / "sft" / "user_oriented_instructions.jsonl").write_text(
        '{"id": "user_oriented_task_0", "instruction": "Sum up.", "instances": [{"input": "A text."}]}\n'
    )
    answered = paired(open_project(), "one", "two", prompts=None)
    assert "prompts:mt_bench+user_oriented" == answered.prompts
    assert ["81", "user_oriented_task_0"] == [pair.sample.id for pair in answered.pairs["one", "two"]]
    assert 1 == len(paired(open_project(limit=1), "one", "two", prompts=None).pairs["one", "two"])


def test_answers_that_never_came_are_missing(project: Project, tmp_path: Path) -> None:
    """A pair of which one answer failed says so, and stays a pair."""
    with (tmp_path / "harness.toml").open("a") as file:
        file.write('[models.dead]\nendpoint = "http://127.0.0.1:9"\nmodel = "m"\nretries = 0\ntimeout = 5\n')
    [pairs] = paired(open_project(limit=2), "one", "dead").pairs.values()
    assert 2 == len(pairs)
    assert all((pair.missing or "").startswith("failed: no connection") for pair in pairs)
    with Store.open(f"sqlite:///{tmp_path}/harness.db") as store:
        assert {"one", "dead"} == {run.model for run in store.runs.find()}


def test_a_file_s_name_does_nothing_to_a_terminal(project: Project, tmp_path: Path) -> None:
    """What names the prompts everywhere has no control characters, whatever the file is called."""
    file = tmp_path / "h\x1b[31m.jsonl"
    file.write_text('{"prompt": "Name a tool."}\n', encoding="utf-8")

    assert "prompts:h␛[31m" == paired(project, "one", "two", prompts=str(file)).prompts
