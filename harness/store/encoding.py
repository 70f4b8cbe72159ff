"""Records as JSON text and back, and the hashes by which content is addressed.

JSON text rather than columns: a field added to a record needs no migration, and escaped JSON holds every
string a model can produce, also those that no database takes as text (NUL in PostgreSQL, lone surrogates).
"""

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import fields
from hashlib import sha256
from math import isfinite
from typing import Any

from sqlalchemy import Dialect, LargeBinary, Text
from sqlalchemy.types import TypeDecorator

from harness.escape_controls import escape_controls
from harness.records.answers import LogLikelihood, Response, Sample, values_of
from harness.records.models import Json
from harness.turns import prompt_as_json, prompt_from_json

Answer = Response | LogLikelihood

STOP_REASON, STOPPED = "stop_reason", "stopped"
"""A response's field, and the key that it has always been kept under."""
KEPT = {
    kind: tuple(
        (STOPPED if field.name == STOP_REASON else field.name, field.default)
        for field in fields(kind)
        if field.name != "key"
    )
    for kind in (Response, LogLikelihood)
}
"""What is kept of an answer, in the order of its fields: under which name, and what goes without saying."""
ANSWER_COLUMNS = (
    *("text", STOPPED, "prompt_tokens", "completion_tokens", "seconds"),
    *("logprob", "greedy", "tokens"),
)
"""What an answer has a column for."""
ALGORITHM = "sha256:"
"""What hashes begin with."""

_ENCODER = json.JSONEncoder(sort_keys=True, separators=(",", ":"), check_circular=False)  # values are trees

UNSTORABLE = re.compile("[\0\ud800-\udfff]")
SHARED_FROM = 256
"""Characters from which on a text within a request is kept once for all requests that hold it."""
REFERENCE = "text"
"""The only key of what stands in the place of such a text: requests have no mapping with this key alone."""


def canonical(value: Json) -> str:
    """The one JSON text of a value: keys sorted, no spaces, ASCII only."""
    return _ENCODER.encode(value)


def digest(value: Json) -> str:
    """The hash of a value's canonical JSON, with the algorithm in front: `sha256:…`."""
    return digest_of_text(canonical(value))


def digest_of_text(text: str) -> str:
    """The hash of a text's UTF-8 bytes, with the algorithm in front."""
    return ALGORITHM + hash_of_text(text).hex()


def hash_of_text(text: str) -> bytes:
    """The hash of a text's UTF-8 bytes, as a column of hashes holds it."""
    return sha256(text.encode()).digest()


def hash_as_bytes(hashed: str) -> bytes:
    """A hash as a column of hashes holds it."""
    return bytes.fromhex(hashed.removeprefix(ALGORITHM))


def packed(value: Json, texts: dict[str, str]) -> Json:
    """The value with every long text replaced by a reference to it; `texts` gets the hash of each by text."""
    if isinstance(value, str):
        if len(value) < SHARED_FROM:
            return value
        if value not in texts:
            texts[value] = digest(value)
        return {REFERENCE: texts[value]}
    if isinstance(value, dict):
        return {key: packed(member, texts) for key, member in value.items()}
    if isinstance(value, (list, tuple)):
        return [packed(member, texts) for member in value]
    return value


def unpacked(value: Json, texts: Mapping[str, str]) -> Json:
    """The value that `packed` took apart; `texts` gives each text by its hash."""
    if isinstance(value, Mapping):
        if set(value) == {REFERENCE}:
            return texts[str(value[REFERENCE])]
        return {key: unpacked(member, texts) for key, member in value.items()}
    if isinstance(value, list):
        return [unpacked(member, texts) for member in value]
    return value


def references_in(value: Json) -> Iterator[str]:
    """The hashes that a packed value refers to."""
    if isinstance(value, Mapping):
        if set(value) == {REFERENCE}:
            yield str(value[REFERENCE])
        else:
            for member in value.values():
                yield from references_in(member)
    elif isinstance(value, list):
        for member in value:
            yield from references_in(member)


def answer_as_json(answer: Answer) -> dict[str, Json]:
    """An answer without its key, and without what goes without saying: most answers are short."""
    named = zip(KEPT[type(answer)], values_of(answer), strict=False)  # all but the key, which is the last
    return {name: value for (name, usual), value in named if value != usual}


