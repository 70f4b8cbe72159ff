"""Removes a run from the store, with what nothing else uses: its rows, scores, and its model's answers.

Questions stay, since other runs ask them too. Judges' replies stay: they were paid for, and are not asked
again if the run is made again. An answer is removed only if no other run and no preference names it, and no
unfinished run of the same model may be about to.

A run that the sealed design of a blind test names must stay; the caller checks that.
"""

from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Connection,
    Select,
    Text,
    delete,
    func,
    literal,
    or_,
    select,
    type_coerce,
)

from harness.store import schema
from harness.store.answers import in_parts, numbers_of
from harness.store.database import Database
from harness.store.encoding import ALGORITHM

BESIDE_TEXT = 130
"""Bytes that an answer takes besides its text: its key, there and in the index, and numbers."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Removal:
    """What a run holds, and what of it goes with it."""

    rows: int
    scores: int
    answers: int
    """Answers of its model that go."""
    shared: int
    """Answers of its model that stay, for others use them or may."""
    replies: int
    """Judges' replies, which stay."""
    preferences: dict[str, int]
    """Choices about its answers that go with it, by rater."""
    size: int
    """Bytes of everything that goes, about."""


@dataclass(frozen=True)
class Removals:
    """Takes runs out of a store."""

    database: Database

    def plan(self, run_id: str) -> Removal:
        """What would go with a run that is here."""
        rows, scores, rater = schema.rows.c, schema.scores.c, schema.preferences.c.rater
        by_rater = select(rater, func.count()).where(_about(run_id)).group_by(rater)
        with self.database.reading() as connection:
            named = _Named.of(connection, run_id)
            row_count, row_size = _weighed(connection, rows.run == run_id, rows.answers, rows.sample)
            _, score_size = _weighed(connection, scores.run == run_id, scores.numbers, scores.sample)
            return Removal(
                rows=row_count,
                scores=count_scores(connection, run_id),
                answers=len(named.going),
                shared=len(named.own) - len(named.going),
                replies=len(named.replies),
                preferences={rater: count for rater, count in connection.execute(by_rater)},  # noqa: C416 - see `verify`
                size=row_size + score_size + _size_of(connection, named.going),
            )

    def remove(self, run_id: str) -> None:
        """Take a run out, with what `plan` says. Its model must not be asked for it meanwhile."""
        with self.database.writing() as connection:
            going = _Named.of(connection, run_id).going
            runs, models = schema.runs.c, schema.models.c
            name, fingerprint = connection.execute(
                select(runs.model, runs.fingerprint).where(runs.id == run_id)
            ).one()
            connection.execute(delete(schema.preferences).where(_about(run_id)))
            connection.execute(delete(schema.scores).where(schema.scores.c.run == run_id))
            connection.execute(delete(schema.rows).where(schema.rows.c.run == run_id))
            connection.execute(delete(schema.runs).where(runs.id == run_id))
            for some in in_parts(going):
                connection.execute(delete(schema.answers).where(schema.answers.c.number.in_(some)))
            is_asked = select(runs.id).where(runs.model == name, runs.fingerprint == fingerprint)
            if connection.execute(is_asked).first() is None:
                its_model = (models.name == name) & (models.fingerprint == fingerprint)
                connection.execute(delete(schema.models).where(its_model))


@dataclass(frozen=True, slots=True)
class _Named:
    """The numbers of the answers that a run's rows name."""

    own: frozenset[int]
    """The answers of the run's model."""
    replies: frozenset[int]
    """The replies of judges."""
    going: frozenset[int]
    """The answers of the run's model that nothing else needs."""

    @classmethod
    def of(cls, connection: Connection, run_id: str) -> "_Named":
        rows, answers = schema.rows.c, schema.answers.c
        runs, fingerprints = schema.runs.c, schema.fingerprints.c
        fingerprint = connection.scalar(select(runs.fingerprint).where(runs.id == run_id))
        engine = select(fingerprints.number).where(fingerprints.fingerprint == fingerprint).scalar_subquery()
        named = _numbers(connection, select(rows.answers).where(rows.run == run_id))
        own: set[int] = set()
        for some in in_parts(named):
            theirs = answers.number.in_(some) & (answers.fingerprint == engine)
            own |= set(connection.scalars(select(answers.number).where(theirs)))
        going = own - _needed(connection, run_id, str(fingerprint), own)
        return cls(frozenset(own), frozenset(named - own), frozenset(going))


def _needed(connection: Connection, run_id: str, fingerprint: str, own: set[int]) -> set[int]:
    """Which of a run's answers something else names; all, where another run of its model is under way."""
    runs, rows, preferences = schema.runs.c, schema.rows.c, schema.preferences.c
    of_its_model = (runs.id != run_id) & (runs.fingerprint == fingerprint)
    under_way = select(runs.id).where(of_its_model, runs.finished.is_(None))
    if connection.execute(under_way).first() is not None:
        return own
    in_rows = _numbers(connection, select(rows.answers).where(rows.run != run_id))
    named = select(preferences.reply).where(preferences.reply.like(f"{ALGORITHM}%"), ~_about(run_id))
    replies = numbers_of(connection, schema.answers, "key", set(connection.scalars(named)))
    return own & (in_rows | set(replies.values()))


def _about(run_id: str) -> ColumnElement[bool]:
    """Preferences in which a run's answers were compared."""
    preferences = schema.preferences.c
    return or_(preferences.left_run == run_id, preferences.right_run == run_id)


def _numbers(connection: Connection, query: Select[tuple[Any]]) -> set[int]:
    """The answers that rows name."""
    return {each for answers in connection.scalars(query) for each in answers if isinstance(each, int)}


def count_scores(connection: Connection, run_id: str | None = None) -> int:
    """How many scores a run has, or all runs."""
    scores = schema.scores.c
    query = select(scores.numbers) if run_id is None else select(scores.numbers).where(scores.run == run_id)
    return sum(len(part) for numbers in connection.scalars(query) for part in numbers)


def _weighed(
    connection: Connection, which: ColumnElement[bool], *columns: ColumnElement[Any]
) -> tuple[int, int]:
    """How many rows of a table these are, and how many characters their columns have."""
    characters = sum((func.length(type_coerce(column, Text)) for column in columns), literal(0))
    count, size = connection.execute(select(func.count(), func.sum(characters)).where(which)).one()
    return count, size or 0


def _size_of(connection: Connection, numbers: Collection[int]) -> int:
    text = func.coalesce(type_coerce(schema.answers.c.text, Text), "")
    here = schema.answers.c.number
    texts = sum(_weighed(connection, here.in_(some), text)[1] for some in in_parts(numbers))
    return texts + BESIDE_TEXT * len(numbers)
