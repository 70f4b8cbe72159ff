"""Writes reports as files that are complete at any moment: all old or all new, and never half of one."""

import errno
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from harness.errors import DiskFull, UsageError
from reports import html, markdown
from reports.board import Leaderboard
from reports.training import TrainedStage

_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
"""A full disk, a full quota, and the size that a file may have (`ulimit -f`)."""


def write(board: Leaderboard, folder: Path, *, trained: Sequence[TrainedStage] = ()) -> tuple[Path, ...]:
    """Write `leaderboard.md` and `leaderboard.html` into `folder`, and return their paths.

    Where a model was trained here, `training.html` says how.

    Raises DiskFull where they do not fit and UsageError where the folder cannot be written; files from
    before are then as they were.
    """
    pages = {"leaderboard.md": markdown.render(board), "leaderboard.html": html.render(board)}
    if trained:
        pages["training.html"] = html.render_training(trained, created=board.created, label=board.label)
    with _writing(
        folder,
        "the report",
        full="what was there is intact, and `harness report` writes it when there is room",
        refused="what was measured is kept: name a folder you may write to (`harness report --output "
        "FOLDER`, or [project] reports)",
    ):
        folder.mkdir(parents=True, exist_ok=True)
        _replace({folder / name: text for name, text in pages.items()})
    return tuple(folder / name for name in pages)


def write_file(file: Path, text: str) -> None:
    """Write one file in the place of what was there. Raises as `write` does."""
    with _writing(file, "the file", full="what was there is intact", refused=_ANOTHER_FILE):
        file.parent.mkdir(parents=True, exist_ok=True)
        _replace({file: text})


def append_to_file(file: Path, text: str) -> None:
    """Add to the end of a file. Raises as `write` does."""
    with _writing(file, "the file", full="its end may be missing", refused=_ANOTHER_FILE):
        file.parent.mkdir(parents=True, exist_ok=True)
        with file.open("a", encoding="utf-8", newline="\n") as opened:
            opened.write(text)


_ANOTHER_FILE = "name a file in a folder that you may write to"


@contextmanager
def _writing(where: Path, what: str, *, full: str, refused: str) -> Iterator[None]:
    """Says what cannot be written where, and what to know of it."""
    try:
        yield
    except OSError as error:
        if error.errno in _FULL:
            raise DiskFull(f"{where}: no space is left to write {what}; {full}") from error
        raise UsageError(f"{where}: {what} cannot be written here ({error.strerror}); {refused}") from error


def _replace(pages: Mapping[Path, str]) -> None:
    """All of the files, or none: they take their names when the last of them is written."""
    partials = {path: path.with_name(f".{path.name}.{os.getpid()}.partial") for path in pages}
    try:
        for path, partial in partials.items():
            partial.write_text(pages[path], encoding="utf-8", newline="\n")
        for path, partial in partials.items():
            partial.replace(path)
    finally:
        for partial in partials.values():
            partial.unlink(missing_ok=True)
