"""What raters chose between two runs' answers; judges and humans in one table, so agreement is a join.

It does not know who a rater is, nor how many of them agree.
"""

from collections.abc import Sequence
from dataclasses import asdict

from sqlalchemy import Connection, select

from harness.records import Preference
from harness.store import schema
from harness.store.database import insert_or_replace


def keep_preferences(connection: Connection, preferences: Sequence[Preference]) -> None:
    """Keep choices. A rater's later one about the same pair in the same order replaces the earlier."""
    insert_or_replace(connection, schema.preferences, [asdict(preference) for preference in preferences])


def find_preferences(
    connection: Connection, left_run: str | None, right_run: str | None, rater: str | None
) -> list[Preference]:
    """The choices that match everything asked for, by sample, rater and order shown."""
    table = schema.preferences
    query = select(table).order_by(table.c.sample, table.c.rater, table.c.shown_first)
    wanted = {table.c.left_run: left_run, table.c.right_run: right_run, table.c.rater: rater}
    conditions = [column == value for column, value in wanted.items() if value is not None]
    return [Preference(**record._mapping) for record in connection.execute(query.where(*conditions))]
