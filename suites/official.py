"""Reads official data from a file or from its hub.

A user's file (`data = "…"`) comes before the folder of official data (`HARNESS_DATA`), which comes before the
hub.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from harness.engine.hub import why_nothing_came
from harness.errors import DataError, DownloadNeeded
from harness.files import json_lines
from suites.row_suite import RowT, checked
from suites.settings import SuiteContext, SuiteSettings


@dataclass(frozen=True, slots=True, kw_only=True)
class OfficialDataset:
    """Where official rows lie."""

    file: str
    """The file in the folder of official data."""
    hub: str
    config: str | None
    split: str

    def source(self, settings: SuiteSettings, context: SuiteContext) -> str:
        """What errors call the rows."""
        return str(self.place(settings, context) or self.hub)

    def place(self, settings: SuiteSettings, context: SuiteContext) -> Path | None:
        """The file to read; None: the hub."""
        if settings.data is not None:
            return settings.data
        return None if context.data_root is None else context.data_root / self.file


def official_rows(
    origin: OfficialDataset,
    schema: type[RowT],
    settings: SuiteSettings,
    context: SuiteContext,
    *,
    from_hub: Callable[[Sequence[RowT]], Sequence[RowT]] = tuple,
) -> tuple[RowT, ...]:
    """The rows to ask, in the order of their source, after `limit`.

    `from_hub` chooses among the hub's rows, where the hub holds more than the file does. Raises DataError
    for a missing or empty file and for a row that is malformed, lacks a field, or repeats an earlier one's
    id; DownloadNeeded where the hub is needed and cannot be reached.
    """
    file, source = origin.place(settings, context), origin.source(settings, context)
    if file is not None and settings.data is None and not file.is_file():
        raise DataError(
            source,
            0,
            "there is no such file in the folder that HARNESS_DATA names; put it there, or unset "
            f"HARNESS_DATA to read {origin.hub} from the hub",
        )
    if file is None:
        instead = f"set HARNESS_DATA to a folder that holds {origin.file}, or `data` to such a file"
        hub = hub_rows(origin.hub, origin.config, split=origin.split, instead=instead)
        rows = from_hub(checked(source, schema, hub))
    else:
        rows = checked(source, schema, json_lines(file))
    return tuple(rows[: settings.limit])


def hub_rows(
    dataset: str, config: str | None = None, *, split: str, instead: str
) -> Iterator[tuple[int, Mapping[str, Any]]]:
    """The numbered rows of a split. Raises DownloadNeeded, which says what to do `instead`."""
    from datasets import load_dataset  # noqa: PLC0415 - takes seconds, and files need none of it

    try:
        rows = list(load_dataset(dataset, config, split=split))
    except (OSError, RuntimeError) as error:
        raise DownloadNeeded(
            f"{dataset} cannot be downloaded from the hub ({why_nothing_came(error)}); {instead}"
        ) from error
    yield from enumerate(rows, start=1)
