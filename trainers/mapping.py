"""Maps a source's rows to the one shape of a mix: columns renamed, schemas recognised.

A row without content is left out with its reason. A row that cannot be understood is an error, and so is a
source from which nothing can be learned: all its rows equal, or both answers equal in all its pairs.
"""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple, get_args

from harness.errors import DataError
from harness.escape_controls import shortened
from harness.records.models import MixSource
from harness.registry.sections import Column
from trainers.data import Turn, demonstration, pair, text, training_prompt
from trainers.reading import Row

SCHEMA: tuple[str, ...] = get_args(Column)
"""The columns' names in the schemas."""


class MixItem(NamedTuple):
    """A row of a mix under construction."""

    source: int
    """The place of its source among the mix's."""
    number: int
    """Its place in the source, from 1."""
    row: Row
    """The row in the mix's shape."""
    prompt: tuple[str, ...]
    """The texts of its prompt's turns, without system turns."""
    answers: tuple[str, ...]
    """The answer or answers; for a plain text, that text."""
    system: tuple[str, ...] = ()
    """The texts of system turns, which many rows may share."""

    @property
    def texts(self) -> tuple[str, ...]:
        return self.system + self.prompt + self.answers


class Removed(NamedTuple):
    """A row that is not in the mix, and why."""

    source: int
    number: int
    why: str
    detail: str
    """What else there is to say about this row; may be empty."""
    excerpt: str
    """The row's beginning."""


class Unusable(Exception):
    """Why a row is left out. Never leaves this module."""


EXCERPT = 160
"""Characters of an example."""


def removed(item: MixItem, why: str, detail: str = "") -> Removed:
    """The note that an item is left out."""
    return Removed(item.source, item.number, why, detail, excerpt(item.texts))


def excerpt(texts: Sequence[str]) -> str:
    """The beginning of some texts, on one line."""
    return shortened(" / ".join(" ".join(each.split()) for each in texts), EXCERPT)


def map_rows(
    place: int, source: MixSource, rows: Sequence[Row], shape: str
) -> tuple[list[MixItem], list[Removed]]:
    """The rows in the mix's shape, and those left out.

    Raises DataError for a row without a required column, and for a source from which nothing can be learned.
    """
    items, left_out = [], []
    for number, row in enumerate(rows, start=1):
        renamed = _renamed(source, number, row)
        try:
            items.append(_SHAPES[shape](place, source.data, number, renamed))
        except Unusable as reason:
            texts = [value for value in renamed.values() if isinstance(value, str)]
            left_out.append(Removed(place, number, str(reason), "", excerpt(texts)))
    _check_learnable(source.data, items, left_out)
    return items, left_out


def _renamed(source: MixSource, number: int, row: Row) -> Row:
    """The row under the schema's names, without its other columns of such names, which would compete."""
    if not source.columns:
        return row
    for ours, theirs in source.columns.items():
        if theirs not in row:
            raise DataError(
                source.data,
                number,
                f"there is no column `{theirs}`, which `columns.{ours}` names; its columns are "
                f"{', '.join(row) or 'none'}",
            )
    taken = {*SCHEMA, *source.columns.values()}
    others = {name: value for name, value in row.items() if name not in taken}
    return {**others, **{ours: row[theirs] for ours, theirs in source.columns.items()}}


def _check_learnable(data: str, items: Sequence[MixItem], left_out: Sequence[Removed]) -> None:
    """Raise DataError for a source from which nothing can be learned."""
    if not items:
        reasons = Counter(each.why for each in left_out)
        found = "; ".join(f"{number:,} because {why}" for why, number in reasons.most_common())
        raise DataError(data, 0, f"none of its {len(left_out):,} rows can be used: {found}")
    if len(items) > 1 and all(item.texts == items[0].texts for item in items):
        raise DataError(
            data,
            0,
            f"its {len(items):,} rows are all the same, {excerpt(items[0].texts)!r}; look at the file",
        )


def _text_item(place: int, data: str, number: int, row: Row) -> MixItem:
    """An item with the row's other columns, which hold a classifier's labels."""
    content = text(data, number, row, "text")
    return _item(place, number, {"text": content, **_others(row)}, [], (content,))


def _demonstration_item(place: int, data: str, number: int, row: Row) -> MixItem:
    prompt, answer = demonstration(data, number, row)
    return _item(place, number, {"messages": [*prompt, _assistant_turn(answer)]}, prompt, (answer,))


def _preference_item(place: int, data: str, number: int, row: Row) -> MixItem:
    found = pair(data, number, row)
    if found is None:
        raise Unusable("chosen and rejected differ before their last turns")
    if found.chosen.strip() == found.rejected.strip():
        raise Unusable("chosen and rejected are the same")
    answers = (found.chosen, found.rejected)
    chosen, rejected = ([_assistant_turn(answer)] for answer in answers)
    mapped = {"prompt": found.prompt, "chosen": chosen, "rejected": rejected}
    return _item(place, number, mapped, found.prompt, answers)


def _prompt_item(place: int, data: str, number: int, row: Row) -> MixItem:
    """An item with the row's other columns, which reward functions may use."""
    prompt, columns, _ = training_prompt(data, number, row)
    return _item(place, number, {"prompt": prompt, **_others(columns)}, prompt, ())


def _item(place: int, number: int, row: Row, turns: Sequence[Turn], answers: tuple[str, ...]) -> MixItem:
    prompt = tuple(turn["content"] for turn in turns if turn["role"] != "system")
    system = tuple(turn["content"] for turn in turns if turn["role"] == "system")
    if not all(text.strip() for text in (*prompt, *answers)):
        raise Unusable("a turn or text is empty")
    return MixItem(place, number, row, prompt, answers, system)


def _others(row: Row) -> Row:
    return {name: value for name, value in row.items() if name not in SCHEMA}


def _assistant_turn(answer: str) -> Turn:
    return {"role": "assistant", "content": answer}


_SHAPES: Mapping[str, Callable[[int, str, int, Row], MixItem]] = {
    "texts": _text_item,
    "demonstrations": _demonstration_item,
    "preferences": _preference_item,
    "prompts": _prompt_item,
}
