"""What a judge's reply says: a verdict, or why none can be read.

A reply that was refused, failed or was cut, and one that states no verdict or two, is no verdict, and never
a tie. It is read alike in whichever form it was asked for: see `harness.replies`.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from harness.preferences.named import CUT, UNREADABLE
from harness.records.answers import Response
from harness.records.models import Json
from harness.replies import verdict_in
from suites.judge.templates import Template
from suites.yes_no_judge import SHOWN

Choice = Literal["A", "B", "tie"]
VERDICTS: Mapping[str, Choice] = {"a": "A", "b": "B", "tie": "tie"}


@dataclass(frozen=True, slots=True, kw_only=True)
class ParsedVerdict:
    """What a reply says."""

    choice: Choice | None
    reason: str | None = None
    """Why there is no choice."""


def schema_of(template: Template) -> str:
    """The JSON schema of a reply, as text. Its properties stand in the order in which they are given."""
    text: dict[str, Json] = {"type": "string"}
    verdict: dict[str, Json] = {"type": "string", "enum": list(VERDICTS.values())}
    properties = {"reasoning": text, "verdict": verdict} if template.reasoned else {"verdict": verdict}
    return json.dumps(
        {
            "type": "object",
            "properties": properties,
            "required": list(properties),
            "additionalProperties": False,
        }
    )


def verdict_of(reply: Response) -> ParsedVerdict:
    """The verdict of a reply."""
    nothing = reply.unanswered
    if nothing is not None:
        return ParsedVerdict(choice=None, reason=nothing)
    if reply.stop_reason == "length":
        return ParsedVerdict(choice=None, reason=f"{CUT}the reply reached its longest length")
    choice = verdict_in(reply.text.strip(), VERDICTS)
    if choice is None:
        return ParsedVerdict(choice=None, reason=f"{UNREADABLE}{reply.text.strip()[-SHOWN:]!r}")
    return ParsedVerdict(choice=choice)
