"""Tables as CSV: UTF-8, separated by commas, a missing value an empty cell."""

import csv
from collections.abc import Sequence

from harness.escape_formula import escape_formula
from reports.export_tables import Value, tables
from reports.exported import Exported
from reports.whole_files import WholeFiles


def write(exported: Exported, files: WholeFiles) -> Sequence[str]:
    """Each table as `NAME.csv`. Texts that a spreadsheet would run as formulas have an apostrophe first."""
    for table in tables(exported):
        with files.partial(f"{table.name}.csv").open("w", encoding="utf-8", newline="") as file:
            writer = csv.writer(file, lineterminator="\n")
            writer.writerow(table.columns)
            writer.writerows(map(_cell, line) for line in table.lines())
    return ()


def _cell(value: Value) -> Value:
    return escape_formula(value) if isinstance(value, str) else value
