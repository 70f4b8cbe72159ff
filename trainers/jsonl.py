"""JSON Lines files in a stage's folder: one value per line, written whole or line by line."""

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any


def read_jsonl(file: Path) -> list[Any]:
    """The values of a file; none where there is no such file."""
    if not file.is_file():
        return []
    with file.open(encoding="utf-8") as lines:
        return [json.loads(line) for line in lines]


def read_appended(file: Path) -> list[Any]:
    """The values of a file that grows line by line; a line that a kill cut off is left out."""
    if not file.is_file():
        return []
    lines = file.read_text(encoding="utf-8").splitlines(keepends=True)
    return [json.loads(line) for line in lines if line.endswith("\n")]


def write_jsonl(file: Path, values: Iterable[object]) -> None:
    """Write all of them, so that a kill leaves the earlier file or the whole new one."""
    new = file.with_suffix(".new")
    new.write_text("".join(f"{json.dumps(value, allow_nan=False)}\n" for value in values), encoding="utf-8")
    new.rename(file)
