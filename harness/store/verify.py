"""Whether a store still holds what its hashes promise.

It does not repair anything, and it cannot tell whether an answer is the one the model gave: only that
requests, samples and keys are whole, and that rows name answers that are there.
"""

from collections.abc import Iterator, Sequence
from typing import cast

from sqlalchemy import Connection, select

from harness.records import Json
from harness.store import schema
from harness.store.answers import answer_key
from harness.store.encoding import digest, references_in, unpacked

AT_ONCE = 1000
"""Requests whose texts are read together."""


def complaints(connection: Connection) -> Iterator[str]:
    """One line per thing that is not as its hash says."""
    yield from _changed_content(connection)
    yield from _wrong_keys(connection)
    yield from _missing_answers(connection)


def _changed_content(connection: Connection) -> Iterator[str]:
    texts, samples = schema.texts, schema.samples
    for table, content in ((texts, texts.c.text), (samples, samples.c.content)):
        for kept, found in connection.execute(select(table.c.hash, content)):
            if digest(found) != kept:
                yield f"{table.name}: the content under {kept} was changed"


def _wrong_keys(connection: Connection) -> Iterator[str]:
    answers = schema.answers.c
    kept = connection.execute(select(answers.key, answers.fingerprint, answers.request))
    for some in kept.partitions(AT_ONCE):
        texts = _texts(connection, [text for *_, request in some for text in references_in(request)])
        for key, fingerprint, request in some:
            lost = [text for text in references_in(request) if text not in texts]
            if lost:
                yield f"answers: the request of {key} refers to the text {lost[0]}, which is not kept"
            elif answer_key(fingerprint, cast("dict[str, Json]", unpacked(request, texts))) != key:
                yield f"answers: {key} is not the key of its model and request"


def _texts(connection: Connection, hashes: Sequence[str]) -> dict[str, str]:
    texts = schema.texts
    found = connection.execute(select(texts.c.hash, texts.c.text).where(texts.c.hash.in_(hashes)))
    return {kept: text for kept, text in found}  # noqa: C416 - dict() of rows, which mypy takes for no pairs


def _missing_answers(connection: Connection) -> Iterator[str]:
    kept = set(connection.scalars(select(schema.answers.c.key)))
    rows = schema.rows.c
    for run, sample, answers in connection.execute(select(rows.run, rows.sample, rows.answers)):
        for reference in answers:
            if isinstance(reference, str) and reference not in kept:
                yield f"rows: sample {sample!r} of run {run} names the answer {reference}, which is not kept"
