"""Content hashes, cached so that what takes time to read or to make is hashed once.

A file's hash is cached by path, size and modification time; a generated text's by the code that makes it.
The cache is `hashes.json` in the user's cache folder.
"""

import hashlib
from collections.abc import Callable
from pathlib import Path

from harness.engine.cache_file import recall, remember

CACHE = "hashes"

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
    """The hash of this name in this state; `compute` is called where it is not cached."""
    entry = recall(CACHE, name)
    if entry is not None and entry[:-1] == state:
        return str(entry[-1])
    digest = compute()
    remember(CACHE, name, [*state, digest])
    return digest


def _read(path: Path) -> str:
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()
