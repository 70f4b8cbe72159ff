"""Blind tests and their votes. A design is never changed, and a vote is only ever added.

It does not know what a design holds, nor what follows from votes.
"""

from collections.abc import Sequence
from dataclasses import asdict

from sqlalchemy import Connection, func, select, update

from harness.records.preferences import Study, Vote
from harness.store import schema
from harness.store.database import insert_missing


def keep_study(connection: Connection, study: Study) -> bool:
    """Keep a new study; False where one of this name is there, which stays."""
    return insert_missing(connection, schema.studies, [asdict(study)]) == 1


def find_studies(connection: Connection, name: str | None) -> list[Study]:
    """The study of this name, or all of them, oldest first."""
    table = schema.studies
    query = select(table).order_by(table.c.created, table.c.name)
    if name is not None:
        query = query.where(table.c.name == name)
    return [Study(**record._mapping) for record in connection.execute(query)]


def unseal_study(connection: Connection, name: str, unsealed: str) -> None:
    """Record when a study was unsealed. The first time stays."""
    table = schema.studies
    connection.execute(
        update(table).where(table.c.name == name, table.c.unsealed.is_(None)).values(unsealed=unsealed)
    )


def when_unsealed(connection: Connection, name: str) -> str | None:
    """When a study was unsealed, without reading its design."""
    table = schema.studies
    return connection.scalar(select(table.c.unsealed).where(table.c.name == name))


def keep_votes(connection: Connection, votes: Sequence[Vote]) -> int:
    """Add votes after those of their studies that are there; how many were new, by rater and token."""
    new = 0
    for vote in votes:
        place = _next_place(connection, vote.study)
        new += insert_missing(connection, schema.votes, [{**asdict(vote), "place": place}])
    return new


def _next_place(connection: Connection, study: str) -> int:
    """After the last vote. Locks the study, on servers too: two votes must not get the same place."""
    connection.execute(select(schema.studies.c.name).where(schema.studies.c.name == study).with_for_update())
    last = connection.scalar(select(func.max(schema.votes.c.place)).where(schema.votes.c.study == study))
    return 0 if last is None else last + 1


def find_votes(connection: Connection, study: str, rater: str | None) -> list[Vote]:
    """The votes of one study, of one rater or of all, in the order they came."""
    table = schema.votes
    columns = [column for column in table.c if column is not table.c.place]
    query = select(*columns).where(table.c.study == study).order_by(table.c.place)
    if rater is not None:
        query = query.where(table.c.rater == rater)
    return [Vote(**record._mapping) for record in connection.execute(query)]
