"""Preferences in rows: votes and annotations that were made elsewhere.

One row of a CSV, JSON, JSONL or Parquet file is one rater's preference about one pair. The columns `item`,
`rater`, `left`, `right` and `winner` must be there: what, by whom, the two models' names, and `left`,
`right`, `tie`, one of the names, or nothing where there is no usable answer. The others may be there, and any
of their cells may be empty:

    kind                      `judge` or `human` (where it is empty: human)
    shown_first               the side or the name of the answer that was read first
    share                     from 0 to 1, by which the right one is preferred; the winner may then be empty
    left_length right_length  characters of the answers
    left_text right_text      the answers, of which the lengths are counted where no length is given; where
                              one of the two is empty, that answer was
    cluster                   what items that are not independent share, such as their prompt
    seconds                   how long it took
    reason                    why there is no usable answer, or why a tie is one (`identical answers`)
    tstamp                    when: seconds, or a date

What Chatbot Arena and MT-Bench call columns and winners is read as well (`harness.preferences.rows`). Of
several rows of one rater on one item, pair and order the latest counts: by `tstamp`, else the last. Blanks
around a cell do not count; nothing else is changed on reading.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from types import MappingProxyType
from typing import get_args

from pydantic import ValidationError

from harness.errors import DataError
from harness.escape_controls import shortened
from harness.files import csv_records, first_problem, json_rows, kind_of, parquet_rows
from harness.preferences.named import Kind, NamedPreference
from harness.preferences.rows import ALIASES, REQUIRED, PreferenceRow, Row, cells_of, name_of
from harness.records.preferences import Side

LONGEST_SHOWN = 40
"""Characters of an item that a message shows."""


def rows_of(file: Path) -> Iterator[tuple[int, Row]]:
    """The rows of a file, numbered; what is not named as JSON, JSONL or Parquet is CSV. Raises DataError."""
    if kind_of(file) in (".json", ".jsonl"):
        return json_rows(file)
    return parquet_rows(file) if kind_of(file) == ".parquet" else _table_rows(file)


@dataclass(frozen=True, slots=True)
class _Collected:
    preference: NamedPreference
    file: Path
    number: int
    tstamp: float | None

    def is_later_than(self, other: "_Collected") -> bool:
        """Whether it was made later; where one does not say when, whether it was read later: it was."""
        return self.tstamp is None or other.tstamp is None or self.tstamp >= other.tstamp


class CollectedPreferences:
    """Preferences of rows that are read one after the other."""

    def __init__(self) -> None:
        self.repeats = 0
        """Rows that another of the same rater on the same item, pair and order took the place of."""
        self._found: dict[tuple[str, ...], _Collected] = {}
        self._kinds: dict[str, Kind] = {}
        self._texts: dict[tuple[str, str], tuple[int, Path, int]] = {}

    @property
    def preferences(self) -> list[NamedPreference]:
        """Those that count, in the order in which their pairs were first read."""
        return [each.preference for each in self._found.values()]

    def add(
        self, file: Path, number: int, row: Row, called: Mapping[str, str] = MappingProxyType({})
    ) -> NamedPreference:
        """Take a row. `called`: what its file calls our columns, for messages.

        Raises DataError for a column that is missing, an invalid cell, a rater of two kinds, and an item to
        which one model has two answers.
        """
        names = {field: name_of(field, row) for field in PreferenceRow.model_fields}
        word = "column" if kind_of(file) not in (".json", ".jsonl") else "key"

        def mistake(column: str, message: str) -> DataError:
            name = called.get(column) or names.get(column) or column
            return DataError(str(file), number, f"{word} {name!r}: {message}")

        missing = [each for each in REQUIRED if names[each] is None]
        if missing and not (missing == ["winner"] and names["share"]):
            raise mistake(missing[0], f"is not there; found: {', '.join(map(str, row))}")
        try:
            read = PreferenceRow.model_validate(cells_of(row, names))
        except ValidationError as error:
            raise mistake(*first_problem(error)) from error
        preference = read.preference
        rater, kind = preference.rater, preference.kind
        if self._kinds.setdefault(rater, kind) != kind:
            raise mistake("kind", f"{rater!r} is a {self._kinds[rater]} in an earlier row, and here a {kind}")
        for side in () if read.left == read.right else get_args(Side):
            model, text = getattr(read, side), getattr(read, f"{side}_text")
            said = self._texts.setdefault((read.item, model), (hash(text), file, number)) if text else None
            if said is not None and said[0] != hash(text):
                place = f"row {said[2]}" if said[1] == file else f"{said[1]}, row {said[2]}"
                item = shortened(read.item, LONGEST_SHOWN)
                raise mistake(
                    f"{side}_text",
                    f"{model!r} answers {item!r} otherwise than in {place}; two prompts need two items",
                )
        self._keep(_Collected(preference, file, number, read.tstamp))
        return preference

    def _keep(self, new: _Collected) -> None:
        key = _order(new.preference)
        earlier = self._found.setdefault(key, new)
        if earlier is not new:
            self.repeats += 1
            if new.is_later_than(earlier):
                self._found[key] = new


# ---------------------------------------------------------------- CSV


def _table_rows(file: Path) -> Iterator[tuple[int, Row]]:
    """Each row's cells by column, with the line that it begins in, as an editor counts."""
    records = csv_records(file)
    _, header = next(records, (1, []))
    _check_header(file, header)
    for begins, cells in records:
        if cells and len(cells) != len(header):
            raise DataError(str(file), begins, f"has {len(cells)} cells, and the header {len(header)}")
        if cells:
            yield begins, dict(zip(header, cells, strict=True))


def _check_header(file: Path, header: list[str]) -> None:
    fields = [field for field in PreferenceRow.model_fields if field != "tstamp"]
    known = {"tstamp", *fields, *(alias for each in ALIASES.values() for alias in each)}
    for column in REQUIRED:
        if name_of(column, dict.fromkeys(header)) is None:
            found = f"; found: {', '.join(header)}" if header else ""
            raise DataError(str(file), 1, f"there is no column {column!r}{found}")
    for place, column in enumerate(header):
        if column in header[:place]:
            raise DataError(str(file), 1, f"column {column!r}: stands there twice")
        near = get_close_matches(column, fields, n=1, cutoff=0.8)
        if near and column not in known:
            raise DataError(str(file), 1, f"column {column!r}: is not known; did you mean {near[0]!r}?")


def _order(preference: NamedPreference) -> tuple[str, ...]:
    """What tells a rater's preferences apart: the item, the two models, and who of them was shown first."""
    first = {"left": preference.left, "right": preference.right, None: ""}[preference.shown_first]
    return preference.rater, preference.item, *sorted((preference.left, preference.right)), first
