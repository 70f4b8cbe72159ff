"""How many tokens a stage will read and write, and in how many steps.

Rows are tokenised as the stage does it, with the tokenizer that it will be given: that of the nearest model
before it which exists. How much a model will write is known only from earlier stages like it; otherwise
answers count at their maximum length.
"""

from dataclasses import dataclass, replace
from math import ceil
from statistics import fmean
from typing import TYPE_CHECKING, Literal, cast

from tokenizers import Tokenizer

from trainers.data import answers_of, scored_texts
from trainers.holdout import held_out, held_out_texts
from trainers.plain_tokenizer import FILE, PlainTokenizer
from trainers.planning import PlannedStage
from trainers.row_tokens import LearnedRow, RowTokens, learned_rows, row_tokens
from trainers.settings import Conversational, EpochTraining, Rewarded, Training
from trainers.stage_settings import Dpo, Online, Reward, ToxicityTraining
from trainers.tokenizer_files import tokenizer_files

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

SAMPLED = 1000
"""Rows whose tokens are counted, at least, spread evenly over all; of fewer rows, all."""
CHARACTERS_PER_TOKEN = 4.0
"""Assumed where there is no tokenizer yet: usual for English and vocabularies of 30,000 and more."""

Basis = Literal["measured", "last run", "counted", "as before", "at most", "guessed"]
"""What a number rests on: the finished stage itself, or only its last run where it was interrupted; rows
tokenised as in training; earlier stages like it; the longest answers allowed; the number of characters."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Work:
    """The tokens and steps of a stage."""

    learned: float
    """Tokens of the training loop: read, or in online stages read and written."""
    sampled: float = 0.0
    """Tokens read and written before it, where a stage samples its own pairs."""
    rows: int
    """Rows of an epoch; of an online stage prompts."""
    steps: int | None
    """At most; None where they depend on how text is cut into blocks."""
    basis: Basis

    @property
    def tokens(self) -> int:
        return round(self.learned + self.sampled)


def estimate_work(stage: PlannedStage, answer_tokens: float | None, share_paired: float | None) -> Work:
    """The work of a stage.

    From earlier stages like it come the mean length of answers and the share of prompts that make a pair;
    None where there is none. Raises DataError and ModelError.
    """
    settings = stage.settings
    if isinstance(settings, ToxicityTraining):
        return _of_scored_texts(stage, settings)
    if not isinstance(settings, Conversational):
        return _of_texts(stage)
    tokenizer = _tokenizer(stage)
    rows, tokens = _rows_and_tokens(stage, settings, tokenizer)
    if not isinstance(settings, Rewarded) or not settings.needs_rewards:
        return _of_rows(settings, rows, tokens, basis="guessed" if tokenizer is None else "counted")
    tokens += settings.max_new_tokens if answer_tokens is None else answer_tokens
    basis: Basis = "at most" if answer_tokens is None else "as before"
    if tokenizer is None:
        basis = "guessed"
    if isinstance(settings, Online):
        learned = settings.steps * settings.rows_per_step * tokens
        return Work(learned=learned, rows=rows, steps=settings.steps, basis=basis)
    assert isinstance(settings, Dpo)
    pairs = rows * (1.0 if share_paired is None else share_paired) * (1 - (settings.share_for_loss or 0.0))
    of_pairs = _of_rows(settings, round(pairs), 2 * tokens, basis=basis)
    return replace(of_pairs, sampled=rows * settings.on_policy * tokens)


def _of_rows(settings: Training, rows: int, tokens: float, *, basis: Basis) -> Work:
    """The work of a stage that reads so many rows, of so many tokens in the mean, in epochs."""
    assert isinstance(settings, EpochTraining)
    steps = settings.steps_over(rows)
    epochs, rest = divmod(steps, max(1, ceil(rows / settings.rows_per_step)))
    read = epochs * rows + rest * settings.rows_per_step  # only the last step of an epoch has fewer rows
    return Work(learned=read * tokens, rows=rows, steps=steps, basis=basis)


def _rows_and_tokens(
    stage: PlannedStage, settings: Conversational, tokenizer: "PreTrainedTokenizerBase | None"
) -> tuple[int, float]:
    """How many rows are learned, and their mean tokens in one pass; prompts count without answers.

    Rows that are held out or do not fit are none of them.
    """
    every = [row for source in stage.sources for row in source.rows]
    some = every[:: max(1, len(every) // SAMPLED)]
    data = ", ".join(source.name for source in stage.sources)
    rows = learned_rows(settings, data, some)
    if not settings.needs_rewards:
        shares = (settings.holdout if isinstance(settings, Reward) else None, settings.share_for_loss)
        rows = held_out(data, rows, *shares, seed=stage.seed)[-1]  # type: ignore[type-var]  # no prompts alone
    found = [_guess(row) if tokenizer is None else row_tokens(tokenizer, row, settings) for row in rows]
    read = [each.read for each in found if each.longest <= settings.max_length]
    return round(len(read) * len(every) / len(some)), fmean(read) if read else 0.0


def _tokenizer(stage: PlannedStage) -> "PreTrainedTokenizerBase | None":
    """The one that the stage will be given; None where there is none yet, or none to be read by itself."""
    origin, settings = None if stage.parent is None else stage.parent.known, stage.settings
    if origin is None or not isinstance(settings, Conversational):
        return None
    files = tokenizer_files(origin)
    if not (files.folder / FILE).is_file():
        return None
    plain = PlainTokenizer(files.folder, files.chat_template, needs_template=settings.chat_template)
    return cast("PreTrainedTokenizerBase", plain)


def _guess(row: LearnedRow) -> RowTokens:
    """The tokens of a row by its characters."""
    prompt = sum(len(turn["content"]) for turn in row.prompt)
    lengths = [prompt + len(answer) for answer in answers_of(row)] or [prompt]
    return RowTokens(*(round(each / CHARACTERS_PER_TOKEN) for each in (sum(lengths), max(lengths))))


def _of_texts(stage: PlannedStage) -> Work:
    """The work of `pretrain`, which learns from plain texts, and makes its own tokenizer."""
    texts = [str(row.get("text", "")) for source in stage.sources for row in source.rows]
    tokens = sum(map(len, texts)) / len(texts) / CHARACTERS_PER_TOKEN
    work = _of_rows(stage.settings, len(texts), tokens, basis="guessed")
    assert isinstance(stage.settings, EpochTraining)
    return replace(work, steps=stage.settings.steps)


def _of_scored_texts(stage: PlannedStage, settings: ToxicityTraining) -> Work:
    """The work of a classifier, on the texts that it does not hold out."""
    data = ", ".join(source.name for source in stage.sources)
    every = scored_texts(data, [row for source in stage.sources for row in source.rows], settings.classes)
    labelled = [each for each in every if each.is_labelled]
    _, learned = held_out_texts(data, labelled, settings.holdout, seed=stage.seed)
    some = [each.text for each in learned[:: max(1, len(learned) // SAMPLED)]]
    origin = None if stage.parent is None else stage.parent.known
    file = None if origin is None else tokenizer_files(origin).folder / FILE
    if file is None or not file.is_file():
        return _of_rows(settings, len(learned), fmean(map(len, some)) / CHARACTERS_PER_TOKEN, basis="guessed")
    tokenizer = Tokenizer.from_file(str(file))
    tokenizer.no_padding()
    tokenizer.no_truncation()
    lengths = [min(len(encoded.ids), settings.max_length) for encoded in tokenizer.encode_batch(some)]
    return _of_rows(settings, len(learned), fmean(lengths), basis="counted")
