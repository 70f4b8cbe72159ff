"""A user's own suite through the command line: asked, compared by group, re-scored; and its mistakes."""

import json
import re
import shutil
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from tests.tiny_models import tiny_llama
from tests.working import Working

MODELS = """
[models.one]
path = "./one"
[models.two]
path = "./two"
"""
MINE = """
[suites.mine]
prompts = "mine.jsonl"
max_tokens = 4
"""
ROWS = [
    {"id": f"{topic}-{number}", "prompt": f"What is {number}?", "target": "the", "topic": topic}
    for topic in ("first", "second")
    for number in range(4)
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
    tmp_path: Path, models: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Working:
    """A project of two tiny models and a file of prompts, as the working folder."""
    for name in ("one", "two"):
        shutil.copytree(models / name, tmp_path / name)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [*sys.path])  # a rule's folder is put on it
    working = Working(tmp_path, capsys)
    working.write("mine.jsonl", *ROWS)
    return working


def configure(project: Working, text: str) -> None:
    """A harness.toml with the two models, and more."""
    (project.folder / "harness.toml").write_text(f"{MODELS}{text}", encoding="utf-8")


def write_rule(project: Working, name: str, *lines: str) -> None:
    """A module with a function `judge` of these lines; each test's module has a name of its own."""
    body = "".join(f"    {line}\n" for line in lines)
    (project.folder / f"{name}.py").write_text(f"def judge(answer, row):\n{body}", encoding="utf-8")


# ---------------------------------------------------------------- the way of a suite


def test_compared_group_by_group(project: Working) -> None:
    """It is stored, paired, split and reported like any other suite, and listed."""
    configure(project, f"{MINE}rule = 'contains'\nignore_case = true\nsplits = ['topic']\n")
    code, _, err = project.run("compare", "one", "two", "-s", "mine")
    assert 0 == code, err
    assert [("mine", "2", True)] * 2 == project.runs()
    assert [row["id"] for row in ROWS] == [row.sample.id for row in project.rows("two", "mine")]
    report = (project.folder / "reports" / "leaderboard.md").read_text(encoding="utf-8")
    for shown in ("mine", "contains", "topic", "first", "second"):
        assert shown in report
    assert "mine" in project.run("list")[1]


def test_named_in_compare(project: Working) -> None:
    """`[compare] suites` may name it."""
    configure(project, f"{MINE}rule = 'exact'\n[compare]\nsuites = ['mine']\n")
    assert 0 == project.run("eval", "one")[0]
    assert [("mine", "2", True)] == project.runs()


def test_choices_of_a_real_model(project: Working) -> None:
    """The rule `choice` asks for log-likelihoods."""
    project.write("mine.jsonl", {"prompt": "Paris is", "target": "big", "choices": ["big", "blue"]})
    configure(project, '[suites.mine]\nprompts = "mine.jsonl"\nrule = "choice"\n')
    code, _, err = project.run("eval", "one", "-s", "mine")
    assert 0 == code, err
    [row] = project.rows("one", "mine")
    assert ["choice", "choice_per_character"] == [score.metric for score in row.scores]


def test_a_changed_rule_scores_kept_answers(project: Working) -> None:
    """A function that is written anew is another run, scored from the same answers without the model."""
    configure(project, f"{MINE}rule = 'rule_that_changes:judge'\n")
    write_rule(project, "rule_that_changes", "return 0.25")
    assert 0 == project.run("eval", "one", "-s", "mine")[0]
    answers = project.answers()
    write_rule(project, "rule_that_changes", "return len(answer) < 1000 and row['topic'] == 'first'")
    code, _, err = project.run("eval", "one", "-s", "mine", "--rescore")
    assert 0 == code, err
    assert answers == project.answers()
    assert 2 == len(project.runs())
    assert [1.0] * 4 + [0.0] * 4 == [row.scores[0].value for row in project.rows("one", "mine")]


# ---------------------------------------------------------------- which run a report shows


def reported(project: Working, *arguments: str) -> dict[str, Any]:
    """What a report says of the two models."""
    code, out, err = project.run("report", "one", "two", *arguments, "--json")
    assert 0 == code, err
    found: dict[str, Any] = json.loads(out)
    return found


def metrics_of(found: Mapping[str, Any]) -> list[str]:
    """The columns of a report."""
    return [column["metric"] for column in found["columns"]]


