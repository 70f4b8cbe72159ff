"""Logs of OpenAI's evals become runs."""

import json
from collections.abc import Callable
from typing import Any

import pytest

from harness.records.answers import Message, Response
from harness.store import Store
from tests.harness.imported.commands import imported, scores
from tests.harness.imported.openai_evals_files import error, log, match, metrics, sampling, written
from tests.working import Working

SUITE = "openai_evals:sums.dev.v0"
TWO = [
    ("sums.dev.1", sampling("1+1=", "2")),
    ("sums.dev.0", sampling("0+1=", "5")),
    ("sums.dev.1", match(True)),
    ("sums.dev.0", match(False, expected=["1", "one"])),
]


def test_events_of_a_sample_are_its_row(project: Working) -> None:
    """Though they stand among those of others; the report may stand before them."""
    report = {"accuracy": 0.5, "boostrap_std": 0.1, "usage_total_tokens": 9}
    written(project.folder / "log.jsonl", log(TWO, report=report))
    said = imported(project, "log.jsonl")
    assert "dpo · openai_evals:sums.dev.v0: 2 samples of OpenAI evals" in said
    assert "of the final report boostrap_std left out: no mean over samples" in said
    assert "accuracy" not in said
    assert scores(project, "dpo", SUITE) == {"match": [1.0, 0.0]}
    first, second = project.rows("dpo", SUITE)
    assert first.sample.prompt == (Message(role="user", content="1+1="),)
    assert (first.sample.target, second.sample.target) == ("2", "['1', 'one']")
    [response] = second.responses
    assert isinstance(response, Response)
    assert (response.text, response.prompt_tokens, response.completion_tokens) == ("5", 5, 2)
    with Store.open("sqlite:///harness.db") as store:
        [run] = store.runs.find()
    assert run.seed == 7
    assert "it was there already" in imported(project, "log.jsonl")


def test_numbers_of_metrics_events_are_scores(project: Working) -> None:
    """Texts are no scores, and null is none; means that are not the report's are pointed out."""
    events = [
        ("a", metrics(score=0.5, choice="Y", pass_rate=True)),
        ("b", metrics(score=None, choice="__invalid__", pass_rate=False)),
    ]
    written(
        project.folder / "log.jsonl", log(events, report={"score": 0.25, "pass_rate": 0.5, "counts/Y": 1})
    )
    said = imported(project, "log.jsonl")
    assert scores(project, "dpo", SUITE) == {"score": [0.5, None], "pass_rate": [1.0, 0.0]}
    assert "choice left out: no numbers" in said
    assert "score is 0.25 in the final report, and the mean of its scores 0.5" in said
    assert "counts/Y left out" in said


def test_errors_are_unscored(project: Working) -> None:
    """Also where a score was recorded; samples without an event of a metric are, too."""
    events = [
        ("a", sampling("1+1=", "2")),
        ("a", error("no\nanswer")),
        ("a", match(False)),
        ("b", match(True)),
        ("c", sampling("1+1=", "2")),
    ]
    written(project.folder / "log.jsonl", log(events, report={"accuracy": 0.5}))
    said = imported(project, "log.jsonl")
    assert scores(project, "dpo", SUITE) == {"match": [None, 1.0, None]}
    reasons = [row.scores[0].reason for row in project.rows("dpo", SUITE)]
    assert reasons == ["ValueError: no answer", None, "no event of it in the log"]
    assert "match is 0.5 in the final report, and the mean of its scores 1" in said
    written(project.folder / "log.jsonl", log(events[:3]))
    said = project.complaint(2, "import", "log.jsonl")
    assert "nothing in it has a score: ValueError: no answer" in said


