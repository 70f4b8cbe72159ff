"""What travels between the rating page and its server: acts that are read, and states that are told.

An act is taken to pieces without trust: another kind of value, a field too many or too few, a number that is
none make it `Malformed`. A state is made from the ballot alone, its left and its right text in the same way.

It does not know HTTP, nor what the ballot box says to an act.
"""

import json
import re
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from harness.visible import visible
from suites.blind.ballots import Ballot, BallotBox
from suites.blind.markdown import Node, plain, tree

_NAME = re.compile("[A-Za-z0-9_-]{1,64}")
"""What a choice, a ballot's id and an act's token look like."""


class Malformed(ValueError):
    """A body that the page does not send."""


@dataclass(frozen=True, slots=True, kw_only=True)
class VoteMessage:
    """A vote as the page sends it. Whether it can be cast, the ballot box decides."""

    ballot: str
    choice: str
    token: str
    seconds: float | None
    comment: str | None


def read_vote(body: bytes) -> VoteMessage:
    """The vote of a body. Raises Malformed."""
    fields = _fields(body, {"ballot", "choice", "token", "seconds", "comment"})
    return VoteMessage(
        ballot=_name(fields["ballot"]),
        choice=_name(fields["choice"]),
        token=_name(fields["token"]),
        seconds=_seconds(fields["seconds"]),
        comment=_comment(fields["comment"]),
    )


def read_undo(body: bytes) -> str:
    """The token of a body that takes the last vote back. Raises Malformed."""
    return _name(_fields(body, {"token"})["token"])


def _fields(body: bytes, names: set[str]) -> Mapping[str, Any]:
    try:
        read = json.loads(body)
    except (ValueError, RecursionError) as error:  # no JSON, no UTF-8, or [[[[…
        raise Malformed from error
    if not isinstance(read, dict) or read.keys() != names:
        raise Malformed
    return read


def _name(value: Any) -> str:
    if not isinstance(value, str) or not _NAME.fullmatch(value):
        raise Malformed
    return value


def _seconds(value: Any) -> float | None:
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise Malformed
    if not 0 <= value <= sys.float_info.max:
        raise Malformed
    return float(value)


def _comment(value: Any) -> str | None:
    if value is not None and not isinstance(value, str):
        raise Malformed
    return value


def state_of(box: BallotBox, rater: str) -> dict[str, Any]:
    """What the page shows a rater, as JSON values."""
    progress, ballot = box.progress(rater), box.current(rater)
    return {
        "rater": visible(rater),
        "language": box.language,
        "progress": {"done": progress.done, "total": progress.total},
        "ballot": _shown(ballot) if ballot else None,
    }


def _shown(ballot: Ballot) -> dict[str, Any]:
    return {
        "id": ballot.id,
        "prompt": _turns(ballot),
        "left": tree(ballot.left),
        "right": tree(ballot.right),
        "left_cut": ballot.left_cut,
        "right_cut": ballot.right_cut,
    }


def _turns(ballot: Ballot) -> list[dict[str, Any]]:
    """The prompt as turns: what a model said in it is Markdown, what people wrote is text."""
    if isinstance(ballot.prompt, str):
        return [{"role": None, "inside": plain(ballot.prompt)}]
    return [{"role": turn.role, "inside": _said(turn.role, turn.content)} for turn in ballot.prompt]


def _said(role: str, content: str) -> list[Node]:
    return tree(content) if role == "assistant" else plain(content)
