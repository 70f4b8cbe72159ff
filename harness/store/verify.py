"""Whether a store still holds what its hashes promise.

It does not repair anything, and it cannot tell whether an answer is the one the model gave: only that
requests, samples and keys are whole, and that rows name answers that are there.
"""

from collections.abc import Iterator

from sqlalchemy import Connection, select

from harness.store import schema
from harness.store.encoding import digest


def complaints(connection: Connection) -> Iterator[str]:
    """One line per thing that is not as its hash says."""
    yield from _changed_content(connection)
    yield from _wrong_keys(connection)
    yield from _missing_answers(connection)


def _changed_content(connection: Connection) -> Iterator[str]:
    for table in (schema.requests, schema.samples):
        for kept, content in connection.execute(select(table.c.hash, table.c.content)):
            if digest(content) != kept:
                yield f"{table.name}: the content under {kept} was changed"


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
