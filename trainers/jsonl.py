"""JSON Lines files in a stage's folder: one value per line, written whole or not at all."""

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


def write_jsonl(file: Path, values: Iterable[object]) -> None:
    """Write all of them, so that a kill leaves the earlier file or the whole new one."""
    new = file.with_suffix(".new")
    new.write_text("".join(f"{json.dumps(value)}\n" for value in values), encoding="utf-8")
    new.rename(file)
