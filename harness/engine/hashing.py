"""Content hashes, remembered so that what takes time to read or to make is hashed once.

A file's is remembered by path, size and modification time; a generated text's by the code that makes it.

The memory is `$XDG_CACHE_HOME/harness/hashes.json` (`~/.cache` by default). It is only a memory: losing it,
or two processes writing it at once, costs time and never a wrong hash.

It does not know what is hashed.
"""

import hashlib
import json
import os
import tempfile
from collections.abc import Callable
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
    return remembered_hash(str(path), [stat.st_size, stat.st_mtime_ns], lambda: _read(path))


def remembered_hash(name: str, state: list[int | str], compute: Callable[[], str]) -> str:
    """The hash that `compute` gave for this name in this state; it is called where that is not known."""
    entry = _remembered().get(name)
    if entry is not None and entry[:-1] == state:
        return str(entry[-1])
    digest = compute()
    _remember(name, [*state, digest])
    return digest


def _read(path: Path) -> str:
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def _memory() -> Path:
    cache = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(cache) / "harness" / "hashes.json"


def _remembered() -> dict[str, list[int | str]]:
    try:
        entries: dict[str, list[int | str]] = json.loads(_memory().read_text("utf-8"))
    except (OSError, ValueError):  # absent, unreadable or damaged: nothing is remembered
        return {}
    return entries


def _remember(name: str, entry: list[int | str]) -> None:
    memory = _memory()
    with suppress(OSError):  # a read-only or full cache folder costs time at the next start, not this answer
        memory.parent.mkdir(parents=True, exist_ok=True)
        entries = _remembered() | {name: entry}
        with tempfile.NamedTemporaryFile("w", dir=memory.parent, delete=False, encoding="utf-8") as stream:
            json.dump(entries, stream)
        os.replace(stream.name, memory)
