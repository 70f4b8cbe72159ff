"""Bad input through the command line: one clear message, the right exit code, and nothing lost that was done.

Exit code 2 is wrong use, 3 work that stopped part-way and that the same command resumes, 130 and 143 the same
by Ctrl-C and by `kill`, 70 what nothing expected. No case shows a traceback.
"""

import codecs
import json
import os
import resource
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest
from safetensors.torch import load_file, save_file

from harness.cli import main
from harness.cli.progress import ProgressBars
from harness.store import Store
from harness.verbs.project import open_project
from tests.processes import command
from tests.tiny_models import tiny_llama
from tests.working import ANSWERS
from trainers.job import StageProgress

SUITES = """
[suites.toy-ifeval]
limit = 6

[suites.toy-truthfulqa]
limit = 6

[compare]
suites = ["toy-truthfulqa", "toy-ifeval"]
"""

SFT = """
[pipelines.p]
base = "one"
[[pipelines.p.stages]]
kind = "sft"
data = "rows.jsonl"
epochs = 4
"""

NO_NETWORK = dict.fromkeys(
    ("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"), "http://127.0.0.1:9"
)
"""Every way out leads to a port that nobody listens on."""


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two tiny models, to be read only."""
    folder = tmp_path_factory.mktemp("models")
    tiny_llama(folder / "one", seed=1)
    tiny_llama(folder / "two", seed=2)
    return folder


class Working:
    """A project's folder, in which commands are run."""

    def __init__(self, folder: Path, models: Path, capsys: pytest.CaptureFixture[str]) -> None:
        self.folder = folder
        self._models = models
        self._capsys = capsys

    def configure(self, more: str = SUITES) -> None:
        """A harness.toml with the two models, and more."""
        defined = "".join(f'[models.{name}]\npath = "{self._models / name}"\n' for name in ("one", "two"))
        (self.folder / "harness.toml").write_text(defined + more, encoding="utf-8")

    def write(self, name: str, *lines: str) -> None:
        """A file of these lines."""
        (self.folder / name).write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")

    def run(self, *arguments: str) -> tuple[int, str, str]:
        """Exit code, standard output and standard error of a command in this process."""
        with pytest.raises(SystemExit) as stopped:
            main(arguments)
        shown = self._capsys.readouterr()
        return int(stopped.value.code or 0), shown.out, shown.err

    def complaint(self, code: int, *arguments: str) -> str:
        """The one message of a command that must end with this code and print nothing else."""
        found, out, err = self.run(*arguments)
        lines = [line for line in err.splitlines() if not line.startswith(("ask ", "train "))]
        assert (code, "") == (found, out), err
        assert 1 == len(lines), err
        assert lines[0].startswith("harness: ")
        return lines[0].removeprefix("harness: ")

    def answers(self) -> set[tuple[object, ...]]:
        """Every answer that is kept, with its key."""
        with closing(sqlite3.connect(self.folder / "harness.db")) as connection:
            return set(connection.execute(ANSWERS))

    def finished(self) -> list[tuple[str, str]]:
        """Model and suite of every finished run."""
        with Store.open(f"sqlite:///{self.folder}/harness.db") as store:
            return [(run.model, run.suite) for run in store.runs.find() if run.finished]


@pytest.fixture
def project(
    tmp_path: Path, models: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Working:
    """A project of two tiny models and two small suites, as the working folder."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("HARNESS_DATA", raising=False)
    for name, proxy in NO_NETWORK.items():
        monkeypatch.setenv(name, proxy)
    working = Working(tmp_path, models, capsys)
    working.configure()
    return working


@contextmanager
def files_at_most(size: int) -> Iterator[None]:
    """No file of this process can grow beyond so many bytes: the nearest to a full disk without a disk."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def when_trained(monkeypatch: pytest.MonkeyPatch, step: int, act: Callable[[], object]) -> list[int]:
    """Have `act` called when a training reports this step. Returns the list of all steps to be reported."""
    seen: list[int] = []

    def training(self: ProgressBars, progress: StageProgress) -> None:
        seen.append(progress.step)
        if progress.step == step:
            act()

    monkeypatch.setattr(ProgressBars, "training", training)
    return seen


def when_answered(monkeypatch: pytest.MonkeyPatch, count: int, act: Callable[[], object]) -> None:
    """Have `act` called when so many answers of a request are there."""

    def asking(self: ProgressBars, model: str, suite: str, done: int, total: int) -> None:
        if done == count:
            act()

    monkeypatch.setattr(ProgressBars, "asking", asking)


# ---------------------------------------------------------------- harness.toml


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[models.one\n", "harness.toml: line 1, column 12: is not TOML"),
        ('[models.one]\npaht = "x"\n', "models.one.paht: unknown key; did you mean 'path'?"),
        ("[suites.ifeval]\nlimt = 3\n", "suites.ifeval.limt: unknown key; did you mean 'limit'?"),
        ('[models.mod\\u00e8le]\npath = "x"\n', "harness.toml: line 1, column 12: is not TOML"),
        ('[models."modèle"]\npath = "x"\n', 'models."modèle": a name is made of letters (a to z)'),
        ('[models.one]\npath = "x"\n[models.one]\npath = "y"\n', "cannot declare ('models', 'one') twice"),
        (
            '[models.base]\npath = "x"\n'
            '[pipelines.a]\nbase = "b"\nstages = [{ kind = "sft", data = "org/rows" }]\n'
            '[pipelines.b]\nbase = "a"\nstages = [{ kind = "sft", data = "org/rows" }]\n',
            "pipelines.b.base: pipelines form a cycle: a → b → a",
        ),
        (
            '[models.base]\npath = "x"\n[models.p]\npath = "x"\n'
            '[pipelines.p]\nbase = "base"\nstages = [{ kind = "sft", data = "org/rows" }]\n',
            "pipelines.p: a model has this name too; rename one of them",
        ),
    ],
)
def test_a_mistake_in_the_configuration(project: Working, text: str, message: str) -> None:
    """Every command names file and key, or the line, and leaves nothing behind."""
    project.write("harness.toml", text)
    assert message in project.complaint(2, "eval", "one")
    assert ["harness.toml"] == os.listdir(project.folder)


