"""Where training rows come from: `toy:NAME`, files, and hub ids.

A source is `toy:NAME` (the embedded world), a local `.jsonl`, `.json`, `.csv` (each also `.gz`) or
`.parquet` file, or a hub id: `ID` (its `train` split), `ID:SPLIT` or `ID:CONFIGURATION:SPLIT`. Rows are
hashed by content, so that it matters what they say and not where they come from.
"""

import json
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache, cached_property, partial
from hashlib import sha256
from pathlib import Path
from typing import Any

from harness.engine.hashing import remembered_hash
from harness.engine.hub import why_nothing_came
from harness.errors import DataError, DownloadNeeded
from harness.files import csv_rows, json_rows, kind_of
from harness.toyworld import generator_hash, training_set

Row = Mapping[str, Any]

FILE_KINDS = (".jsonl", ".json", ".csv", ".parquet")
HUB_PARTS = re.compile(r":(?![^\[]*\])")
"""Colons, except one in a slice of a split, as in `test[:100]`."""


@dataclass(frozen=True, kw_only=True)
class Source:
    """Rows from one place."""

    name: str
    """The name as written in the configuration."""
    hash: str
    """The hash of the rows' content, in order."""
    read: Callable[[], Sequence[Row]]
    """Gives the rows: a plan whose stages are trained needs only their hash."""
    shape: str | None = None
    """The shape of a mix's rows; None: the stage recognises it row by row."""

    @cached_property
    def rows(self) -> Sequence[Row]:
        return self.read()


def read(name: str, *folders: Path) -> Source:
    """Read a source. A file is looked for in each of these folders, in their order.

    Raises DataError (with the row, where one is at fault), UnknownName for a toy set, DownloadNeeded.
    """
    if name.startswith("toy:"):
        return _toy_source(name)
    rows = _file_rows(_found(name, folders)) if file_kind(name) else _hub_rows(name)
    if not rows:
        raise DataError(name, 0, "there are no rows")
    return Source(name=name, hash=rows_hash(rows), read=lambda: rows)


@cache
def _toy_source(name: str) -> Source:
    """Cached: it cannot change while the process lives, and every plan reads it.

    Its hash is remembered between processes, since generating the rows takes a good part of a second.
    """
    made = partial(_toy_rows, name)
    return Source(
        name=name, hash=remembered_hash(name, [generator_hash()], lambda: rows_hash(made())), read=made
    )


@cache
def _toy_rows(name: str) -> Sequence[Row]:
    return training_set(name.removeprefix("toy:"))


def rows_hash(rows: Iterable[Row]) -> str:
    """A hash of the rows' content, in order."""
    digest = sha256()
    for row in rows:
        digest.update(json.dumps(row, sort_keys=True, default=str).encode())
        digest.update(b"\n")
    return digest.hexdigest()


def file_kind(name: str) -> str | None:
    """`.jsonl`, `.json`, `.csv` or `.parquet`; None where the name is not a file's."""
    suffix = kind_of(Path(name))
    return suffix if suffix in FILE_KINDS else None


def _found(name: str, folders: Sequence[Path]) -> Path:
    paths = [folder / name for folder in folders]
    found = next((path for path in paths if path.is_file()), None)
    if found is None:
        also = "".join(f", and no {path}" for path in paths[1:] if path != paths[0])
        raise DataError(str(paths[0]), 0, f"there is no such file{also}")
    return found


def _file_rows(path: Path) -> Sequence[Row]:
    kind = file_kind(path.name)
    if kind == ".parquet":
        return _parquet_rows(path)
    return [row for _, row in (csv_rows if kind == ".csv" else json_rows)(path)]


def _parquet_rows(path: Path) -> list[Row]:
    import pyarrow  # noqa: PLC0415 - slow to import, and only this kind of file needs it
    from pyarrow import parquet  # noqa: PLC0415 - the same

    try:
        rows: list[Row] = parquet.read_table(path).to_pylist()
    except (pyarrow.ArrowException, OSError, UnicodeDecodeError) as error:
        raise DataError(str(path), 0, f"is not a Parquet file, or is damaged: {error}") from error
    return rows


def _hub_rows(name: str) -> list[Row]:
    from datasets import load_dataset  # noqa: PLC0415 - seconds to import, and only hub ids need it
    from datasets.exceptions import DatasetsError  # noqa: PLC0415 - the same

    dataset, *which = HUB_PARTS.split(name, maxsplit=2)
    split = which.pop() if which else "train"
    try:
        return list(load_dataset(dataset, *which, split=split))
    except (OSError, RuntimeError) as error:
        raise DownloadNeeded(
            f"data set {name!r} is neither a file ({', '.join(FILE_KINDS)}) nor in the hub's cache, and the "
            f"hub gives none ({why_nothing_came(error)}); connect to the network, or name a file"
        ) from error
    except (ValueError, DatasetsError) as error:  # no such split, several configurations, or unlike columns
        raise DataError(name, 0, str(error)) from error
