"""Where training rows come from, and the few shapes they may have.

A source is `toy:NAME` (the embedded world), a local `.jsonl`, `.json`, `.csv` (each also `.gz`) or
`.parquet` file, or a hub id (its `train` split). Rows are hashed by content, so that where they came from
does not matter and what they say does.

It does not know what they are used for, tokenizers, or what is asked in evaluation.
"""

import csv
import gzip
import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache, cached_property, partial
from hashlib import sha256
from pathlib import Path
from typing import Any, NamedTuple, TextIO

from harness.engine.hashing import remembered_hash
from harness.engine.hub import why_nothing_came
from harness.errors import DataError, DownloadNeeded
from harness.toyworld import generator_hash, training_set

Row = Mapping[str, Any]
Turn = dict[str, str]
"""A message as chat templates read it: `role` and `content`."""

ROLES = ("system", "user", "assistant")
FILE_KINDS = (".jsonl", ".json", ".csv", ".parquet")
TRANSCRIPT = re.compile(r"\n\n(Human|Assistant):[ \t]?")


@dataclass(frozen=True, kw_only=True)
class Source:
    """Rows from one place."""

    name: str
    """As written in the configuration."""
    hash: str
    """Of the rows' content, in their order."""
    read: Callable[[], Sequence[Row]]
    """Gives the rows: a plan of what is trained already needs only their hash."""

    @cached_property
    def rows(self) -> Sequence[Row]:
        """The rows themselves."""
        return self.read()


def read(name: str, root: Path) -> Source:
    """Read a source. Files are relative to `root`.

    Raises DataError (with the row, where one is at fault), UnknownName for a toy set, DownloadNeeded.
    """
    if name.startswith("toy:"):
        return _toy_source(name)
    rows = list(_file_rows(root / name)) if file_kind(name) else _hub_rows(name)
    if not rows:
        raise DataError(name, 0, "there are no rows")
    return Source(name=name, hash=rows_hash(rows), read=lambda: rows)


@cache
def _toy_source(name: str) -> Source:
    """Kept, since it cannot change while the process lives and every plan asks for it.

    Its hash is remembered from one process to the next: making the rows takes a good part of a second.
    """
    made = partial(_toy_rows, name)
    return Source(
        name=name, hash=remembered_hash(name, [generator_hash()], lambda: rows_hash(made())), read=made
    )


@cache
def _toy_rows(name: str) -> Sequence[Row]:
    return training_set(name.removeprefix("toy:"))


def rows_hash(rows: Iterable[Row]) -> str:
    """A hash of the rows' content, in their order."""
    digest = sha256()
    for row in rows:
        digest.update(json.dumps(row, sort_keys=True, default=str).encode())
        digest.update(b"\n")
    return digest.hexdigest()


def file_kind(name: str) -> str | None:
    """`.jsonl`, `.json`, `.csv` or `.parquet`; None: not a file's name."""
    suffix = Path(name.removesuffix(".gz")).suffix
    return suffix if suffix in FILE_KINDS else None


# ---------------------------------------------------------------- reading


def _file_rows(path: Path) -> Iterator[Row]:
    if not path.is_file():
        raise DataError(str(path), 0, "there is no such file")
    kind = file_kind(path.name)
    if kind == ".parquet":
        yield from _parquet_rows(path)
        return
    try:
        with _open_text(path) as file:
            if kind == ".csv":
                yield from csv.DictReader(file)
            elif kind == ".json":
                yield from _json_rows(str(path), file)
            else:
                yield from _jsonl_rows(str(path), file)
    except (UnicodeDecodeError, gzip.BadGzipFile, EOFError) as error:
        raise DataError(str(path), 0, f"cannot be read: {error}") from error


def _open_text(path: Path) -> TextIO:
    if path.suffix == ".gz":
        return gzip.open(path, "rt", encoding="utf-8", newline="")
    return path.open(encoding="utf-8", newline="")


def _jsonl_rows(name: str, lines: Iterable[str]) -> Iterator[Row]:
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        try:
            row = json.loads(line)
        except json.JSONDecodeError as error:
            raise DataError(name, number, f"is not JSON: {error.msg} at column {error.colno}") from error
        yield _checked(name, number, row)


