"""Collects the mistakes of one file, so that all are reported at once, and words pydantic's plainly."""

import json
import re
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any, TypeVar, get_args

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from harness.errors import ConfigError, nearest

M = TypeVar("M", bound=BaseModel)
Table = Mapping[str, object]
"""A table as tomllib reads it."""
Place = tuple[str | int, ...]
"""The keys and list positions that lead to a value."""

_EXPECTED = {
    "int_type": "a whole number",
    "float_type": "a number",
    "bool_type": "true or false",
    "string_type": "text",
    "list_type": "a list",
    "tuple_type": "a list",
    "dict_type": "a table",
    "model_type": "a table",
}
_LIMITS = {
    "greater_than": "more than {gt:.15g}",
    "greater_than_equal": "{ge:.15g} or more",
    "less_than": "less than {lt:.15g}",
    "less_than_equal": "{le:.15g} or less",
}


class Mistakes:
    """What is wrong with a file."""

    def __init__(self, file: Path) -> None:
        self._file = str(file)
        self._found: list[tuple[str, str]] = []

    def add(self, key: str, message: str) -> None:
        """Note a mistake; `key` is dotted, and list positions count from 0."""
        self._found.append((key, message))

    def raise_any(self) -> None:
        """Raise ConfigError if there are any: one line each, `FILE: KEY: MESSAGE`."""
        if not self._found:
            return
        (key, message), *others = self._found
        lines = [message, *(str(ConfigError(self._file, *other)) for other in others)]
        raise ConfigError(self._file, key, "\n".join(lines))

    def read(
        self,
        schema: type[M],
        table: Table,
        key: str,
        also: Collection[str] = (),
        written: Mapping[str, str] = MappingProxyType({}),
    ) -> M | None:
        """The table as `schema` has it, or None and its mistakes noted.

        `also` are keys that may stand in the same table of the file and are not part of `table`. `written`
        are the keys that stand in the file where `table` has others.
        """
        try:
            # As JSON, so that strict reading takes a list for a tuple and text for a path, but not "3" for 3.
            return schema.model_validate_json(json.dumps(table, default=str), strict=True)
        except ValidationError as error:
            for (*place,), message in _mistakes(error, schema, table, also):
                place[:1] = [written.get(str(name), name) for name in place[:1]]
                self.add(under(key, *place), message)
            return None


def under(key: str, *place: str | int) -> str:
    """The dotted key of something inside `key`, as TOML would write it."""
    for part in place:
        if isinstance(part, int):
            key += f"[{part}]"
        else:
            bare = re.fullmatch(r"[A-Za-z0-9_-]+", part)
            key += f".{part}" if bare else f".{json.dumps(part, ensure_ascii=False)}"
    return key


def expected(what: str, value: object) -> str:
    """The message about a value of a wrong type."""
    return f"expected {what}, got {shown(value)}"


def shown(value: object) -> str:
    """A value as the file has it, in short."""
    if isinstance(value, Mapping):
        return "a table"
    if isinstance(value, list):
        return "a list"
    text = json.dumps(value, ensure_ascii=False, default=str)
    return text if len(text) <= 60 else f"{text[:57]}…"


def _mistakes(
    error: ValidationError, schema: type[BaseModel], table: Table, also: Collection[str]
) -> list[tuple[Place, str]]:
    """What pydantic found, one message per place."""
    found: dict[Place, list[ErrorDetails]] = {}
    for details in error.errors(include_url=False):
        if details["type"] == "default_factory_not_called":  # since another key, which is reported, is wrong
            continue
        found.setdefault(_place(details, table), []).append(details)
    return [
        (place, _message(details, schema, place, also))
        for place, details in found.items()
        if not any(other[: len(place)] == place for other in found if len(other) > len(place) > 0)
    ]


def _place(details: ErrorDetails, table: Table) -> Place:
    """Where in the file it is. Pydantic's location also names the branches of unions, which are left out."""
    place: list[str | int] = []
    here: Any = table
    for part in details["loc"]:
        try:
            here = here[part]
        except (KeyError, TypeError):
            if details["type"] != "missing":
                continue
        place.append(part)
    return tuple(place)


def _message(
    alternatives: Sequence[ErrorDetails], schema: type[BaseModel], place: Place, also: Collection[str]
) -> str:
    details = alternatives[0]
    kind, value, context = details["type"], details["input"], details.get("ctx", {})
    if kind == "missing":
        return "this key is needed"
    if kind == "extra_forbidden":
        known = [*_keys(schema, place), *(also if len(place) == 1 else ())]
        return f"unknown key{nearest(str(place[-1]), known)}"
    if kind in _EXPECTED:
        wanted = dict.fromkeys(_EXPECTED[d["type"]] for d in alternatives if d["type"] in _EXPECTED)
        return expected(" or ".join(wanted), value)
    if kind == "literal_error":
        choices = re.findall(r"'([^']*)'", context["expected"])
        if isinstance(value, str) and choices:
            return f"there is no choice {shown(value)}{nearest(value, choices)}"
        return expected(context["expected"], value)
    if kind in _LIMITS:
        return expected(_LIMITS[kind].format(**context), value)
    if kind == "value_error":
        return str(context["error"])
    return f"{details['msg'][0].lower()}{details['msg'][1:]}, got {shown(value)}"


def _keys(schema: type[BaseModel], place: Place) -> list[str]:
    """The keys that are known where the unknown one at `place` stands."""
    for part in place[:-1]:
        if isinstance(part, str):
            schema = _schemas(schema.model_fields[part].annotation)[0]
    return list(schema.model_fields)


def _schemas(annotation: object) -> list[type[BaseModel]]:
    """The models that a field's annotation speaks of."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    return [schema for inner in get_args(annotation) for schema in _schemas(inner)]
