"""Preferences as CSV: votes and annotations that were made elsewhere.

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

Blanks around a cell do not count; nothing else is changed on reading.
"""

from collections.abc import Iterator, Mapping
from difflib import get_close_matches
from pathlib import Path
from typing import Annotated, Any, get_args

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    ValidationError,
    ValidationInfo,
    ValidatorFunctionWrapHandler,
    WrapValidator,
    field_validator,
)

from harness.errors import DataError
from harness.files import csv_records, first_problem
from harness.preferences.named import Kind, NamedPreference, winner_of
from harness.records.preferences import Side, Winner

REQUIRED = ("item", "rater", "left", "right", "winner")
TEXTS = ("left_text", "right_text")


def _filled(cell: object) -> object:
    if cell is None:
        raise ValueError("is empty")
    return cell


def _expected(what: str) -> WrapValidator:
    """Says what a cell may hold, and what this one holds, where they differ."""

    def checked(cell: str | None, inner: ValidatorFunctionWrapHandler) -> Any:
        try:
            return inner(cell)
        except ValidationError as error:
            raise ValueError(f"{what} was expected, and not {cell!r}") from error

    return WrapValidator(checked)


Text = Annotated[str, BeforeValidator(_filled)]
Length = Annotated[float | None, Field(ge=0, multiple_of=1), _expected("a whole number from 0 up")]


class PreferenceRow(BaseModel):
    """A row of the file: an empty cell is None."""

    model_config = ConfigDict(extra="ignore", frozen=True, allow_inf_nan=False)

    item: Text
    rater: Text
    left: Text
    right: Text
    winner: Winner | None = None
    kind: Annotated[Kind | None, _expected("judge or human")] = None
    shown_first: Side | None = None
    share: Annotated[float | None, Field(ge=0, le=1), _expected("a number from 0 to 1")] = None
    left_length: Length = None
    right_length: Length = None
    left_text: str | None = None
    right_text: str | None = None
    cluster: str | None = None
    seconds: Annotated[float | None, Field(ge=0), _expected("a number from 0 up")] = None
    reason: str | None = None

    @field_validator("right")
    @classmethod
    def _is_another(cls, right: str, info: ValidationInfo) -> str:
        if right == info.data.get("left"):
            raise ValueError(f"is the same model as on the left: {right!r}")
        return right

    @field_validator("winner", "shown_first", mode="before")
    @classmethod
    def _as_side(cls, cell: str | None, info: ValidationInfo) -> str | None:
        """A side's word, or the side that a model's name stands for."""
        words = get_args(Winner if info.field_name == "winner" else Side)
        models = {info.data.get(side): side for side in get_args(Side)}
        side = models.get(cell, cell)
        if cell in words and side != cell:
            raise ValueError(f"{cell!r} is a side and a model's name; rename the model")
        if cell is not None and side not in words:
            *others, last = [*words, *filter(None, models)]
            raise ValueError(f"{', '.join(others)} or {last} was expected, and not {cell!r}")
        return side

    @field_validator("share")
    @classmethod
    def _makes_the_winner(cls, share: float | None, info: ValidationInfo) -> float | None:
        winner = info.data.get("winner")
        if share is not None and winner not in (None, winner_of(share)):
            raise ValueError(f"{share:g} of the win for the right one makes the winner {winner_of(share)}")
        return share

    @property
    def preference(self) -> NamedPreference:
        """The row as it is analysed."""
        return NamedPreference(
            item=self.item,
            rater=self.rater,
            left=self.left,
            right=self.right,
            winner=self.winner if self.share is None else winner_of(self.share),
            kind=self.kind or "human",
            cluster=self.cluster or "",
            shown_first=self.shown_first,
            share=self.share,
            reason=self.reason,
            left_length=self._length(self.left_length, self.left_text),
            right_length=self._length(self.right_length, self.right_text),
            seconds=self.seconds,
        )

    def _length(self, given: float | None, text: str | None) -> int | None:
        if given is not None:
            return int(given)
        return len(text) if text is not None and (self.left_text or self.right_text) else None


def read_preferences(file: Path) -> list[NamedPreference]:
    """The preferences of a CSV file (UTF-8, a header), in its order.

    Raises DataError, with the row and the column, for a file that cannot be read or holds no preference, for
    a column that is missing or misspelt, for an invalid cell, for a rater of two kinds,
    and for a pair that one rater judged twice in one order.
    """
    found: list[NamedPreference] = []
    seen: dict[tuple[str, ...], int] = {}
    kinds: dict[str, Kind] = {}
    for number, cells in _rows(file):
        try:
            preference = PreferenceRow.model_validate(cells).preference
        except ValidationError as error:
            raise _mistake(file, number, *first_problem(error)) from error
        rater = preference.rater
        if kinds.setdefault(rater, preference.kind) != preference.kind:
            raise _mistake(file, number, "kind", f"{rater!r} is a {kinds[rater]} in an earlier row")
        earlier = seen.setdefault(_order(preference), number)
        if earlier != number:
            raise _mistake(
                file,
                number,
                "item",
                f"{rater!r} judged {preference.item!r} in row {earlier} already; tell two orders "
                "apart by shown_first, and repeats by an item of their own",
            )
        found.append(preference)
    if not found:
        raise DataError(str(file), 0, "holds no preferences")
    return found


def _mistake(file: Path, row: int, column: str, message: str) -> DataError:
    return DataError(str(file), row, f"column {column!r}: {message}")


def _rows(file: Path) -> Iterator[tuple[int, Mapping[str, str | None]]]:
    """Each row's cells by column, with the line that it begins in, as an editor counts."""
    records = csv_records(file)
    _, header = next(records, (1, []))
    _check_header(file, header)
    for begins, cells in records:
        if cells and len(cells) != len(header):
            raise DataError(str(file), begins, f"has {len(cells)} cells, and the header {len(header)}")
        if cells:
            row = zip(header, cells, strict=True)
            yield begins, {name: cell if name in TEXTS else cell.strip() or None for name, cell in row}


def _check_header(file: Path, header: list[str]) -> None:
    known = list(PreferenceRow.model_fields)
    for column in REQUIRED:
        if column not in header:
            found = f"; found: {', '.join(header)}" if header else ""
            raise DataError(str(file), 1, f"there is no column {column!r}{found}")
    for place, column in enumerate(header):
        if column in header[:place]:
            raise _mistake(file, 1, column, "stands there twice")
        near = get_close_matches(column, known, n=1, cutoff=0.8)
        if near and column not in known:
            raise _mistake(file, 1, column, f"is not known; did you mean {near[0]!r}?")


def _order(preference: NamedPreference) -> tuple[str, ...]:
    """What tells a rater's preferences apart: the item, the two models, and who of them was shown first."""
    first = {"left": preference.left, "right": preference.right, None: ""}[preference.shown_first]
    return preference.rater, preference.item, *sorted((preference.left, preference.right)), first
