"""Files of a folder that take their names together."""

from pathlib import Path

import pytest

from harness.errors import UsageError
from reports.exported import file_name, whole_text
from reports.whole_files import whole_files

HOW = {"again": "the command", "elsewhere": "--output"}


def test_files_take_their_names_at_the_end(tmp_path: Path) -> None:
    """Until then the old ones stand; folders before a name are made, and other files stay."""
    (tmp_path / "a.txt").write_text("old")
    (tmp_path / "mine").write_text("mine")
    with whole_files(tmp_path, "it", **HOW) as files:
        files.write("a.txt", "new")
        files.write("b/c.txt", "new")
        assert "old" == (tmp_path / "a.txt").read_text()

    found = {
        str(file.relative_to(tmp_path)): file.read_text() for file in tmp_path.rglob("*") if file.is_file()
    }
    assert {"a.txt": "new", "b/c.txt": "new", "mine": "mine"} == found
    assert (tmp_path / "a.txt", tmp_path / "b/c.txt") == files.paths


def test_an_interrupt_leaves_the_old_ones(tmp_path: Path) -> None:
    """Ctrl-C within loses what was begun, and nothing else."""
    (tmp_path / "a.txt").write_text("old")

    def interrupted() -> None:
        with whole_files(tmp_path, "it", **HOW) as files:
            files.write("a.txt", "new")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()

    assert {"a.txt": "old"} == {file.name: file.read_text() for file in tmp_path.iterdir()}


def test_a_folder_that_cannot_be_made(tmp_path: Path) -> None:
    """It is named, with why and what to do."""
    (tmp_path / "file").write_text("")
    said = pytest.raises(UsageError, match=r"file: it cannot be written here \(.*name a folder")
    with said, whole_files(tmp_path / "file", "it", **HOW):
        pass


def test_names_become_files() -> None:
    """No name leaves the folder, is hidden or empty, and no two names become one."""
    names = [
        "sft",
        "a/b",
        "a_b",
        "../x",
        ".hidden",
        "",
        "/",
        "x" * 300,
        "y\ud800",
        "new\nline",
        "a b",
        "größe",
    ]
    found = [file_name(name) for name in names]

    assert len(set(found)) == len(names)
    assert ["sft", "a_b", "größe"] == [name for name in found if name in names]
    for name in found:
        assert not set(name) & set("/\\\0\n ")
        assert name[0] not in ".-"
        assert len(name) < 100


def test_halves_of_characters_are_replaced() -> None:
    """UTF-8 cannot hold them; whole characters beyond 16 bits stay."""
    assert "a\ufffdb🙂" == whole_text("a\ud83db🙂")