def _json_rows(name: str, file: TextIO) -> Iterator[Row]:
    try:
        rows = json.load(file)
    except json.JSONDecodeError as error:
        raise DataError(name, error.lineno, f"is not JSON: {error.msg} at column {error.colno}") from error
    if not isinstance(rows, list):
        raise DataError(name, 0, "must hold a list of objects")
    for number, row in enumerate(rows, start=1):
        yield _checked(name, number, row)


def _checked(name: str, number: int, row: object) -> Row:
    if not isinstance(row, dict):
        raise DataError(name, number, f"must be an object with named columns, not {type(row).__name__}")
    return row


def _parquet_rows(path: Path) -> list[Row]:
    import pyarrow  # noqa: PLC0415  a plan of other sources must not pay for it
    from pyarrow import parquet  # noqa: PLC0415  the same

    try:
        rows: list[Row] = parquet.read_table(path).to_pylist()
    except pyarrow.ArrowInvalid as error:
        raise DataError(str(path), 0, f"is not a Parquet file: {error}") from error
    return rows


def _hub_rows(name: str) -> list[Row]:
    from datasets import load_dataset  # noqa: PLC0415  seconds to import, and only hub ids need it

    try:
        return list(load_dataset(name, split="train"))
    except (OSError, RuntimeError) as error:
        raise DownloadNeeded(
            f"data set {name!r} is neither a file ({', '.join(FILE_KINDS)}) nor in the hub's cache, and the "
            f"hub gives none ({why_nothing_came(error)}); connect to the network, or name a file"
        ) from error
    except ValueError as error:  # no `train` split, or several configurations
        raise DataError(name, 0, str(error)) from error


# ---------------------------------------------------------------- shapes


class Demonstration(NamedTuple):
    """An answer to learn."""

    prompt: list[Turn]
    answer: str


class Pair(NamedTuple):
    """Two answers to one prompt, the better one first."""

    prompt: list[Turn]
    chosen: str
    rejected: str


class Question(NamedTuple):
    """A prompt to be answered, and what else the row knows about it."""

    prompt: list[Turn]
    columns: Row


def texts(data: str, rows: Iterable[Row]) -> list[str]:
    """The column `text`."""
    return [_text(data, number, row, "text") for number, row in enumerate(rows, start=1)]


def demonstrations(data: str, rows: Iterable[Row]) -> list[Demonstration]:
    """From `messages`, `prompt`/`completion`, or `instruction`/`input`/`output`.

    Raises DataError, also where the last turn is not the assistant's.
    """
    return [_demonstration(data, number, row) for number, row in enumerate(rows, start=1)]


def pairs(data: str, rows: Iterable[Row]) -> list[Pair]:
    """From `chosen`/`rejected`: answers beside a `prompt` or `instruction`, or whole conversations.

    Conversations are lists of messages, or transcripts ("\\n\\nHuman: … \\n\\nAssistant: …"). Two that differ
    before their last turns answer different prompts and are left out: published data have some (5 of the
    2,312 in hh-rlhf's harmless test set). Raises DataError.
    """
    read_rows = (_pair(data, number, row) for number, row in enumerate(rows, start=1))
    return [pair for pair in read_rows if pair is not None]


def questions(data: str, rows: Iterable[Row]) -> list[Question]:
    """From `prompt`, `messages` (a last answer is left off), or `instruction`/`input`. Raises DataError."""
    return [_question(data, number, row) for number, row in enumerate(rows, start=1)]


def _demonstration(data: str, number: int, row: Row) -> Demonstration:
    if "messages" in row:
        return _split(data, number, _conversation(data, number, row["messages"]))
    if "prompt" in row and "completion" in row:
        prompt = _conversation(data, number, row["prompt"])
        return Demonstration(prompt, _answer(data, number, row["completion"])[-1]["content"])
    if "instruction" in row and "output" in row:
        return Demonstration(_instruction(data, number, row), _text(data, number, row, "output"))
    raise _missing(data, number, row, "`messages`, `prompt` and `completion`, or `instruction` and `output`")


