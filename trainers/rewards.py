"""Rewards of answers: Python functions and reward models, for the stages that need rewards.

A function follows TRL's convention and may be TRL's own (`trl.rewards:think_format_reward`): it is called
with `prompts`, `completions` and the rows' other columns as keyword lists, and returns one number (or None)
per completion.
"""

from collections.abc import Callable, Iterable, Sequence
from functools import wraps
from math import isfinite
from typing import Any, SupportsFloat

import torch
from transformers import AutoConfig, AutoModelForSequenceClassification, AutoTokenizer, PreTrainedModel

from harness.errors import ModelError, TrainingError
from harness.escape_controls import shortened
from harness.user_modules import RAISED, load_function
from trainers.completions import answer_text
from trainers.data import PreferencePair, TrainingPrompt, Turn
from trainers.job import RewardSource
from trainers.tokens import judged_ids, raw_text

RewardFunction = Callable[..., list[float | None]]
SHOWN = 100
"""Characters of a prompt or an answer in a message."""
BATCH = 64
"""Answers that a reward model reads in one batch."""


def _loaded(reward: RewardSource) -> RewardFunction:
    return load_function(reward.source, f"reward {reward.source!r}")


def check_reward_model(folder: str) -> None:
    """Raise ModelError for a model that is no reward model: transformers would give it a random head."""
    config = AutoConfig.from_pretrained(folder)
    architecture = (config.architectures or ["unknown"])[0]
    if not architecture.endswith("ForSequenceClassification") or config.num_labels != 1:
        raise ModelError(
            f"{folder} is no reward model: it is a {architecture} with {config.num_labels} labels, where "
            "a sequence classification model with 1 is needed; a pipeline ending in a reward stage makes one"
        )


def with_columns(function: RewardFunction, rows: Sequence[TrainingPrompt]) -> RewardFunction:
    """The function, with the rows' columns looked up by the row number that TRL's data set carries.

    So columns reach it as they were read: a table with one type per column would change or reject them. What
    it raises becomes a TrainingError, and so does a result that is not one finite number, or None, for each
    completion.
    """
    names = sorted({name for each in rows for name in each.columns})

    @wraps(function)
    def called(
        prompts: Sequence[Any], completions: Sequence[Any], row: Sequence[int], **others: Any
    ) -> list[float | None]:
        columns = {name: [rows[number].columns.get(name) for number in row] for name in names}
        try:
            given = function(prompts=prompts, completions=completions, **{**others, **columns})
        except RAISED as error:
            raise TrainingError(
                f"reward function {function.__name__!r} raised {type(error).__name__}: {error}; correct it, "
                "and the same command resumes"
            ) from error
        if not _rewards(given, len(completions)):
            raise TrainingError(
                f"reward function {function.__name__!r} must return a number, or None, for each of the "
                f"{len(completions)} completions, and gave {given!r:.100}; correct it, and the same command "
                "resumes"
            )
        values = [None if each is None else float(each) for each in given]
        check_finite(f"function {function.__name__!r}", values, [rows[number] for number in row], completions)
        return values

    return called


def _rewards(given: object, count: int) -> bool:
    """Whether this is `count` values, each a number of any library or None."""
    if not isinstance(given, Iterable):
        return False
    each = list(given)
    return len(each) == count and all(one is None or isinstance(one, SupportsFloat) for one in each)


def check_finite(
    reward: str,
    values: Sequence[float | None],
    prompts: Sequence[TrainingPrompt],
    completions: Sequence[Any],
) -> None:
    """Raise TrainingError for a reward that is NaN or infinite; `reward` says whose it is.

    TRL would count NaN as None, and learn from infinity.
    """
    for value, prompt, completion in zip(values, prompts, completions, strict=True):
        if value is not None and not isfinite(value):
            raise TrainingError(
                f"reward {reward} gave {value} for an answer to row {prompt.number}: "
                f"{shortened(answer_text(completion), SHOWN)!r}; a reward is a finite number, or None for "
                "none; correct it, and the same command resumes"
            )