def test_a_name_that_is_not_ascii_can_be_a_folder(project: Working, models: Path) -> None:
    """A model's folder may have any name, and the leaderboards show it."""
    (project.folder / "modèle ✓").symlink_to(models / "two")
    code, out, _ = project.run("compare", "one", "./modèle ✓")
    assert 0 == code
    assert "modèle ✓ against one" in out
    assert "modèle ✓" in (project.folder / "reports/leaderboard.md").read_text("utf-8")


def test_a_terminal_without_unicode(project: Working, monkeypatch: pytest.MonkeyPatch) -> None:
    """What a terminal cannot show is escaped; the work is not lost to a UnicodeEncodeError."""
    monkeypatch.setattr(sys, "stdout", open("shown.txt", "w", encoding="ascii"))  # noqa: SIM115  # main's, until it ends
    assert 0 == project.run("compare", "one", "two")[0]
    sys.stdout.close()
    assert "two against one" in (project.folder / "shown.txt").read_text("ascii")


@pytest.mark.parametrize("arguments", [("compare", "one", "one"), ("compare", "one", "-b", "one")])
def test_a_comparison_with_itself(project: Working, arguments: tuple[str, ...]) -> None:
    """Two equal names are no comparison."""
    assert "a comparison needs two different names" in project.complaint(2, *arguments)


def test_a_name_given_twice_is_asked_once(project: Working) -> None:
    """Saying a name twice does no harm."""
    assert 0 == project.run("eval", "one", "one")[0]
    assert [("one", "toy-truthfulqa"), ("one", "toy-ifeval")] == project.finished()


# ---------------------------------------------------------------- models


def spoilt(folder: Path, what: str) -> Path:
    """A tiny model with one thing wrong."""
    tiny_llama(folder)
    if what == "no tokenizer":
        for file in folder.glob("tokenizer*"):
            file.unlink()
    elif what == "damaged tokenizer":
        (folder / "tokenizer.json").write_text("{}")
    elif what == "no weights":
        (folder / "model.safetensors").unlink()
    elif what == "cut off":
        file = folder / "model.safetensors"
        file.write_bytes(file.read_bytes()[:-100])
    elif what == "no config":
        (folder / "config.json").unlink()
    elif what == "broken template":
        (folder / "chat_template.jinja").write_text("{% for message in messages %}{{ message.content }")
    elif what == "refusing template":
        (folder / "chat_template.jinja").write_text("{{ raise_exception('no turns, please') }}")
    elif what == "NaN":
        weights = load_file(folder / "model.safetensors")
        next(iter(weights.values())).fill_(float("nan"))
        save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})
    return folder


@pytest.mark.parametrize(
    ("what", "message"),
    [
        ("no tokenizer", "m: no tokenizer in it (tokenizer.json, "),
        ("damaged tokenizer", "m: transformers cannot load its tokenizer: no 'added_tokens' in its files"),
        ("no weights", "m: no weights in it (model.safetensors "),
        ("cut off", "m/model.safetensors: 127636 bytes, where its header announces 127736: it is cut off"),
        ("no config", "m: no config.json in it, so it is not a model folder"),
        ("broken template", "its chat template cannot render these turns: unexpected '}'; correct it, "),
        ("refusing template", "its chat template cannot render these turns: no turns, please; correct it, "),
    ],
)
def test_a_model_that_cannot_be_used(project: Working, what: str, message: str) -> None:
    """The message names the folder and what is wrong with it."""
    spoilt(project.folder / "m", what)
    assert message in project.complaint(2, "eval", "m")


def test_a_broken_template_need_not_be_used(project: Working) -> None:
    """What the message about a template advises works: to ask without one."""
    spoilt(project.folder / "m", "broken template")
    project.configure("[suites.toy-ifeval]\nlimit = 2\nchat_template = false\n")
    assert 0 == project.run("eval", "m", "-s", "toy-ifeval")[0]


def test_nan_logits(project: Working) -> None:
    """A model that gives no numbers stops the work with 3; what the others answered is kept."""
    spoilt(project.folder / "m", "NaN")
    message = project.complaint(3, "eval", "one", "m")
    assert "m: the model gave NaN or infinite logits in float32; the weights are damaged" in message
    assert [("one", "toy-truthfulqa"), ("one", "toy-ifeval")] == project.finished()


@pytest.mark.parametrize(
    ("model", "message"),
    [
        ('path = "./gone"', "/gone: there is no such folder; name a model's folder or its hub id"),
        (
            'path = "some-org/some-model"',
            "some-org/some-model: there is no such folder, it is not in the hub's",
        ),
        ('engine = "vlmm"', "there is no installed engine named 'vlmm'"),
        (
            'endpoint = "http://localhost:9/v1"\nmodel = "x"\nkey_env = "NOT_SET"',
            "model 'm': the environment variable NOT_SET, which `key_env` names, is not set",
        ),
        (
            'gemini = "gemini-2.5-flash"\nkey_env = "NOT_SET"',
            "model 'm': the environment variable NOT_SET, which `key_env` names, is not set",
        ),
    ],
)
def test_a_model_that_is_not_there(project: Working, model: str, message: str) -> None:
    """It is told before the other models are asked, and before there is a store."""
    project.configure(f"[models.m]\n{model}\n{SUITES}")
    assert message in project.complaint(2, "eval", "one", "m")
    assert not (project.folder / "harness.db").exists()