@pytest.mark.parametrize("asked_again", [True, False])
def test_a_report_shows_the_rule_of_today(project: Working, asked_again: bool) -> None:
    """After another rule and back, the runs of the first are not the newest, and yet those that are meant."""
    configure(project, f"{MINE}rule = 'exact'\n[compare]\nsuites = ['mine']\n")
    assert 0 == project.run("eval", "one", "two")[0]
    configure(project, f"{MINE}rule = 'contains'\n[compare]\nsuites = ['mine']\n")
    assert 0 == project.run("eval", "one", "--rescore")[0]
    configure(project, f"{MINE}rule = 'exact'\n[compare]\nsuites = ['mine']\n")
    if asked_again:
        assert 0 == project.run("eval", "one", "--rescore")[0]
    found = reported(project)

    assert ["exact"] == metrics_of(found)
    assert "NO DIFFERENCE SHOWN" == found["verdicts"][0]["decision"]
    assert ["mine: left out 1 run of one: setting rule.name contains"] == found["notes"]
    assert {64} == {len(run["data_hash"].removeprefix("sha256:")) for run in found["runs"]}


def test_a_report_shows_the_weights_of_today(project: Working) -> None:
    """After other weights under the same name and back, too: meant is the run that was named last."""
    configure(project, f"{MINE}rule = 'exact'\n[compare]\nsuites = ['mine']\n")
    assert 0 == project.run("eval", "one", "two")[0]
    first = reported(project)
    (project.folder / "one").rename(project.folder / "kept")
    shutil.copytree(project.folder / "two", project.folder / "one")
    assert 0 == project.run("eval", "one")[0]
    assert [run["fingerprint"] for run in first["runs"]] != [
        run["fingerprint"] for run in reported(project)["runs"]
    ]
    shutil.rmtree(project.folder / "one")
    (project.folder / "kept").rename(project.folder / "one")
    assert 0 == project.run("eval", "one")[0]
    found = reported(project)

    assert [run["id"] for run in first["runs"]] == [run["id"] for run in found["runs"]]
    expected = "mine: left out 1 run of one: of other weights or another template under the same name"
    assert [expected] == found["notes"]


def test_a_report_shows_the_manner_of_today(project: Working) -> None:
    """A model's section says something of how it is asked, and then does not any more."""
    sections = f"{MINE}rule = 'exact'\n[compare]\nsuites = ['mine']\n"
    configure(project, sections)
    assert 0 == project.run("eval", "one", "two")[0]
    first = reported(project)
    file = project.folder / "harness.toml"
    plain = file.read_text()
    file.write_text(plain.replace("[models.one]\n", '[models.one]\nthinking_tags = ["<a>", "</a>"]\n'))
    assert plain != file.read_text()
    assert 0 == project.run("eval", "one")[0]
    assert first["runs"] != reported(project)["runs"]
    file.write_text(plain)
    found = reported(project)

    assert [run["id"] for run in first["runs"]] == [run["id"] for run in found["runs"]]
    assert ["mine: left out 1 run of one: asked with another thinking_tags"] == found["notes"]


def test_what_nobody_was_asked_with_is_said(project: Working) -> None:
    """Where no run fits the configuration there is still a report, of the newest, and it says so."""
    configure(project, f"{MINE}rule = 'exact'\n")
    assert 0 == project.run("eval", "one", "two", "-s", "mine")[0]
    configure(project, f"{MINE}rule = 'contains'\n")
    found = reported(project)

    assert ["exact"] == metrics_of(found)
    expected = (
        "mine: one, two were not asked with the settings that the configuration has now; the newest results "
        "are shown"
    )
    assert [expected] == found["notes"]


def test_a_limited_run_says_of_how_many(project: Working) -> None:
    """In the terminal, in both files and in JSON; beside whole runs it is left out, and that is said."""
    configure(project, f"{MINE}rule = 'exact'\n[compare]\nsuites = ['mine']\n")
    said = "mine: asked the first 3 of 8 samples"
    assert said in project.run("eval", "one", "--limit", "3")[1]
    assert said in project.run("compare", "one", "two", "--limit", "3")[1]
    assert [said] == [note for note in reported(project)["notes"] if "not asked with" not in note]
    for file in ("leaderboard.md", "leaderboard.html"):
        assert 2 < (project.folder / "reports" / file).read_text("utf-8").count("the first 3 of 8"), file
    assert 0 == project.run("eval", "one", "two")[0]
    found = reported(project)

    assert ["mine: left out 2 runs of one, two: asked the first 3 of 8 samples"] == found["notes"]
    assert [8, 8] == [run["size"] for run in found["runs"]]


