"""What a judge's reply says: a verdict, or why none can be read.

A reply that was refused, failed or was cut, and one that is not built as it was asked to be, is no verdict,
and never a tie.

It does not know which model's answer is A.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from harness.records import Json, Response
from suites.judge.templates import Form, Template
from suites.judging import AROUND, SHOWN

Choice = Literal["A", "B", "tie"]
VERDICTS: Mapping[str, Choice] = {"a": "A", "b": "B", "tie": "tie"}
CHOICES: Mapping[str, Choice] = {choice: choice for choice in VERDICTS.values()}


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """What a reply says."""

    choice: Choice | None
    reason: str | None = None
    """Why there is no choice."""


def schema_of(template: Template) -> str:
    """The JSON schema of a reply, as text. Its properties stand in the order in which they are given."""
    text: dict[str, Json] = {"type": "string"}
    verdict: dict[str, Json] = {"type": "string", "enum": list(CHOICES)}
    properties = {"reasoning": text, "verdict": verdict} if template.reasoned else {"verdict": verdict}
    return json.dumps(
        {
            "type": "object",
            "properties": properties,
            "required": list(properties),
            "additionalProperties": False,
        }
    )


def verdict_of(reply: Response, form: Form) -> Verdict:
    """The verdict of a reply that was asked for in this form."""
    nothing = reply.unanswered
    if nothing is not None:
        return Verdict(choice=None, reason=nothing)
    if reply.stopped == "length":
        return Verdict(choice=None, reason="cut: the reply reached its longest length")
    said = reply.text.strip()
    choice = _in_json(said) if form == "schema" else _on_the_last_line(said)
    if choice is None:
        return Verdict(choice=None, reason=f"unreadable: {reply.text.strip()[-SHOWN:]!r}")
    return Verdict(choice=choice)


def _on_the_last_line(said: str) -> Choice | None:
    """The last line must be the verdict alone, and no line before it another verdict."""
    lines = [line.strip(AROUND).casefold() for line in said.splitlines()]
    verdicts = {line for line in lines if line in VERDICTS}
    return VERDICTS[lines[-1]] if lines and verdicts == {lines[-1]} else None


def _in_json(said: str) -> Choice | None:
    try:
        found = json.loads(said)
    except (ValueError, RecursionError):
        return None
    verdict = found.get("verdict") if isinstance(found, dict) else None
    return CHOICES.get(verdict) if isinstance(verdict, str) else None