@pytest.mark.parametrize(
    ("device", "message"),
    [
        ("cuda:99", "device 'cuda:99': torch "),
        ("tpu", "device 'tpu' is not one of cpu, cuda, cuda:N, xpu, xpu:N, mps"),
        ("cuda:x", "device 'cuda:x' is not one of cpu, cuda, cuda:N, xpu, xpu:N, mps"),
    ],
)
def test_a_device_that_is_not_there(project: Working, device: str, message: str) -> None:
    """A GPU that this machine lacks is wrong use, not a defect."""
    assert message in project.complaint(2, "eval", "one", "--device", device)


# ---------------------------------------------------------------- data


def ifeval_row(without: str = "", **changed: object) -> str:
    """A row that ifeval takes, but for what is changed or left out."""
    row = {
        "key": 1,
        "prompt": "Name a tool.",
        "instruction_id_list": ["keywords:existence"],
        "kwargs": [{"keywords": ["saw"]}],
    }
    return json.dumps({name: value for name, value in {**row, **changed}.items() if name != without})


@pytest.mark.parametrize(
    ("suite", "lines", "message"),
    [
        ("truthfulqa", ["{}", "{"], "rows.jsonl, row 1: question: field required"),
        ("toy-truthfulqa", ["[]"], "rows.jsonl, row 1: is not a JSON object but list"),
        ("ifeval", ['{"key": 1'], "rows.jsonl, row 1: is not JSON: Expecting ',' delimiter at column 10"),
        ("realtoxicityprompts", ['{"filename": "a"}'], "rows.jsonl, row 1: prompt: field required"),
        (
            "toy-truthfulqa",
            ['{"id": "a", "fact": "f", "question": "q", "choices": ["x", "y"], "target": 2}'],
            "rows.jsonl, row 1: target 2 is none of the 2 choices, from 0",
        ),
        (
            "toy-ifeval",
            [
                '{"id": "a", "prompt": "p", "topic": "tools", "constraints": []}',
                '{"id": "b", "prompt": "p", "topic": "tool", "constraints": []}',
            ],
            "rows.jsonl, row 2: there is no topic 'tool'; did you mean 'tools'?",
        ),
        (
            "toy-ifeval",
            ['{"id": "b", "prompt": "p", "topic": "tools", "constraints": ["size:big"]}'],
            "rows.jsonl, row 1: constraint 'size:big' cannot be checked",
        ),
        (
            "ifeval",
            [ifeval_row(), ifeval_row(key=2, instruction_id_list=["keywords:existance"])],
            "rows.jsonl, row 2: instruction 1 (keywords:existance): there is no such instruction; "
            "did you mean 'keywords:existence'?",
        ),
        (
            "ifeval",
            [ifeval_row(kwargs=[{"keyword": ["a"]}])],
            "instruction 1 (keywords:existence): takes no argument 'keyword'; did you mean 'keywords'?",
        ),
        (
            "ifeval",
            [ifeval_row(kwargs=[{}])],
            "row 1: instruction 1 (keywords:existence): lacks its argument",
        ),
        (
            "ifeval",
            [ifeval_row(kwargs=[{"keywords": "a"}])],
            "(keywords:existence): keywords must be a list that is not empty, and is 'a'",
        ),
        (
            "ifeval",
            [ifeval_row(kwargs=[{"keywords": ["(a"]}])],
            "keywords must be a regular expression, as the official code reads it: missing ), unterminated",
        ),
        ("ifeval", [ifeval_row(kwargs=[])], "rows.jsonl, row 1: 1 instructions have 0 kwargs"),
        *(
            ("ifeval", [ifeval_row(**{field: None})], f"rows.jsonl, row 1: {field}: field required")
            for field in ("key", "prompt", "instruction_id_list", "kwargs")
        ),
        *(
            ("ifeval", [ifeval_row(without=field)], f"rows.jsonl, row 1: {field}: field required")
            for field in ("key", "prompt", "instruction_id_list", "kwargs")
        ),
        ("truthfulqa", [], "rows.jsonl: holds no rows"),
        ("toy-ifeval", [""], "rows.jsonl: holds no rows"),
    ],
)
def test_a_suite_file_with_a_mistake(project: Working, suite: str, lines: list[str], message: str) -> None:
    """File and row are named before any model is loaded, any scorer downloaded, or any store made."""
    project.write("rows.jsonl", *lines)
    project.configure(f'[suites.{suite}]\ndata = "rows.jsonl"\n')
    assert message in project.complaint(2, "eval", "one", "--suite", suite)
    assert not (project.folder / "harness.db").exists()


def test_data_are_looked_at_before_anything_is_trained(project: Working) -> None:
    """A mistake in a suite's file must not show after hours of training."""
    project.write("rows.jsonl", *['{"prompt": "p", "completion": "c"}'] * 16)
    project.write("empty.jsonl")
    project.configure(f'{SFT}\n[suites.truthfulqa]\ndata = "empty.jsonl"\n')
    assert "empty.jsonl: holds no rows" in project.complaint(2, "eval", "p", "--suite", "truthfulqa")
    assert not (project.folder / "candidates").exists()


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        ([], "rows.jsonl: there are no rows"),
        (['{"prompt": "p", "completion": "c"}', "{"], "rows.jsonl, row 2: is not JSON"),
        (['{"prompt": "p", "completion": "c"}', '{"prompt": "p"}'], "rows.jsonl, row 2: needs `messages`, "),
    ],
)
def test_training_rows_with_a_mistake(project: Working, lines: list[str], message: str) -> None:
    """The row is named as it is in a suite's file."""
    project.write("rows.jsonl", *lines)
    project.configure(SFT)
    assert message in project.complaint(2, "train", "p")


@pytest.mark.parametrize(
    ("suite", "message"),
    [
        ("truthfulqa", "truthfulqa/truthful_qa cannot be downloaded from the hub (Couldn't reach"),
        ("lm_eval:hellaswag", "lm-eval's task 'hellaswag' reads its documents from the hub, and neither a"),
        ("lm_eval:helaswag", "there is no task of lm-eval named 'helaswag'; did you mean 'hellaswag'?"),
        ("truthfullqa", "there is no suite named 'truthfullqa'; did you mean 'truthfulqa'?"),
    ],
)
def test_a_suite_that_cannot_be_had(project: Working, suite: str, message: str) -> None:
    """Without a network, and for a mistyped name, the message says what to name instead."""
    assert message in project.complaint(2, "eval", "one", "--suite", suite)


