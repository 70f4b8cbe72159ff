"""Step 0005: answers, rows and scores move into tables in which nothing stands twice.

Before, an answer had its key and its engine's fingerprint in hexadecimal, its request whole, though 25 draws
and every model have it in common, and all its fields; a row named answers by their keys; and a score had its
run's and its sample's names to itself. An answer of 20 tokens took a kilobyte.

What there is can be a gigabyte, so it moves in parts, each in a transaction of its own: the step itself makes
the new tables and renames the old ones, and whoever opens the store moves what is left before using it. A
stop at any moment loses nothing, and the next opening goes on. Several processes move by turns.
"""

import json
import re
from collections.abc import Callable, Sequence
from contextlib import suppress
from itertools import groupby
from operator import itemgetter
from typing import Any

from sqlalchemy import Connection, insert, inspect, text, update

from harness.errors import DiskFull, StoreError
from harness.records.answers import Score
from harness.store import schema
from harness.store.answers import KeptAnswer, insert_answers, numbers_of
from harness.store.database import Database, one_at_a_time
from harness.store.encoding import answer_from_json
from harness.store.moving import report_move
from harness.store.runs import score_record

UNMOVED = "unmoved"
"""The table that says what is left: a source, and after which of its rows."""
AT_ONCE = {"answers": 5_000, "rows": 1_000, "scores": 500}
"""Answers, rows, and rows whose scores move in one transaction, which takes about a second."""
SOURCES = {"answers": "answers_before", "rows": "rows", "scores": "scores_before"}
"""The tables in the order in which they move, as rows name answers by their new numbers."""
KEY = re.compile("sha256:[0-9a-f]{64}")

Position = list[Any] | None
"""The key of the last row that has moved; None before the first, and after the last."""


def move_all(database: Database) -> None:
    """Move whatever has not moved yet, and give a file's room back. Raises as writing does."""
    left = _left(database)
    moved = dict.fromkeys(left, 0)
    while kind := _move_next(database):
        moved[kind] = min(left[kind], moved[kind] + AT_ONCE[kind])
        report_move(kind, moved[kind], left[kind])
    if moved:
        with suppress(DiskFull, StoreError):  # `harness prune` makes up for it
            database.compact()


def move_at_once(connection: Connection) -> None:
    """Of a store that holds no answers and no rows, as one that is just being made, everything."""
    holds = (text(f"SELECT 1 FROM {SOURCES[kind]} LIMIT 1") for kind in ("answers", "rows"))
    if all(connection.execute(query).first() is None for query in holds):
        while _move_some(connection):
            pass


def _left(database: Database) -> dict[str, int]:
    """How many answers, rows, and rows whose scores are to move, have not moved yet."""
    with database.reading() as connection:
        counted = {}
        for kind, after in _unmoved(connection).items():
            rest, given = _rest(connection, kind, after)
            counted[kind] = connection.execute(text(f"SELECT count(*) FROM {rest}"), given).scalar_one()
        return counted


def _unmoved(connection: Connection) -> dict[str, Position]:
    """The kinds that have not moved whole, and after which of its rows each goes on."""
    if not inspect(connection).has_table(UNMOVED):
        return {}
    found = connection.execute(text(f"SELECT source, after FROM {UNMOVED}")).all()
    return {source: json.loads(after) for source, after in found}


def _move_next(database: Database) -> str | None:
    with database.writing() as connection:
        one_at_a_time(connection)
        return _move_some(connection)


def _move_some(connection: Connection) -> str | None:
    """Move the next part, in the caller's transaction, and return its kind; None: nothing is left."""
    left = _unmoved(connection)
    kind = next((kind for kind in SOURCES if kind in left), None)
    if kind is None:
        return None
    after = MOVES[kind](connection, left[kind])
    if after is not None:
        moved = text(f"UPDATE {UNMOVED} SET after = :after WHERE source = :source")
        connection.execute(moved, {"after": json.dumps(after), "source": kind})
        return kind
    if SOURCES[kind] != kind:
        connection.execute(text(f"DROP TABLE {SOURCES[kind]}"))
    connection.execute(text(f"DELETE FROM {UNMOVED} WHERE source = :source"), {"source": kind})
    if len(left) == 1:
        connection.execute(text(f"DROP TABLE {UNMOVED}"))
    return kind


