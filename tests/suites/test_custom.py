"""A user's own suite asks what its file says, whatever the order of answers, and says what it depends on."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from harness.errors import UsageError
from harness.protocols import Suite
from harness.records.answers import Message, Prompt, Response, Row
from suites.catalogue import open_suite
from tests.suites.rows import write_rows
from tests.suites.scripted import FunctionEngine, says

ROWS: list[dict[str, Any]] = [
    {"id": "fr", "prompt": "Capital of France?", "target": "Paris", "topic": "west", "year": 1789},
    {"id": "it", "prompt": "Capital of Italy?", "target": ["Rome", "Roma"], "topic": "south"},
    {"id": 3, "prompt": "Two and two?", "target": 4, "topic": "west"},
]
CHOICES: list[dict[str, Any]] = [
    {"id": "a", "prompt": "Short or long?", "target": "aa", "choices": ["aa", "bbbb"]},
    {"id": "b", "prompt": "Long or short?", "target": "bbbb", "choices": ["aa", "bbbb"]},
]
ANSWERS = {"Capital of France?": " Paris", "Capital of Italy?": "Roma", "Two and two?": "5"}


def suite_of(folder: Path, rows: list[dict[str, Any]], **settings: Any) -> Suite:
    """A suite named `mine` over these rows."""
    file = write_rows(folder / "mine.jsonl", rows)
    given = {"prompts": str(file), "rule": "exact", **settings}
    return open_suite("mine", given, data_root=None, resolve=lambda name: None, own={"mine"})


def by_id(rows: list[Row]) -> Mapping[str, Row]:
    """Rows by their samples' ids."""
    return {row.sample.id: row for row in rows}


def answer(prompt: Prompt) -> Response:
    """What is written down for a prompt's text."""
    assert isinstance(prompt.content, str)
    return says(ANSWERS[prompt.content])


@pytest.mark.parametrize("shuffle", [0, 1, 2])
def test_answers_are_scored_row_by_row(tmp_path: Path, shuffle: int) -> None:
    """Whatever the order of answers, each is scored against its own row, which keeps its place and tags."""
    suite = suite_of(tmp_path, ROWS, splits=["topic"])
    rows = by_id(list(suite.rows(FunctionEngine(answer=answer, shuffle=shuffle))))
    assert {"fr": 1.0, "it": 1.0, "3": 0.0} == {name: row.scores[0].value for name, row in rows.items()}
    assert {"fr": 0, "it": 1, "3": 2} == {name: row.position for name, row in rows.items()}
    assert {"topic": "west", "year": 1789} == rows["fr"].sample.tags
    assert ["Paris", "Rome | Roma", "4"] == [rows[name].sample.target for name in ("fr", "it", "3")]
    [metric] = suite.metrics
    assert ("exact", "binary", True, ("topic",)) == (
        metric.name,
        metric.kind,
        metric.headline,
        metric.splits,
    )


def test_several_samples(tmp_path: Path) -> None:
    """Every draw is asked and scored, and the scores stand in the order of the draws."""
    suite = suite_of(tmp_path, ROWS[:1], samples=3, temperature=0.5, top_p=0.9, max_tokens=7, stop=["\n"])
    engine = FunctionEngine(answer=lambda prompt: says("Paris" if prompt.draw == 1 else "Rome"), shuffle=1)
    [row] = suite.rows(engine)
    assert [0.0, 1.0, 0.0] == [score.value for score in row.scores]
    assert {0, 1, 2} == {prompt.draw for prompt in engine.prompts}
    [sampling] = engine.samplings
    assert (0.5, 0.9, 7, ("\n",)) == (
        sampling.temperature,
        sampling.top_p,
        sampling.max_tokens,
        sampling.stop,
    )


def test_a_failed_answer_is_unscored(tmp_path: Path) -> None:
    """No answer is no wrong answer."""
    suite = suite_of(tmp_path, ROWS[:1])
    [row] = suite.rows(
        FunctionEngine(answer=lambda p: Response(text="", stop_reason="failed", reason="gone"))
    )
    [score] = row.scores
    assert (None, "failed: gone") == (score.value, score.reason)


@pytest.mark.parametrize(
    "given", [{"rule": "regex"}, {"rule": "contains", "extract": "(a+)+$"}], ids=["target", "extract"]
)
def test_a_pattern_that_takes_years(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, given: dict[str, Any]
) -> None:
    """It is ended on the answer that it cannot cope with, which is unscored; others are scored."""
    monkeypatch.setattr("suites.custom.PATIENCE", 0.2)
    rows = [
        {"id": str(n), "prompt": f"{n}?", "target": "(a+)+$" if given["rule"] == "regex" else "a"}
        for n in (0, 1)
    ]
    suite = suite_of(tmp_path, rows, **given)
    engine = FunctionEngine(
        answer=lambda prompt: says("aa" if "0" in str(prompt.content) else "a" * 60 + "!")
    )
    found = by_id(list(suite.rows(engine)))
    assert [1.0] == [score.value for score in found["0"].scores]
    [score] = found["1"].scores
    assert score.value is None
    assert "the regular expression took longer than 0.2 s on this answer, and was ended" == score.reason


