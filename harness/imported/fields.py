"""What readers of other tools' files share: how a file begins, its fields, lines that belong together."""

import json
import re
from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping, Sequence
from hashlib import sha256
from pathlib import Path
from typing import Any, TypeVar

from harness.records.answers import Message
from harness.turns import read_turn

BEGINNING = 4096
"""Bytes by which a file is recognized; it may be far too large to be read for that."""


LONGEST_REASON = 200
"""Characters."""

Key = TypeVar("Key", bound=Hashable)
Line = TypeVar("Line")


def beginning(file: Path) -> str:
    """How a file begins; empty for one that cannot be read, which is nobody's."""
    try:
        with file.open("rb") as content:
            return content.read(BEGINNING).decode("utf-8-sig", errors="ignore")
    except OSError:
        return ""


def as_object(value: object) -> Mapping[str, Any]:
    """The value, or an empty object where it is none."""
    return value if isinstance(value, dict) else {}


def as_objects(value: object) -> list[Mapping[str, Any]] | None:
    """A list of objects; None where the value is none."""
    if isinstance(value, list) and all(isinstance(each, dict) for each in value):
        return value
    return None


def as_list(value: object) -> list[Any]:
    """The value, or an empty list where it is none."""
    return value if isinstance(value, list) else []


def as_text(value: object) -> str | None:
    """The value where it is a text."""
    return value if isinstance(value, str) else None


def as_number(value: object) -> float | None:
    """A number, true as 1 and false as 0; None for anything else, also for a text that looks like one."""
    return float(value) if isinstance(value, bool | int | float) else None


def in_one_line(said: object) -> str:
    """A reason or a name, to be shown beside others: errors hold whole tracebacks and replies."""
    joined = "".join(each for each in " ".join(str(said).split()) if each.isprintable())
    return joined if len(joined) <= LONGEST_REASON else f"{joined[:LONGEST_REASON]}…"


def last_part(name: str) -> str:
    """What a model is called, without the folders, the organisation or the service before it."""
    parts = [each for each in re.split(r"[\\/]", name.strip()) if each.strip(" .")]
    found = "".join(each for each in (parts[-1] if parts else name) if each.isprintable()).strip()
    return found or "model"


def as_prompt(given: object) -> str | tuple[Message, ...]:
    """A prompt as text, or as turns where it is some; anything else is written as JSON."""
    if isinstance(given, str):
        return given
    try:
        turns = [read_turn(each) for each in given] if isinstance(given, list) else []
    except ValueError:
        turns = []
    if turns and all(turn.role in ("system", "user", "assistant") for turn in turns):
        return tuple(Message(role=turn.role, content=turn.content) for turn in turns)  # type: ignore[arg-type]  # seen
    return canonical(given)


def canonical(value: object) -> str:
    """JSON that is the same for equal values."""
    return json.dumps(value, sort_keys=True, ensure_ascii=False, separators=(",", ":"))


def digest(value: object) -> str:
    """A hash of a value."""
    return sha256(canonical(value).encode()).hexdigest()


def digest_of_all(digests: Iterable[str | bytes]) -> str:
    """A hash of values by theirs, whatever their order."""
    joined = b"\n".join(sorted(each.encode() if isinstance(each, str) else each for each in digests))
    return f"sha256:{sha256(joined).hexdigest()}"


def together(
    lines: Iterable[tuple[int, Line]], key_of: Callable[[Line], Key | None], last: Mapping[Key, int]
) -> Iterator[tuple[int, Key, Sequence[tuple[int, Line]]]]:
    """The numbered lines of each key, with its place among the keys, as soon as its last line is there.

    `last` is the number of each key's last line. Lines without a key are passed over.
    """
    begun: dict[Key, tuple[int, list[tuple[int, Line]]]] = {}
    place = 0
    for number, line in lines:
        key = key_of(line)
        if key is None:
            continue
        if key not in begun:
            begun[key] = (place, [])
            place += 1
        begun[key][1].append((number, line))
        if number == last[key]:
            position, found = begun.pop(key)
            yield position, key, found
