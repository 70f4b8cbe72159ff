"""The shapes that training rows can have: texts, scored ones, demonstrations, pairs of answers, and prompts.

Turns are read as in `harness.turns`, ShareGPT's `conversations` included. A column that is null counts as
missing: tables write null where a row lacks one.
"""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import NamedTuple

from harness.errors import DataError
from harness.turns import read_turn
from trainers.reading import Row

Turn = dict[str, str]
"""A message as chat templates read it: `role` and `content`."""

CONVERSATIONS = ("prompt", "messages", "conversations")
"""The columns that can hold a prompt's turns."""
EXCERPT = ("prompt", "continuation")
"""The two texts of a row of RealToxicityPrompts."""
TRANSCRIPT = re.compile(r"\n\n(Human|Assistant):[ \t]?")


class Demonstration(NamedTuple):
    """An answer to learn."""

    prompt: list[Turn]
    answer: str


class PreferencePair(NamedTuple):
    """Two answers to one prompt, the better one first."""

    prompt: list[Turn]
    chosen: str
    rejected: str


class TrainingPrompt(NamedTuple):
    """A prompt to answer, and the row's other columns."""

    prompt: list[Turn]
    columns: Row
    number: int
    """The row's place in the data, from 1."""


class ScoredText(NamedTuple):
    """A text, and how much it is of each class."""

    text: str
    scores: tuple[float | None, ...]
    """From 0 to 1, in the order of the classes; None where there is none."""
    group: str | None
    """Texts of one group are not independent of one another."""

    @property
    def is_labelled(self) -> bool:
        """Whether it has a score at all."""
        return any(score is not None for score in self.scores)


def answers_of(row: Demonstration | PreferencePair | TrainingPrompt) -> tuple[str, ...]:
    """The answers that a row gives, the better one first; none where it is a prompt alone."""
    if isinstance(row, Demonstration):
        return (row.answer,)
    return (row.chosen, row.rejected) if isinstance(row, PreferencePair) else ()


def texts(data: str, rows: Iterable[Row]) -> list[str]:
    """The column `text`. Raises DataError."""
    return [text(data, number, row, "text") for number, row in enumerate(rows, start=1)]


def scored_texts(data: str, rows: Iterable[Row], classes: Sequence[str]) -> list[ScoredText]:
    """From `text` beside a number for each class, or RealToxicityPrompts' `prompt` and `continuation`.

    Raises DataError, also for a class of which no text has a number.
    """
    found = [each for number, row in enumerate(rows, start=1) for each in _scored(data, number, row, classes)]
    for place, name in enumerate(classes):
        if all(each.scores[place] is None for each in found):
            raise DataError(data, 0, f"no text has a number for the class `{name}`")
    return found


def demonstrations(data: str, rows: Iterable[Row]) -> list[Demonstration]:
    """Read `messages`, `prompt`/`completion`, `instruction`/`input`/`output`, or `conversations`.

    Raises DataError, also where the last turn is not the assistant's, or is marked as not to be trained on.
    """
    return [demonstration(data, number, row) for number, row in enumerate(rows, start=1)]


def pairs(data: str, rows: Iterable[Row]) -> list[PreferencePair]:
    """From `chosen`/`rejected`: answers beside `prompt`, `instruction` or `conversations`, or whole ones.

    Conversations are lists of messages, or transcripts ("\\n\\nHuman: … \\n\\nAssistant: …"). Two that differ
    before their last turns answer different prompts and are left out: published data have some (5 of the
    2,312 in hh-rlhf's harmless test set). Raises DataError.
    """
    read_rows = (pair(data, number, row) for number, row in enumerate(rows, start=1))
    return [each for each in read_rows if each is not None]


def training_prompts(data: str, rows: Iterable[Row]) -> list[TrainingPrompt]:
    """From `prompt`, `messages`, `instruction`/`input`, or `conversations`, without a final answer.

    Raises DataError.
    """
    return [training_prompt(data, number, row) for number, row in enumerate(rows, start=1)]


def demonstration(data: str, number: int, row: Row) -> Demonstration:
    """One row of `demonstrations`; `number` is its place in `data`."""
    row = _present(row)
    if "messages" in row:
        return _learned(data, number, row["messages"])
    if "prompt" in row and "completion" in row:
        prompt = _conversation(data, number, row["prompt"])
        _check_weight(data, number, row["completion"])
        return Demonstration(prompt, _answer(data, number, row["completion"])[-1]["content"])
    if "instruction" in row and "output" in row:
        return Demonstration(_instruction(data, number, row), text(data, number, row, "output"))
    if "conversations" in row:
        return _learned(data, number, row["conversations"])
    needed = "`messages`, `conversations`, `prompt` and `completion`, or `instruction` and `output`"
    raise _missing(data, number, row, needed)


def _scored(data: str, number: int, row: Row, classes: Sequence[str]) -> Iterator[ScoredText]:
    """The text of a row, or both of a row of RealToxicityPrompts, which are a group."""
    parts = [row[part] for part in EXCERPT if isinstance(row.get(part), Mapping)]
    if row.get("text") is None and parts:
        for part in parts:
            yield ScoredText(
                text(data, number, part, "text"), _scores(data, number, part, classes), f"row {number}"
            )
        return
    group = row.get("group")
    yield ScoredText(
        text(data, number, row, "text"),
        _scores(data, number, row, classes),
        None if group is None else str(group),
    )


