"""What raters chose between two runs' answers; judges and humans in one table, so agreement is a join.

It does not know how many raters agree, nor anything of a blind test that is still sealed.
"""

from collections.abc import Sequence
from dataclasses import asdict

from sqlalchemy import Connection, delete, select

from harness.records.preferences import Preference, Rater
from harness.store import schema
from harness.store.database import insert_or_replace


def keep_rater(connection: Connection, rater: Rater) -> None:
    """Keep who a rater is. Comes before the preferences that name it; the same id again is replaced."""
    insert_or_replace(connection, schema.raters, [asdict(rater)])


def find_raters(connection: Connection) -> list[Rater]:
    """Every rater, by id."""
    query = select(schema.raters).order_by(schema.raters.c.id)
    return [Rater(**record._mapping) for record in connection.execute(query)]


def keep_preferences(connection: Connection, preferences: Sequence[Preference]) -> None:
    """Keep choices. A rater's later one about the same pair in the same order replaces the earlier."""
    insert_or_replace(connection, schema.preferences, [asdict(preference) for preference in preferences])


def forget_preferences(connection: Connection, rater: str, left_run: str, right_run: str) -> None:
    """Take a rater's choices between two runs back; the replies that they were read from stay."""
    table = schema.preferences.c
    about = (table.rater == rater, table.left_run == left_run, table.right_run == right_run)
    connection.execute(delete(schema.preferences).where(*about))


def find_preferences(
    connection: Connection, left_run: str | None, right_run: str | None, rater: str | None
) -> list[Preference]:
    """The choices that match everything asked for, by sample, rater and order shown."""
    table = schema.preferences
    query = select(table).order_by(table.c.sample, table.c.rater, table.c.shown_first)
    wanted = {table.c.left_run: left_run, table.c.right_run: right_run, table.c.rater: rater}
    conditions = [column == value for column, value in wanted.items() if value is not None]
    return [Preference(**record._mapping) for record in connection.execute(query.where(*conditions))]
