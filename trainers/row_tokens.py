"""How many tokens a stage reads of its rows, counted as the stage itself tokenises them.

A pair is read as two conversations, each with the prompt. Rows longer than `max_length` are left out.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

from trainers.data import (
    Demonstration,
    PreferencePair,
    TrainingPrompt,
    answers_of,
    demonstrations,
    pairs,
    training_prompts,
)
from trainers.job import Rows
from trainers.settings import Conversational
from trainers.stage_settings import Dpo, Reward, Sft
from trainers.tokens import answer_ids, judged_ids, prompt_ids

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

LearnedRow = Demonstration | PreferencePair | TrainingPrompt


class RowTokens(NamedTuple):
    """The tokens of one row."""

    read: int
    """In one pass over the row."""
    longest: int
    """Of its longest sequence, which `max_length` limits."""


def learned_rows(settings: Conversational, data: str, rows: Rows) -> Sequence[LearnedRow]:
    """Rows in the shape that a stage with these settings learns from. Raises DataError."""
    if isinstance(settings, Sft):
        return demonstrations(data, rows)
    if isinstance(settings, Reward) or (isinstance(settings, Dpo) and not settings.on_policy):
        return pairs(data, rows)
    return training_prompts(data, rows)


def row_tokens(tokenizer: "PreTrainedTokenizerBase", row: LearnedRow, settings: Conversational) -> RowTokens:
    """The tokens of one row; of a prompt without those of answers to it. Raises ModelError."""
    chat, answers = settings.chat_template, answers_of(row)
    whole = [len(judged_ids(tokenizer, row.prompt, answer, chat=chat)) for answer in answers]
    if isinstance(settings, Reward):
        return RowTokens(sum(whole), max(whole))
    prompt = len(prompt_ids(tokenizer, row.prompt, chat=chat))
    ended = [prompt + len(answer_ids(tokenizer, row.prompt, answer, chat=chat)) for answer in answers]
    read = whole if isinstance(settings, Dpo) and chat else ended  # TRL renders what follows an end, too
    return RowTokens(sum(read) if answers else prompt, max(ended, default=prompt))
