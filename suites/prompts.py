"""Reads prompts for preferences from a file in one of the usual forms.

A row asks by `prompt` (a text, or turns), `question`, `turns` (of a user; the first is asked), `messages`
(asked up to the first answer), or `instruction` with or without an input. `id`, `question_id` or `prompt_id`
names it; otherwise a hash of what is asked does.
"""

import json
from collections.abc import Iterable, Iterator, Mapping
from itertools import takewhile
from pathlib import Path
from typing import Any

from harness.errors import DataError
from harness.files import json_rows, kind_of, read_text
from harness.records.answers import Message, Sample
from harness.turns import TURN, prompt_as_json, role_of
from suites.custom_rows import asked_turn
from suites.official import hub_rows
from suites.row_suite import short_hash

NAMES = ("id", "question_id", "prompt_id")
FORMS = ("prompt", "question", "turns", "messages", "conversations", "instruction")
OFFICIAL = {
    "mt_bench": "mt_bench/question.jsonl",
    "user_oriented": "sft/user_oriented_instructions.jsonl",
}
"""Sets of prompts in the folder of official data, by the name that `--prompts` knows them by."""


def read_prompts(file: Path) -> list[Sample]:
    """The prompts of a JSONL or JSON file, or, of a `.txt`, each line one; any of them gzipped.

    Raises DataError for a file that cannot be read or holds none, for a row that asks nothing, and for one
    that repeats another's name.
    """
    return _samples(str(file), _rows(file))


def hub_prompts(dataset: str) -> list[Sample]:
    """The prompts of a data set on the hub, `OWNER/NAME` or `OWNER/NAME:SPLIT` (by default `train`).

    Raises DownloadNeeded where the hub cannot be reached, and DataError as `read_prompts` does.
    """
    name, _, split = dataset.partition(":")
    return _samples(dataset, hub_rows(name, split=split or "train", instead="name a file"))


def _rows(file: Path) -> Iterator[tuple[int, Mapping[str, Any]]]:
    """What each row asks, with its number."""
    if kind_of(file) == ".txt":
        lines = enumerate(read_text(file).splitlines(), start=1)
        return ((number, {"prompt": line}) for number, line in lines if line.strip())
    return json_rows(file)


def _samples(source: str, rows: Iterable[tuple[int, Mapping[str, Any]]]) -> list[Sample]:
    samples: dict[str, Sample] = {}
    for number, row in rows:
        sample = _sample(source, number, row)
        if sample.id in samples:
            raise DataError(source, number, f"repeats an earlier row: both are {sample.id!r}")
        samples[sample.id] = sample
    if not samples:
        raise DataError(source, 0, "holds no prompts")
    return list(samples.values())


def _sample(source: str, number: int, row: Mapping[str, Any]) -> Sample:
    form = next((form for form in FORMS if row.get(form)), None)
    if form is None:
        raise DataError(source, number, f"asks nothing: one of {', '.join(FORMS)} was expected")
    prompt = _prompt(source, number, form, row)
    name = next((str(row[key]) for key in NAMES if row.get(key) is not None), None)
    category = row.get("category")
    return Sample(
        id=name or short_hash(json.dumps(prompt_as_json(prompt), ensure_ascii=False)),
        prompt=prompt,
        tags={"category": category} if isinstance(category, str) else {},
    )


def _prompt(source: str, number: int, form: str, row: Mapping[str, Any]) -> str | tuple[Message, ...]:
    given = row[form]
    if form == "instruction" and isinstance(given, str):
        return "\n\n".join(part for part in (given, _input(row)) if part)
    if form == "turns" and isinstance(given, list) and isinstance(given[0], str):
        return given[0]
    if isinstance(given, str):
        return given
    return _turns(source, number, form, given)


def _input(row: Mapping[str, Any]) -> str:
    """What an instruction is about: `input`, or that of the first of Self-Instruct's `instances`."""
    instances = row.get("instances")
    instance = instances[0] if isinstance(instances, list) and instances else row
    given = instance.get("input") if isinstance(instance, Mapping) else None
    return given if isinstance(given, str) else ""


def _turns(source: str, number: int, form: str, given: Any) -> tuple[Message, ...]:
    """Turns up to the first answer."""
    if not isinstance(given, list):
        raise DataError(source, number, f"{form}: a text, or turns such as {TURN}, expected")
    try:
        turns = tuple(map(asked_turn, takewhile(lambda turn: role_of(turn) != "assistant", given)))
    except ValueError as error:
        raise DataError(source, number, f"{form}: {error}") from error
    if not any(turn.role == "user" for turn in turns):
        raise DataError(source, number, f"{form}: no user's turn stands before the first answer")
    return turns
