"""Blind tests and their votes. A design is never changed, and a vote is only ever added."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass

from sqlalchemy import Connection, func, select, update

from harness.records.preferences import Study, Vote
from harness.store import schema
from harness.store.database import Database, insert_missing


@dataclass(frozen=True)
class Studies:
    """The blind tests in a store."""

    database: Database

    def keep(self, study: Study) -> bool:
        """Keep a new blind test; False where one of this name is there, which stays as it is."""
        with self.database.writing() as connection:
            return insert_missing(connection, schema.studies, [asdict(study)]) == 1

    def find(self) -> list[Study]:
        """Every blind test, oldest first."""
        table = schema.studies
        query = select(table).order_by(table.c.created, table.c.name)
        with self.database.reading() as connection:
            return [Study(**record._mapping) for record in connection.execute(query)]

    def unseal(self, name: str, unsealed: str) -> None:
        """Record when a blind test was unsealed (ISO 8601, UTC). The first time stays."""
        table = schema.studies
        sealed = (table.c.name == name, table.c.unsealed.is_(None))
        with self.database.writing() as connection:
            connection.execute(update(table).where(*sealed).values(unsealed=unsealed))

    def when_unsealed(self, name: str) -> str | None:
        """When a blind test was unsealed; None: it is sealed. The design is not read."""
        table = schema.studies
        with self.database.reading() as connection:
            return connection.scalar(select(table.c.unsealed).where(table.c.name == name))

    def keep_votes(self, votes: Sequence[Vote]) -> int:
        """Add votes after those that are there, and say how many were new: a token counts once per rater."""
        new = 0
        with self.database.writing() as connection:
            for vote in votes:
                place = _next_place(connection, vote.study)
                new += insert_missing(connection, schema.votes, [{**asdict(vote), "place": place}])
        return new

    def votes(self, study: str, *, rater: str | None = None) -> list[Vote]:
        """The votes of a blind test in the order they came, undone ones too; None is every rater's."""
        table = schema.votes
        columns = [column for column in table.c if column is not table.c.place]
        query = select(*columns).where(table.c.study == study).order_by(table.c.place)
        if rater is not None:
            query = query.where(table.c.rater == rater)
        with self.database.reading() as connection:
            return [Vote(**record._mapping) for record in connection.execute(query)]


def _next_place(connection: Connection, study: str) -> int:
    """After the last vote. Locks the study, on servers too: two votes must not get the same place."""
    connection.execute(select(schema.studies.c.name).where(schema.studies.c.name == study).with_for_update())
    last = connection.scalar(select(func.max(schema.votes.c.place)).where(schema.votes.c.study == study))
    return 0 if last is None else last + 1
