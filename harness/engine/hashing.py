"""Content hashes of files, remembered by path, size and modification time so that big ones are read once.

The memory is `$XDG_CACHE_HOME/harness/hashes.json` (`~/.cache` by default). It is only a memory: losing it,
or two processes writing it at once, costs time and never a wrong hash.

It does not know what the files are.
"""

import hashlib
import json
import os
import tempfile
from contextlib import suppress
from pathlib import Path

REMEMBERED_FROM = 1 << 20
"""Bytes. Smaller files are read faster than they are looked up."""


def file_hash(path: Path) -> str:
    """The SHA-256 of a file's content, in hexadecimal."""
    path = path.resolve()
    stat = path.stat()
    if stat.st_size < REMEMBERED_FROM:
        return hashlib.sha256(path.read_bytes()).hexdigest()
    state = [stat.st_size, stat.st_mtime_ns]
    entry = _remembered().get(str(path))
    if entry is not None and entry[:2] == state:
        return str(entry[2])
    with path.open("rb") as stream:
        digest = hashlib.file_digest(stream, "sha256").hexdigest()
    _remember(str(path), [*state, digest])
    return digest


def _memory() -> Path:
    cache = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(cache) / "harness" / "hashes.json"


def _remembered() -> dict[str, list[int | str]]:
    try:
        entries: dict[str, list[int | str]] = json.loads(_memory().read_text("utf-8"))
    except (OSError, ValueError):  # absent, unreadable or damaged: nothing is remembered
        return {}
    return entries


def _remember(path: str, entry: list[int | str]) -> None:
    memory = _memory()
    with suppress(OSError):  # a read-only or full cache folder costs time at the next start, not this answer
        memory.parent.mkdir(parents=True, exist_ok=True)
        entries = _remembered() | {path: entry}
        with tempfile.NamedTemporaryFile("w", dir=memory.parent, delete=False, encoding="utf-8") as stream:
            json.dump(entries, stream)
        os.replace(stream.name, memory)
