"""A file's file system is the innermost mount that holds it, and of several there the last."""

from pathlib import Path

import pytest

from harness.cli.introduction import introduce
from harness.store.network_shares import _share, network_share
from harness.verbs.project import open_project

MOUNTED = [
    ("/", "ext4"),
    ("/home", "nfs4"),
    ("/home/me/scratch", "xfs"),
    ("/work", "ext4"),
    ("/work", "lustre"),
]


@pytest.mark.parametrize(
    ("file", "kind"),
    [
        ("/var/harness.db", None),
        ("/home/me/harness.db", "nfs4"),
        ("/homeless/harness.db", None),
        ("/home/me/scratch/harness.db", None),
        ("/work/harness.db", "lustre"),
    ],
)
def test_the_file_system_of_a_file(file: str, kind: str | None) -> None:
    """By its path, whether or not it is there yet."""
    assert kind == _share(Path(file), MOUNTED)


def test_a_command_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Before it works, and not of a database on a server."""
    monkeypatch.setattr("harness.verbs.project.network_share", lambda file: "nfs4")
    file = tmp_path / "harness.toml"
    file.write_text('[project]\nstore = "sqlite:///here.db"\n')
    introduce(open_project(file))
    said = " ".join(capsys.readouterr().err.split())
    assert (
        "here.db lies on a network share (nfs4), where SQLite is safe for one machine at a time; for" in said
    )
    file.write_text('[project]\nstore = "postgresql+psycopg://me@server/harness"\n')
    introduce(open_project(file))
    assert not capsys.readouterr().err


def test_this_machine(tmp_path: Path) -> None:
    """Where tests write is no share, and nothing mounted is none."""
    assert network_share(tmp_path / "harness.db") is None
    assert _share(tmp_path, []) is None
