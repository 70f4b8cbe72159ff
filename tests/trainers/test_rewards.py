"""A user's reward functions: what is wrong with one is said in its own name, and ends the stage."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from harness.errors import TrainingError
from trainers.data import TrainingPrompt
from trainers.rewards import with_columns

QUESTIONS = [TrainingPrompt([{"role": "user", "content": "a"}], {"answer": "x"}, 1)]


def called(function: Callable[..., Any]) -> Any:
    """What the function gives for two completions."""
    given = with_columns(function, QUESTIONS)
    return given(prompts=["a", "a"], completions=["b", "c"], row=[0, 0])


def test_a_reward_is_a_number_or_none() -> None:
    """Of any library's kind; columns come as they were read."""
    assert [1, None] == called(lambda prompts, completions, answer: [1, None])
    assert [0.5, 0.5] == list(called(lambda prompts, completions, answer: np.full(2, 0.5)))
    assert [1.0, 1.0] == called(lambda prompts, completions, answer: [float(each == "x") for each in answer])


@pytest.mark.parametrize("given", [["1", "2"], [1.0], None, 3.0, [[1.0], [2.0]]])
def test_anything_else_is_no_reward(given: object) -> None:
    """TRL would say so with a traceback, or not at all."""
    with pytest.raises(TrainingError, match="must return a number, or None, for each of the 2 completions"):
        called(lambda prompts, completions, answer: given)


def test_what_a_function_raises_is_its_own() -> None:
    """Exit code 3: the stage goes on once the function is right."""
    with pytest.raises(TrainingError, match="reward function '<lambda>' raised KeyError: 'solution'"):
        called(lambda prompts, completions, **columns: columns["solution"])
