"""Preferences as CSV: votes and annotations that were made elsewhere, and ours for others to read.

One row is one rater's preference about one pair. `item,rater,left,right,winner` must be there: what, by
whom, the two models' names, and `left`, `right`, `tie`, one of the names, or nothing where there is no usable
answer. The other columns may be there, and any of their cells may be empty:

    kind                      `judge` or `human` (where it is empty: human)
    shown_first               the side or the name of the answer that was read first
    share                     from 0 to 1, by which the right one is preferred; the winner may then be empty
    left_length right_length  characters of the answers
    left_text right_text      the answers, of which the lengths are counted where no length is given; where
                              one of the two is empty, that answer was
    cluster                   what items that are not independent share, such as their prompt
    seconds                   how long it took
    reason                    why there is no usable answer, or why a tie is one (`identical answers`)

It does not know what preferences mean. Blanks around a cell do not count; nothing else is changed on reading.
On writing, a cell that a spreadsheet would run as a formula gets an apostrophe before it.
"""

import csv
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from math import isfinite
from pathlib import Path
from typing import cast, get_args

from harness.errors import DataError
from harness.files import csv_records
from harness.preferences.named import Kind, NamedPreference, Side, Winner, winner_of

REQUIRED = ("item", "rater", "left", "right", "winner")
TEXTS = ("left_text", "right_text")
COLUMNS = (
    *REQUIRED,
    *("kind", "shown_first", "share", "left_length", "right_length", "cluster", "seconds", "reason"),
)
FORMULAS = ("=", "+", "-", "@", "\t", "\r")
"""How a cell begins that spreadsheets may run."""


def read_preferences(file: Path) -> list[NamedPreference]:
    """The preferences of a CSV file (UTF-8, a header), in its order.

    Raises DataError, with the row and the column, for a file that cannot be read or holds no preference, for
    a column that is missing or misspelt, for a cell that is none of what it may be, for a rater of two kinds,
    and for a pair that one rater judged twice in one order.
    """
    found: list[NamedPreference] = []
    seen: dict[tuple[str, ...], int] = {}
    kinds: dict[str, Kind] = {}
    for row in _rows(file):
        preference = _preference(row)
        if kinds.setdefault(preference.rater, preference.kind) != preference.kind:
            raise row.mistake(
                "kind", f"{preference.rater!r} is a {kinds[preference.rater]} in an earlier row"
            )
        earlier = seen.setdefault(_order(preference), row.number)
        if earlier != row.number:
            raise row.mistake(
                "item",
                f"{preference.rater!r} judged {preference.item!r} in row {earlier} already; tell two orders "
                "apart by shown_first, and repeats by an item of their own",
            )
        found.append(preference)
    if not found:
        raise DataError(str(file), 0, "holds no preferences")
    return found


def write_preferences(file: Path, preferences: Iterable[NamedPreference]) -> None:
    """Write preferences as CSV that `read_preferences` reads. Raises DataError where it cannot be written."""
    try:
        with file.open("w", encoding="utf-8", newline="") as opened:
            writer = csv.writer(opened)
            writer.writerow(COLUMNS)
            for preference in preferences:
                writer.writerow(_cell(getattr(preference, column)) for column in COLUMNS)
    except OSError as error:
        raise DataError(str(file), 0, f"cannot be written: {error.strerror}") from error


@dataclass(frozen=True, slots=True)
class _Row:
    """One row, and where it stands."""

    file: str
    number: int
    cells: Mapping[str, str]

    def mistake(self, column: str, message: str) -> DataError:
        return DataError(self.file, self.number, f"column {column!r}: {message}")

    def text(self, column: str) -> str:
        """A cell that must not be empty."""
        cell = self.cells[column].strip()
        if not cell:
            raise self.mistake(column, "is empty")
        return cell

    def optional(self, column: str) -> str | None:
        """A cell, None where it is empty or the column is not there."""
        return self.cells.get(column, "").strip() or None

    def number_in(self, column: str, most: float) -> float | None:
        """A number from 0 to `most`."""
        cell = self.optional(column)
        if cell is None:
            return None
        try:
            number = float(cell)
        except ValueError:
            number = -1.0
        if not (isfinite(number) and 0 <= number <= most):
            upto = f" to {most:g}" if isfinite(most) else " up"
            raise self.mistake(column, f"a number from 0{upto} was expected, and not {cell!r}")
        return number


