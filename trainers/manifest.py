"""The record of a finished stage: `manifest.json`, whose presence marks the stage as finished.

It holds no path of this machine.
"""

import json
from collections.abc import Mapping
from contextlib import suppress
from datetime import UTC, datetime
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import Any

from harness.errors import ModelError
from harness.records.models import Json
from trainers.machine import machine

FILE = "manifest.json"
NEEDED = {"inputs", "metrics", "parent", "data", "rewards", "started", "finished", "seconds"}
"""Keys that every manifest has."""
PACKAGES = ("torch", "transformers", "trl", "tokenizers", "datasets", "accelerate", "numpy")


def is_finished(folder: Path) -> bool:
    """Whether a stage's folder holds a finished stage."""
    return (folder / FILE).is_file()


def read(folder: Path) -> Mapping[str, Any]:
    """The manifest of a finished stage. Raises ModelError where it is not whole."""
    file = folder / FILE
    content: object = None
    with suppress(ValueError):
        content = json.loads(file.read_bytes())
    if not isinstance(content, dict) or not content.keys() >= NEEDED:
        raise ModelError(
            f"{file} is no whole record of a finished stage: delete its folder to train the stage again"
        )
    return content


def write(folder: Path, made: Mapping[str, Json], started: datetime) -> None:
    """Write what the stage was made from and with, the packages' versions, and the time it took."""
    finished = datetime.now(UTC)
    content = {
        **made,
        "packages": package_versions(),
        "machine": machine(),
        "started": started.isoformat(timespec="seconds"),
        "finished": finished.isoformat(timespec="seconds"),
        "seconds": round((finished - started).total_seconds(), 1),
    }
    (folder / FILE).write_text(json.dumps(content, indent=2, allow_nan=False) + "\n", encoding="utf-8")


@cache
def package_versions() -> Mapping[str, str]:
    """Versions of the packages that the outcome of a training can depend on."""
    return {name: version(name) for name in PACKAGES}
