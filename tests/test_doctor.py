"""What the doctor compares training rows with, in a project as a user has it."""

from pathlib import Path

import pytest

from harness.verbs.project import open_project


@pytest.mark.official
def test_rows_are_kept_apart_from_the_suites_asked_by_default(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, official_data: Path
) -> None:
    """A project that names no suites is compared on the official ones, and so is checked against them."""
    (tmp_path / "harness.toml").write_text("")
    monkeypatch.chdir(tmp_path)

    assert 1 == len(open_project().checks)


def test_without_the_suites_data_nothing_is_compared(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Who only trains need not have them."""
    (tmp_path / "harness.toml").write_text("")
    (tmp_path / "data").mkdir()
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HARNESS_DATA", str(tmp_path / "data"))

    assert () == open_project().checks
