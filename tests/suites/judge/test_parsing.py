"""A reply is read where it states one verdict, or not at all: there is no default verdict."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.records.answers import Response
from suites.judge.parsing import VERDICTS, schema_of, verdict_of
from suites.judge.templates import TEMPLATES


def says(text: str) -> Response:
    """A whole reply."""
    return Response(text=text, stop_reason="end")


@pytest.mark.parametrize(
    ("text", "choice"),
    [
        ("A", "A"),
        ("b", "B"),
        ("**tie**\n", "tie"),
        ('"a"', "A"),
        ("Tie", "tie"),
        ("A is shorter, B is right.\n\nB.", "B"),
        ("Both are wrong\ntie", "tie"),
        ("A is clearer.\nVerdict: A", "A"),
        ("A is clearer.\n**Verdict: A**", "A"),
        ("**Verdict:** tie", "tie"),
        ("A is clearer.\nAnswer A", "A"),
        ("My final verdict is B.", "B"),
        ("The better answer is: **B**", "B"),
        ("Verdict: Answer A", "A"),
        ("A is better than B here.\n\n[[A]]", "A"),
        ("All told, [[B]].", "B"),
        ("### Answer A\nIt is right.\n### Answer B\nIt is not.\n### Verdict: A", "A"),
        ("**Answer A:**\nRight.\n**Answer B:**\nWrong.\n\nVerdict: A", "A"),
        ("```\nB\n```", "B"),
        ("Take {x} as given.\nB", "B"),
        ("[[A]]\n\nBecause it is better.", "A"),
        ("Verdict: A\nReason: it is clearer.", "A"),
        ("**Final verdict:** B\n\nA repeats itself.", "B"),
    ],
)
def test_a_verdict_in_words(text: str, choice: str) -> None:
    """Stated on the last line, or marked as one, in whatever case; sentences and headings do not count."""
    assert choice == verdict_of(says(text)).choice


@pytest.mark.parametrize(
    ("text", "choice"),
    [
        ('{"verdict": "A"}', "A"),
        ('{"reasoning": "B is longer, which says nothing.", "verdict": "tie"}', "tie"),
        ('```json\n{"reasoning": "B is vague", "verdict": "A"}\n```', "A"),
        ('Here is my judgement:\n{"reasoning": "B is vague", "verdict": "A"}\nI hope this helps.', "A"),
        ('{"reasoning": "x", "verdict": "a"}', "A"),
        ('{"reasoning": "x", "verdict": "Tie"}', "tie"),
        ('{"Verdict": "**Answer B**"}', "B"),
        ('{"reasoning": "One line.\nAnother.", "verdict": "B"}', "B"),
        ('{"reasoning": "Some would say [[B]].", "verdict": "A"}', "A"),
        ('{"verdict": "B"}\nVerdict: B', "B"),
    ],
)
def test_a_verdict_in_json(text: str, choice: str) -> None:
    """Fenced, after a sentence, in any case; what the reasoning says is no verdict."""
    assert choice == verdict_of(says(text)).choice


@pytest.mark.parametrize(
    "text",
    [
        "",
        "A\nB",
        "[[A]] or [[B]], hard to say.",
        "[[A]]\nVerdict: B",
        "Answer B\n\nAnswer A",
        "## Verdict: B\nA",
        '{"verdict": "B"} on reflection {"verdict": "A"}',
        '{"verdict": "B", "verdict": "A"}',
        '{"verdict": "B", "Verdict": "A"}',
        '{"verdict": "A"}\nVerdict: B',
        '{"verdict": "C"}\nA',
    ],
)
def test_two_verdicts_are_none(text: str) -> None:
    """A reply that contradicts itself, in one form or in two, is not guessed at, and its end is shown."""
    verdict = verdict_of(says(text))
    assert verdict.choice is None
    assert verdict.reason == f"unreadable: {text!r}"


@pytest.mark.parametrize(
    "text",
    [
        "A is better than B here.",
        "Answer A is better.",
        "I'm sorry, I can't compare these.",
        "B\nI would say so.",
        "A, B",
        "A or B?",
        "C",
        "[[C]]",
        "Verdict: not A",
        "Verdict: A or B",
        "It has an answer",
        "Answer A:",
        "<think>A</think>",
        '{"choice": "A"}',
        '{"verdict": ["A"]}',
        '{"verdict": "A is better"}',
        '{"verdict": "A"',
        '{"best": {"verdict": "A"}}',
        "[" * 100_000,
        '{"a":' * 100_000,
    ],
)
def test_what_is_no_verdict(text: str) -> None:
    """A letter within a sentence, a refusal, a cut or nested object: nothing is guessed from them."""
    assert verdict_of(says(text)).choice is None


@pytest.mark.parametrize(
    ("reply", "reason"),
    [
        (Response(text="", stop_reason="refused", reason="blocked"), "refused: blocked"),
        (Response(text="A", stop_reason="failed", reason="503"), "failed: 503"),
        (Response(text="A", stop_reason="length"), "cut: the reply reached its longest length"),
    ],
)
def test_what_is_no_reply(reply: Response, reason: str) -> None:
    """Refused, failed and cut replies say nothing, even where a letter stands in them."""
    assert (None, reason) == (verdict_of(reply).choice, verdict_of(reply).reason)


@given(st.text() | st.text(alphabet='aAbB{}[]":verdict\n '))
def test_any_text_gives_a_verdict_or_a_reason(text: str) -> None:
    """Never an error, and never both or neither."""
    verdict = verdict_of(says(text))
    assert (verdict.choice is None) == (verdict.reason is not None)


def test_the_schema() -> None:
    """Reasoning before the verdict, where there is any; nothing else; the words that can be read."""
    reasoned, brief = (json.loads(schema_of(TEMPLATES[name])) for name in ("pairwise", "pairwise-brief"))
    assert ["reasoning", "verdict"] == list(reasoned["properties"]) == sorted(reasoned["properties"])
    assert ["verdict"] == list(brief["properties"]) == brief["required"]
    assert list(VERDICTS.values()) == reasoned["properties"]["verdict"]["enum"]
    assert reasoned["additionalProperties"] is False
