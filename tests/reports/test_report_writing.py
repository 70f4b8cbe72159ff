"""Reports as files: whole or not at all."""

import errno
from pathlib import Path

import pytest

from harness.errors import DiskFull, UsageError
from reports.conditions import duration, environments, settings
from reports.writing import write
from tests.reports.boards import reference_board

BOARD = reference_board(samples=1)


def test_both_files_are_written_and_nothing_else(tmp_path: Path) -> None:
    """The folder is made where it is missing, and holds no partial files."""
    files = write(BOARD, tmp_path / "new" / "folder")

    assert sorted(p.name for p in files[0].parent.iterdir()) == ["leaderboard.html", "leaderboard.md"]
    assert files == (tmp_path / "new/folder/leaderboard.md", tmp_path / "new/folder/leaderboard.html")


def test_a_full_disk_leaves_the_old_report(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """ENOSPC part-way through is DiskFull, and what was there is as it was."""
    (tmp_path / "leaderboard.md").write_text("old")

    def full(self: Path, text: str, **_: str) -> int:
        self.touch()
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(Path, "write_text", full)

    with pytest.raises(DiskFull, match="no space is left"):
        write(BOARD, tmp_path)
    assert {p.name: p.read_text() for p in tmp_path.iterdir()} == {"leaderboard.md": "old"}


def test_a_folder_that_cannot_be_one_is_the_user_s_to_change(tmp_path: Path) -> None:
    """A file where the folder should be is wrong use, named with its path."""
    (tmp_path / "reports").write_text("a file")

    with pytest.raises(UsageError, match="reports"):
        write(BOARD, tmp_path / "reports")


def test_equal_conditions_are_told_once() -> None:
    """21 runs with the same settings and packages make one group per suite, and one of packages."""
    assert [group.runs for group in settings(BOARD.runs)] == ["realtoxicityprompts", "truthfulqa", "ifeval"]
    [group] = environments(BOARD.runs)
    assert ("packages.torch", "2.13.0") in group.values
    assert duration(BOARD.runs[0]) == "3 min 12 s"
