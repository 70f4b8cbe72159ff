"""Reward functions for tests, named `tests.trainers.rewarding:…`, and a memory of what they were shown."""

from typing import Any

SHOWN: list[dict[str, Any]] = []


def case(prompts: list[Any], completions: list[Any], upper: list[bool], **others: Any) -> list[float]:
    """The share of letters in the asked case."""
    SHOWN.append({"prompts": prompts, "completions": completions, "upper": upper})
    return [share(completion, big) for completion, big in zip(completions, upper, strict=True)]


def share(completion: Any, upper: bool) -> float:
    """Of one completion, whether text or messages."""
    text = completion if isinstance(completion, str) else completion[-1]["content"]
    letters = [letter for letter in text if letter.isalpha()]
    return sum(letter.isupper() == upper for letter in letters) / max(1, len(letters))


def indifferent(completions: list[Any], **others: Any) -> list[float]:
    """All answers are worth the same."""
    return [1.0] * len(completions)


def silent(completions: list[Any], **others: Any) -> list[None]:
    """No answer is worth anything known."""
    return [None] * len(completions)


def late(completions: list[Any], trainer_state: Any, **others: Any) -> list[float | None]:
    """All answers are worth the same in the first step, nothing in the second, and then something."""
    if trainer_state.global_step < 2:
        return [1.0 if trainer_state.global_step == 0 else None] * len(completions)
    return [float(place) for place in range(len(completions))]


def no_number(completions: list[Any], **others: Any) -> list[float]:
    """The last answer's worth is not a number."""
    return [*map(float, range(len(completions) - 1)), float("nan")]
