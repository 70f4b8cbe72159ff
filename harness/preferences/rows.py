"""One row of preferences from elsewhere: its columns, by our names and by others', and what they may hold."""

from collections.abc import Mapping, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from math import isnan
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

from harness.preferences.named import BOTH_BAD, Kind, NamedPreference, winner_of
from harness.records.preferences import Side, Winner
from harness.turns import read_turn

Row = Mapping[str, Any]

REQUIRED = ("item", "rater", "left", "right", "winner")
TEXTS = ("left_text", "right_text")
NAMES = ("item", "rater", "left", "right", "cluster")
ALIASES: Mapping[str, tuple[str, ...]] = {
    "item": ("question_id", "id"),
    "rater": ("judge", "judge_hash", "annotator", "evaluation_session_id"),
    "left": ("model_a",),
    "right": ("model_b",),
    "left_text": ("response_a", "conversation_a"),
    "right_text": ("response_b", "conversation_b"),
}
"""What others call a column, where it does not have our name."""
WINNERS: Mapping[str, Winner] = {
    "model_a": "left",
    "model_b": "right",
    "both_bad": "tie",
    "tie (bothbad)": "tie",
    "tie (inconsistent)": "tie",
}
"""What others call a winner. `inconsistent`: the two orders of MT-Bench's judge disagreed."""
BAD = ("both_bad", "tie (bothbad)")
JUDGES = ("gpt4_pair",)
"""MT-Bench's judge among the raters of its data set of people's votes."""


def of_turn(question: str, turn: object) -> str:
    """The item that a turn of a conversation is; the question is its cluster."""
    return question if turn is None else f"{question}/turn {turn}"


def _filled(cell: object) -> object:
    if cell is None:
        raise ValueError("is empty")
    return cell


def _expected(what: str) -> WrapValidator:
    """Says what a cell may hold, and what this one holds, where they differ."""

    def checked(cell: object, inner: ValidatorFunctionWrapHandler) -> Any:
        try:
            return inner(cell)
        except ValidationError as error:
            raise ValueError(f"{what} was expected, and not {cell!r}") from error

    return WrapValidator(checked)


def _moment(given: object) -> object:
    """Seconds since 1970 of a date, as many tables write it."""
    if isinstance(given, str):
        with suppress(ValueError):
            given = datetime.fromisoformat(given)
    if isinstance(given, datetime):
        return (given if given.tzinfo else given.replace(tzinfo=UTC)).timestamp()
    return given


Text = Annotated[str, _expected("a text"), BeforeValidator(_filled)]
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
    tstamp: Annotated[float | None, BeforeValidator(_moment), _expected("seconds or a date")] = None

    @field_validator("winner", "shown_first", mode="before")
    @classmethod
    def _as_side(cls, cell: object, info: ValidationInfo) -> str | None:
        """A side's word, or the side that a model's name stands for."""
        words = get_args(Winner if info.field_name == "winner" else Side)
        models = {info.data.get(side): side for side in get_args(Side)}
        if cell is None:
            return None
        usual = WINNERS.get(str(cell), str(cell))
        side: str = models.get(str(cell), usual)
        if usual in words and side != usual:
            raise ValueError(f"{cell!r} is a side and a model's name; rename the model")
        if side not in words:
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


# ---------------------------------------------------------------- what others write


def name_of(field: str, row: Row) -> str | None:
    """What the row calls a column of ours; None: it is not there."""
    return next((name for name in (field, *ALIASES.get(field, ())) if name in row), None)


def cells_of(row: Row, names: Mapping[str, str | None]) -> dict[str, object]:
    """The row's cells under our names; `names` are what it calls them."""
    turn = _cell(row.get("turn"))
    cells = {
        field: _text_of(row[name], turn) if field in TEXTS else _cell(row[name])
        for field, name in names.items()
        if name is not None
    }
    judge = row.get(names["rater"] or "")
    if isinstance(judge, list) and judge:  # MT-Bench's, with the template that it was asked with
        cells["rater"] = _cell(judge[0])
    if isinstance(judge, list) or judge in JUDGES:
        cells["kind"] = cells.get("kind") or "judge"
    if str(cells.get("winner")) in BAD:
        cells["reason"] = cells.get("reason") or BOTH_BAD
    if names["item"] in ALIASES["item"] and cells["item"] is not None and turn is not None:
        cells["cluster"] = cells.get("cluster") or cells["item"]
        cells["item"] = of_turn(str(cells["item"]), turn)
    return {field: str(cell) if _is_number(field, cell) else cell for field, cell in cells.items()}


def _cell(given: object) -> object:
    """A cell without the blanks around it; None where it is empty, and where a table writes NaN for that."""
    if isinstance(given, str):
        return given.strip() or None
    if isinstance(given, float):
        return None if isnan(given) else int(given) if given.is_integer() else given
    return given


def _is_number(field: str, cell: object) -> bool:
    """Whether it stands for a name."""
    return field in NAMES and isinstance(cell, int) and not isinstance(cell, bool)


def _text_of(given: object, turn: object) -> object:
    """A text as it is; of a conversation what was answered in it, as far as the turn that was judged."""
    if not isinstance(given, Sequence) or isinstance(given, str):
        return given
    try:
        turns = [read_turn(each) for each in given]
    except ValueError:  # pictures and calls of tools are no text
        return None
    answers = [each.content for each in turns if each.role == "assistant"]
    return "\n".join(answers[:turn] if isinstance(turn, int) else answers)