@pytest.mark.parametrize(
    ("named", "message"),
    [
        ("nowhere", "HARNESS_DATA names 'nowhere', which is not a folder"),
        (".", "ifeval/input_data.jsonl: there is no such file in the folder that HARNESS_DATA names"),
    ],
)
def test_a_data_folder_that_is_none(
    project: Working, monkeypatch: pytest.MonkeyPatch, named: str, message: str
) -> None:
    """HARNESS_DATA must name a folder, and one that holds what is asked for."""
    monkeypatch.setenv("HARNESS_DATA", named)
    assert message in project.complaint(2, "eval", "one", "--suite", "ifeval")


def test_a_classifier_that_would_need_a_download(project: Working) -> None:
    """Detoxify's default classifier without a network: where to put it, or what to name instead."""
    excerpt = {"filename": "f", "begin": 0, "end": 9, "challenging": False, "prompt": {"text": "You are"}}
    project.write("rows.jsonl", json.dumps(excerpt))
    project.configure('[suites.realtoxicityprompts]\ndata = "rows.jsonl"\n')
    message = project.complaint(2, "eval", "one", "--suite", "realtoxicityprompts")
    assert "the toxicity classifier 'original' comes from https://github.com/unitaryai/detoxify/" in message
    assert (
        "set `classifier` in the suite's section, [suites.realtoxicityprompts], to a pipeline with a"
        in message
    )
    assert "or set `scores` there to a file of scores" in message


def test_sentence_data_that_would_need_a_download(project: Working, monkeypatch: pytest.MonkeyPatch) -> None:
    """IFEval without nltk's data says so once; nltk itself says nothing."""
    monkeypatch.setattr("nltk.data.path", [])
    row = {"key": 1, "prompt": "p", "instruction_id_list": ["punctuation:no_comma"], "kwargs": [{}]}
    project.write("rows.jsonl", json.dumps(row))
    project.configure('[suites.ifeval]\ndata = "rows.jsonl"\n')
    message = project.complaint(2, "eval", "one", "--suite", "ifeval")
    assert "nltk's punkt_tab, which is not on this machine and cannot be downloaded (" in message
    assert "set NLTK_DATA to a folder that holds tokenizers/punkt_tab" in message


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            ["eval", "hub"],
            "some-org/some-model: there is no such folder, it is not in the hub's cache, and it",
        ),
        (
            ["eval", "one", "-s", "truthfulqa"],
            "cannot be downloaded from the hub (there is no connection to it)",
        ),
    ],
)
def test_without_a_network(project: Working, arguments: list[str], message: str) -> None:
    """A hub that cannot be reached is one message, without a library's own about its retries."""
    project.configure('[models.hub]\npath = "some-org/some-model"\n')
    process = _start(arguments, project.folder, HF_HUB_OFFLINE="0")
    out, err = process.communicate()
    assert (2, "") == (process.returncode, out), err
    assert message in err
    assert 1 == len(err.splitlines()), err


# ---------------------------------------------------------------- odd and hostile files

OWN_SUITE = '[suites.mine]\nprompts = "rows.jsonl"\nrule = "exact"\n'
SCORES = '[suites.realtoxicityprompts]\ndata = "rows.jsonl"\nscores = "scores.jsonl"\n'
TABLE = SFT.replace("rows.jsonl", "rows.csv")
MIX = """
[data.m]
rows = "demonstrations"
deduplicate = "none"
decontaminate = false
[[data.m.sources]]
data = "rows.jsonl"
"""
EVAL, TRAIN, VOTES = ("eval", "one", "-s", "mine"), ("train", "p"), ("preferences", "--from", "votes.csv")
TOXIC, JUDGED = ("eval", "one", "-s", "realtoxicityprompts"), ("judge", "one", "two", "--by", "one")
TURN = {"role": "user", "content": "Say a."}
ANSWER = {"role": "assistant", "content": "a"}


def dialogue(*turns: object) -> bytes:
    """A training row of these turns before an answer."""
    return json.dumps({"messages": [*turns, ANSWER]}).encode()