def _rows(file: Path) -> Iterator[_Row]:
    """Rows by the line that each begins in, as an editor counts."""
    records = csv_records(file)
    _, header = next(records, (1, []))
    _check_header(file, header)
    for begins, cells in records:
        if cells:
            yield _row(file, begins, header, cells)


def _check_header(file: Path, header: list[str]) -> None:
    known = (*COLUMNS, *TEXTS)
    for column in REQUIRED:
        if column not in header:
            found = f"; found: {', '.join(header)}" if header else ""
            raise DataError(str(file), 1, f"there is no column {column!r}{found}")
    for place, column in enumerate(header):
        if column in header[:place]:
            raise DataError(str(file), 1, f"column {column!r}: stands there twice")
        near = get_close_matches(column, known, n=1, cutoff=0.8)
        if near and column not in known:
            raise DataError(str(file), 1, f"column {column!r}: is not known; did you mean {near[0]!r}?")


def _row(file: Path, number: int, header: list[str], cells: list[str]) -> _Row:
    if len(cells) != len(header):
        raise DataError(str(file), number, f"has {len(cells)} cells, and the header {len(header)}")
    return _Row(str(file), number, dict(zip(header, cells, strict=True)))


def _preference(row: _Row) -> NamedPreference:
    left, right = row.text("left"), row.text("right")
    if left == right:
        raise row.mistake("right", f"is the same model as on the left: {left!r}")
    kind = row.optional("kind") or "human"
    if kind not in get_args(Kind):
        raise row.mistake("kind", f"judge or human was expected, and not {kind!r}")
    share = row.number_in("share", 1.0)
    first = _side(row, "shown_first", left, right, ("left", "right"))
    return NamedPreference(
        item=row.text("item"),
        rater=row.text("rater"),
        left=left,
        right=right,
        winner=_winner(row, left, right, share),
        kind=cast(Kind, kind),
        cluster=row.optional("cluster") or "",
        shown_first=cast("Side | None", first),
        share=share,
        reason=row.optional("reason"),
        left_length=_length(row, "left"),
        right_length=_length(row, "right"),
        seconds=row.number_in("seconds", float("inf")),
    )


def _winner(row: _Row, left: str, right: str, share: float | None) -> Winner | None:
    winner = cast("Winner | None", _side(row, "winner", left, right, get_args(Winner)))
    if share is None:
        return winner
    by_share = winner_of(share)
    if winner not in (None, by_share):
        raise row.mistake("share", f"{share:g} of the win for the right one makes the winner {by_share}")
    return by_share


def _side(row: _Row, column: str, left: str, right: str, words: tuple[str, ...]) -> str | None:
    """One of the words, or the side that a model's name stands for."""
    cell = row.optional(column)
    names = {left: "left", right: "right"}
    meant = {names.get(cell or "", cell), cell if cell in words else names.get(cell or "", cell)}
    if len(meant) > 1:
        raise row.mistake(column, f"{cell!r} is a side and a model's name; rename the model")
    (side,) = meant
    if side is not None and side not in words:
        raise row.mistake(column, f"{', '.join([*words, left])} or {right} was expected, and not {cell!r}")
    return side


def _length(row: _Row, side: str) -> int | None:
    given = row.number_in(f"{side}_length", float("inf"))
    if given is None:
        text = row.cells.get(f"{side}_text")
        return len(text) if text is not None and any(map(row.cells.get, TEXTS)) else None
    if given != int(given):
        raise row.mistake(f"{side}_length", f"a whole number was expected, and not {given:g}")
    return int(given)


def _order(preference: NamedPreference) -> tuple[str, ...]:
    """What tells a rater's preferences apart: the item, the two models, and who of them was shown first."""
    first = {"left": preference.left, "right": preference.right, None: ""}[preference.shown_first]
    return preference.rater, preference.item, *sorted((preference.left, preference.right)), first


def _cell(value: object) -> str:
    text = "" if value is None else str(value)
    return f"'{text}" if text.startswith(FORMULAS) else text
