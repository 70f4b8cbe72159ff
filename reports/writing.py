"""Writes reports as files that are complete at any moment: all old or all new, and never half of one."""

import errno
import os
from collections.abc import Mapping, Sequence
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
    try:
        folder.mkdir(parents=True, exist_ok=True)
        _replace({folder / name: text for name, text in pages.items()})
    except OSError as error:
        if error.errno in _FULL:
            raise DiskFull(
                f"{folder}: no space is left to write the report; what was there is intact, and `harness "
                "report` writes it when there is room"
            ) from error
        raise UsageError(
            f"{folder}: the report cannot be written here ({error.strerror}); what was measured is kept: "
            "name a folder you may write to (`harness report --output FOLDER`, or [project] reports)"
        ) from error
    return tuple(folder / name for name in pages)


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