@pytest.mark.parametrize(("template", "applied"), [(None, False), ("any", True)])
def test_a_text_is_a_users_turn_where_there_is_a_template(
    tmp_path: Path, template: str | None, applied: bool
) -> None:
    """As with every suite of ours."""
    suite = suite_of(tmp_path, ROWS[:1])
    engine = FunctionEngine(answer=lambda prompt: says(""), chat_template=template)
    list(suite.rows(engine))
    turn = (Message(role="user", content="Capital of France?"),)
    assert [turn if applied else "Capital of France?"] == [prompt.content for prompt in engine.prompts]
    assert applied == suite.settings(template)["chat_template"]


def test_turns(tmp_path: Path) -> None:
    """Turns go to the model as they are; without a template only a single user's turn is a text."""
    system, user = {"role": "system", "content": "Be brief."}, {"role": "user", "content": "Hello?"}
    one = suite_of(tmp_path, [{"prompt": [user], "target": "x"}])
    engine = FunctionEngine()
    list(one.rows(engine))
    assert ["Hello?"] == [prompt.content for prompt in engine.prompts]
    two = suite_of(tmp_path, [{"prompt": [system, user], "target": "x"}])
    chatting = FunctionEngine(chat_template="any")
    list(two.rows(chatting))
    expected = (Message(role="system", content="Be brief."), Message(role="user", content="Hello?"))
    assert [expected] == [prompt.content for prompt in chatting.prompts]
    with pytest.raises(UsageError, match="row 1: the prompt is several turns"):
        two.settings(None)


@pytest.mark.parametrize("shuffle", [0, 1, 2])
def test_choices(tmp_path: Path, shuffle: int) -> None:
    """The likeliest choice is the answer; per character, the longer one may win."""
    logprobs = {" aa": -3.0, " bbbb": -4.0}
    suite = suite_of(tmp_path, CHOICES, rule="choice")
    engine = FunctionEngine(logprob=lambda context, choice: logprobs[choice], shuffle=shuffle)
    rows = by_id(list(suite.rows(engine)))
    assert {"a": [1.0, 0.0], "b": [0.0, 1.0]} == {
        name: [score.value for score in row.scores] for name, row in rows.items()
    }
    assert ["choice", "choice_per_character"] == [metric.name for metric in suite.metrics]
    assert ("Short or long?", " aa") in engine.pairs


def test_choices_begin_the_assistants_turn(tmp_path: Path) -> None:
    """With a template, the choice follows the rendered turns without a space."""
    suite = suite_of(tmp_path, CHOICES[:1], rule="choice")
    engine = FunctionEngine(chat_template="any")
    list(suite.rows(engine))
    assert ("<user>Short or long?<assistant>", "aa") in engine.pairs


def test_choices_want_log_likelihoods(tmp_path: Path) -> None:
    """An engine that has none is refused at once."""
    suite = suite_of(tmp_path, CHOICES, rule="choice")
    with pytest.raises(UsageError, match="needs log-likelihoods"):
        list(suite.rows(FunctionEngine(can_score=False)))


def test_data_hash_is_the_rows(tmp_path: Path) -> None:
    """The order of rows does not matter; everything that is written in them does."""
    whole = suite_of(tmp_path, ROWS).data_hash
    assert whole == suite_of(tmp_path, ROWS[::-1]).data_hash
    changed = [{**ROWS[0], "target": "Lyon"}, *ROWS[1:]]
    retagged = [{**ROWS[0], "topic": "north"}, *ROWS[1:]]
    hashes = {suite_of(tmp_path, rows).data_hash for rows in (ROWS, ROWS[:2], changed, retagged)}
    assert 4 == len(hashes)
    assert 2 == suite_of(tmp_path, ROWS, limit=2).size


def test_ids_that_are_not_given(tmp_path: Path) -> None:
    """A row without an id is known by its content, wherever it stands, so that it pairs with itself."""
    rows = [{"prompt": "p", "target": "1"}, {"prompt": "p", "target": "2"}, {"prompt": "q", "target": "1"}]
    engine = FunctionEngine()
    first = {row.sample.id: row.sample.target for row in suite_of(tmp_path, rows).rows(engine)}
    again = {row.sample.id: row.sample.target for row in suite_of(tmp_path, rows[::-1]).rows(engine)}
    assert 3 == len(first)
    assert first == again