ODD_FILES: dict[str, tuple[str, str, bytes, tuple[str, ...], str]] = {
    # what it is: configuration, file, content, command, what the message says
    "suite: UTF-16": (
        OWN_SUITE,
        "rows.jsonl",
        '{"prompt": "p"}'.encode("utf-16"),
        EVAL,
        "but UTF-16; save it",
    ),
    "suite: Latin-1": (
        OWN_SUITE,
        "rows.jsonl",
        b'{"prompt": "\xe9"}',
        EVAL,
        "row 1: is not UTF-8 text (0xe9",
    ),
    "suite: nested": (OWN_SUITE, "rows.jsonl", b'{"prompt": ' + b"[" * 5000, EVAL, "row 1: is nested deeper"),
    "suite: nested tag": (
        OWN_SUITE,
        "rows.jsonl",
        b'{"prompt": "p", "target": "t", "tag": ' + b"[" * 400 + b"]" * 400 + b"}",
        EVAL,
        "row 1: is nested deeper than 100 brackets",
    ),
    "suite: long number": (OWN_SUITE, "rows.jsonl", b'{"id": ' + b"1" * 5000 + b"}", EVAL, "of 5,000 digits"),
    "suite: half a character": (
        OWN_SUITE,
        "rows.jsonl",
        b'{"prompt": "p\\ud83d", "target": "t"}',
        EVAL,
        "row 1: holds half of a character (\\ud83d",
    ),
    "suite: infinity": (OWN_SUITE, "rows.jsonl", b'{"tag": Infinity}', EVAL, "row 1: holds Infinity"),
    "suite: too large": (
        OWN_SUITE,
        "rows.jsonl",
        b'{"tag": 1e999}',
        EVAL,
        "row 1: holds a number that is too",
    ),
    "suite: a key twice": (OWN_SUITE, "rows.jsonl", b'{"id": 1, "id": 2}', EVAL, 'the key "id" stands twice'),
    "suite: null prompt": (
        OWN_SUITE,
        "rows.jsonl",
        b'{"prompt": null}',
        EVAL,
        "row 1: prompt: field required",
    ),
    "suite: null target": (
        OWN_SUITE,
        "rows.jsonl",
        b'{"prompt": "p", "target": null}',
        EVAL,
        "row 1: target: field required",
    ),
    "suite: empty": (OWN_SUITE, "rows.jsonl", b"", EVAL, "rows.jsonl: holds no rows"),
    "suite: a mark alone": (OWN_SUITE, "rows.jsonl", b"\xef\xbb\xbf\n", EVAL, "rows.jsonl: holds no rows"),
    "suite: a table": (OWN_SUITE, "rows.jsonl", b"prompt,target\np,t\n", EVAL, "row 1: is not JSON"),
    "suite: after an empty line": (
        OWN_SUITE,
        "rows.jsonl",
        b'\n\n{"prompt": 1}',
        EVAL,
        "row 3: prompt: expected",
    ),
    "suite: a tool's turn": (
        OWN_SUITE,
        "rows.jsonl",
        b'{"prompt": [{"role": "tool", "content": "4"}], "target": "t"}',
        EVAL,
        "row 1: prompt: a tool's turn cannot be asked",
    ),
    "suite: not a file": (
        OWN_SUITE.replace("rows.jsonl", "."),
        "x",
        b"",
        EVAL,
        "cannot be read: Is a directory",
    ),
    "rule: a package of ours": (
        OWN_SUITE.replace("exact", "suites:score"),
        "suites.py",
        b"def score(answer, row): return 1",
        EVAL,
        "suites.py has the name of another module, a package of harness itself, which Python finds "
        "first; rename yours, for example to my_suites.py",
    ),
    "rule: a module of Python's": (
        OWN_SUITE.replace("exact", "random:score"),
        "random.py",
        b"def score(answer, row): return 1",
        EVAL,
        "random.py has the name of another module, /",
    ),
    "training: UTF-16": (SFT, "rows.jsonl", "{}".encode("utf-16"), TRAIN, "but UTF-16; save it as UTF-8"),
    "training: nested": (SFT, "rows.jsonl", b"[" * 5000, TRAIN, "row 1: is nested deeper"),
    "training: long number": (SFT, "rows.jsonl", b'{"a": ' + b"1" * 5000 + b"}", TRAIN, "of 5,000 digits"),
    "training: half a character": (SFT, "rows.jsonl", b'{"a": "\\udc00"}', TRAIN, "row 1: holds half of a"),
    "training: null columns": (
        SFT,
        "rows.jsonl",
        b'{"prompt": "p", "completion": "c"}\n{"prompt": "p", "completion": null}',
        TRAIN,
        "row 2: needs `messages`, `conversations`, `prompt` and `completion`, or `instruction` and `output`; "
        "its columns are prompt",
    ),
    "training: an image": (
        SFT,
        "rows.jsonl",
        dialogue({"role": "user", "content": [{"type": "image_url", "image_url": {"url": "x"}}]}),
        TRAIN,
        "row 1: the user's turn holds a part of type 'image_url', and only text parts are read",
    ),
    "training: a call": (
        SFT,
        "rows.jsonl",
        dialogue(TURN, {"role": "assistant", "content": None, "tool_calls": [{"id": "1"}]}),
        TRAIN,
        "row 1: the assistant's turn has `tool_calls`, and a call is not read; write it as text",
    ),
    "training: an unknown role": (
        SFT,
        "rows.jsonl",
        dialogue({"role": "narrator", "content": "Once"}),
        TRAIN,
        "of system, user, assistant, tool, developer, human, gpt, and has 'narrator'",
    ),
    "training: a turn without text": (
        SFT,
        "rows.jsonl",
        dialogue({"role": "user", "content": None}),
        TRAIN,
        "row 1: the user's turn needs a text `content` (or `value`), or a list of text parts",
    ),
    "training: not to be learned": (
        SFT,
        "rows.jsonl",
        json.dumps({"messages": [TURN, {**ANSWER, "weight": 0}]}).encode(),
        TRAIN,
        "row 1: the last answer has `weight` 0: it is not to be learned",
    ),
    "training: a broken quote": (
        TABLE,
        "rows.csv",
        b'prompt,completion\n"p,c\n',
        TRAIN,
        "row 2: is not CSV: unexpected end of data",
    ),
    "training: a column twice": (
        TABLE,
        "rows.csv",
        b"prompt,prompt\n",
        TRAIN,
        "column 'prompt' stands there twice",
    ),
    "training: a workbook": (
        TABLE,
        "rows.csv",
        b"PK\x03\x04\xff",
        TRAIN,
        "a workbook or an archive; save it as",
    ),
    "mix: nested": (MIX, "rows.jsonl", b"[" * 5000, ("data", "m"), "row 1: is nested deeper"),
    "mix: an image": (
        MIX,
        "rows.jsonl",
        dialogue({"role": "user", "content": [{"type": "image"}]}),
        ("data", "m"),
        "row 1: the user's turn holds a part of type 'image'",
    ),
    "prompts: UTF-16": (
        "",
        "p.jsonl",
        "{}".encode("utf-16"),
        (*JUDGED, "--prompts", "p.jsonl"),
        "but UTF-16",
    ),
    "prompts: nested": (
        "",
        "p.json",
        b"[" * 5000,
        (*JUDGED, "--prompts", "p.json"),
        "p.json, row 1: is nested deeper",
    ),
    "prompts: an image": (
        "",
        "p.jsonl",
        b'{"messages": [{"role": "user", "content": [{"type": "image"}]}]}',
        (*JUDGED, "--prompts", "p.jsonl"),
        "row 1: messages: the user's turn holds a part of type 'image'",
    ),
    "votes: UTF-16": ("", "votes.csv", "item".encode("utf-16"), VOTES, "but UTF-16; save it as UTF-8"),
    "votes: a broken quote": (
        "",
        "votes.csv",
        b'item,rater,left,right,winner\n"a,b\n',
        VOTES,
        "row 2: is not CSV: unexpected end of data",
    ),
    "scores: a table": (
        SCORES,
        "scores.jsonl",
        b"prompt,continuation,toxicity\na,b,0.1\n",
        TOXIC,
        'a JSONL file is expected, with lines such as {"prompt": {"text": "So"}, "generations": [',
    ),
    "scores: a conflict": (
        SCORES,
        "scores.jsonl",
        b'{"prompt": "a", "continuation": "b", "toxicity": 0.1}\n'
        b'{"prompt": "a", "continuation": "b", "toxicity": 0.2}\n',
        TOXIC,
        "row 2: scores 'b' again, and differently (by 0.1)",
    ),
}


