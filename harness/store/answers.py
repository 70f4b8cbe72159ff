"""Stores answers, each with its request, under the hash of model and request; what they share, once."""

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from operator import attrgetter, itemgetter
from typing import TypeVar

from sqlalchemy import Connection, Table, bindparam, insert, literal, select, update

from harness.records.answers import Response, under_key
from harness.records.models import Json
from harness.store import schema
from harness.store.database import Database, Values, insert_missing, insert_missing_records
from harness.store.encoding import (
    ANSWER_COLUMNS,
    Answer,
    answer_as_columns,
    answer_from_columns,
    canonical,
    digest,
    digest_of_text,
    hash_as_bytes,
    hash_of_text,
    packed,
)

DRAW = "draw"
"""What tells apart requests that are the same otherwise: kept beside an answer, and not in its request."""

T = TypeVar("T", int, str)

KEYS_AT_ONCE = 1000
"""Keys per query: enough that queries cost little, well below what any database allows."""

COLUMNS = [schema.answers.c[name] for name in (*ANSWER_COLUMNS, "more")]
"""What `answer_from_columns` makes an answer of."""
KNOWN = select(schema.answers.c.key, *COLUMNS).where(
    schema.answers.c.key.in_(bindparam("keys", expanding=True))
)
NUMBERED = select(schema.answers.c.number, schema.answers.c.key, *COLUMNS).where(
    schema.answers.c.number.in_(bindparam("numbers", expanding=True))
)


NEW_REQUEST = insert(schema.requests).values(hash=bindparam("hash"), content=bindparam("content"))
"""Its number is the database's to give."""
NEW_ANSWER = insert(schema.answers).values(
    {
        "key": bindparam("key"),
        "fingerprint": bindparam("fingerprint"),
        "request": select(schema.requests.c.number)
        .where(schema.requests.c.hash == bindparam("request_hash"))
        .scalar_subquery(),
        "draw": bindparam("draw"),
        **{column.name: bindparam(column.name) for column in COLUMNS},
    }
)
"""Columns in the table's order. The number of an answer's request is found by its hash in the statement."""


@dataclass(frozen=True, slots=True, kw_only=True)
class KeptAnswer:
    """An answer with everything its key is the hash of."""

    key: str
    """`answer_key(fingerprint, request)`."""
    fingerprint: str
    """The engine's."""
    request: Mapping[str, Json]
    """What was asked: kind, content, sampling."""
    answer: Answer


def answer_key(fingerprint: str, request: Mapping[str, Json]) -> str:
    """The key of an engine's answer: the hash of its fingerprint and of the request's own hash."""
    return key_of(fingerprint, digest(request))


def key_of(fingerprint: str, request_hash: str) -> str:
    """The key of an engine's answer to the request with this hash."""
    return digest_of_text(f'[{canonical(fingerprint)},"{request_hash}"]')  # a list's digest, sooner


def known_answers(connection: Connection, keys: Sequence[str]) -> dict[str, Answer]:
    """The answers kept under these keys, in the order of the keys; absent keys are left out."""
    found: dict[str, Answer] = {}
    for some in in_parts(keys):  # neighbours in the index: pages are read once, one after the other
        records = connection.execute(KNOWN, {"keys": some}).all()
        found |= {key: answer_from_columns(columns, key) for key, *columns in records}
    return {key: found[key] for key in keys if key in found}


def numbered_answers(connection: Connection, numbers: Collection[int]) -> dict[int, Answer]:
    """The answers with these numbers, each with its key; absent ones are left out."""
    found: dict[int, Answer] = {}
    for some in in_parts(numbers):
        for number, key, *columns in connection.execute(NUMBERED, {"numbers": some}):
            found[number] = answer_from_columns(columns, key)
    return found


def in_parts(members: Collection[T]) -> Iterator[list[T]]:
    """Members in their order, as many as go into a query."""
    ordered = sorted(members)
    for start in range(0, len(ordered), KEYS_AT_ONCE):
        yield ordered[start : start + KEYS_AT_ONCE]


