"""Writes the leaderboard's pages."""

from collections.abc import Sequence
from pathlib import Path

from reports import html, markdown
from reports.board import Leaderboard
from reports.training import TrainedStage
from reports.whole_files import whole_files


def write(board: Leaderboard, folder: Path, *, trained: Sequence[TrainedStage] = ()) -> tuple[Path, ...]:
    """Write `leaderboard.md` and `leaderboard.html` into `folder`, and return their paths.

    Where a model was trained here, `training.html` says how.

    Raises DiskFull where they do not fit and UsageError where the folder cannot be written; files from
    before are then as they were.
    """
    pages = {"leaderboard.md": markdown.render(board), "leaderboard.html": html.render(board)}
    if trained:
        pages["training.html"] = html.render_training(trained, created=board.created, label=board.label)
    elsewhere = "`harness report --output FOLDER`, or [project] reports"
    with whole_files(folder, "the report", again="`harness report`", elsewhere=elsewhere) as files:
        for name, text in pages.items():
            files.write(name, text)
    return files.paths