@pytest.mark.parametrize("case", ODD_FILES)
def test_an_odd_file(project: Working, case: str) -> None:
    """Wrong use: exit code 2, one line with the file and the row, and no traceback."""
    configured, name, content, arguments, message = ODD_FILES[case]
    project.write("rows.jsonl", '{"prompt": {"text": "a"}}')
    project.configure(configured)
    (project.folder / name).write_bytes(content)
    assert message in project.complaint(2, *arguments)
    assert not list(project.folder.glob("harness-traceback-*"))


ODD_SETTINGS = {
    "nested lists": (b"a = " + b"[" * 5000 + b"]" * 5000, "harness.toml: is nested deeper than 100 brackets"),
    "nested tables": (b"a." * 2000 + b"b = 1", "harness.toml: is nested deeper than 100 brackets"),
    "a long number": (
        b"[project]\nseed = " + b"1" * 5000,
        "harness.toml: line 2: holds a whole number of thous",
    ),
    "beyond 64 bits": (
        b"[project]\nseed = 9223372036854775808",
        "project.seed: a whole number within ±92233",
    ),
    "beyond NumPy": (
        b"[project]\nseed = 4294967296",
        "project.seed: expected 4294967295 or less, got 4294967296",
    ),
    "a negative one": (
        b"[project]\nseed = -9223372036854775809",
        "project.seed: a whole number within ±92233",
    ),
    "in a list": (b"[suites.x]\nstop = [1, 99999999999999999999]", "suites.x.stop[1]: a whole number within"),
    "infinity": (b"[compare]\nlevel = inf", "compare.level: a number was expected, and not inf"),
    "no number": (
        b"[suites.ifeval]\nmargin = nan",
        "suites.ifeval.margin: a number was expected, and not nan",
    ),
    "NUL": (b'[models.m]\npath = "a\\u0000b"', "models.m.path: holds a NUL character"),
    "UTF-16": ("[project]".encode("utf-16"), "harness.toml: is not UTF-8 text but UTF-16; save it as UTF-8"),
    "Latin-1": (
        b'[project]\nlabel = "\xe9"',
        "harness.toml: line 2: is not UTF-8 text (0xe9, byte 10 of the line)",
    ),
    "a template in UTF-16": (
        b'[models.m]\npath = "x"\nchat_template = "t.jinja"',
        "models.m.chat_template: HERE/t.jinja: is not UTF-8 text but UTF-16",
    ),
}


@pytest.fixture
def python_reads_few_digits() -> Iterator[None]:
    """Python's own limit, as in a process of its own: lighteval sets another one where it is imported."""
    before = sys.get_int_max_str_digits()
    sys.set_int_max_str_digits(sys.int_info.default_max_str_digits)
    yield
    sys.set_int_max_str_digits(before)


@pytest.mark.usefixtures("python_reads_few_digits")
@pytest.mark.parametrize("case", ODD_SETTINGS)
def test_odd_settings(project: Working, case: str) -> None:
    """What nothing could use is named with its key or line before anything else is looked at."""
    content, message = ODD_SETTINGS[case]
    (project.folder / "t.jinja").write_bytes("{{ x }}".encode("utf-16"))
    (project.folder / "harness.toml").write_bytes(content)
    assert message in project.complaint(2, "list").replace(str(project.folder), "HERE")


def test_forty_odd_inputs() -> None:
    """As many as were asked for, and more, each with its exit code."""
    assert 54 == len(ODD_FILES) + len(ODD_SETTINGS)


def marked(text: str) -> bytes:
    """With a byte-order mark and Windows' line ends, as Excel and Notepad write."""
    return codecs.BOM_UTF8 + text.replace("\n", "\r\n").encode()


def test_marked_files_are_read(project: Working) -> None:
    """A byte-order mark is nowhere a part of the text: settings, templates, suites, training and votes."""
    ones = project.folder / "harness.toml"
    project.configure(f'{OWN_SUITE}{MIX}[[data.m.sources]]\ndata = "rows.csv"\n')
    ones.write_bytes(marked(ones.read_text() + '[models.t]\npath = "./none"\nchat_template = "t.jinja"\n'))
    (project.folder / "t.jinja").write_bytes(marked("{{ messages }}"))
    row = '{"prompt": "Capital of France?", "target": "Paris", "completion": "Paris."}\n'
    (project.folder / "rows.jsonl").write_bytes(marked(row))
    (project.folder / "rows.csv").write_bytes(marked("prompt;completion\nWhat is rain?;Water.\n"))
    (project.folder / "votes.csv").write_bytes(marked("item,rater,left,right,winner\n1,ann,a,b,left\n"))
    registry = open_project().registry
    assert "{{ messages }}" == registry.models["t"].chat_template
    assert 0 == project.run("eval", "one", "-s", "mine")[0]
    assert 0 == project.run("preferences", "--from", "votes.csv")[0]
    assert 0 == project.run("data", "m", "-o", "mix.jsonl")[0]
    asked = [json.loads(line)["messages"][0]["content"] for line in open("mix.jsonl", encoding="utf-8")]  # noqa: SIM115
    assert ["Capital of France?", "What is rain?"] == sorted(asked)


