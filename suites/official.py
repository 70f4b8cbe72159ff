"""Official data: read from a file or from its hub, checked row by row, and hashed.

A user's file (`data = "…"`) comes before the folder of official data (`HARNESS_DATA`), which comes before the
hub. Only the fields a suite uses are kept, so that the same rows have one hash wherever they come from, and
in whatever order.

It does not know what the rows are for.
"""

import hashlib
import json
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self, TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError

from harness.engine.hub import why_nothing_came
from harness.errors import DataError, DownloadNeeded
from harness.files import json_lines
from suites.settings import SuiteSettings, Surroundings


class OfficialRow(BaseModel):
    """A row of official data: the fields a suite uses. Others are left out."""

    model_config = ConfigDict(extra="ignore", frozen=True, strict=True)

    @property
    def id(self) -> str:
        """Names the row, whatever its place and wherever it comes from."""
        raise NotImplementedError

    def again(self, time: int) -> Self | None:
        """This row as the `time`th with its id; None where a row must not stand there again."""
        return None


RowT = TypeVar("RowT", bound=OfficialRow)


@dataclass(frozen=True, slots=True, kw_only=True)
class OfficialDataset:
    """Where official rows lie."""

    file: str
    """Within the folder of official data."""
    hub: str
    config: str | None
    split: str

    def source(self, settings: SuiteSettings, surroundings: Surroundings) -> str:
        """What errors call the rows."""
        return str(self.place(settings, surroundings) or self.hub)

    def place(self, settings: SuiteSettings, surroundings: Surroundings) -> Path | None:
        """The file to read; None: the hub."""
        if settings.data is not None:
            return settings.data
        return None if surroundings.data_root is None else surroundings.data_root / self.file

    def check(self, settings: SuiteSettings, surroundings: Surroundings) -> None:
        """Raise DataError where a folder of official data is given and lacks this file."""
        file = self.place(settings, surroundings)
        if settings.data is None and file is not None and not file.is_file():
            raise DataError(
                str(file),
                0,
                "there is no such file in the folder that HARNESS_DATA names; put it there, or unset "
                f"HARNESS_DATA to read {self.hub} from the hub",
            )


def official_rows(
    origin: OfficialDataset,
    schema: type[RowT],
    settings: SuiteSettings,
    surroundings: Surroundings,
    *,
    from_hub: Callable[[Sequence[RowT]], Sequence[RowT]] = tuple,
) -> tuple[RowT, ...]:
    """The rows to ask, in the order of their source, after `limit`.

    `from_hub` chooses among the hub's rows, where the hub holds more than the file does. Raises DataError
    for a missing or empty file and for a row that is malformed, lacks a field, or repeats an earlier one's
    id; DownloadNeeded where the hub is needed and cannot be reached.
    """
    origin.check(settings, surroundings)
    file, source = origin.place(settings, surroundings), origin.source(settings, surroundings)
    if file is None:
        rows = from_hub(checked(source, schema, enumerate(_hub_rows(origin), start=1)))
    else:
        rows = checked(source, schema, json_lines(file))
    return tuple(rows[: settings.limit])


def checked(
    source: str, schema: type[RowT], rows: Iterable[tuple[int, Mapping[str, Any]]]
) -> tuple[RowT, ...]:
    """Numbered rows as the schema sees them, for whom a null, which tables write for none, is no field.

    Raises DataError, which names the row and what is wrong with it.
    """
    seen: dict[str, list[int]] = defaultdict(list)
    accepted: list[RowT] = []
    for number, row in rows:
        try:
            found = schema.model_validate({name: value for name, value in row.items() if value is not None})
        except ValidationError as error:
            raise DataError(source, number, _first_problem(error)) from error
        earlier = seen[found.id]
        earlier.append(number)
        again = found if earlier == [number] else found.again(len(earlier))
        if again is None:
            raise DataError(source, number, f"repeats row {earlier[0]}: both are {found.id!r}")
        accepted.append(again)
    if not accepted:
        raise DataError(source, 0, "holds no rows")
    return tuple(accepted)


def hash_rows(rows: Iterable[Mapping[str, Any]]) -> str:
    """`sha256:…` of the rows as a set: independent of their order and of the order of their fields."""
    lines = sorted(json.dumps(row, sort_keys=True, ensure_ascii=False, default=str) for row in rows)
    return "sha256:" + hashlib.sha256("\n".join(lines).encode()).hexdigest()


def _hub_rows(origin: OfficialDataset) -> Sequence[Mapping[str, Any]]:
    # imported here because datasets takes seconds to import, and files need none of it
    from datasets import load_dataset  # noqa: PLC0415

    try:
        return list(load_dataset(origin.hub, origin.config, split=origin.split))
    except (OSError, RuntimeError) as error:
        raise DownloadNeeded(
            f"{origin.hub} cannot be had from the hub ({why_nothing_came(error)}); set HARNESS_DATA to a "
            f"folder that holds {origin.file}, or `data` to such a file"
        ) from error


def _first_problem(error: ValidationError) -> str:
    problem = error.errors(include_url=False)[0]
    where = ".".join(str(part) for part in problem["loc"])
    message = problem["msg"].removeprefix("Value error, ")
    return f"{where}: {message[0].lower()}{message[1:]}" if where else message
