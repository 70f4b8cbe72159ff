"""Whether a store still holds what its hashes promise.

It does not repair anything, and it cannot tell whether an answer is the one the model gave: only that
requests, samples and keys are whole, that rows and preferences name answers that are there, and that a file
is sound as the database sees it.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, cast

from sqlalchemy import Column, Connection, Text, func, select, type_coerce

from harness.records.models import Json
from harness.store import schema
from harness.store.answers import COLUMNS, answer_key, with_draw
from harness.store.database import Database
from harness.store.encoding import (
    OptionalJson,
    answer_from_columns,
    digest_of_text,
    references_in,
    unpacked,
)
from harness.store.removal import count_scores

AT_ONCE = 1000
"""Requests whose texts are read together."""
CHECKED = (
    schema.answers,
    schema.requests,
    schema.texts,
    schema.samples,
    schema.rows,
    schema.scores,
    schema.preferences,
)


@dataclass(frozen=True)
class Integrity:
    """Whether what is in a store is whole."""

    database: Database

    def counts(self) -> dict[str, int]:
        """How many of everything that is looked at there are, by table."""
        queries = {table.name: select(func.count()).select_from(table) for table in CHECKED}
        with self.database.reading() as connection:
            counts = {name: connection.scalar(query) or 0 for name, query in queries.items()}
            return {**counts, "scores": count_scores(connection)}

    def complaints(self) -> list[str]:
        """One line per request, sample, key or row that is not as its hash says; empty where all is well."""
        with self.database.reading() as connection:
            return [
                *_damaged_file(connection),
                *_changed_content(connection),
                *_wrong_keys(connection),
                *_missing_answers(connection),
            ]


def _damaged_file(connection: Connection) -> Iterator[str]:
    """What SQLite says of its own file; a server looks after its files itself."""
    if connection.dialect.name != "sqlite":
        return
    for (line,) in connection.exec_driver_sql("PRAGMA quick_check"):
        if line != "ok":
            yield f"file: {line}"
    for table, _, parent, _ in connection.exec_driver_sql("PRAGMA foreign_key_check"):
        yield f"{table}: a row names one of {parent} that is not kept"


def _changed_content(connection: Connection) -> Iterator[str]:
    texts, samples, requests = schema.texts, schema.samples, schema.requests
    for table, content in (
        (texts, texts.c.text),
        (samples, samples.c.content),
        (requests, requests.c.content),
    ):
        for kept, found in connection.execute(select(table.c.hash, _written(content))):
            if digest_of_text(found) != kept:
                yield f"{table.name}: the content under {kept} was changed"


def _wrong_keys(connection: Connection) -> Iterator[str]:
    answers, requests, fingerprints = schema.answers, schema.requests.c, schema.fingerprints.c
    query = (
        select(
            answers.c.key,
            fingerprints.fingerprint,
            _written(requests.content),
            answers.c.draw,
            *(_written(column) if isinstance(column.type, OptionalJson) else column for column in COLUMNS),
        )
        .join(schema.requests, requests.number == answers.c.request)
        .join(schema.fingerprints, fingerprints.number == answers.c.fingerprint)
    )
    for some in connection.execute(query).partitions(AT_ONCE):
        asked = {key: _read(request) for key, _, request, *_ in some}
        texts = _texts(connection, [text for request in asked.values() for text in references_in(request)])
        for key, fingerprint, _, draw, *answer in some:
            request = cast("dict[str, Json]", asked[key]) if isinstance(asked[key], dict) else {}
            yield from _wrong_answer(key, fingerprint, with_draw(request, draw), answer, texts)


def _wrong_answer(
    key: str, fingerprint: str, request: Json, answer: Sequence[Any], texts: dict[str, str]
) -> Iterator[str]:
    lost = [text for text in references_in(request) if text not in texts]
    if lost:
        yield f"answers: the request of {key} refers to the text {lost[0]}, which is not kept"
    elif answer_key(fingerprint, cast("dict[str, Json]", unpacked(request, texts))) != key:
        yield f"answers: {key} is not the key of its model and request"
    try:
        read = [
            json.loads(value) if isinstance(column.type, OptionalJson) and value is not None else value
            for column, value in zip(COLUMNS, answer, strict=True)
        ]
        answer_from_columns(read)
    except (ValueError, KeyError, TypeError):
        yield f"answers: the answer under {key} cannot be read"


def _texts(connection: Connection, hashes: Sequence[str]) -> dict[str, str]:
    texts = schema.texts
    found = connection.execute(select(texts.c.hash, _written(texts.c.text)).where(texts.c.hash.in_(hashes)))
    return {kept: cast(str, _read(text)) for kept, text in found}


def _missing_answers(connection: Connection) -> Iterator[str]:
    answers = select(schema.answers.c.number, schema.answers.c.key)
    numbers = {number: key for number, key in connection.execute(answers)}  # noqa: C416 - as in `_texts`
    rows, preferences = schema.rows.c, schema.preferences.c
    for run, sample, written in connection.execute(select(rows.run, rows.sample, _written(rows.answers))):
        named = _read(written)
        if not isinstance(named, list):
            yield f"rows: the answers of sample {sample!r} of run {run} cannot be read"
            continue
        for reference in named:
            if not isinstance(reference, Mapping) and reference not in numbers:
                yield f"rows: sample {sample!r} of run {run} names the answer {reference}, which is not kept"
    kept = set(numbers.values())
    replies = select(preferences.rater, preferences.sample, preferences.reply)
    for rater, sample, reply in connection.execute(replies.where(preferences.reply != "")):
        if reply not in kept:
            yield f"preferences: {rater} on sample {sample!r} names the reply {reply}, which is not kept"


def _written(column: Column[Any]) -> Any:
    """A column of JSON as the text that it is, which damage may have made unreadable."""
    return type_coerce(column, Text)


def _read(written: str) -> Json:
    """The JSON of a text; None, which no request and no list of answers is, where it cannot be read."""
    try:
        return cast(Json, json.loads(written))
    except ValueError:
        return None
