"""Reports as files, each either the old one or the new one and never half of one.

It does not know what a report says.
"""

import errno
import os
from pathlib import Path

from harness.errors import DiskFull, UsageError
from reports import html, markdown
from reports.board import Leaderboard

_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
"""A full disk, a full quota, and the size that a file may have (`ulimit -f`)."""


def write(board: Leaderboard, folder: Path) -> tuple[Path, Path]:
    """Write `leaderboard.md` and `leaderboard.html` into `folder`, and return their paths.

    Raises DiskFull where they do not fit and UsageError where the folder cannot be written; files from
    before are then as they were.
    """
    pages = {"leaderboard.md": markdown.render(board), "leaderboard.html": html.render(board)}
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for name, text in pages.items():
            _replace(folder / name, text)
    except OSError as error:
        if error.errno in _FULL:
            raise DiskFull(
                f"{folder}: no space left to write the report; what was there is intact"
            ) from error
        raise UsageError(f"{folder}: the report cannot be written here: {error.strerror}") from error
    return folder / "leaderboard.md", folder / "leaderboard.html"


def _replace(path: Path, text: str) -> None:
    partial = path.with_name(f".{path.name}.{os.getpid()}.partial")
    try:
        partial.write_text(text, encoding="utf-8", newline="\n")
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)
