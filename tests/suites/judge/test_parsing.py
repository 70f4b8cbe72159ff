"""A reply is read as it was asked for, or not at all: there is no default verdict."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.records import Response
from suites.judge.parsing import CHOICES, schema_of, verdict_of
from suites.judge.templates import TEMPLATES, Form


def says(text: str) -> Response:
    """A whole reply."""
    return Response(text=text, stopped="end")


@pytest.mark.parametrize(
    ("text", "choice"),
    [
        ("A", "A"),
        ("b", "B"),
        ("**tie**\n", "tie"),
        ("A is shorter, B is right.\n\nB.", "B"),
        ("Both are wrong\ntie", "tie"),
    ],
)
def test_the_last_line_is_the_verdict(text: str, choice: str) -> None:
    """Alone on its line, whatever case and marks it has."""
    assert choice == verdict_of(says(text), "line").choice


@pytest.mark.parametrize(
    "text",
    [
        "",
        "Answer A",
        "Verdict: B",
        "A\nB",
        "B\nI would say so.",
        "C",
        "A, B",
        "<think>A</think>",
        '{"verdict": "A"}',
        "A or B?",
    ],
)
def test_what_is_no_verdict(text: str) -> None:
    """A letter within words, two verdicts, or none: no choice, and the reply's end is shown."""
    verdict = verdict_of(says(text), "line")
    assert verdict.choice is None
    assert verdict.reason == f"unreadable: {text!r}"


@pytest.mark.parametrize(
    ("text", "choice"),
    [
        ('{"verdict": "A"}', "A"),
        ('{"reasoning": "B is longer, which says nothing.", "verdict": "tie"}', "tie"),
        ('{"verdict": "a"}', None),
        ('{"verdict": ["A"]}', None),
        ('{"choice": "A"}', None),
        ('"A"', None),
        ("A", None),
        ('{"verdict": "A"', None),
        ("[" * 100_000, None),
    ],
)
def test_json_is_read_strictly(text: str, choice: str | None) -> None:
    """The verdict must be one of the schema's words; a letter outside of JSON is none."""
    assert choice == verdict_of(says(text), "schema").choice


@pytest.mark.parametrize("form", ["line", "schema"])
@pytest.mark.parametrize(
    ("reply", "reason"),
    [
        (Response(text="", stopped="refused", reason="blocked"), "refused: blocked"),
        (Response(text="A", stopped="failed", reason="503"), "failed: 503"),
        (Response(text="A", stopped="length"), "cut: the reply reached its longest length"),
    ],
)
def test_what_is_no_reply(form: Form, reply: Response, reason: str) -> None:
    """Refused, failed and cut replies say nothing, even where a letter stands in them."""
    assert (None, reason) == (verdict_of(reply, form).choice, verdict_of(reply, form).reason)


@given(st.text(), st.sampled_from(["line", "schema"]))
def test_any_text_gives_a_verdict_or_a_reason(text: str, form: Form) -> None:
    """Never an error, and never both or neither."""
    verdict = verdict_of(says(text), form)
    assert (verdict.choice is None) == (verdict.reason is not None)


def test_the_schema() -> None:
    """Reasoning before the verdict, where there is any; nothing else; the words that can be read."""
    reasoned, brief = (json.loads(schema_of(TEMPLATES[name])) for name in ("pairwise", "pairwise-brief"))
    assert ["reasoning", "verdict"] == list(reasoned["properties"]) == sorted(reasoned["properties"])
    assert ["verdict"] == list(brief["properties"]) == brief["required"]
    assert list(CHOICES) == reasoned["properties"]["verdict"]["enum"]
    assert reasoned["additionalProperties"] is False
