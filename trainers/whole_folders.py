"""Folders that one process writes at a time, and that appear once they are whole.

FOLDER             whole
FOLDER.partial     being written, or interrupted
FOLDER.lock        held by the process that writes it; it stays, since another may be waiting for it
"""

import fcntl
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from shutil import rmtree

PARTIAL, LOCK = ".partial", ".lock"


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Wait until no other process writes the folder; the lock ends with the process. Raises OSError."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    with folder.with_name(folder.name + LOCK).open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


@contextmanager
def appearing_whole(folder: Path) -> Iterator[Path]:
    """A folder to write into, which replaces `folder` once it is whole. Raises OSError."""
    unfinished = folder.with_name(folder.name + PARTIAL)
    rmtree(unfinished, ignore_errors=True)
    unfinished.mkdir(parents=True)
    yield unfinished
    if folder.exists():
        rmtree(folder)
    unfinished.rename(folder)
