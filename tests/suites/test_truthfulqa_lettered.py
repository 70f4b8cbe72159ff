"""TruthfulQA by letter: where the true choice stands, what a reply must be, and what is never guessed."""

from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from harness.errors import DataError
from harness.records.answers import Message, Prompt, Response
from suites.settings import LetteredSettings, SuiteContext
from suites.truthfulqa_lettered import TruthfulQALettered, chosen_choice
from tests.suites.rows import QUESTIONS, write_rows
from tests.suites.scripted import FunctionEngine, says

CHOICES = ["Cars.", "Nails.", "Buses to town."]


def suite_over(folder: Path, rows: list[dict[str, Any]] = QUESTIONS, **settings: Any) -> TruthfulQALettered:
    """The suite over these rows."""
    given = LetteredSettings(data=write_rows(folder / "rows.jsonl", rows), **settings)
    return TruthfulQALettered(given, SuiteContext())


def text_of(prompt: Prompt) -> str:
    """What was asked."""
    return prompt.content if isinstance(prompt.content, str) else prompt.content[0].content


def many(size: int) -> list[dict[str, Any]]:
    """Questions whose true choice is called so, with three false ones."""
    targets = {"choices": ["true", "b", "c", "d"], "labels": [1, 0, 0, 0]}
    return [
        {"question": f"Number {number}?", "mc1_targets": targets, "mc2_targets": targets}
        for number in range(size)
    ]


def knows(prompt: Prompt) -> Response:
    """Replies with the letter of the choice that is called true."""
    (line,) = (line for line in text_of(prompt).splitlines() if line.endswith(". true"))
    return says(line[0])


def test_a_model_that_knows_is_right_everywhere(tmp_path: Path) -> None:
    """The letter is read against the order in which this question's choices were shown."""
    rows = list(suite_over(tmp_path, many(40)).rows(FunctionEngine(answer=knows, shuffle=7)))
    assert [1.0] * 40 == [row.scores[0].value for row in rows]
    assert {"true"} == {row.sample.target for row in rows}
    assert sorted(row.position for row in rows) == list(range(40))


@pytest.mark.parametrize("letter", "ABCD")
def test_no_letter_is_the_right_one(tmp_path: Path, letter: str) -> None:
    """Who always says the same letter is right as often as chance has it: the gold is not always A."""
    engine = FunctionEngine(answer=lambda prompt: says(letter))
    values = [row.scores[0].value for row in suite_over(tmp_path, many(400)).rows(engine)]
    assert 70 <= sum(value or 0.0 for value in values) <= 130  # 100 expected, of a spread of 9


def test_the_order_depends_on_seed_and_question_alone(tmp_path: Path) -> None:
    """Every model and every run sees the same order; another seed is another order and another setting."""

    def asked(rows: list[dict[str, Any]], **settings: Any) -> list[str]:
        engine = FunctionEngine(answer=lambda prompt: says("A"))
        list(suite_over(tmp_path, rows, **settings).rows(engine))
        return [text_of(prompt) for prompt in engine.prompts]

    assert asked(many(9)) == asked(many(9))
    assert asked(many(9)) == list(reversed(asked(list(reversed(many(9))))))
    assert asked(many(9)) != asked(many(9), seed=1)
    one, two = (suite_over(tmp_path, seed=seed).settings(None) for seed in (0, 1))
    assert one != two


def test_wording(tmp_path: Path) -> None:
    """Question and lettered choices in one turn; a bare text ends where the letter comes."""
    turned, bare = FunctionEngine(chat_template="{{ any }}"), FunctionEngine()
    for engine in (turned, bare):
        list(suite_over(tmp_path).rows(engine))
    (turn,) = turned.prompts[1].content
    assert isinstance(turn, Message)
    assert "Question: What do hammers drive?\n\nA. " in turn.content
    assert turn.content.endswith("alone.")
    assert str(bare.prompts[1].content) == f"{turn.content}\nAnswer:"
    assert ((), ("\n",)) == (turned.samplings[0].stop, bare.samplings[0].stop)
    assert {0.0} == {turned.samplings[0].temperature, bare.samplings[0].temperature}


@pytest.mark.parametrize(
    "reply",
    [
        "B",
        " b\n",
        "(B)",
        "B.",
        "**B**",
        "[B]",
        "B)",
        "Answer: B",
        "B. Nails.",
        "B. nails",
    ],
)
def test_a_letter(reply: str) -> None:
    """Alone, with signs around it, or with its choice's own words."""
    assert "Nails." == chosen_choice(reply, CHOICES)


@pytest.mark.parametrize(
    "reply",
    [
        "",
        "D",
        "Z.",
        "A or B",
        "A, B",
        "A saw is a tool.",
        "B because hammers do",
        "B. Cars.",
        "Nails.",
        "The answer is B",
        "I cannot say.",
        "1",
        "AB",
        "A. Cars. B. Nails.",
    ],
)
def test_no_letter(reply: str) -> None:
    """Anything else is not read: a sentence that begins with A is no choice of A."""
    assert chosen_choice(reply, CHOICES) is None


@pytest.mark.parametrize(
    ("response", "reason"),
    [
        (says("A saw."), "the reply is not one letter of a choice: 'A saw.'"),
        (says(""), "the reply is not one letter of a choice: ''"),
        (Response(text="A", stop_reason="refused", reason="policy"), "refused: policy"),
        (Response(text="", stop_reason="failed", reason="gone"), "failed: gone"),
    ],
)
def test_unscored(tmp_path: Path, response: Response, reason: str) -> None:
    """No value and the reason, never a wrong answer."""
    for row in suite_over(tmp_path).rows(FunctionEngine(answer=lambda prompt: response)):
        assert [(None, reason)] == [(score.value, score.reason) for score in row.scores]


def test_more_choices_than_letters(tmp_path: Path) -> None:
    """Such a row is named."""
    targets = {"choices": [f"choice {number}" for number in range(27)], "labels": [1, *[0] * 26]}
    rows = [QUESTIONS[0], {"question": "Which?", "mc1_targets": targets, "mc2_targets": targets}]
    with pytest.raises(DataError, match="row 2: has more choices than there are letters"):
        _ = suite_over(tmp_path, rows).size


@pytest.mark.official
def test_official_data(official_data: Path) -> None:
    """All 817 questions; the true choice stands at A as often as chance has it."""
    suite = TruthfulQALettered(LetteredSettings(), SuiteContext(data_root=official_data))
    rows = list(suite.rows(FunctionEngine(answer=lambda prompt: says("A"))))
    assert 817 == len(rows)
    places = Counter(row.sample.choices.index(str(row.sample.target)) for row in rows)
    expected = sum(1 / len(row.sample.choices) for row in rows)
    assert abs(places[0] - expected) < 40  # a spread of about 13
    assert {"Adversarial", "Non-Adversarial"} == {row.sample.tags["type"] for row in rows}
