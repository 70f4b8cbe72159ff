"""Suites of rows: the rows are checked, and the data's hash, its size and the samples follow from them.

A suite gives its `items`, and what a run records of its data follows. Only the fields that a suite
uses are kept of a row, so that the same rows have one hash wherever they come from, and in whatever order.
"""

import hashlib
import json
from abc import ABC, abstractmethod
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from functools import cached_property
from typing import Any, Generic, Protocol, Self, TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError

from harness.errors import DataError
from harness.files import first_problem
from harness.records.answers import Sample


class DataRow(BaseModel):
    """A row of a suite's data: the fields that the suite uses. Others are left out."""

    model_config = ConfigDict(extra="ignore", frozen=True, strict=True)

    @property
    def id(self) -> str:
        """Names the row, whatever its place and wherever it comes from."""
        raise NotImplementedError

    @property
    def content(self) -> Mapping[str, Any]:
        """What of the row the hash of the data is over."""
        return self.model_dump()

    def again(self, time: int) -> Self | None:
        """This row as the `time`th with its id; None where a row must not stand there again."""
        return None


RowT = TypeVar("RowT", bound=DataRow)


def checked(
    source: str, schema: type[RowT], rows: Iterable[tuple[int, Mapping[str, Any]]]
) -> tuple[RowT, ...]:
    """Numbered rows as the schema sees them, to which a null, which tables write for none, is no field.

    Raises DataError, which names the row and what is wrong with it.
    """
    seen: dict[str, list[int]] = defaultdict(list)
    accepted: list[RowT] = []
    for number, row in rows:
        try:
            found = schema.model_validate({name: value for name, value in row.items() if value is not None})
        except ValidationError as error:
            raise DataError(source, number, ": ".join(filter(None, first_problem(error)))) from error
        earlier = seen[found.id]
        earlier.append(number)
        again = found if earlier == [number] else found.again(len(earlier))
        if again is None:
            raise DataError(source, number, f"repeats row {earlier[0]}: both are {found.id!r}")
        accepted.append(again)
    if not accepted:
        raise DataError(source, 0, "holds no rows")
    return tuple(accepted)


def short_hash(text: str) -> str:
    """A name for a row that has none: the first 16 digits of its text's SHA-256."""
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def hash_rows(rows: Iterable[Mapping[str, Any]]) -> str:
    """`sha256:…` of the rows as a set: independent of their order and of the order of their fields."""
    lines = sorted(json.dumps(row, sort_keys=True, ensure_ascii=False, default=str) for row in rows)
    return "sha256:" + hashlib.sha256("\n".join(lines).encode()).hexdigest()


ItemT = TypeVar("ItemT")


class RowSuite(ABC, Generic[ItemT]):
    """A suite that asks one thing about each of its items."""

    @property
    @abstractmethod
    def items(self) -> Sequence[ItemT]:
        """What is asked, in its order. Raises DataError or DownloadNeeded."""

    @property
    def size(self) -> int:
        return len(self.items)

    @cached_property
    def data_hash(self) -> str:
        return hash_rows(self.content(item) for item in self.items)

    @abstractmethod
    def content(self, item: ItemT) -> Mapping[str, Any]:
        """What of an item the hash of the data is over."""


class SampleRow(Protocol):
    """A row that says by itself what sample it is."""

    @property
    def content(self) -> Mapping[str, Any]:
        """What of the row the hash of the data is over."""
        ...

    @property
    def sample(self) -> Sample:
        """What is asked, and what results are split by."""
        ...


SampleRowT = TypeVar("SampleRowT", bound=SampleRow)


class SampleSuite(RowSuite[SampleRowT]):
    """A suite whose samples are known before anything is asked, and before what asks or scores is loaded."""

    @property
    def known_samples(self) -> list[Sample]:
        """The samples in the order of the items."""
        return [self.sample(item) for item in self.items]

    def content(self, item: SampleRowT) -> Mapping[str, Any]:
        """The row's own, unless the suite uses less of it."""
        return item.content

    def sample(self, item: SampleRowT) -> Sample:
        """The row's own, unless the suite knows more of it."""
        return item.sample
