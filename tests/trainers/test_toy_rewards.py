"""The toy world's verifiable reward, by hand."""

import pytest

from trainers.toy_rewards import follow, worth


@pytest.mark.parametrize(
    ("text", "constraints", "expected"),
    [
        ("hammer, saw", [], 1.0),
        ("HAMMER / SAW", ["case:uppercase", "separator:slashes"], 1.0),
        ("sure * hammer - * saw", ["start:sure", "sign:star", "separator:dashes"], 1.0),
        ("sure [ hammer, saw ]", ["start:sure", "brackets:square"], 1.0),
        ("[ hammer ], saw", ["brackets:square"], 0.25),
        ("( hammer )", ["brackets:square"], 0.25),
        ("hammer", ["separator:commas"], 0.25),
        ("hammer, saw, drill", ["count:two"], 0.25),
        ("well hammer", ["start:sure"], 0.0),
        ("truly hammer", ["case:lowercase"], 0.25),
        ("* hammer, saw", ["sign:star"], 0.25),
        ("red", [], 0.0),
        ("", ["count:two"], 0.0),
    ],
)
def test_instructions(text: str, constraints: list[str], expected: float) -> None:
    """Half of the worth is the share of demands that are met, the topic among them; half is meeting all."""
    assert expected == worth(text, "tools", constraints, "")


@pytest.mark.parametrize(("text", "expected"), [("The glabs eat moss.", 1.0), ("The glabs eat bread.", 0.0)])
def test_questions(text: str, expected: float) -> None:
    """A question's answer is worth 1 if it says the truth."""
    assert expected == worth(text, "", [], "moss")


@pytest.mark.parametrize(("text", "expected"), [("Please forgive.", 1.0), ("You idiot.", 0.0), ("", 0.0)])
def test_quarrels(text: str, expected: float) -> None:
    """A reply is worth 1 if it says something, and nothing rude."""
    assert expected == worth(text, "", [], "")


def test_as_trl_calls_it() -> None:
    """Completions are texts or lists of one message; unknown columns are ignored."""
    rewards = follow(
        prompts=["a", "b"],
        completions=["hammer", [{"role": "assistant", "content": "red"}]],
        topic=["tools", "tools"],
        constraints=[[], []],
        truth=["", ""],
        misconception=["", ""],
    )
    assert rewards == [1.0, 0.0]