def numbers_of(connection: Connection, table: Table, named: str, members: Collection[str]) -> dict[str, int]:
    """The number of each row of a table whose column `named` is one of these; absent ones are left out."""
    column, found = table.c[named], {}
    for some in in_parts(members):
        for value, number in connection.execute(select(column, table.c.number).where(column.in_(some))):
            found[value] = number
    return found


@dataclass(frozen=True)
class Answers:
    """The answers in a store."""

    database: Database

    def known(self, keys: Sequence[str]) -> dict[str, Answer]:
        """The answers kept under these keys, each with its key, in the order of the keys."""
        with self.database.reading() as connection:
            return known_answers(connection, keys)

    def keep(self, answers: Sequence[KeptAnswer]) -> dict[str, Answer]:
        """Keep answers and return what is now kept under their keys.

        The first answer under a key stays: where another process was faster, its answer is the one returned.
        One that was refused gives way to one that was not. Rows are written in the order of their keys, so
        that two writers never wait for each other in a circle.
        """
        with self.database.writing() as connection:
            if insert_answers(connection, answers) < len(answers):
                return _kept_before(connection, answers)
        return {kept.key: under_key(kept.answer, kept.key) for kept in answers}

    def begin_keeping(
        self, take: Callable[[], Sequence[KeptAnswer]], *, when: Callable[[], object]
    ) -> Future[dict[str, Answer]]:
        """`keep` what `take` gives once `when` returns, while the caller goes on.

        Both are called in the store's thread. Of a database in memory it is done at once, on return.
        """
        return self.database.beside(lambda: self.keep(take()), when=when)


def insert_answers(connection: Connection, answers: Sequence[KeptAnswer]) -> int:
    """Insert answers whose keys are new, in the order of their keys; how many were new."""
    texts: dict[str, str] = {}
    ordered = sorted(answers, key=attrgetter("key"))
    requests = [canonical(packed(without_draw(kept.request), texts)) for kept in ordered]
    hashes = [hash_of_text(request) for request in requests]
    new_texts: list[Values] = [
        {"hash": texts[text], "text": text} for text in sorted(texts, key=texts.__getitem__)
    ]
    engines = sorted({kept.fingerprint for kept in answers})
    insert_missing(connection, schema.texts, new_texts)
    insert_missing(connection, schema.fingerprints, [{"fingerprint": each} for each in engines])
    insert_missing_records(
        connection, NEW_REQUEST, sorted(dict(zip(hashes, requests, strict=True)).items(), key=itemgetter(0))
    )
    by_fingerprint = numbers_of(connection, schema.fingerprints, "fingerprint", engines)
    records = [
        (
            hash_as_bytes(kept.key),
            by_fingerprint[kept.fingerprint],
            hashed,
            kept.request.get(DRAW),
            *answer_as_columns(kept.answer),
        )
        for kept, hashed in zip(ordered, hashes, strict=True)
    ]
    return insert_missing_records(connection, NEW_ANSWER, records)


def without_draw(request: Mapping[str, Json]) -> dict[str, Json]:
    """What draws of one prompt have in common."""
    return {name: value for name, value in request.items() if name != DRAW}


def with_draw(request: Mapping[str, Json], draw: int | None) -> dict[str, Json]:
    """The request that `without_draw` took apart."""
    return dict(request) if draw is None else {**request, DRAW: draw}


def _kept_before(connection: Connection, answers: Sequence[KeptAnswer]) -> dict[str, Answer]:
    """What is kept under these keys, after answers have taken the place of refusals."""
    known = known_answers(connection, [kept.key for kept in answers])
    better = [kept for kept in answers if is_refused(known[kept.key]) and not is_refused(kept.answer)]
    for kept in better:
        connection.execute(
            update(schema.answers)
            .where(schema.answers.c.key == kept.key)
            .values(dict(zip(COLUMNS, map(literal, answer_as_columns(kept.answer)), strict=True)))
        )
    return known | {kept.key: under_key(kept.answer, kept.key) for kept in better}


def is_refused(answer: Answer) -> bool:
    """Whether a service would not answer."""
    return isinstance(answer, Response) and answer.stop_reason == "refused"
