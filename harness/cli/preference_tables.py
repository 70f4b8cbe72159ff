"""Prints preferences in a terminal."""

from collections.abc import Iterator
from typing import Literal

from rich.markup import escape
from rich.table import Table

from harness.cli.console import Text
from harness.preferences.results import Analysis
from reports import preference_tables
from reports.board import Leaderboard


def whole(analysis: Analysis) -> Iterator[Text | Table]:
    """Who is preferred by whom in sentences, since a table of it is too wide, and tables of the rest."""
    for result in analysis.win_rates:
        yield Text(result.sentence())
    for table in preference_tables.tables_beside(analysis):
        yield _table(table)


def beside_verdicts(board: Leaderboard) -> Iterator[Text]:
    """What the leaderboard's columns say of each model, in sentences."""
    for standing in board.standings:
        found = standing.preferred
        if found is not None:
            results = (*found.judges, found.humans, *found.agreements, found.among_humans)
            yield from (Text(each.sentence()) for each in results if each is not None)


def _table(given: preference_tables.Table) -> Table:
    table = Table(title=given.title, title_style="default", title_justify="left")
    for place, title in enumerate(given.head):
        justify: Literal["right", "left"] = "right" if place >= given.numbers_from else "left"
        table.add_column(title, justify=justify, overflow="fold")
    for row in given.rows:
        table.add_row(*(escape(cell.replace(" [", "\n[")) for cell in row))
    return table