def _scores(data: str, number: int, row: Row, classes: Sequence[str]) -> tuple[float | None, ...]:
    """Raises DataError for what is not a number from 0 to 1."""
    scores = tuple(row.get(name) for name in classes)
    for name, score in zip(classes, scores, strict=True):
        if score is not None and not (isinstance(score, int | float) and 0 <= score <= 1):
            raise DataError(data, number, f"column `{name}` must be a number from 0 to 1, not {score!r}")
    return tuple(None if score is None else float(score) for score in scores)


def pair(data: str, number: int, row: Row) -> PreferencePair | None:
    """One row of `pairs`; None where its conversations differ before their last turns."""
    row = _present(row)
    if "chosen" not in row or "rejected" not in row:
        raise _missing(data, number, row, "`chosen` and `rejected`")
    chosen, rejected = (_answer(data, number, row[side]) for side in ("chosen", "rejected"))
    if len(chosen) > 1 or len(rejected) > 1:
        prompt, better = _split(data, number, chosen)
        other, worse = _split(data, number, rejected)
        return PreferencePair(prompt, better, worse) if prompt == other else None
    needed = "`prompt`, or whole conversations in `chosen` and `rejected`"
    prompt = _prompt(data, number, row, ("prompt", "instruction", "conversations"), needed)
    return PreferencePair(prompt, chosen[-1]["content"], rejected[-1]["content"])


def training_prompt(data: str, number: int, row: Row) -> TrainingPrompt:
    """One row of `training_prompts`."""
    given = _present(row)
    needed = "`prompt`, `messages`, `instruction` or `conversations`"
    prompt = _prompt(data, number, given, ("prompt", "messages", "instruction", "conversations"), needed)
    if prompt[-1]["role"] == "assistant":
        prompt = prompt[:-1]
    if not prompt:
        raise DataError(data, number, "there is no turn before the answer")
    columns = {name: value for name, value in row.items() if name not in CONVERSATIONS}
    return TrainingPrompt(prompt, columns, number)


def _present(row: Row) -> Row:
    """The row's columns that are not null."""
    return {name: value for name, value in row.items() if value is not None}


def _prompt(data: str, number: int, row: Row, columns: Sequence[str], needed: str) -> list[Turn]:
    """The turns in the first of these columns that the row has. Raises DataError where it has none."""
    column = next((name for name in columns if name in row), None)
    if column is None:
        raise _missing(data, number, row, needed)
    if column == "instruction":
        return _instruction(data, number, row)
    return _conversation(data, number, row[column])


def _learned(data: str, number: int, value: object) -> Demonstration:
    """A conversation that ends with the answer to learn."""
    _check_weight(data, number, value)
    return _split(data, number, _conversation(data, number, value))


def _check_weight(data: str, number: int, turns: object) -> None:
    """Raise DataError for a last answer of weight 0, which in OpenAI's format is not trained on."""
    last = turns[-1] if isinstance(turns, list | tuple) and turns else None
    if isinstance(last, Mapping) and last.get("weight") == 0:
        raise DataError(
            data, number, "the last answer has `weight` 0: it is not to be learned; leave the row out"
        )


def _split(data: str, number: int, turns: list[Turn]) -> Demonstration:
    if len(turns) < 2 or turns[-1]["role"] != "assistant":
        raise DataError(data, number, "a conversation must end with the assistant's answer to something")
    return Demonstration(turns[:-1], turns[-1]["content"])


def _conversation(data: str, number: int, value: object) -> list[Turn]:
    """The turns of a conversation; a plain text is the user's turn."""
    if isinstance(value, str):
        turns = _transcript(value) or [{"role": "user", "content": value}]
        return turns[:-1] if turns[-1] == {"role": "assistant", "content": ""} else turns
    return _turns(data, number, value)


def _answer(data: str, number: int, value: object) -> list[Turn]:
    """Turns that end with an answer; a plain text is the assistant's turn, and one turn needs no list."""
    if isinstance(value, str):
        return _transcript(value) or [{"role": "assistant", "content": value}]
    turns = _turns(data, number, [value] if isinstance(value, Mapping) else value)
    if turns[-1]["role"] != "assistant":
        raise DataError(data, number, "an answer must end with the assistant's turn")
    return turns


def _turns(data: str, number: int, value: object) -> list[Turn]:
    if not isinstance(value, list | tuple) or not value:
        raise DataError(data, number, "a conversation must be a text or a list of messages")
    try:
        return [read_turn(turn)._asdict() for turn in value]
    except ValueError as error:
        raise DataError(data, number, str(error)) from error


def _transcript(text: str) -> list[Turn]:
    """The turns of a transcript in Anthropic's form; empty for any other text."""
    if not text.startswith("\n\nHuman:"):
        return []
    _, *parts = TRANSCRIPT.split(text)
    roles = {"Human": "user", "Assistant": "assistant"}
    return [
        {"role": roles[speaker], "content": words.strip()}
        for speaker, words in zip(parts[::2], parts[1::2], strict=True)
    ]


def _instruction(data: str, number: int, row: Row) -> list[Turn]:
    parts = [text(data, number, row, "instruction")]
    if row.get("input"):
        parts.append(text(data, number, row, "input"))
    return [{"role": "user", "content": "\n\n".join(parts)}]


def text(data: str, number: int, row: Row, column: str) -> str:
    """The text in a column. Raises DataError."""
    value = row.get(column)
    if value is None:
        raise _missing(data, number, _present(row), f"`{column}`")
    if not isinstance(value, str):
        raise DataError(data, number, f"column `{column}` must be text, not {type(value).__name__}")
    return value


def _missing(data: str, number: int, row: Row, needed: str) -> DataError:
    return DataError(data, number, f"needs {needed}; its columns are {', '.join(row) or 'none'}")