def total_rewards(
    rewards: Sequence[RewardSource],
    rows: Sequence[TrainingPrompt],
    answers: Sequence[Sequence[str]],
    *,
    chat: bool,
) -> list[list[float]]:
    """The weighted sum of all rewards, for the answers to each row's prompt. Raises TrainingError."""
    flat = [(number, answer) for number, group in enumerate(answers) for answer in group]
    totals = [0.0] * len(flat)
    for reward in rewards:
        values: Sequence[float | None]
        if reward.is_function:
            values = _by_function(_loaded(reward), rows, flat, chat=chat)
        else:
            values = judge(reward.source, [rows[n].prompt for n, _ in flat], [a for _, a in flat], chat=chat)
            check_finite(f"model {reward.source!r}", values, [rows[n] for n, _ in flat], [a for _, a in flat])
        for place, value in enumerate(values):
            if value is None:
                raise TrainingError(f"reward {reward.source!r} gave no number for {flat[place][1]!r}")
            totals[place] += reward.weight * value
    rest = iter(totals)
    return [[next(rest) for _ in group] for group in answers]


def _by_function(
    function: RewardFunction,
    rows: Sequence[TrainingPrompt],
    flat: Sequence[tuple[int, str]],
    *,
    chat: bool,
) -> list[float | None]:
    prompts = [trl_prompt(rows[number].prompt, chat=chat) for number, _ in flat]
    completions = [trl_answer(answer, chat=chat) for _, answer in flat]
    return with_columns(function, rows)(prompts, completions, row=[number for number, _ in flat])


@torch.inference_mode()
def judge(
    folder: str, prompts: Sequence[Sequence[Turn]], answers: Sequence[str], *, chat: bool
) -> list[float]:
    """A reward model's rewards of answers to prompts. Raises ModelError for any other model."""
    check_reward_model(folder)
    tokenizer = AutoTokenizer.from_pretrained(folder)
    device = "cuda" if torch.cuda.is_available() else "cpu"
    model = AutoModelForSequenceClassification.from_pretrained(folder, device_map=device)
    rows = [
        judged_ids(tokenizer, prompt, answer, chat=chat)
        for prompt, answer in zip(prompts, answers, strict=True)
    ]
    values: list[float] = []
    for start in range(0, len(rows), BATCH):
        batch = tokenizer.pad(
            {"input_ids": rows[start : start + BATCH]}, padding_side="right", return_tensors="pt"
        ).to(device)
        values += model(**batch).logits[:, 0].tolist()
    return values


def judge_pairs(
    folder: str, pairs: Sequence[PreferencePair], *, chat: bool
) -> tuple[list[float], list[float]]:
    """A reward model's rewards of the chosen and of the rejected answers.

    Raises as `judge` does, and ModelError for a reward that is NaN or infinite.
    """
    prompts = [pair.prompt for pair in pairs]
    chosen = judge(folder, prompts, [pair.chosen for pair in pairs], chat=chat)
    rejected = judge(folder, prompts, [pair.rejected for pair in pairs], chat=chat)
    for pair, *values in zip(pairs, chosen, rejected, strict=True):
        if not all(map(isfinite, values)):
            raise ModelError(
                f"{folder} gives {values[0]} and {values[1]} for the answers to "
                f"{shortened(raw_text(pair.prompt), SHOWN)!r}, where a reward is a finite number"
            )
    return chosen, rejected


def trl_prompt(prompt: Sequence[Turn], *, chat: bool) -> str | list[Turn]:
    """A prompt as TRL takes it: messages, which it renders with the chat template, or a text as it is."""
    return list(prompt) if chat else raw_text(prompt)


def trl_answer(answer: str, *, chat: bool) -> str | list[Turn]:
    """An answer as TRL takes it beside such a prompt."""
    return [{"role": "assistant", "content": answer}] if chat else answer


def reward_functions(
    rewards: Sequence[RewardSource], rows: Sequence[TrainingPrompt]
) -> list[str | PreTrainedModel | RewardFunction]:
    """The rewards as TRL takes them: folders of reward models, and functions that see the rows' columns."""
    functions: list[str | PreTrainedModel | RewardFunction] = []
    for reward in rewards:
        if reward.is_function:
            functions.append(with_columns(_loaded(reward), rows))
        else:
            check_reward_model(reward.source)
            functions.append(reward.source)
    return functions
