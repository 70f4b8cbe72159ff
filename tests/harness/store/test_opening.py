"""What cannot be opened or written says so in words, with the file and what to do."""

import os
import resource
import sqlite3
import subprocess
import sys
import tempfile
import threading
from pathlib import Path

import pytest

from harness.errors import DiskFull, StoreError
from harness.store import Store
from tests.harness.store.made import kept

NOBODY = 65534


def test_a_store_is_made_with_its_folder(tmp_path: Path) -> None:
    """The first command of a project needs no preparation."""
    Store.open(f"sqlite:///{tmp_path}/results/of/today/store.db").close()

    assert (tmp_path / "results/of/today/store.db").is_file()


def test_a_store_is_safe_and_shared(tmp_path: Path) -> None:
    """WAL lets readers and a writer work at once; it is a property of the file, so anybody can see it."""
    Store.open(f"sqlite:///{tmp_path}/store.db").close()

    with sqlite3.connect(tmp_path / "store.db") as connection:
        assert [("wal",)] == connection.execute("PRAGMA journal_mode").fetchall()


def test_an_empty_file_becomes_a_store(tmp_path: Path) -> None:
    """`touch harness.db` is no mistake."""
    (tmp_path / "store.db").touch()

    Store.open(f"sqlite:///{tmp_path}/store.db").close()

    assert (tmp_path / "store.db").stat().st_size > 0


def test_a_file_that_is_no_database(tmp_path: Path) -> None:
    """It is named, and left as it is."""
    path = tmp_path / "store.db"
    path.write_text("these are my notes, and they are longer than a database's header\n" * 10)
    before = path.read_bytes()

    with pytest.raises(StoreError, match=rf"{path}: this file is not a database"):
        Store.open(f"sqlite:///{path}")

    assert before == path.read_bytes()


def test_a_folder_is_no_store(tmp_path: Path) -> None:
    """A folder's name in place of a file's is a clear mistake."""
    with pytest.raises(
        StoreError, match=rf"{tmp_path}: this results store cannot be opened; it must be a file"
    ):
        Store.open(f"sqlite:///{tmp_path}")


def test_a_folder_that_cannot_be_made(tmp_path: Path) -> None:
    """A file stands where a folder should be."""
    (tmp_path / "file").touch()

    with pytest.raises(StoreError, match="the folder of the results store cannot be made"):
        Store.open(f"sqlite:///{tmp_path}/file/store.db")


def test_somebody_elses_database(tmp_path: Path) -> None:
    """We add no tables to a database that is not ours."""
    with sqlite3.connect(tmp_path / "store.db") as connection:
        connection.execute("CREATE TABLE customers (name)")

    with pytest.raises(StoreError, match=r"belongs to something else \(it has a table 'customers'"):
        Store.open(f"sqlite:///{tmp_path}/store.db")

    with sqlite3.connect(tmp_path / "store.db") as connection:
        assert [("customers",)] == connection.execute("SELECT name FROM sqlite_master").fetchall()


def test_a_damaged_store(tmp_path: Path) -> None:
    """A database whose inside was overwritten is called damaged, and not a defect of ours."""
    path = tmp_path / "store.db"
    with Store.open(f"sqlite:///{path}") as store:
        store.answers.keep([kept("x" * 1000, asked=str(number)) for number in range(200)])
    content = bytearray(path.read_bytes())
    content[4096:] = b"\xff" * (len(content) - 4096)
    path.write_bytes(content)

    with pytest.raises(StoreError, match=rf"{path}: this database is damaged"):
        Store.open(f"sqlite:///{path}")


@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("harness.db", "write sqlite:///harness.db for a file"),
        ("mysql://me:secret@host/results", r"mysql://me:\*\*\*@host/results: results are stored in SQLite"),
        (
            "postgresql+psycopg9://host/results",
            "its driver is not installed; pip install",
        ),
    ],
)
def test_a_url_of_another_kind(url: str, message: str) -> None:
    """The message shows the right form, and no password."""
    with pytest.raises(StoreError, match=message):
        Store.open(url)


def test_a_store_opened_for_reading_only(tmp_path: Path) -> None:
    """SQLite's own read-only mode is recognised at once, before a model is loaded."""
    Store.open(f"sqlite:///{tmp_path}/store.db").close()

    with pytest.raises(StoreError, match="read-only; make the file and its folder writable"):
        Store.open(f"sqlite:///file:{tmp_path}/store.db?mode=ro&uri=true")


def test_a_store_that_may_not_be_written() -> None:
    """A file and folder without write permission, for a user to whom permissions apply: not root."""
    script = f"""if True:
        import os, sys
        from harness.errors import StoreError
        from harness.store import Store
        folder = sys.argv[1]
        Store.open(f"sqlite:///{{folder}}/store.db").close()
        os.chmod(f"{{folder}}/store.db", 0o444)
        os.chmod(folder, 0o555)
        if os.getuid() == 0:
            os.setuid({NOBODY})
        try:
            Store.open(f"sqlite:///{{folder}}/store.db")
        except StoreError as error:
            print(error)
    """
    with tempfile.TemporaryDirectory() as folder:
        done = subprocess.run(
            [sys.executable, "-c", script, folder], capture_output=True, text=True, check=True
        )
        os.chmod(folder, 0o755)

    assert f"{folder}/store.db: this results store" in done.stdout
    assert "folder" in done.stdout


def test_a_store_that_stays_locked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """After the time a writer waits, the message says that another process has it."""
    monkeypatch.setattr("harness.store.database.BUSY_SECONDS", 0.05)
    Store.open(f"sqlite:///{tmp_path}/store.db").close()
    other = sqlite3.connect(tmp_path / "store.db", isolation_level=None)
    other.execute("BEGIN IMMEDIATE")

    with pytest.raises(StoreError, match="another process has kept this results store locked"):
        Store.open(f"sqlite:///{tmp_path}/store.db")

    other.execute("ROLLBACK")
    Store.open(f"sqlite:///{tmp_path}/store.db").close()


def test_a_store_that_another_process_is_making(tmp_path: Path) -> None:
    """It is waited for, also before the file is in WAL mode, where SQLite itself would give up at once."""
    other = sqlite3.connect(tmp_path / "store.db", isolation_level=None, check_same_thread=False)
    other.execute("BEGIN IMMEDIATE")
    ready = threading.Timer(0.2, other.execute, ["ROLLBACK"])
    ready.start()

    Store.open(f"sqlite:///{tmp_path}/store.db").close()

    assert not ready.is_alive()


def test_a_full_disk_loses_nothing(tmp_path: Path) -> None:
    """Writing stops with DiskFull; what was kept is whole, and with space again the same store goes on.

    The full disk is the operating system's limit on a file's size, which fails inside SQLite's write.
    """
    path = tmp_path / "store.db"
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    answers = [kept("x" * 1000, asked=str(number)) for number in range(400)]
    written, message = 0, ""
    with Store.open(f"sqlite:///{path}") as store:
        resource.setrlimit(resource.RLIMIT_FSIZE, (200_000, limits[1]))
        try:
            for answer in answers:
                store.answers.keep([answer])
                written += 1
        except DiskFull as error:
            message = str(error)
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, limits)

        assert message.startswith(f"{path}: no space is left to write results")
        assert "the same command again, it resumes" in message
        keys = [answer.key for answer in answers]
        assert keys[:written] == list(store.answers.known(keys))
        store.answers.keep(answers)

    with Store.open(f"sqlite:///{path}") as store:
        assert 0 < written < len(answers)
        assert keys == list(store.answers.known(keys))
        assert [] == store.integrity.complaints()