def _move_answers(connection: Connection, after: Position) -> Position:
    columns = f"{_order(connection, 'answers')[0]}, key, fingerprint, request, answer"
    some = _next(connection, "answers", columns, after)
    insert_answers(
        connection,
        [
            KeptAnswer(
                key=key,
                fingerprint=fingerprint,
                request=json.loads(request),
                answer=answer_from_json(json.loads(answer)),
            )
            for _, key, fingerprint, request, answer in some
        ],
    )
    return [some[-1][0]] if some else None


def _move_rows(connection: Connection, after: Position) -> Position:
    some = _next(connection, "rows", "run, sample, answers", after)
    named = [json.loads(answers) for *_, answers in some]
    keys = {each for answers in named for each in answers if isinstance(each, str) and KEY.fullmatch(each)}
    numbers: dict[Any, int] = dict(numbers_of(connection, schema.answers, "key", keys))
    for (run, sample, _), answers in zip(some, named, strict=True):
        here = (schema.rows.c.run == run) & (schema.rows.c.sample == sample)
        by_number = [numbers.get(each, each) if isinstance(each, str) else each for each in answers]
        connection.execute(update(schema.rows).where(here).values(answers=by_number))
    return list(some[-1][:2]) if some else None


def _move_scores(connection: Connection, after: Position) -> Position:
    """Those of the next rows, each row's in their order."""
    rows = _next(connection, "scores", "run, sample", after)
    if not rows:
        return None
    ends = zip(("first", "first_sample", "last", "last_sample"), (*rows[0], *rows[-1]), strict=True)
    found = connection.execute(SCORES, dict(ends)).all()
    records = []
    for (run, sample), members in groupby(found, key=itemgetter(0, 1)):
        scores = [Score(metric=metric, value=value, reason=reason) for *_, metric, value, reason in members]
        records.append({"run": run, "sample": sample, **score_record(scores)})
    if records:
        connection.execute(insert(schema.scores), records)
    return list(rows[-1])


def _order(connection: Connection, kind: str) -> tuple[str, ...]:
    """The key by which this kind moves.

    Answers move as they lie in a SQLite file; a server keeps no order but that of their keys.
    """
    if kind != "answers":
        return ("run", "sample")
    return ("rowid",) if connection.dialect.name == "sqlite" else ("key",)


def _rest(connection: Connection, kind: str, after: Position) -> tuple[str, dict[str, Any]]:
    """What of this kind has not moved, as a table with its condition, and the values that it names."""
    order = _order(connection, kind)
    table = "answers_before" if kind == "answers" else "rows"  # scores move by the rows that have them
    if after is None:
        return table, {}
    beyond = f"({', '.join(order)}) > ({', '.join(f':{name}' for name in order)})"
    return f"{table} WHERE {beyond}", dict(zip(order, after, strict=True))


def _next(connection: Connection, kind: str, columns: str, after: Position) -> Sequence[Any]:
    """The next rows of the table in whose order this kind moves."""
    rest, given = _rest(connection, kind, after)
    order = ", ".join(_order(connection, kind))
    query = f"SELECT {columns} FROM {rest} ORDER BY {order} LIMIT {AT_ONCE[kind]}"
    return connection.execute(text(query), given).all()


SCORES = text(
    "SELECT run, sample, metric, value, reason FROM scores_before "
    "WHERE (run, sample) >= (:first, :first_sample) AND (run, sample) <= (:last, :last_sample) "
    "ORDER BY run, sample, place"
)

MOVES: dict[str, Callable[[Connection, Position], Position]] = {
    "answers": _move_answers,
    "rows": _move_rows,
    "scores": _move_scores,
}