def test_cut_answers_are_counted_everywhere(project: Working) -> None:
    """4 tokens are room for no whole answer of these models: the terminal, both files and JSON say so."""
    configure(project, f"{MINE}rule = 'exact'\n[compare]\nsuites = ['mine']\n")
    assert "8 of 8 cut" in project.run("eval", "one")[1]
    assert "8 of 8 cut" in project.run("compare", "one", "two")[1]
    for file in ("leaderboard.md", "leaderboard.html"):
        assert "8 of 8 cut" in (project.folder / "reports" / file).read_text("utf-8"), file
    first = {"cut": 8, "thinking": 0, "answers": 8}
    [standing] = [each for each in reported(project)["standings"] if each["model"] == "one"]
    assert first == standing["cells"][0]["cut"]
    assert first == json.loads(project.run("eval", "one", "--json")[1])[0]["cut"]


def test_a_report_orders_suites_as_a_comparison_does(project: Working) -> None:
    """By the configuration, and not by what was asked first."""
    other = MINE.replace("suites.mine", "suites.another")
    configure(
        project,
        f"{MINE}rule = 'exact'\n{other}rule = 'contains'\n[compare]\nsuites = ['another', 'mine']\n",
    )
    for suite in ("mine", "another"):
        assert 0 == project.run("eval", "one", "two", "-s", suite)[0]

    assert ["contains", "exact"] == metrics_of(reported(project))


def test_a_rule_that_raises(project: Working) -> None:
    """It ends the work with the row's name and keeps the answers; corrected, the same command goes on."""
    configure(project, f"{MINE}rule = 'rule_that_raises:judge'\n")
    write_rule(project, "rule_that_raises", "return row['topics']")
    expected = (
        r"HERE/mine.jsonl, row \d: rule 'rule_that_raises:judge' raised KeyError: 'topics'; the answers are"
    )
    assert re.match(expected, project.complaint(3, "eval", "one", "-s", "mine"))
    answers = project.answers()
    assert answers
    write_rule(project, "rule_that_raises", "return row['topic'] == 'first'  # corrected")
    assert 0 == project.run("eval", "one", "-s", "mine")[0]
    assert set(answers) <= set(project.answers())
    assert 8 == len(project.rows("one", "mine"))


# ---------------------------------------------------------------- mistakes in the section


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            '[suites.mine]\nprompts = "none.jsonl"\nrule = "exact"',
            "suites.mine.prompts: there is no file HERE/none.jsonl",
        ),
        (f"{MINE}rule = 'exakt'", "suites.mine.rule: there is no rule named 'exakt'; did you mean 'exact'?"),
        (MINE, "suites.mine.rule: this key is needed"),
        (
            f"{MINE}rule = 'exact'\nextract = 'a('",
            'suites.mine.extract: input should be a valid regular expression, got "a("',
        ),
        (
            f"{MINE}rule = 'exact'\nignore_cases = true",
            "suites.mine.ignore_cases: unknown key; did you mean 'ignore_case'?",
        ),
        (
            f"{MINE}rule = 'exact'\nsamples = 3",
            "suites.mine: several samples need a temperature above 0; at 0 they are one and the same",
        ),
        (
            f"{MINE}rule = 'choice'\nextract = 'a'",
            "suites.mine: extract and ignore_case are for the rules exact, contains, regex",
        ),
        (
            f"{MINE}rule = 'regex'\nignore_punctuation = true",
            "suites.mine: ignore_punctuation and ignore_whitespace are for the rules exact and contains",
        ),
        (
            "[suites.ifevall]\nlimit = 3",
            "suites.ifevall: there is no suite named 'ifevall'; did you mean 'ifeval'?",
        ),
        ('[suites.ifeval]\nprompts = "mine.jsonl"', "suites.ifeval.prompts: unknown key"),
        (
            f"{MINE}rule = 'exact'\n[compare]\nsuites = ['mien']",
            "compare.suites[0]: there is no suite named 'mien'; did you mean 'mine'?",
        ),
    ],
)
def test_a_mistake_in_the_section(project: Working, text: str, message: str) -> None:
    """Told before anything is done, with the key."""
    configure(project, text)
    assert project.complaint(2, "eval", "one", "-s", "mine").startswith(f"harness.toml: {message}")


def test_a_pattern_is_no_path(project: Working) -> None:
    """A regular expression that begins as a path does is left as it is."""
    configure(project, f"{MINE}rule = 'exact'\nextract = './(.)'\n")
    assert 0 == project.run("eval", "one", "-s", "mine")[0]
    assert "./(.)" in project.run("list", "--json")[1]


