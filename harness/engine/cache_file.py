"""Small JSON files in the user's cache folder, for results that took time to compute.

They are `$XDG_CACHE_HOME/harness/NAME.json` (`~/.cache` by default). Losing one, or two processes writing it
at once, costs time and never a wrong answer.
"""

import json
import os
import tempfile
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

Entry = Sequence[int | str | None]


def recall(name: str, key: str) -> list[int | str | None] | None:
    """What is remembered under a key; None where nothing is."""
    entry = _entries(_file(name)).get(key)
    return None if entry is None else list(entry)


def remember(name: str, key: str, entry: Entry) -> None:
    """Remember this under a key."""
    file = _file(name)
    with suppress(OSError):  # a read-only or full cache folder costs time at the next start, not this answer
        file.parent.mkdir(parents=True, exist_ok=True)
        entries = _entries(file) | {key: entry}
        with tempfile.NamedTemporaryFile("w", dir=file.parent, delete=False, encoding="utf-8") as stream:
            json.dump(entries, stream)
        os.replace(stream.name, file)


def _file(name: str) -> Path:
    cache = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(cache) / "harness" / f"{name}.json"


def _entries(file: Path) -> dict[str, Entry]:
    try:
        entries = json.loads(file.read_text("utf-8"))
    except (OSError, ValueError, RecursionError):  # absent, unreadable or damaged: nothing is remembered
        return {}
    if not isinstance(entries, dict):
        return {}
    return {key: entry for key, entry in entries.items() if isinstance(entry, list)}
