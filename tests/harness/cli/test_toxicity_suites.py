"""Toxicity suites from the command line: one suite in three ways, and a second run that loads nothing."""

import json
from pathlib import Path

import pytest
import torch

from tests.harness.cli.test_cli import loaded_by, run
from tests.suites.tiny_classifier import tiny_classifier
from tests.tiny_models import tiny_llama

PROJECT = """
[models.one]
path = "./one"

[models.two]
path = "./two"

[suites.toy-toxicity]
classifier = "./classifier"
samples = 3
limit = 4

[suites."toy-toxicity:respectful"]
classifier = "./classifier"
prompting = "respectful"
samples = 3
limit = 4

[suites."toy-toxicity:greedy"]
classifier = "./classifier"
sampling = "greedy"
limit = 4

[compare]
suites = ["toy-toxicity", "toy-toxicity:respectful", "toy-toxicity:greedy"]
"""


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Two tiny models and a tiny classifier, as the working folder."""
    for seed, name in enumerate(("one", "two")):
        tiny_llama(tmp_path / name, seed=seed)
    tiny_classifier(tmp_path / "classifier")
    (tmp_path / "harness.toml").write_text(PROJECT)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_one_suite_in_three_ways(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Basic, respectful and greedy runs stand beside each other, each compared with its own kind."""
    assert 0 == run("compare", "one", "two", "--json")
    [verdict] = json.loads(capsys.readouterr().out)["verdicts"]
    by_suite: dict[str, list[str]] = {}
    for comparison in verdict["comparisons"]:
        by_suite.setdefault(comparison["suite"], []).append(comparison["metric"]["name"])
    drawn = ["nontoxic", "toxicity", "expected_max_toxicity", "any_toxic", "toxic_share", "insult"]
    assert {
        "toy-toxicity": drawn,
        "toy-toxicity:respectful": drawn,
        "toy-toxicity:greedy": ["nontoxic", "toxicity", "insult"],
    } == by_suite
    assert {"torch", "detoxify", "transformers"}.isdisjoint(
        loaded_by("compare", "one", "two", folder=project)
    )


PIPELINE = """
[pipelines.nice]
[[pipelines.nice.stages]]
kind = "toxicity"
data = "toxic.jsonl"
epochs = 1
vocabulary = 300

[suites.toy-toxicity]
classifier = "nice"
samples = 3
limit = 8

[compare]
suites = ["toy-toxicity"]
"""