def test_a_long_cell_is_read(project: Working) -> None:
    """csv's own limit of 131,072 characters is less than a long answer has."""
    project.configure(MIX.replace("rows.jsonl", "rows.csv"))
    project.write("rows.csv", "prompt,completion", f"Say a lot.,{'word ' * 40_000}")
    assert 0 == project.run("data", "m", "-o", "mix.jsonl")[0]
    assert (project.folder / "mix.jsonl").stat().st_size > 200_000


# ---------------------------------------------------------------- what nothing expected


def test_an_unexpected_error(project: Working, monkeypatch: pytest.MonkeyPatch) -> None:
    """Exit code 70, never 1, which means worse; one line; and the traceback in a file without any secret."""

    def fails(*arguments: object, **options: object) -> None:
        raise RuntimeError("it broke\nwith sk-0123456789")

    monkeypatch.setenv("SERVICE_KEY", "sk-0123456789")
    monkeypatch.setattr("harness.cli.overview.overview", fails)
    message = project.complaint(70, "list")
    assert message.startswith(
        "unexpected RuntimeError: it broke with $SERVICE_KEY; what was done is kept, and "
    )
    [file] = project.folder.glob("harness-traceback-*.txt")
    assert str(file) in message
    kept = file.read_text(encoding="utf-8")
    assert "RuntimeError: it broke\nwith $SERVICE_KEY" in kept
    assert "in fails" in kept
    assert "sk-0123456789" not in kept
    assert 0o600 == file.stat().st_mode & 0o777


