"""Turns of conversations in every form that the field writes them in."""

from typing import Any

import pytest

from harness.records.answers import Message
from harness.turns import read_turn, turns_or_text


@pytest.mark.parametrize(
    ("turn", "role", "content"),
    [
        ({"role": "user", "content": "Hi"}, "user", "Hi"),
        ({"role": "developer", "content": "Be brief."}, "system", "Be brief."),
        ({"role": "tool", "content": "4", "tool_call_id": "1", "name": "sum"}, "tool", "4"),
        ({"from": "human", "value": "Hi"}, "user", "Hi"),
        ({"from": "gpt", "value": "Hello"}, "assistant", "Hello"),
        ({"from": "system", "value": "Be brief."}, "system", "Be brief."),
        ({"from": "user", "value": "Hi"}, "user", "Hi"),
        ({"role": "assistant", "content": "Hello", "weight": 1, "tool_calls": None}, "assistant", "Hello"),
        ({"role": "assistant", "content": "Hello", "tool_calls": []}, "assistant", "Hello"),
        ({"role": None, "content": None, "from": "gpt", "value": "Hello"}, "assistant", "Hello"),
        (
            {
                "role": "user",
                "content": [{"type": "text", "text": "a "}, {"type": "input_text", "text": "b"}],
            },
            "user",
            "a b",
        ),
        ({"role": "user", "content": [{"type": "text", "text": "a", "image": None}]}, "user", "a"),
    ],
)
def test_every_form_is_one_turn(turn: dict[str, Any], role: str, content: str) -> None:
    """Newer and ShareGPT's names are read as what all templates know, and parts as one text."""
    assert (role, content) == read_turn(turn)


@pytest.mark.parametrize(
    ("turn", "message"),
    [
        ("Hi", "a turn such as .* was expected, and not str"),
        ({"content": "Hi"}, "and has None"),
        ({"from": "bing", "value": "Hi"}, "and has 'bing'"),
        ({"role": ["user"], "content": "Hi"}, r"and has \['user'\]"),
        ({"role": "user"}, "the user's turn needs a text `content`"),
        ({"role": "user", "content": 3}, "the user's turn needs a text `content`"),
        ({"role": "user", "content": [{"type": "image_url", "image_url": {}}]}, "a part of type 'image_url'"),
        ({"role": "user", "content": [{"type": "text", "text": None}]}, "a part of type 'text'"),
        ({"role": "user", "content": ["Hi"]}, "a part of type 'str'"),
        (
            {"role": "assistant", "content": "", "tool_calls": [{}]},
            "has `tool_calls`, and a call is not read",
        ),
        ({"role": "assistant", "function_call": {"name": "f"}}, "has `function_call`"),
    ],
)
def test_what_a_turn_cannot_say_is_refused(turn: Any, message: str) -> None:
    """Never a part of it left out without a word."""
    with pytest.raises(ValueError, match=message):
        read_turn(turn)


def test_a_prompt_is_turns_where_a_template_is_applied_and_a_text_where_none_is() -> None:
    """A text is then a user's turn; turns without a template become their texts, one under the other."""
    turns = (Message(role="system", content="Be brief."), Message(role="user", content="Why?"))

    assert ((Message(role="user", content="Hi"),), turns) == (
        turns_or_text("Hi", chat=True),
        turns_or_text(turns, chat=True),
    )
    assert ("Hi", "Be brief.\n\nWhy?") == (turns_or_text("Hi", chat=False), turns_or_text(turns, chat=False))
