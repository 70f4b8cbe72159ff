"""Cells of CSV files that a spreadsheet would take for a formula, and run.

They have an apostrophe put before them, which is removed again when we read them
(https://owasp.org/www-community/attacks/CSV_Injection).
"""

import re

_FORMULA = re.compile("'*[=+\\-@\t\r\n\uff1d\uff0b\uff0d\uff20]")
"""How a formula begins, also in full width, behind apostrophes that were put there before."""


def escape_formula(cell: str) -> str:
    """The cell, with an apostrophe before what a spreadsheet would compute."""
    return "'" + cell if _FORMULA.match(cell) else cell


def unescape_formula(cell: str) -> str:
    """What `escape_formula` was given."""
    return cell[1:] if cell.startswith("'") and _FORMULA.match(cell) else cell