def test_an_unexpected_error_where_nothing_can_be_written(
    project: Working, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The traceback is then printed, and the exit code stays."""
    monkeypatch.setattr("harness.cli.overview.overview", lambda project: 1 / 0)
    monkeypatch.setattr("harness.cli.tracebacks.PLACES", (lambda: "/nowhere",))
    code, _, err = project.run("list")
    assert 70 == code
    assert "Traceback" in err
    assert "the traceback is printed above" in err.splitlines()[-1]


def test_a_reader_that_goes_away(project: Working) -> None:
    """`harness … | head` ends as a program whose pipe is closed does, and not with what means worse."""
    project.configure("".join(f'[models.m{number}]\npath = "x"\n' for number in range(3000)))
    process = _start(["list"], project.folder)
    assert process.stdout is not None
    process.stdout.readline()
    process.stdout.close()
    assert 141 == process.wait()


# ---------------------------------------------------------------- the store


def _not_a_database(file: Path) -> None:
    file.write_text("these are my notes\n" * 100)


def _from_the_future(file: Path) -> None:
    Store.open(f"sqlite:///{file}").close()
    with closing(sqlite3.connect(file, isolation_level=None)) as connection:
        connection.execute("INSERT INTO migrations VALUES ('9999_future', '2100-01-01')")


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (_not_a_database, "harness.db: this file is not a database; move it away, or name another store"),
        (_from_the_future, "harness.db: this results store is from a newer version of harness (it has 9999_"),
    ],
)
@pytest.mark.parametrize("arguments", [("eval", "one"), ("report",), ("list",)])
def test_a_store_that_cannot_be_used(
    project: Working, spoil: Callable[[Path], None], message: str, arguments: tuple[str, ...]
) -> None:
    """Every verb that needs the store says so, and leaves the file as it is."""
    file = project.folder / "harness.db"
    spoil(file)
    before = file.read_bytes()
    assert message in project.complaint(2, *arguments)
    assert before == file.read_bytes()


def test_a_store_that_is_read_only(project: Working) -> None:
    """It shows before a model is loaded."""
    Store.open(f"sqlite:///{project.folder}/harness.db").close()
    url = f"sqlite:///file:{project.folder}/harness.db?mode=ro&uri=true"
    project.configure(f'[project]\nstore = "{url}"\n{SUITES}')
    assert "this results store is read-only" in project.complaint(2, "eval", "one")


@pytest.mark.parametrize("arguments", [("report",), ("report", "--store", "sqlite:///results/other.db")])
def test_a_report_on_a_store_that_is_not_there(project: Working, arguments: tuple[str, ...]) -> None:
    """To look makes no empty store, nor a folder for one."""
    assert "there is no results store here yet; `harness compare` makes one" in project.complaint(
        2, *arguments
    )
    assert ["harness.toml"] == os.listdir(project.folder)


def test_a_list_on_a_store_that_is_not_there(project: Working) -> None:
    """To list is no wrong use, and leaves nothing behind either."""
    code, out, err = project.run("list", "--json")
    assert (0, "", []) == (code, err, json.loads(out)["runs"])
    assert ["harness.toml"] == os.listdir(project.folder)


def test_a_report_on_an_empty_store(project: Working) -> None:
    """Nothing was measured, so there is nothing to report."""
    Store.open(f"sqlite:///{project.folder}/harness.db").close()
    assert "harness.db holds no finished run; `harness compare` makes some" in project.complaint(2, "report")


def test_two_evaluations_at_once(project: Working) -> None:
    """Two processes may ask the same models for one store: both succeed, and each row is there once."""
    project.configure("[suites.toy-ifeval]\nlimit = 40\n")
    arguments = ["eval", "one", "two", "-s", "toy-ifeval"]
    other = command(arguments, project.folder)
    while other.poll() is None and not _has_begun(project.folder):
        time.sleep(0.005)
    assert 0 == project.run(*arguments)[0]
    assert 0 == other.wait(), other.errors()
    assert [("one", "toy-ifeval"), ("two", "toy-ifeval")] == project.finished()
    with Store.open(f"sqlite:///{project.folder}/harness.db") as store:
        assert [40, 40] == [len(list(store.runs.rows(run.id))) for run in store.runs.find()]


# ---------------------------------------------------------------- what cannot be written


def test_a_full_disk_while_asking(project: Working) -> None:
    """What was answered before stays, and the same command goes on from there."""
    assert 0 == project.run("eval", "one", "-s", "toy-truthfulqa")[0]
    before = project.answers()
    project.configure("[suites.toy-ifeval]\nlimit = 120\n")
    with files_at_most(60_000):
        message = project.complaint(3, "eval", "one", "-s", "toy-ifeval")
    assert "harness.db: no space is left to write results" in message
    assert before <= project.answers()
    assert 0 == project.run("eval", "one", "-s", "toy-ifeval")[0]
    assert before < project.answers()
    assert [("one", "toy-truthfulqa"), ("one", "toy-ifeval")] == project.finished()


def test_a_full_disk_while_reporting(project: Working) -> None:
    """The leaderboards of before stay whole, and nothing half-written lies beside them."""
    assert 0 == project.run("compare", "one", "two")[0]
    reports = project.folder / "reports"
    before = {file.name: file.read_bytes() for file in reports.iterdir()}
    assert len(before["leaderboard.html"]) > 40_000  # which the store's own files do not reach
    with files_at_most(40_000):
        message = project.complaint(3, "report")
    assert f"{reports}: no space is left to write the report; what was there is intact" in message
    assert before == {file.name: file.read_bytes() for file in reports.iterdir()}


def test_a_full_disk_while_training(project: Working, monkeypatch: pytest.MonkeyPatch) -> None:
    """Training goes on from the last checkpoint that is whole."""
    project.write("rows.jsonl", *[f'{{"prompt": "say {n}", "completion": "{n}"}}' for n in range(32)])
    project.configure(SFT)
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    when_trained(monkeypatch, 3, lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, hard)))
    try:
        message = project.complaint(3, "train", "p")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert "training resumes from the last complete checkpoint" in message

    steps = when_trained(monkeypatch, 0, lambda: None)
    assert 0 == project.run("train", "p")[0]
    assert list(range(3, 9)) == steps


@pytest.mark.parametrize("verb", ["report", "compare"])
def test_a_reports_folder_that_cannot_be_written(project: Working, verb: str) -> None:
    """What was measured is kept, and the message says how to have it elsewhere."""
    assert 0 == project.run("eval", "one", "two")[0]
    project.write("file")
    message = project.complaint(2, verb, "one", "two", "--output", "file/reports")
    assert (
        "file/reports: the report cannot be written here (Not a directory); what was measured is kept"
        in message
    )
    assert 0 == project.run("report", "--output", "elsewhere")[0]


def test_an_output_folder_that_cannot_be_written(project: Working) -> None:
    """It shows before anything is trained."""
    project.write("candidates", "a file, where a folder was to be")
    project.write("rows.jsonl", '{"prompt": "p", "completion": "c"}')
    project.configure(SFT)
    message = project.complaint(2, "train", "p")
    assert "candidates/stages: candidates cannot be written here (Not a directory)" in message


# ---------------------------------------------------------------- being stopped


@pytest.fixture
def heeds_ctrl_c() -> Iterator[None]:
    """Ctrl-C as in a terminal: a shell starts background jobs, such as a CI's, with it switched off."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.usefixtures("heeds_ctrl_c")
@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_stopped_while_asking(
    project: Working, monkeypatch: pytest.MonkeyPatch, number: signal.Signals, code: int
) -> None:
    """Ctrl-C and `kill` end with one message; what was answered is kept, and not asked again."""
    when_answered(monkeypatch, 10, lambda: signal.raise_signal(number))
    message = project.complaint(code, "eval", "one", "-s", "toy-truthfulqa")
    assert "stopped; what was done is kept, and the same command goes on from there" == message
    before = project.answers()
    assert 10 <= len(before)
    assert [] == project.finished()

    when_answered(monkeypatch, 0, lambda: None)
    assert 0 == project.run("eval", "one", "-s", "toy-truthfulqa")[0]
    assert before <= project.answers()
    assert [("one", "toy-truthfulqa")] == project.finished()


@pytest.mark.usefixtures("heeds_ctrl_c")
@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_stopped_while_training(
    project: Working, monkeypatch: pytest.MonkeyPatch, number: signal.Signals, code: int
) -> None:
    """The same command goes on from the last whole checkpoint."""
    project.write("rows.jsonl", *[f'{{"prompt": "say {n}", "completion": "{n}"}}' for n in range(32)])
    project.configure(SFT)
    when_trained(monkeypatch, 5, lambda: signal.raise_signal(number))
    assert "stopped; what was done is kept" in project.complaint(code, "train", "p")

    steps = when_trained(monkeypatch, 0, lambda: None)
    assert 0 == project.run("train", "p")[0]
    assert list(range(5, 9)) == steps


def test_stopped_before_anything_began(project: Working, monkeypatch: pytest.MonkeyPatch) -> None:
    """Ctrl-C while a verb's libraries load is no traceback either."""

    def impatient(module: str) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("harness.cli.import_module", impatient)
    assert "stopped" in project.complaint(130, "eval", "one")


# ---------------------------------------------------------------- processes


def _start(arguments: list[str], folder: Path, **environment: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", f"from harness.cli import main; main({arguments!r})"],
        cwd=folder,
        env={**os.environ, **environment},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def _has_begun(folder: Path) -> bool:
    """Whether a run is in the store."""
    if not (folder / "harness.db").exists():
        return False
    with closing(sqlite3.connect(folder / "harness.db", timeout=30)) as connection:
        try:
            return connection.execute("SELECT 1 FROM runs LIMIT 1").fetchone() is not None
        except sqlite3.OperationalError:  # the table is not there yet
            return False
