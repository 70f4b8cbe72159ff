"""Stores answers, each with its request, under the hash of model and request; long texts are stored once."""

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, replace

from sqlalchemy import Connection, bindparam, select, update

from harness.records.answers import Response
from harness.records.models import Json
from harness.store import schema
from harness.store.database import Database, Values, insert_missing
from harness.store.encoding import (
    Answer,
    answer_as_json,
    answer_from_json,
    canonical,
    digest,
    digest_of_text,
    packed,
)

KEYS_AT_ONCE = 1000
"""Keys per query: enough that queries cost little, well below what any database allows."""

KNOWN = select(schema.answers.c.key, schema.answers.c.answer).where(
    schema.answers.c.key.in_(bindparam("keys", expanding=True))
)


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
    return digest_of_text(f"[{canonical(fingerprint)},{canonical(request_hash)}]")  # a list's digest, sooner


def known_answers(connection: Connection, keys: Sequence[str]) -> dict[str, Answer]:
    """The answers kept under these keys, in the order of the keys; absent keys are left out."""
    found: dict[str, Answer] = {}
    neighbours = sorted(keys)  # in the index too: pages are read once, one after the other
    for start in range(0, len(keys), KEYS_AT_ONCE):
        chunk = neighbours[start : start + KEYS_AT_ONCE]
        records = connection.execute(KNOWN, {"keys": chunk}).all()
        found |= {key: answer_from_json(body, key) for key, body in records}
    return {key: found[key] for key in keys if key in found}


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
        texts: dict[str, str] = {}
        values = [_values(kept, texts) for kept in sorted(answers, key=lambda kept: kept.key)]
        shared: list[Values] = [
            {"hash": texts[text], "text": text} for text in sorted(texts, key=texts.__getitem__)
        ]
        with self.database.writing() as connection:
            insert_missing(connection, schema.texts, shared)
            inserted = insert_missing(connection, schema.answers, values)
            if inserted < len(answers):
                return _kept_before(connection, answers)
        return {kept.key: replace(kept.answer, key=kept.key) for kept in answers}

    def begin_keeping(
        self, take: Callable[[], Sequence[KeptAnswer]], *, when: Callable[[], object]
    ) -> Future[dict[str, Answer]]:
        """`keep` what `take` gives once `when` returns, while the caller goes on.

        Both are called in the store's thread. Of a database in memory it is done at once, on return.
        """
        return self.database.beside(lambda: self.keep(take()), when=when)


def _kept_before(connection: Connection, answers: Sequence[KeptAnswer]) -> dict[str, Answer]:
    """What is kept under these keys, after answers have taken the place of refusals."""
    known = known_answers(connection, [kept.key for kept in answers])
    better = [kept for kept in answers if is_refused(known[kept.key]) and not is_refused(kept.answer)]
    for kept in better:
        connection.execute(
            update(schema.answers)
            .where(schema.answers.c.key == kept.key)
            .values(answer=answer_as_json(kept.answer))
        )
    return known | {kept.key: replace(kept.answer, key=kept.key) for kept in better}


def is_refused(answer: Answer) -> bool:
    """Whether a service would not answer."""
    return isinstance(answer, Response) and answer.stop_reason == "refused"


def _values(kept: KeptAnswer, texts: dict[str, str]) -> Values:
    return {
        "key": kept.key,
        "fingerprint": kept.fingerprint,
        "request": packed(kept.request, texts),
        "answer": answer_as_json(kept.answer),
    }