def answer_from_json(value: Mapping[str, Any], key: str = "") -> Answer:
    """The answer that `answer_as_json` wrote, under the key it is kept under.

    Earlier ones have all fields, and say which kind they are. Raises KeyError or TypeError for no answer.
    """
    body = {name: member for name, member in value.items() if name != "kind"}
    if STOPPED not in body:
        return LogLikelihood(**body, key=key)
    body[STOP_REASON] = body.pop(STOPPED)
    return Response(**body, key=key)


def answer_as_columns(answer: Answer) -> tuple[object, ...]:
    """An answer as columns: those that most answers have, and `more` for what few have.

    In the order of `ANSWER_COLUMNS` and `more`, as a database's driver takes them. A log-likelihood that is
    no finite number is in `more`: SQLite would turn NaN into NULL.
    """
    body = answer_as_json(answer)
    is_finite = isinstance(answer, Response) or isfinite(answer.logprob)
    infinite = {} if is_finite else {"logprob": body.pop("logprob")}
    if "text" in body:
        body["text"] = canonical(body["text"])
    columns = [body.pop(name, None) for name in ANSWER_COLUMNS]
    more = body | infinite
    return (*columns, canonical(more) if more else None)


def answer_from_columns(columns: Sequence[Any], key: str = "") -> Answer:
    """The answer that `answer_as_columns` wrote, from `ANSWER_COLUMNS` and `more` in this order.

    Raises as `answer_from_json` does, and where `more` is no JSON.
    """
    *values, more = columns
    named = zip(ANSWER_COLUMNS, values, strict=True)
    body = {name: value for name, value in named if value is not None} | (more or {})
    if "greedy" in body:
        body["greedy"] = bool(body["greedy"])
    return answer_from_json(body, key)


def sample_as_json(sample: Sample) -> dict[str, Json]:
    """Everything a sample holds."""
    return {
        "id": sample.id,
        "prompt": prompt_as_json(sample.prompt),
        "choices": sample.choices,
        "target": sample.target,
        "cluster": sample.cluster,
        "tags": sample.tags,
    }


def sample_from_json(value: Mapping[str, Any]) -> Sample:
    """The sample that `sample_as_json` wrote."""
    prompt, choices = prompt_from_json(value["prompt"]), tuple(value["choices"])
    return Sample(**{**value, "prompt": prompt, "choices": choices})


class HashBytes(TypeDecorator[str]):
    """A column of hashes, as the bytes that they are: half of their hexadecimal text."""

    impl = LargeBinary
    cache_ok = True

    def process_bind_param(self, value: str | None, dialect: Dialect) -> bytes | None:
        """Python to column."""
        return None if value is None else hash_as_bytes(value)

    def process_result_value(self, value: bytes | None, dialect: Dialect) -> str | None:
        """Column to Python."""
        return None if value is None else ALGORITHM + bytes(value).hex()


def plain(text: str) -> str:
    """Other people's text, in which what no database takes as text is written out as marks."""
    return UNSTORABLE.sub(lambda match: escape_controls(match[0]), text)


class PlainText(TypeDecorator[str]):
    """A column of other people's text, in which what no database takes as text is written out."""

    impl = Text
    cache_ok = True

    def process_bind_param(self, value: str | None, dialect: Dialect) -> str | None:
        """Python to column: NUL, which PostgreSQL refuses, and halves of characters become marks."""
        return None if value is None else plain(value)


class JsonText(TypeDecorator[Any]):
    """A column of canonical JSON text."""

    impl = Text
    cache_ok = True

    def process_bind_param(self, value: Json, dialect: Dialect) -> str:
        """Python to column. JSON's null is kept as the text `null`: the columns themselves are never NULL."""
        return canonical(value)

    def process_result_value(self, value: str | None, dialect: Dialect) -> Any:
        """Column to Python."""
        return None if value is None else json.loads(value)


class OptionalJson(JsonText):
    """A column of canonical JSON text, or NULL for None."""

    cache_ok = True

    def process_bind_param(self, value: Json, dialect: Dialect) -> str | None:  # type: ignore[override]  # or NULL
        """Python to column."""
        return None if value is None else canonical(value)
