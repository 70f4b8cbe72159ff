"""Rows of the toy world: its own held-out items, or a user's file of the same schema."""

from typing import TypeVar

from pydantic import Field

from harness.files import json_lines
from harness.toyworld import evaluation_set
from suites.row_suite import DataRow, checked
from suites.settings import SuiteSettings


class ToyRow(DataRow):
    """A row that carries its own id."""

    given_id: str = Field(alias="id")

    @property
    def id(self) -> str:
        """The item's id in the toy world or in the user's file."""
        return self.given_id


ToyRowT = TypeVar("ToyRowT", bound=ToyRow)


def toy_rows(name: str, schema: type[ToyRowT], given: SuiteSettings) -> tuple[ToyRowT, ...]:
    """The rows that the suite of this name asks. Raises DataError."""
    if given.data is not None:
        return checked(str(given.data), schema, json_lines(given.data))[: given.limit]
    return checked(f"toy:{name}", schema, enumerate(evaluation_set(name), start=1))[: given.limit]