def test_a_grader_is_a_condition(project: Working) -> None:
    """The first sampling is the answer; the last completion function grades, and the first is the model."""
    for grader in ("gpt-x", "gpt-y"):
        events = [("a", sampling("1+1=", "2")), ("a", sampling("Is 2 right?", "Y")), ("a", metrics(score=1))]
        functions = ["generation/cot/small", grader]
        written(project.folder / "log.jsonl", log(events, functions=functions))
        assert "small · openai_evals" in imported(project, "log.jsonl")
        said = imported(project, "log.jsonl", "--as", grader)
        assert "1 samples were sampled several times; the first is taken as the answer" in said
    [response] = project.rows("gpt-x", SUITE)[0].responses
    assert isinstance(response, Response)
    assert response.text == "2"
    _, out, _ = project.run("report", "gpt-x", "gpt-y")
    assert "setting grader: gpt-x for gpt-x but gpt-y for gpt-y" in " ".join(out.split())


def test_logs_are_compared(project: Working) -> None:
    """By sample, whatever the order; other data are refused, other prompts noted."""
    other = [
        ("sums.dev.0", sampling("Q: 0+1=", "1")),
        ("sums.dev.0", match(True, expected=["1", "one"])),
        ("sums.dev.1", sampling("Q: 1+1=", "2")),
        ("sums.dev.1", match(True)),
    ]
    for name, events in (("left", TWO), ("right", other), ("few", TWO[:1] + TWO[2:3])):
        written(project.folder / f"{name}.jsonl", log(events, functions=[name]))
        imported(project, f"{name}.jsonl")
    _, out, _ = project.run("report", "left", "right", "few", "--json")
    verdicts = {verdict["candidate"]: verdict for verdict in json.loads(out)["verdicts"]}
    [comparison] = verdicts["right"]["comparisons"]
    assert comparison["difference"] == 0.5
    assert any("prompts, as they were sent: sha256:" in note for note in comparison["notes"])
    assert "data: " in verdicts["few"]["reason"]


def test_of_two_logs_the_later(project: Working) -> None:
    """For a model and an evaluation that both have."""
    for name, created, right in (("a", "2026-11-30", True), ("b", "2026-11-29", False)):
        written(project.folder / f"{name}.jsonl", log([("s", match(right))], created=created))
    imported(project, str(project.folder))
    assert scores(project, "dpo", SUITE) == {"match": [1.0]}


def lines_but(change: Callable[[list[dict[str, Any]]], object]) -> list[dict[str, Any]]:
    """A log, changed."""
    lines = log(TWO)
    change(lines)
    return lines


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        (lines_but(lambda lines: lines.pop(1)), "has no final report: the run did not end"),
        (lines_but(lambda lines: lines.append(lines[0])), "row 7: begins a second run: take the two apart"),
        (lines_but(lambda lines: lines.append(lines[1])), "row 7: is a second final report"),
        (
            lines_but(lambda lines: lines.append(lines[-1])),
            "row 7: event_id 3 was to be 4: events are missing",
        ),
        (lines_but(lambda lines: lines.pop(3)), "row 4: event_id 2 was to be 1: events are missing"),
        (
            lines_but(lambda lines: lines[4].update(run_id="r2")),
            "row 5: is of the run 'r2', and the file's is 'r1'",
        ),
        (lines_but(lambda lines: lines[4].pop("data")), "row 5: lacks data, which evals writes"),
        (lines_but(lambda lines: lines[4].update(data={"correct": "yes"})), "row 5: is no `match` event"),
        (lines_but(lambda lines: lines[0]["spec"].pop("run_id")), "row 1: spec: run_id is missing"),
        (log([]), "holds no events of samples"),
    ],
)
def test_damaged_logs_import_nothing(project: Working, lines: list[dict[str, Any]], message: str) -> None:
    """With the line and what is wrong."""
    written(project.folder / "log.jsonl", lines)
    assert message in project.complaint(2, "import", "log.jsonl")
    assert not (project.folder / "harness.db").exists() or not project.runs()


def test_half_a_log(project: Working) -> None:
    """A run that was killed while writing."""
    file = written(project.folder / "log.jsonl", log(TWO))
    file.write_text(file.read_text()[:-30])
    assert "log.jsonl, row 6: is not JSON" in project.complaint(2, "import", "log.jsonl")
