"""`toy-ifeval`: what is asked, and verdicts by hand."""

from collections.abc import Mapping
from pathlib import Path

import pytest

from harness.errors import DataError
from harness.records.answers import Message, Prompt, Response, Row
from suites.settings import SuiteContext
from suites.toy.ifeval import ToyIFEval, ToyIFEvalSettings, verdicts
from tests.suites.rows import write_rows
from tests.suites.scripted import FunctionEngine, says


@pytest.mark.parametrize(
    ("text", "constraints", "expected"),
    [
        ("hammer, saw", [], [True]),
        ("hammer, red", [], [False]),
        ("sure hammer", [], [False]),
        ("", [], [False]),
        ("hammer", ["case:lowercase"], [True, True]),
        ("Hammer", ["case:lowercase"], [True, False]),
        ("HAMMER - SAW", ["case:uppercase", "separator:dashes"], [True, True, True]),
        ("hammer, saw", ["count:two"], [True, True]),
        ("hammer, saw, axe", ["count:two"], [True, False]),
        ("hammer / saw / axe", ["separator:slashes"], [True, True]),
        ("hammer / saw, axe", ["separator:slashes"], [True, False]),
        ("hammer", ["separator:commas"], [True, False]),
        ("sure hammer", ["start:sure"], [True, True]),
        ("hammer sure", ["start:sure"], [True, False]),
        ("( hammer, saw )", ["brackets:round"], [True, True]),
        ("sure [ * hammer, * saw ]", ["brackets:square", "sign:star", "start:sure"], [True] * 4),
        ("( hammer, saw", ["brackets:round"], [True, False]),
        ("[ hammer, saw )", ["brackets:square"], [True, False]),
        ("( hammer ), saw", ["brackets:round"], [True, False]),
        ("( ( hammer ) )", ["brackets:round"], [True, False]),
        ("+ hammer, + saw", ["sign:plus", "separator:commas"], [True, True, True]),
        ("+ hammer, saw", ["sign:plus"], [True, False]),
        ("* hammer", ["sign:plus"], [True, False]),
    ],
)
def test_verdicts(text: str, constraints: list[str], expected: list[bool]) -> None:
    """The topic first: one of its words and nothing unasked; then each constraint, strictly."""
    assert expected == verdicts(text, "tools", constraints)


def values(row: Row) -> list[tuple[str, float | None]]:
    """A row's scores."""
    return [(score.metric, score.value) for score in row.scores]


def instructions(tmp_path: Path, **settings: object) -> ToyIFEval:
    """The suite over two prompts."""
    rows = [
        {
            "id": "a",
            "prompt": "Name only tools. Give exactly two.",
            "topic": "tools",
            "constraints": ["count:two"],
        },
        {"id": "b", "prompt": "Name only tools.", "topic": "tools", "constraints": []},
    ]
    path = write_rows(tmp_path / "rows.jsonl", rows)
    return ToyIFEval(ToyIFEvalSettings.model_validate({"data": path, **settings}), SuiteContext())


def test_instruction_scores(tmp_path: Path) -> None:
    """A prompt is right if all of it is; every instruction is a part of its own, the topic the first."""
    engine = FunctionEngine(answer=lambda prompt: says("hammer"), shuffle=3)
    by_id = {row.sample.id: values(row) for row in instructions(tmp_path).rows(engine)}
    assert by_id == {
        "a": [("prompt_strict", 0.0), ("instruction_strict", 1.0), ("instruction_strict", 0.0)],
        "b": [("prompt_strict", 1.0), ("instruction_strict", 1.0)],
    }


def test_failed_answers_are_unscored(tmp_path: Path) -> None:
    """A failed answer is no wrong answer: every part of it is unscored, with the reason."""
    failed = Response(text="", stop_reason="failed", reason="no connection")
    engine = FunctionEngine(answer=lambda prompt: failed)
    scores = [score for row in instructions(tmp_path).rows(engine) for score in row.scores]
    assert {(None, "failed: no connection")} == {(score.value, score.reason) for score in scores}
    assert len(scores) == 5


def test_prompts_are_turns_where_there_is_a_template(tmp_path: Path) -> None:
    """With a chat template the prompt is the user's turn, without one the bare text; decoding is greedy."""
    with_template, without = FunctionEngine(chat_template="any"), FunctionEngine()
    list(instructions(tmp_path, limit=1).rows(with_template))
    list(instructions(tmp_path, limit=1).rows(without))
    text = "Name only tools. Give exactly two."
    assert [Prompt(content=(Message(role="user", content=text),))] == with_template.prompts
    assert [Prompt(content=text)] == without.prompts
    assert [0.0] == [sampling.temperature for sampling in without.samplings]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"topic": "tolls"}, "did you mean 'tools'"),
        ({"constraints": ["count:nine"]}, "count:nine"),
        ({"constraints": ["colour:red"]}, "colour"),
    ],
)
def test_malformed_instructions(tmp_path: Path, change: Mapping[str, object], message: str) -> None:
    """A row that cannot be checked is refused with its number, before anything is asked."""
    row = {"id": "a", "prompt": "Name only tools.", "topic": "tools", "constraints": [], **change}
    path = write_rows(tmp_path / "rows.jsonl", [row])
    suite = ToyIFEval(ToyIFEvalSettings(data=path), SuiteContext())
    with pytest.raises(DataError, match=message) as raised:
        _ = suite.size
    assert raised.value.row == 1
