"""The command line as a user meets it: help, errors, exit codes, JSON, and the main job on small models."""

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

from harness.cli import VERBS, main
from tests.tiny_models import tiny_llama

PROJECT = """
[models.one]
path = "./one"

[models.two]
path = "./two"

[suites.toy-ifeval]
limit = 6

[suites.toy-truthfulqa]
limit = 6

[compare]
suites = ["toy-truthfulqa", "toy-ifeval"]
"""


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project of two tiny models with a harness.toml, as the working folder."""
    tiny_llama(tmp_path / "one", seed=1)
    tiny_llama(tmp_path / "two", seed=2)
    (tmp_path / "harness.toml").write_text(PROJECT)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def run(*arguments: str) -> int:
    """Run the command line in this process and return its exit code."""
    with pytest.raises(SystemExit) as stopped:
        main(arguments)
    return int(stopped.value.code or 0)


def loaded_by(*arguments: str, folder: Path) -> set[str]:
    """The modules that a process of its own has loaded when it is done."""
    code = (
        "import sys\nfrom harness.cli import main\n"
        f"try:\n    main({list(arguments)!r})\n"
        "finally:\n    print('\\n' + ' '.join(sys.modules))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=folder
    )
    return set(done.stdout.splitlines()[-1].split())


def test_help_names_every_verb(capsys: pytest.CaptureFixture[str]) -> None:
    """`harness --help` lists every verb of the table with its line, uncut."""
    assert 0 == run("--help")
    shown = capsys.readouterr().out
    for verb, (_, line) in VERBS.items():
        assert re.search(rf"^  {verb} +{re.escape(line)}$", shown, re.MULTILINE)


def test_help_loads_no_library(tmp_path: Path) -> None:
    """`harness --help` is quick because it loads neither a verb nor any library a verb needs."""
    heavy = {"torch", "numpy", "pydantic", "sqlalchemy", "rich"}
    assert set() == heavy & loaded_by("--help", folder=tmp_path)


@pytest.mark.parametrize("verb", VERBS)
def test_every_verb_has_help(verb: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Every verb explains itself and every one of its options."""
    assert 0 == run(verb, "--help")
    shown = capsys.readouterr().out
    assert f"Usage: harness {verb}" in shown


def test_an_unknown_verb_is_wrong_use(capsys: pytest.CaptureFixture[str]) -> None:
    """A mistyped verb exits with 2 and the nearest right one."""
    assert 2 == run("comapre")
    assert "compare" in capsys.readouterr().err


