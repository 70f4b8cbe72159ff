"""Parses a judge's reply: finds the JSON objects in it, and the one verdict that it states.

Models wrap what they were asked for: in a fence, in bold, after a sentence, behind `Verdict:`. All of that is
read. A verdict counts where it is stated: in an object's `verdict`, between double brackets, behind a word
such as `Verdict:` on the first line, or alone on the last one; never where its letter only occurs in a
sentence. A reply that states two different verdicts is unreadable, and nothing is guessed.
"""

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any, TypeVar

V = TypeVar("V")

KEY = "verdict"
"""What an object calls its verdict."""
_AROUND = " \t*_`\"'.!()[]"
"""What may stand around a verdict and says nothing."""
_LABEL = re.compile(
    r"(?:(?:my|the|final|overall|better|best)\W+)*"
    r"(?:verdict|winner|answer|choice|decision|judge?ment)(?:\W+is)?\W+"
)
"""`Verdict:`, `The better answer is`, `Final answer –`."""
_ANNOUNCED = re.compile(
    r"\W*(?:(?:my|the|final|overall)\W+)*(?:verdict|winner|decision|judge?ment)\b", re.IGNORECASE
)
"""How a first line begins that states a verdict; below `Answer A` there may be that answer."""
_BRACKETED = re.compile(r"\[\[\s*(\w+)\s*\]\]")
_FENCE = re.compile(r"\s*```+\s*\w*\s*")
_HEADING = re.compile(r"\s*#[\s#*_]*answer\W+\w+\W*|.*:[\s*_]*", re.IGNORECASE)
"""A line that announces what stands below it: `### Answer A`, `**Answer A:**`."""
_OBJECT = re.compile(r'\{\s*["}]')
"""How a JSON object begins; any other brace is a part of the prose."""


def json_objects(text: str) -> Iterator[dict[str, Any]]:
    """The JSON objects of a text, outermost ones.

    Raises ValueError for what begins as one and is none, for a key that stands there twice, and for NaN.
    """
    yield from (found for found, _, _ in _objects(text))


def verdict_in(text: str, words: Mapping[str, V]) -> V | None:
    """What the one verdict of a reply stands for; None where it states none, or several that differ.

    `words` are the verdicts that can be given, in lower case.
    """
    try:
        objects = list(_objects(text))
    except (ValueError, RecursionError):
        return None
    in_objects = [
        _word(value, words)
        for found, _, _ in objects
        for key, value in found.items()
        if key.casefold() == KEY
    ]
    lines = _lines(_without(text, [(start, end) for _, start, end in objects]))
    before = [word for line in lines[:-1] if not _HEADING.fullmatch(line) for word in _on_line(line, words)]
    at_the_end = [word for line in lines[-1:] for word in _on_line(line, words)]
    at_the_beginning = [
        line
        for line in lines[:1]
        if _bracketed(line, words) or (_ANNOUNCED.match(line) and _stated(line, words))
    ]
    found = {*in_objects, *before, *at_the_end}
    if len(found) != 1 or not (in_objects or at_the_end or at_the_beginning):
        return None
    return words.get(found.pop() or "")


def _objects(text: str) -> Iterator[tuple[dict[str, Any], int, int]]:
    """Each object with where it begins and ends."""
    decoder = json.JSONDecoder(object_pairs_hook=_unambiguous, parse_constant=_no_number, strict=False)
    begins = _OBJECT.search(text)
    while begins:
        found, end = decoder.raw_decode(text, begins.start())
        yield found, begins.start(), end
        begins = _OBJECT.search(text, end)


def _unambiguous(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        raise ValueError("a key stands there twice")
    return found


def _no_number(name: str) -> Any:
    raise ValueError(f"{name} is no number")


def _without(text: str, spans: list[tuple[int, int]]) -> str:
    """The text with a line break in place of each span."""
    for start, end in reversed(spans):
        text = f"{text[:start]}\n{text[end:]}"
    return text


def _lines(text: str) -> list[str]:
    """Lines that say something: neither blank nor a fence."""
    return [line for line in text.splitlines() if line.strip() and not _FENCE.fullmatch(line)]


def _word(value: Any, words: Mapping[str, V]) -> str | None:
    return _stated(value, words) if isinstance(value, str) else None


def _stated(line: str, words: Mapping[str, V]) -> str | None:
    """The verdict that a line states and that is all it holds, with or without a label before it."""
    said = line.casefold().lstrip(_AROUND + "#>-").rstrip(_AROUND)
    label = _LABEL.match(said)
    while label:
        said = said[label.end() :]
        label = _LABEL.match(said)
    said = said.strip(_AROUND)
    return said if said in words else None


def _on_line(line: str, words: Mapping[str, V]) -> list[str]:
    """Every verdict that a line states: the one that is all it holds, and those between double brackets."""
    stated = _stated(line, words)
    bracketed = _bracketed(line, words)
    return bracketed if stated is None else [stated, *bracketed]


def _bracketed(line: str, words: Mapping[str, V]) -> list[str]:
    return [word for word in map(str.casefold, _BRACKETED.findall(line)) if word in words]
