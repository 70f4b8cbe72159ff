"""Scores of continuations that were made elsewhere, such as Perspective's from before its service ended.

A JSONL file holds them, in two shapes that may be mixed. One is what the official code writes
(`prompted_gens_*.jsonl` of https://github.com/allenai/real-toxicity-prompts), a prompt a line:

    {"prompt": {"text": "So"}, "generations": [{"text": " it goes", "toxicity": 0.1, "insult": 0.2}]}

The other has a continuation a line:

    {"prompt": "So", "continuation": " it goes", "toxicity": 0.1, "insult": 0.2}

Perspective's eight attributes are read, and other fields left out; a number that Perspective did not give is
null or absent. Texts are looked up without the blanks around them. Asked twice about one text, Perspective
gave scores that differ in their last digits: of two that are as near as that the first counts, and others
are refused.
"""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from harness.engine.hashing import file_hash
from harness.errors import DataError
from harness.files import json_lines
from harness.records.models import Json

Fields = Mapping[str, Any]
_Continuation = tuple[str, str]
"""A prompt and what follows it, without the blanks around them."""

ATTRIBUTES = (
    "toxicity",
    "severe_toxicity",
    "identity_attack",
    "insult",
    "profanity",
    "sexually_explicit",
    "threat",
    "flirtation",
)
SAME_WITHIN = 1e-5
"""How far apart two scores of one text may be; 6e-7 was found in genuine files."""
SHAPES = (
    'a JSONL file is expected, with lines such as {"prompt": {"text": "So"}, "generations": [{"text": " it '
    'goes", "toxicity": 0.1}]} or {"prompt": "So", "continuation": " it goes", "toxicity": 0.1}'
)


@dataclass(frozen=True)
class ImportedScores:
    """A file of scores in a classifier's place."""

    file: Path

    @cached_property
    def classes(self) -> tuple[str, ...]:
        """The attributes that the file has a number for. Raises DataError."""
        given = {name for numbers in self._numbers.values() for name in numbers}
        return tuple(name for name in ATTRIBUTES if name in given)

    def identity(self) -> Mapping[str, Json]:
        """The file, by its content. Raises DataError."""
        if not self.file.is_file():
            raise DataError(str(self.file), 0, "there is no such file of scores")
        return {"scorer": "imported", "sha256": file_hash(self.file)}

    def prepare(self) -> None:
        """Read the file. Raises DataError."""
        _ = self._numbers

    def judge(self, asked: Sequence[tuple[str, str]]) -> list[Mapping[str, float] | str]:
        """The numbers of each (prompt, continuation), NaN where one is absent, or why there are none."""
        return [self._found(prompt.strip(), text.strip()) for prompt, text in asked]

    def _found(self, prompt: str, text: str) -> Mapping[str, float] | str:
        numbers = self._numbers.get((prompt, text))
        if numbers is None:
            return "not among the imported scores"
        if "toxicity" not in numbers:
            return "imported without a toxicity"
        return {name: numbers.get(name, math.nan) for name in self.classes}

    @property
    def _numbers(self) -> Mapping[tuple[str, str], Mapping[str, float]]:
        return self._read[0]

    @property
    def note(self) -> str | None:
        """What a reader of the numbers must know. Raises DataError."""
        apart = self._read[1]
        if not apart:
            return None
        texts = "1 continuation stands" if len(apart) == 1 else f"{len(apart):,} continuations stand"
        return (
            f"{texts} in {self.file.name} more than once, with scores up to {max(apart.values()):.1g} apart; "
            "the first counts"
        )

    @cached_property
    def _read(self) -> tuple[Mapping[_Continuation, Mapping[str, float]], Mapping[_Continuation, float]]:
        """The numbers of each continuation, and how far they are apart of those that have several.

        Raises DataError, which names the line.
        """
        found: dict[_Continuation, Mapping[str, float]] = {}
        apart: dict[_Continuation, float] = {}
        for line, row in self._lines():
            for prompt, text, fields in self._continuations(line, row):
                key, numbers = (prompt.strip(), text.strip()), self._checked(line, fields)
                first = found.setdefault(key, numbers)
                distance = _distance(first, numbers)
                if distance > SAME_WITHIN:
                    raise DataError(
                        str(self.file), line, f"scores {text!r} again, and differently (by {distance:.2g})"
                    )
                if distance > 0:
                    apart[key] = max(distance, apart.get(key, 0.0))
                found[key] = {**numbers, **first}
        if not any("toxicity" in numbers for numbers in found.values()):
            raise DataError(str(self.file), 0, f"holds no continuation with a toxicity; {SHAPES}")
        return found, apart

    def _lines(self) -> Iterator[tuple[int, Fields]]:
        try:
            yield from json_lines(self.file)
        except DataError as error:
            raise DataError(error.file, error.row, f"{error.message}; {SHAPES}") from error

    def _continuations(self, line: int, row: Fields) -> Iterator[tuple[str, str, Fields]]:
        """(prompt, continuation, fields) of each continuation of a line."""
        match row:
            case {"prompt": {"text": str(prompt)}, "generations": [*generations]}:
                for generation in generations:
                    if not isinstance(generation, dict) or not isinstance(generation.get("text"), str):
                        raise DataError(str(self.file), line, "a generation has no `text`")
                    yield prompt, generation["text"], generation
            case {"prompt": str(prompt), "continuation": str(text)}:
                yield prompt, text, row
            case _:
                raise DataError(
                    str(self.file),
                    line,
                    "must hold either `prompt.text` and a list `generations`, or the texts `prompt` and "
                    f"`continuation`; {SHAPES}",
                )

    def _checked(self, line: int, fields: Fields) -> Mapping[str, float]:
        numbers = {name: fields[name] for name in ATTRIBUTES if fields.get(name) is not None}
        for name, value in numbers.items():
            if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= 1:
                raise DataError(str(self.file), line, f"`{name}` must be a number from 0 to 1, not {value!r}")
        return numbers


def _distance(first: Mapping[str, float], again: Mapping[str, float]) -> float:
    """The most by which two readings of one text differ, of what both have a number for."""
    return max((abs(first[name] - again[name]) for name in first.keys() & again.keys()), default=0.0)
