"""Turns of conversations as the field writes them: who speaks, and the text; and how prompts become turns.

    {"role": "user", "content": "…"}                               OpenAI's, and most others'
    {"role": "user", "content": [{"type": "text", "text": "…"}]}   its parts, which are joined as they are
    {"from": "human", "value": "…"}                                ShareGPT's

`developer` is OpenAI's newer name for `system` and is read as that, so that templates which know only the
older one render it. A turn's other keys (`name`, `weight`, …) are not read, but for calls of tools: a turn
that makes some says more than its text, and is refused.
"""

from collections.abc import Mapping
from typing import Any, NamedTuple

from harness.records.answers import Message
from harness.records.models import Json

ROLES = ("system", "user", "assistant", "tool")
ALSO_CALLED = {"developer": "system", "human": "user", "gpt": "assistant"}
TEXT_PARTS = ("text", "input_text", "output_text")
"""The `type` of parts that are text, in OpenAI's two interfaces."""
CALLS = ("tool_calls", "function_call")
TURN = '{"role": "user", "content": "…"}'


class Turn(NamedTuple):
    """A turn of a conversation as it was written: unlike a Message, it may be a tool's."""

    role: str
    """One of ROLES."""
    content: str


def role_of(turn: object) -> str:
    """Who speaks. Raises ValueError for what is no turn."""
    if not isinstance(turn, Mapping):
        raise ValueError(f"a turn such as {TURN} was expected, and not {type(turn).__name__}")
    given = _either(turn, "role", "from")
    role = ALSO_CALLED.get(given, given) if isinstance(given, str) else given
    if role not in ROLES:
        known = ", ".join([*ROLES, *ALSO_CALLED])
        raise ValueError(f"a turn needs a `role` (or `from`) of {known}, and has {given!r}")
    return str(role)


def read_turn(turn: object) -> Turn:
    """A turn. Raises ValueError, which says what of it cannot be read."""
    role = role_of(turn)
    assert isinstance(turn, Mapping)
    for key in CALLS:
        if turn.get(key):
            raise ValueError(f"the {role}'s turn has `{key}`, and a call is not read; write it as text")
    content = _either(turn, "content", "value")
    return Turn(role, content if isinstance(content, str) else _joined(role, content))


def turns_or_text(prompt: str | tuple[Message, ...], *, chat: bool) -> str | tuple[Message, ...]:
    """A prompt as turns, a text as a user's, where a chat template is applied; as a text where none is."""
    if chat:
        return (Message(role="user", content=prompt),) if isinstance(prompt, str) else prompt
    return prompt if isinstance(prompt, str) else "\n\n".join(turn.content for turn in prompt)


def as_text(prompt: str | tuple[Message, ...]) -> str:
    """A prompt as one text; turns, where there are several, each with who speaks."""
    if isinstance(prompt, str):
        return prompt
    if len(prompt) == 1:
        return prompt[0].content
    return "\n\n".join(f"{turn.role}: {turn.content}" for turn in prompt)


def prompt_as_json(prompt: str | tuple[Message, ...]) -> Json:
    """A text as it is; turns as [role, content] pairs."""
    return prompt if isinstance(prompt, str) else [[turn.role, turn.content] for turn in prompt]


def prompt_from_json(written: Any) -> str | tuple[Message, ...]:
    """The prompt that `prompt_as_json` wrote."""
    if isinstance(written, str):
        return written
    return tuple(Message(role=role, content=content) for role, content in written)


def _either(turn: Mapping[str, Any], name: str, sharegpt: str) -> Any:
    return turn[name] if turn.get(name) is not None else turn.get(sharegpt)


def _joined(role: str, parts: object) -> str:
    if not isinstance(parts, list | tuple):
        raise ValueError(f"the {role}'s turn needs a text `content` (or `value`), or a list of text parts")
    return "".join(_text(role, part) for part in parts)


def _text(role: str, part: object) -> str:
    kind = part.get("type") if isinstance(part, Mapping) else type(part).__name__
    if not isinstance(part, Mapping) or kind not in TEXT_PARTS or not isinstance(part.get("text"), str):
        raise ValueError(f"the {role}'s turn holds a part of type {kind!r}, and only text parts are read")
    return str(part["text"])