def test_a_suite_that_nothing_defines(project: Working) -> None:
    """The nearest name may be one's own."""
    configure(project, f"{MINE}rule = 'exact'\n")
    expected = "there is no suite named 'mien'; did you mean 'mine'?"
    assert expected == project.complaint(2, "eval", "one", "-s", "mien")


def test_a_function_that_is_not_there(project: Working) -> None:
    """The module's name and where it was looked for."""
    configure(project, f"{MINE}rule = 'no_module_of_ours:judge'\n")
    expected = (
        "rule 'no_module_of_ours:judge': there is no module 'no_module_of_ours' with a file, neither "
        "installed nor in HERE"
    )
    assert expected == project.complaint(2, "eval", "one", "-s", "mine")


# ---------------------------------------------------------------- mistakes in the rows

GOOD = ROWS[0]


@pytest.mark.parametrize(
    ("rule", "row", "message"),
    [
        ("exact", "{", "is not JSON: "),
        ("exact", "[1]", "is not a JSON object but list"),
        ("exact", {"target": "x"}, "prompt: field required"),
        ("exact", {"prompt": 3, "target": "x"}, "prompt: expected a text, or a list of turns such as"),
        ("exact", {"prompt": " ", "target": "x"}, "prompt: expected a text, or a list of turns such as"),
        (
            "exact",
            {"prompt": [{"role": "user"}], "target": "x"},
            "prompt: the user's turn needs a text `content`",
        ),
        (
            "exact",
            {"prompt": [{"role": "bot", "content": "x"}], "target": "x"},
            "prompt: a turn needs a `role` (or `from`) of system, user, assistant, tool, developer, human, ",
        ),
        ("exact", {"id": 1.5, "prompt": "p", "target": "x"}, "id: expected a text or a whole number"),
        ("exact", {"prompt": "p"}, "target: field required: the rule 'exact' compares answers with it"),
        ("contains", {"prompt": "p", "target": []}, "target: field required: the rule 'contains'"),
        (
            "exact",
            {"prompt": "p", "target": {"a": 1}},
            "target: expected a text, a number, or a list of them",
        ),
        ("exact", {"prompt": "p", "target": True}, "target: expected a text, a number, or a list of them"),
        ("contains", {"prompt": "p", "target": ""}, "target: a target must not be empty"),
        ("exact", {**GOOD, "prompt": "another"}, "repeats row 1: both are 'first-0'"),
        ("regex", {"prompt": "p", "target": "a("}, "target: 'a(' is not a regular expression: missing )"),
        ("choice", {"prompt": "p", "target": "x"}, "choices: expected a list of two or more different texts"),
        (
            "choice",
            {"prompt": "p", "target": "x", "choices": ["x", "x"]},
            "choices: expected a list of two or more different texts",
        ),
        (
            "choice",
            {"prompt": "p", "target": "x", "choices": ["y", "z"]},
            "target: 'x' is none of the choices",
        ),
    ],
)
def test_a_mistake_in_a_row(project: Working, rule: str, row: dict[str, object] | str, message: str) -> None:
    """The file, the row and what is wrong with it, before any model is loaded; no run is begun."""
    first = {**GOOD, "choices": ["the", "a"]}
    project.write("mine.jsonl", first, row)
    configure(project, f"{MINE}rule = '{rule}'\n")
    complaint = project.complaint(2, "eval", "one", "-s", "mine")
    assert complaint.startswith(f"HERE/mine.jsonl, row 2: {message}")
    assert not (project.folder / "harness.db").exists()


@pytest.mark.parametrize(
    ("row", "split", "message"),
    [
        (GOOD, "topik", "HERE/mine.jsonl: no row has a field 'topik' to split by; did you mean 'topic'?"),
        (
            {**GOOD, "topic": ["a", "b"]},
            "topic",
            "HERE/mine.jsonl, row 1: topic: results are split by it, which needs one value and no list or "
            "object",
        ),
    ],
)
def test_a_split_that_cannot_be(project: Working, row: dict[str, object], split: str, message: str) -> None:
    """Results are split by a field that rows have, and that has one value."""
    project.write("mine.jsonl", row)
    configure(project, f"{MINE}rule = 'exact'\nsplits = ['{split}']\n")
    assert message == project.complaint(2, "eval", "one", "-s", "mine")


def test_a_file_of_nothing(project: Working) -> None:
    """A file without rows is a mistake, and no suite of size 0."""
    project.write("mine.jsonl")
    configure(project, f"{MINE}rule = 'exact'\n")
    assert "HERE/mine.jsonl: holds no rows" == project.complaint(2, "eval", "one", "-s", "mine")
