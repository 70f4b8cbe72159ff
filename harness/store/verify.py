"""Whether a store still holds what its hashes promise.

It does not repair anything, and it cannot tell whether an answer is the one the model gave: only that
requests, samples and keys are whole, and that rows name answers that are there.
"""

from collections.abc import Iterator, Sequence

from sqlalchemy import Connection, select

from harness.store import schema
from harness.store.encoding import digest, references_in, unpacked

AT_ONCE = 1000
"""Requests whose texts are read together."""


def complaints(connection: Connection) -> Iterator[str]:
    """One line per thing that is not as its hash says."""
    yield from _changed_content(connection)
    yield from _changed_requests(connection)
    yield from _wrong_keys(connection)
    yield from _missing_answers(connection)


def _changed_content(connection: Connection) -> Iterator[str]:
    texts, samples = schema.texts, schema.samples
    for table, content in ((texts, texts.c.text), (samples, samples.c.content)):
        for kept, found in connection.execute(select(table.c.hash, content)):
            if digest(found) != kept:
                yield f"{table.name}: the content under {kept} was changed"


def _changed_requests(connection: Connection) -> Iterator[str]:
    requests = connection.execute(select(schema.requests.c.hash, schema.requests.c.content))
    for some in requests.partitions(AT_ONCE):
        texts = _texts(connection, [key for _, content in some for key in references_in(content)])
        for kept, content in some:
            lost = [key for key in references_in(content) if key not in texts]
            if lost:
                yield f"requests: {kept} refers to the text {lost[0]}, which is not kept"
            elif digest(unpacked(content, texts)) != kept:
                yield f"requests: the content under {kept} was changed"


def _texts(connection: Connection, hashes: Sequence[str]) -> dict[str, str]:
    texts = schema.texts
    found = connection.execute(select(texts.c.hash, texts.c.text).where(texts.c.hash.in_(hashes)))
    return {kept: text for kept, text in found}  # noqa: C416 - dict() of rows, which mypy takes for no pairs


def _wrong_keys(connection: Connection) -> Iterator[str]:
    answers = schema.answers.c
    for key, fingerprint, request in connection.execute(
        select(answers.key, answers.fingerprint, answers.request)
    ):
        if digest([fingerprint, request]) != key:
            yield f"answers: {key} is not the key of its model and request"


def _missing_answers(connection: Connection) -> Iterator[str]:
    kept = set(connection.scalars(select(schema.answers.c.key)))
    rows = schema.rows.c
    for run, sample, answers in connection.execute(select(rows.run, rows.sample, rows.answers)):
        for reference in answers:
            if isinstance(reference, str) and reference not in kept:
                yield f"rows: sample {sample!r} of run {run} names the answer {reference}, which is not kept"
