"""What raters chose between two runs' answers; judges and humans in one table, so agreement is a join."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass

from sqlalchemy import delete, select

from harness.records.preferences import Preference, Rater
from harness.store import schema
from harness.store.database import Database, insert_or_replace


@dataclass(frozen=True)
class Preferences:
    """The preferences in a store, and the raters they are of."""

    database: Database

    def keep_rater(self, rater: Rater) -> None:
        """Keep who a rater is. Comes before the preferences that name it; the same id again is replaced."""
        with self.database.writing() as connection:
            insert_or_replace(connection, schema.raters, [asdict(rater)])

    def raters(self) -> list[Rater]:
        """Everybody whose preferences may be kept, by id."""
        query = select(schema.raters).order_by(schema.raters.c.id)
        with self.database.reading() as connection:
            return [Rater(**record._mapping) for record in connection.execute(query)]

    def keep(self, preferences: Sequence[Preference]) -> None:
        """Keep preferences about samples that both runs have rows of.

        A rater's later one about the same pair in the same order replaces the earlier.
        """
        with self.database.writing() as connection:
            insert_or_replace(connection, schema.preferences, [asdict(each) for each in preferences])

    def forget(self, rater: str, left_run: str, right_run: str) -> None:
        """Delete a rater's preferences between two runs; the replies that they were read from stay."""
        table = schema.preferences.c
        about = (table.rater == rater, table.left_run == left_run, table.right_run == right_run)
        with self.database.writing() as connection:
            connection.execute(delete(schema.preferences).where(*about))

    def find(
        self, *, left_run: str | None = None, right_run: str | None = None, rater: str | None = None
    ) -> list[Preference]:
        """The preferences between these runs, by sample, rater and order shown; None is any."""
        table = schema.preferences
        query = select(table).order_by(table.c.sample, table.c.rater, table.c.shown_first)
        wanted = {table.c.left_run: left_run, table.c.right_run: right_run, table.c.rater: rater}
        conditions = [column == value for column, value in wanted.items() if value is not None]
        with self.database.reading() as connection:
            return [Preference(**record._mapping) for record in connection.execute(query.where(*conditions))]
