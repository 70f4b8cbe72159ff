"""Writes files that are complete at any moment: all old or all new, and never half of one."""

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from harness.errors import DiskFull, UsageError

_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
"""A full disk, a full quota, and the size that a file may have (`ulimit -f`)."""
_ANOTHER_FILE = "name a file in a folder that you may write to"


class WholeFiles:
    """Files that are being written into a folder. They take their names together."""

    def __init__(self, folder: Path) -> None:
        """Use `whole_files`."""
        self.folder = folder
        self._partials: dict[Path, Path] = {}

    @property
    def paths(self) -> tuple[Path, ...]:
        """The files, in the order in which they were begun."""
        return tuple(self._partials)

    def partial(self, name: str) -> Path:
        """Where the file of this name (folders may stand before it) is written until all are complete."""
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        return self._partials.setdefault(path, path.with_name(f".{path.name}.{os.getpid()}.partial"))

    def write(self, name: str, text: str) -> None:
        """A file of this text."""
        self.partial(name).write_text(text, encoding="utf-8", newline="\n")

    def take_names(self) -> None:
        """Replace the files of these names, and leave all others."""
        for path, partial in self._partials.items():
            partial.replace(path)

    def clear(self) -> None:
        """Take away what did not become a file."""
        for partial in self._partials.values():
            partial.unlink(missing_ok=True)


@contextmanager
def whole_files(folder: Path, what: str, *, again: str, elsewhere: str) -> Iterator[WholeFiles]:
    """The files of a folder, which is made where it is missing. After an error those from before stand.

    Messages call them `what`; `again` is the command that writes them, `elsewhere` names another folder.
    Raises DiskFull where they do not fit, and UsageError where the folder cannot be written.
    """
    full = f"what was there is intact, and {again} writes it when there is room"
    refused = f"what was measured is kept: name a folder you may write to ({elsewhere})"
    with _writing(folder, what, full=full, refused=refused), _taking_names(folder) as files:
        yield files


def write_file(file: Path, text: str) -> None:
    """Write one file in the place of what was there. Raises as `whole_files` does."""
    writing = _writing(file, "the file", full="what was there is intact", refused=_ANOTHER_FILE)
    with writing, _taking_names(file.parent) as files:
        files.write(file.name, text)


def append_to_file(file: Path, text: str) -> None:
    """Add to the end of a file. Raises as `whole_files` does."""
    with _writing(file, "the file", full="its end may be missing", refused=_ANOTHER_FILE):
        file.parent.mkdir(parents=True, exist_ok=True)
        with file.open("a", encoding="utf-8", newline="\n") as opened:
            opened.write(text)


@contextmanager
def _taking_names(folder: Path) -> Iterator[WholeFiles]:
    files = WholeFiles(folder)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        yield files
        files.take_names()
    finally:
        files.clear()


@contextmanager
def _writing(where: Path, what: str, *, full: str, refused: str) -> Iterator[None]:
    """Says what cannot be written where, and what to know of it."""
    try:
        yield
    except OSError as error:
        if error.errno in _FULL:
            raise DiskFull(f"{where}: no space is left to write {what}; {full}") from error
        raise UsageError(
            f"{where}: {what} cannot be written here ({error.strerror or error}); {refused}"
        ) from error
