"""Official data: read from a file or from its hub.

A user's file (`data = "…"`) comes before the folder of official data (`HARNESS_DATA`), which comes before the
hub.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from harness.engine.hub import why_nothing_came
from harness.errors import DataError, DownloadNeeded
from harness.files import json_lines
from suites.row_suite import RowT, checked
from suites.settings import SuiteSettings, Surroundings


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
