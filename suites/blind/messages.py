"""What the rating page and its server send each other: votes one way, the state of a rater the other way.

A message is not trusted: a value of another type, an extra or missing field, or a number out of
range makes it `Malformed`. A state holds only what the ballot shows, its left and its right text alike.
"""

import json
from typing import Annotated, Any, TypeVar

from pydantic import BaseModel, ConfigDict, Field

from harness.escape_controls import escape_controls
from suites.blind.ballots import Ballot, BallotBox, CastVote
from suites.blind.markdown import Node, plain, tree

Name = Annotated[str, Field(pattern="^[A-Za-z0-9_-]{1,64}$")]
"""What a choice, a ballot's id and a token look like."""


class Malformed(ValueError):
    """A body that the page does not send."""


class _PageMessage(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


class VoteMessage(_PageMessage):
    """A vote as the page sends it. Whether it can be cast, the ballot box decides."""

    ballot: Name
    choice: Name
    token: Name
    seconds: Annotated[float, Field(ge=0, allow_inf_nan=False)] | None
    comment: str | None

    @property
    def cast(self) -> CastVote:
        return CastVote(**self.model_dump())


class UndoMessage(_PageMessage):
    """A request to take the last vote back."""

    token: Name


PageMessage = TypeVar("PageMessage", VoteMessage, UndoMessage)


def read_message(schema: type[PageMessage], body: bytes) -> PageMessage:
    """The message in a request's body. Raises Malformed."""
    try:
        # json takes half a character, which a page sends of an emoji cut in two; pydantic's reader does not
        return schema.model_validate(json.loads(body))
    except (ValueError, RecursionError) as error:  # no JSON, no UTF-8, [[[[…, or no message
        raise Malformed from error


def state_of(box: BallotBox, rater: str) -> dict[str, Any]:
    """What the page shows a rater, as JSON values."""
    progress, ballot = box.progress(rater), box.current(rater)
    return {
        "rater": escape_controls(rater),
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