def test_the_main_job(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """`harness compare A B` evaluates what is missing, prints the table and writes both leaderboards."""
    assert 0 == run("compare", "one", "two")
    shown = capsys.readouterr().out
    assert "two against one" in shown
    assert (project / "reports" / "leaderboard.md").is_file()
    assert (project / "reports" / "leaderboard.html").is_file()


def test_a_second_comparison_loads_no_model_library(project: Path) -> None:
    """What is answered is not asked again, and then torch is not even imported."""
    assert 0 == run("compare", "one", "two")
    heavy = {"torch", "transformers", "lm_eval", "datasets", "pandas"}
    assert set() == heavy & loaded_by("compare", "one", "two", folder=project)


def test_another_length_of_answers_is_another_run(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """`--max-tokens` sets the length for suites that have one, and says of which it changes nothing."""
    suites = ("--suite", "toy-truthfulqa", "--suite", "toy-ifeval")
    assert 0 == run("eval", "one", *suites)
    capsys.readouterr()
    assert 0 == run("eval", "one", *suites, "--max-tokens", "3")
    said = capsys.readouterr().err.splitlines()
    assert "toy-truthfulqa: has no max_tokens, and is asked as usual" in said
    assert "toy-ifeval: max_tokens = 3 instead of 32" in said
    assert 0 == run("runs", "--json")
    found = [(each["suite"], each["settings"]) for each in json.loads(capsys.readouterr().out)]
    assert [("toy-truthfulqa", {}), ("toy-ifeval", {}), ("toy-ifeval", {"max_tokens": 3})] == found
    assert 0 == run("runs", "show", json_ids(capsys)[-1], "--json", "-n", "6")
    shown = json.loads(capsys.readouterr().out)
    assert all(row["responses"][0]["completion_tokens"] <= 3 for row in shown["answers"])
    assert {"end", "length"} >= {row["responses"][0]["stopped"] for row in shown["answers"]}


def json_ids(capsys: pytest.CaptureFixture[str]) -> list[str]:
    """The ids of all runs."""
    assert 0 == run("runs", "--json")
    return [each["id"] for each in json.loads(capsys.readouterr().out)]


def test_a_length_of_what_is_never_written_is_wrong_use(
    project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Where no suite that is asked has a length, `--max-tokens` is refused before anything is loaded."""
    assert 2 == run("eval", "one", "--suite", "toy-truthfulqa", "--max-tokens", "3")
    assert "toy-truthfulqa has no such setting" in capsys.readouterr().err


def test_report_says_the_same_as_compare(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """`harness report` gives from the store alone what the comparison gave."""
    assert 0 == run("compare", "one", "two", "--json")
    compared = json.loads(capsys.readouterr().out)
    (project / "one").rename(project / "gone")
    assert 0 == run("report", "one", "two", "--json")
    assert compared == json.loads(capsys.readouterr().out)


def test_groups_are_in_the_json_and_the_reports(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Each split of a metric: its groups with each model's mean and the corrected difference."""
    assert 0 == run("compare", "one", "two", "--suite", "toy-ifeval", "--json")
    (table,) = json.loads(capsys.readouterr().out)["groups"]
    assert ("toy-ifeval", "instruction_strict", "instruction") == (
        table["suite"],
        table["metric"],
        table["split"],
    )
    assert table["exploratory"]
    topic = next(group for group in table["groups"] if group["group"] == "topic")
    assert (6, 6) == (topic["scores"], topic["samples"])
    assert ["one", "two"] == list(topic["models"])
    assert topic["models"]["one"]["comparison"] is None
    assert "toy-ifeval instruction_strict by instruction" == topic["models"]["two"]["comparison"]["family"]
    for name in ("leaderboard.md", "leaderboard.html"):
        assert "instruction_strict by instruction" in (project / "reports" / name).read_text("utf-8")


def test_fail_on(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """`--fail-on not-better` exits with 1 where two random models do not differ; without it, with 0."""
    assert 0 == run("compare", "one", "two")
    assert 1 == run("compare", "one", "two", "--fail-on", "not-better")


def test_eval_prints_every_metric(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """`harness eval --json` gives one record per metric, with its interval and what is unscored."""
    assert 0 == run("eval", "one", "--suite", "toy-truthfulqa", "--json")
    lines = json.loads(capsys.readouterr().out)
    assert {"mc1", "mc2"} == {line["metric"] for line in lines}
    assert all(line["n"] == 6 and line["unscored"] == 0 for line in lines)


def test_a_mean_has_one_interval(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """`harness eval` and the leaderboard give a mean the same interval, with another seed too."""
    (project / "harness.toml").write_text(f"{PROJECT}resamples = 50\n")
    asked = ["one", "two", "--suite", "toy-truthfulqa", "--seed", "3", "--json"]
    assert 0 == run("eval", *asked)
    evaluated = {
        (line["model"], line["metric"]): line["interval"] for line in json.loads(capsys.readouterr().out)
    }
    assert 0 == run("compare", *asked)
    compared = json.loads(capsys.readouterr().out)
    for standing in compared["standings"]:
        for column, cell in zip(compared["columns"], standing["cells"], strict=True):
            assert evaluated[standing["model"], column["metric"]] == cell["score"]["interval"]


def test_list_shows_what_is_evaluated(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """`harness list` shows models, suites, and the runs so far."""
    assert 0 == run("eval", "one", "--suite", "toy-truthfulqa")
    capsys.readouterr()
    assert 0 == run("list", "--json")
    found = json.loads(capsys.readouterr().out)
    assert ["one", "two"] == [model["name"] for model in found["models"]]
    assert [("one", "toy-truthfulqa")] == [(line["model"], line["suite"]) for line in found["runs"]]


def test_list_says_whose_tokenizer_is_used(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """An adapter's own takes the place of its base's."""
    (project / "plain").mkdir()
    (project / "own").mkdir()
    (project / "own/tokenizer.json").write_text("{}")
    sections = "".join(f'[models.{name}]\npath = "x/y"\nadapter = "{name}"\n' for name in ("plain", "own"))
    (project / "harness.toml").write_text(sections)

    assert 0 == run("list", "--json")
    found = {model["name"]: model["source"] for model in json.loads(capsys.readouterr().out)["models"]}

    assert {"plain": f"x/y + {project}/plain", "own": f"x/y + {project}/own (its tokenizer)"} == found


def test_without_a_file_the_toy_world_is_used_and_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Where there is no harness.toml, commands use the toy world's and say so."""
    monkeypatch.chdir(tmp_path)
    assert 0 == run("list", "--json")
    captured = capsys.readouterr()
    assert "toy world" in captured.err
    assert "grpo_dpo" in [line["name"] for line in json.loads(captured.out)["pipelines"]]


def test_init_writes_a_file_that_loads_and_never_replaces_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """`harness init` writes a file that `harness list` reads, and leaves one that is there alone."""
    monkeypatch.chdir(tmp_path)
    assert 0 == run("init")
    assert 0 == run("list")
    (tmp_path / "harness.toml").write_text("# mine")
    assert 2 == run("init")
    assert "# mine" == (tmp_path / "harness.toml").read_text()


def test_half_a_launch_is_wrong_use(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Before anything is read or trained."""
    assert 2 == run("train", "sft", "--launch", "torchrun")
    assert "`--launch torchrun` needs `--processes`" in capsys.readouterr().err
    assert 2 == run("train", "sft", "--launch", "accelerate", "--launch-config", "none.yaml")
    assert "none.yaml: accelerate cannot read it" in capsys.readouterr().err


def test_sample_shows_answers_side_by_side(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """`harness sample` asks every model the same, and the answers are kept like any other."""
    assert 0 == run("sample", "one", "two", "-p", "Name a tool.", "--max-tokens", "5", "--json")
    answers = json.loads(capsys.readouterr().out)
    assert ["one", "two"] == list(answers)
    assert {"length"} == {answer["stopped"] for answer in answers.values()}


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["compare", "one"], "a comparison needs two different names"),
        (["compare", "one", "tow"], "there is no model, pipeline or folder named 'tow'; did you mean 'two'?"),
        (
            ["eval", "HuggingFaceTB/SmolLM2-135M"],
            'a hub id belongs in harness.toml: [models.smollm2-135m] path = "HuggingFaceTB/SmolLM2-135M"',
        ),
        (["eval", "./chekpoint"], "./chekpoint: there is no such folder or GGUF file"),
        (["compare", "one", "two", "--suite", "toy-ifevall"], "did you mean 'toy-ifeval'?"),
        (["train", "sftt"], "there is no pipeline named 'sftt'"),
        (["list", "--config", "nowhere.toml"], "nowhere.toml: no such file"),
        (["report", "one", "two"], "there is no results store here yet"),
    ],
)
def test_wrong_use_is_one_message(
    project: Path, arguments: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """Wrong use exits with 2, one message and no traceback."""
    assert 2 == run(*arguments)
    shown = capsys.readouterr().err
    assert message in shown
    assert "Traceback" not in shown