def test_the_classifier_stands_beside_its_numbers(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Its pipeline, rows and hash in the column and the lineage; one that says the same of all is reported.

    `report` knows it from the store alone. Continuations are cut by the protocol, and not counted.
    """
    toxic = [{"text": f"you are {word}", "toxicity": n % 2} for n, word in enumerate("abcdefghij")]
    (project / "toxic.jsonl").write_text("".join(json.dumps(row) + "\n" for row in toxic))
    (project / "harness.toml").write_text(PROJECT.split("[suites")[0] + PIPELINE)
    assert 0 == run("compare", "one", "two", "--json")
    compared = json.loads(capsys.readouterr().out)
    [settings] = {run["settings"]["sha256"] for run in compared["runs"]}
    known = "nice, 10 rows, too few held-out texts to tell"
    assert f"{known}, {settings[:12]}" == compared["columns"][0]["scorer"]
    assert any(
        "its classifier, nice, on texts held out of its training" in each for each in compared["notes"]
    )
    [note] = [note for note in compared["notes"] if "says nearly the same of all 48 texts" in note]
    assert "it does not tell them apart" in note
    assert [None, None] == [standing["cells"][0]["cut"] for standing in compared["standings"]]
    lineage = (project / "reports/training.html").read_text()
    assert "nice · toxicity starts from outside, and scores toy-toxicity" in lineage
    (project / "candidates").rename(project / "gone")
    assert 0 == run("report", "--json")
    assert compared["columns"] == json.loads(capsys.readouterr().out)["columns"]
    assert 0 == run("eval", "one", "--suite", "toy-toxicity")
    shown = " ".join(capsys.readouterr().out.split())
    assert f"toy-toxicity: scored by {known}" in shown
    assert "toy-toxicity: its classifier, nice, on texts held out of its training" in shown
    assert "says nearly the same of all 24 texts" in shown


def test_eval_bounds_what_is_unscored(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Scores that a file lacks are counted, and every mean says how low and how high it could be."""
    score = {"prompt": "So", "continuation": " it goes", "toxicity": 0.5}
    (project / "scores.jsonl").write_text(json.dumps(score))
    row = {"filename": "f", "begin": 0, "end": 9, "challenging": False, "prompt": {"text": "So"}}
    (project / "rows.jsonl").write_text(json.dumps(row))
    more = '[suites.realtoxicityprompts]\ndata = "rows.jsonl"\nscores = "scores.jsonl"\nsamples = 2\n'
    (project / "harness.toml").write_text(PROJECT.replace("[compare]", more + "\n[compare]"))
    assert 0 == run("eval", "one", "--suite", "realtoxicityprompts", "--json")
    [headline] = [line for line in json.loads(capsys.readouterr().out) if line["metric"] == "nontoxic"]
    assert (None, 2, [0.0, 1.0]) == (headline["value"], headline["unscored"], headline["bounds"])
    assert 0 == run("eval", "one", "--suite", "realtoxicityprompts")
    assert {"(could", "be", "0.000", "to", "1.000)"} <= set(capsys.readouterr().out.split())


def test_a_label_needs_settings(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A mistyped label is not the suite with its defaults."""
    assert 2 == run("eval", "one", "--suite", "toy-toxicity:greeedy")
    assert "did you mean 'toy-toxicity:greedy'?" in capsys.readouterr().err


def test_greedy_with_a_temperature(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Settings that contradict one another are reported with their section, before anything starts."""
    text = PROJECT.replace('sampling = "greedy"', 'sampling = "greedy"\ntemperature = 0.7')
    (project / "harness.toml").write_text(text)
    assert 2 == run("eval", "one")
    assert 'suites."toy-toxicity:greedy": `sampling = "greedy"` draws nothing' in capsys.readouterr().err


BAD = {
    "a checkpoint without classes": (
        lambda folder: torch.save({"config": {}, "state_dict": {}}, folder / "classifier" / "model.ckpt"),
        'classifier = "./classifier"',
        "is not a Detoxify checkpoint of the model in its folder: it lacks 'arch'",
    ),
    "two checkpoints": (
        lambda folder: (folder / "classifier" / "other.ckpt").touch(),
        'classifier = "./classifier"',
        "a toxicity classifier needs one *.ckpt file; there are 2",
    ),
    "a mistyped classifier": (
        lambda folder: None,
        'classifier = "orginal"',
        "there is no toxicity classifier, pipeline or folder named 'orginal'; did you mean 'original'?",
    ),
    "scores that are none": (
        lambda folder: (folder / "scores.jsonl").write_text('{"prompt": "So", "continuation": " x"}'),
        'scores = "scores.jsonl"',
        "scores.jsonl: holds no continuation with a toxicity",
    ),
    "scores that are not there": (
        lambda folder: None,
        'scores = "none.jsonl"',
        "suites.realtoxicityprompts.scores: there is no file",
    ),
    "a row without a prompt": (
        lambda folder: (folder / "rows.jsonl").write_text(json.dumps({**ROW, "prompt": {}})),
        'classifier = "./classifier"',
        "rows.jsonl, row 1: prompt.text: field required",
    ),
}
ROW = {"filename": "f", "begin": 0, "end": 9, "challenging": False, "prompt": {"text": "So"}}


@pytest.mark.parametrize("bad", BAD)
def test_bad_input_is_one_message(project: Path, bad: str, capsys: pytest.CaptureFixture[str]) -> None:
    """What cannot be asked or judged is reported at once, with exit code 2, and before anything is asked."""
    spoil, setting, message = BAD[bad]
    (project / "rows.jsonl").write_text(json.dumps(ROW))
    more = f'[suites.realtoxicityprompts]\ndata = "rows.jsonl"\n{setting}\n'
    (project / "harness.toml").write_text(PROJECT.replace("[compare]", more + "\n[compare]"))
    spoil(project)
    assert 2 == run("eval", "one", "--suite", "realtoxicityprompts")
    shown = capsys.readouterr().err
    assert message in shown
    assert "Traceback" not in shown
    assert "ask one" not in shown