def _pair(data: str, number: int, row: Row) -> Pair | None:
    if "chosen" not in row or "rejected" not in row:
        raise _missing(data, number, row, "`chosen` and `rejected`")
    chosen, rejected = (_answer(data, number, row[side]) for side in ("chosen", "rejected"))
    if len(chosen) > 1 or len(rejected) > 1:
        prompt, better = _split(data, number, chosen)
        other, worse = _split(data, number, rejected)
        return Pair(prompt, better, worse) if prompt == other else None
    if "prompt" in row:
        prompt = _conversation(data, number, row["prompt"])
    elif "instruction" in row:
        prompt = _instruction(data, number, row)
    else:
        raise _missing(data, number, row, "`prompt`, or whole conversations in `chosen` and `rejected`")
    return Pair(prompt, chosen[-1]["content"], rejected[-1]["content"])


def _question(data: str, number: int, row: Row) -> Question:
    if "prompt" in row:
        prompt = _conversation(data, number, row["prompt"])
    elif "messages" in row:
        prompt = _conversation(data, number, row["messages"])
    elif "instruction" in row:
        prompt = _instruction(data, number, row)
    else:
        raise _missing(data, number, row, "`prompt`, `messages` or `instruction`")
    if prompt[-1]["role"] == "assistant":
        prompt = prompt[:-1]
    if not prompt:
        raise DataError(data, number, "there is no turn before the answer")
    return Question(
        prompt, {name: value for name, value in row.items() if name not in ("prompt", "messages")}
    )


def _split(data: str, number: int, turns: list[Turn]) -> Demonstration:
    if len(turns) < 2 or turns[-1]["role"] != "assistant":
        raise DataError(data, number, "a conversation must end with the assistant's answer to something")
    return Demonstration(turns[:-1], turns[-1]["content"])


def _conversation(data: str, number: int, value: object) -> list[Turn]:
    """Turns; a plain text is the user's."""
    if isinstance(value, str):
        return _transcript(value) or [{"role": "user", "content": value}]
    return _turns(data, number, value)


def _answer(data: str, number: int, value: object) -> list[Turn]:
    """Turns ending with an answer; a plain text is the assistant's."""
    if isinstance(value, str):
        return _transcript(value) or [{"role": "assistant", "content": value}]
    turns = _turns(data, number, value)
    if turns[-1]["role"] != "assistant":
        raise DataError(data, number, "an answer must end with the assistant's turn")
    return turns


def _turns(data: str, number: int, value: object) -> list[Turn]:
    if not isinstance(value, list | tuple) or not value:
        raise DataError(data, number, "a conversation must be a text or a list of messages")
    for turn in value:
        if (
            not isinstance(turn, Mapping)
            or turn.get("role") not in ROLES
            or not isinstance(turn.get("content"), str)
        ):
            raise DataError(
                data, number, f"a message needs a `role` of {', '.join(ROLES)} and a text `content`"
            )
    return [{"role": turn["role"], "content": turn["content"]} for turn in value]


def _transcript(text: str) -> list[Turn]:
    """Anthropic's form of a conversation; nothing where the text is none."""
    if not text.startswith("\n\nHuman:"):
        return []
    _, *parts = TRANSCRIPT.split(text)
    roles = {"Human": "user", "Assistant": "assistant"}
    return [
        {"role": roles[speaker], "content": said.strip()}
        for speaker, said in zip(parts[::2], parts[1::2], strict=True)
    ]


def _instruction(data: str, number: int, row: Row) -> list[Turn]:
    parts = [_text(data, number, row, "instruction")]
    if row.get("input"):
        parts.append(_text(data, number, row, "input"))
    return [{"role": "user", "content": "\n\n".join(parts)}]


def _text(data: str, number: int, row: Row, column: str) -> str:
    if column not in row:
        raise _missing(data, number, row, f"`{column}`")
    value = row[column]
    if not isinstance(value, str):
        raise DataError(data, number, f"column `{column}` must be text, not {type(value).__name__}")
    return value


def _missing(data: str, number: int, row: Row, needed: str) -> DataError:
    return DataError(data, number, f"needs {needed}; its columns are {', '.join(row) or 'none'}")
