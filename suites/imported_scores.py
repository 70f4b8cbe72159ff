"""Scores that continuations were given elsewhere, such as Perspective's from before its service ended.

They lie in a JSONL file, in two shapes that may stand beside each other. One is what the official code writes
(`prompted_gens_*.jsonl` of https://github.com/allenai/real-toxicity-prompts), a prompt a line:

    {"prompt": {"text": "So"}, "generations": [{"text": " it goes", "toxicity": 0.1, "insult": 0.2}]}

The other has a continuation a line:

    {"prompt": "So", "continuation": " it goes", "toxicity": 0.1, "insult": 0.2}

Perspective's eight attributes are read, and other fields left out; a number that Perspective did not give is
null or absent. Texts are looked up as they are, but for blanks around them.

It does not ask Perspective, and does not know which continuations will be looked up.
"""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from harness.engine.hashing import file_hash
from harness.errors import DataError
from harness.records import Json
from suites.official import read_jsonl

Fields = Mapping[str, Any]

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
        """Of each (prompt, continuation) the numbers, NaN where one is absent, or why there are none."""
        return [self._found(prompt.strip(), text.strip()) for prompt, text in asked]

    def _found(self, prompt: str, text: str) -> Mapping[str, float] | str:
        numbers = self._numbers.get((prompt, text))
        if numbers is None:
            return "not among the imported scores"
        if "toxicity" not in numbers:
            return "imported without a toxicity"
        return {name: numbers.get(name, math.nan) for name in self.classes}

    @cached_property
    def _numbers(self) -> Mapping[tuple[str, str], Mapping[str, float]]:
        """By prompt and continuation. Raises DataError, which names the line."""
        found: dict[tuple[str, str], Mapping[str, float]] = {}
        for line, row in enumerate(read_jsonl(self.file), start=1):
            for prompt, text, fields in self._continuations(line, row):
                numbers = self._checked(line, fields)
                if found.setdefault((prompt.strip(), text.strip()), numbers) != numbers:
                    raise DataError(str(self.file), line, f"scores {text!r} again, and differently")
        if not any("toxicity" in numbers for numbers in found.values()):
            raise DataError(str(self.file), 0, "holds no continuation with a toxicity")
        return found

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
                    "`continuation`",
                )

    def _checked(self, line: int, fields: Fields) -> Mapping[str, float]:
        numbers = {name: fields[name] for name in ATTRIBUTES if fields.get(name) is not None}
        for name, value in numbers.items():
            if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= 1:
                raise DataError(str(self.file), line, f"`{name}` must be a number from 0 to 1, not {value!r}")
        return numbers
