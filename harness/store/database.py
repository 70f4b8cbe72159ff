"""The connection to the database: how it is tuned, how transactions begin, and its failures in plain words.

SQLite runs in WAL mode, so that readers and one writer do not wait for each other; a second writer waits up
to BUSY_SECONDS. Writing transactions take the write lock when they begin: one that began by reading could
not get it later if another process wrote in between.
"""

import sqlite3
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from threading import Event
from typing import TypeVar

from sqlalchemy import (
    URL,
    Connection,
    Dialect,
    Engine,
    Insert,
    bindparam,
    create_engine,
    event,
    insert,
    make_url,
)
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.dialects.postgresql import psycopg
from sqlalchemy.engine import ExceptionContext
from sqlalchemy.engine.interfaces import DBAPIConnection
from sqlalchemy.exc import ArgumentError, NoSuchModuleError
from sqlalchemy.pool import ConnectionPoolEntry
from sqlalchemy.sql.schema import Table

from harness.errors import DiskFull, HarnessError, StoreError, StoreLost

BUSY_SECONDS = 30.0
"""How long a writer waits for another process's transaction; ours take milliseconds."""

PRAGMAS = (
    "foreign_keys = ON",
    "synchronous = NORMAL",
    "cache_size = -65536",
    "wal_autocheckpoint = 8192",
)
"""Per connection. NORMAL under WAL cannot corrupt; a power cut may undo the last commits. 64 MiB of cache.

The log grows to 32 MiB before it is worked into the file, so that a page that many commits touch is written
there once.
"""

ADVISORY_LOCK = 0x6861726E657373
"""PostgreSQL's number for "somebody is migrating a harness store": the word harness in ASCII."""

ELSEWHERE = "or name another store under [project] store"

NO_SPACE = (
    "no space is left to write results (a full disk or a quota); everything written before is kept: "
    "free some space and run the same command again, it resumes"
)
LOST = (
    "the database server ended the connection; everything written before is kept: when the server is there "
    "again, run the same command, it resumes"
)
READ_ONLY = f"this results store is read-only; make the file and its folder writable, {ELSEWHERE}"

MAY_NOT_WRITE = (
    "this database user may only read; reports can be made of what is there, and nothing be kept: ask for "
    f"the right to write, {ELSEWHERE}"
)
TOO_MANY = (
    "the database server takes no more connections; end programs that no longer need theirs, or raise its "
    "limit (max_connections, or CONNECTION LIMIT of the user or database), and run the same command again"
)
NO_CONNECTION = ("too many connections", "remaining connection slots")
"""How a server says so, whose code the driver does not give for what it could not connect."""

COMPLAINTS: tuple[tuple[str, type[HarnessError], str], ...] = (
    ("SQLITE_FULL", DiskFull, NO_SPACE),
    ("SQLITE_IOERR_WRITE", DiskFull, NO_SPACE),
    ("SQLITE_IOERR_FSYNC", DiskFull, NO_SPACE),
    ("SQLITE_IOERR_SHMSIZE", DiskFull, NO_SPACE),
    ("SQLITE_NOTADB", StoreError, f"this file is not a database; move it away, {ELSEWHERE}"),
    (
        "SQLITE_CORRUPT",
        StoreError,
        "this database is damaged; save what is readable with `sqlite3 FILE .recover`, " + ELSEWHERE,
    ),
    ("SQLITE_READONLY", StoreError, READ_ONLY),
    (
        "SQLITE_CANTOPEN",
        StoreError,
        f"this results store cannot be opened; it must be a file in a folder you may write to, {ELSEWHERE}",
    ),
    (
        "SQLITE_BUSY",
        StoreError,
        f"another process has kept this results store locked for {BUSY_SECONDS:.0f} seconds; "
        "wait for it to end, or end it, and run the same command again",
    ),
    ("53100", DiskFull, NO_SPACE),
    ("25006", StoreError, MAY_NOT_WRITE),
    ("42501", StoreError, MAY_NOT_WRITE),
    ("08", StoreLost, LOST),
    ("57P", StoreLost, LOST),
)
"""How a driver's error code begins (SQLite's name, PostgreSQL's SQLSTATE), the error and its words."""


T = TypeVar("T")
Values = dict[str, object]
"""A row of a table, by column."""


class Database:
    """An open database.

    `name` is what messages call it: the file, or the URL without its password. `file` is None on a server.
    """

    def __init__(self, url: str) -> None:
        """Connect lazily. Raises StoreError for a URL of another kind and a folder that cannot be made."""
        parsed = _parsed(url)
        self.name = parsed.database or url if _is_sqlite(parsed) else parsed.render_as_string()
        self.file = Path(str(parsed.database)) if _is_sqlite_file(parsed) else None
        if self.file is not None:
            _make_folder(parsed)
        self._engine = _engine(parsed, self.name)
        self._writer = self._engine.execution_options(writes=True)
        in_memory = _is_sqlite(parsed) and not _is_sqlite_file(parsed)
        self._thread = None if in_memory else ThreadPoolExecutor(1, thread_name_prefix="store")

    @contextmanager
    def reading(self) -> Iterator[Connection]:
        """One consistent view of the database."""
        with self._engine.connect() as connection:
            yield connection

    @contextmanager
    def writing(self) -> Iterator[Connection]:
        """One transaction: committed whole at the end, or not at all."""
        with self._writer.begin() as connection:
            yield connection

    def beside(self, work: Callable[[], T], *, when: Callable[[], object]) -> Future[T]:
        """Once `when` returns, do something with this database in its own thread, one thing after the other.

        A database in memory belongs to the thread that opened it: there it is done before this returns.
        """
        if self._thread is not None:
            return self._thread.submit(lambda: (when(), work())[1])
        done: Future[T] = Future()
        done.set_result(work())
        return done

    def unused_bytes(self) -> int:
        """The unused bytes of a file; 0 on a server, which reclaims space itself."""
        with self.reading() as connection:
            if connection.dialect.name != "sqlite":
                return 0
            pages, size = (
                connection.exec_driver_sql(f"PRAGMA {name}").scalar_one()
                for name in ("freelist_count", "page_size")
            )
            return int(pages * size)

    def compact(self) -> None:
        """Rewrite a file without its unused pages, which takes as much disk again; not on a server."""
        with self._engine.execution_options(begins=False).connect() as connection:
            if connection.dialect.name == "sqlite":
                connection.exec_driver_sql("VACUUM")
                connection.exec_driver_sql("PRAGMA wal_checkpoint(TRUNCATE)")

    def close(self) -> None:
        """Close every connection, once what is done beside has ended."""
        if self._thread is not None:
            self._thread.shutdown()
        self._engine.dispose()


def exists(url: str) -> bool:
    """Whether there is a database; for a server, that is known only when it is opened.

    Raises StoreError for a URL of another kind.
    """
    parsed = _parsed(url)
    return not _is_sqlite_file(parsed) or Path(str(parsed.database)).exists()


def one_at_a_time(connection: Connection) -> None:
    """Wait, while writing, until no other process migrates the store. SQLite has one writer anyway."""
    if connection.dialect.name == "postgresql":
        connection.exec_driver_sql(f"SELECT pg_advisory_xact_lock({ADVISORY_LOCK})")


def insert_missing(connection: Connection, table: Table, values: list[Values]) -> int:
    """Insert the rows whose key is new, leave the others as they are, and say how many were new."""
    if not values:
        return 0
    statement = _insert(connection, table).on_conflict_do_nothing()
    return connection.execute(statement, values, execution_options={"preserve_rowcount": True}).rowcount


def insert_missing_records(
    connection: Connection, statement: Insert, records: Sequence[tuple[object, ...]]
) -> int:
    """`insert_missing`, of records that are as the driver takes them, in the order of the statement's binds.

    No column's type converts them: that costs more than all the rest where records are many and small.
    """
    return _execute_many(connection, statement, "DO NOTHING", records)


def replace_records(connection: Connection, table: Table, records: Sequence[tuple[object, ...]]) -> None:
    """`insert_or_replace`, of records that are as the driver takes them, in the order of the columns."""
    replaced = ", ".join(f"{each.name} = excluded.{each.name}" for each in table.c if not each.primary_key)
    key = ", ".join(column.name for column in table.primary_key)
    _execute_many(connection, insert_of(table), f"({key}) DO UPDATE SET {replaced}", records)


def _execute_many(
    connection: Connection, statement: Insert, on_conflict: str, records: Sequence[tuple[object, ...]]
) -> int:
    if not records:
        return 0
    text = f"{_positional(statement, connection.dialect.name)} ON CONFLICT {on_conflict}"
    options = {"preserve_rowcount": True}
    return connection.exec_driver_sql(text, [*records], execution_options=options).rowcount


@cache
def insert_of(table: Table) -> Insert:
    """An insert of every column, in their order."""
    return insert(table).values({column.name: bindparam(column.name) for column in table.c})


@cache
def _positional(statement: Insert, dialect: str) -> str:
    """An insert as text in which each bind has its place and no name."""
    of_driver: Dialect = (
        psycopg.dialect(paramstyle="format")  # type: ignore[no-untyped-call]  # SQLAlchemy's
        if dialect == "postgresql"
        else sqlite.dialect(paramstyle="qmark")
    )
    return str(statement.inline().compile(dialect=of_driver))


def insert_or_replace(connection: Connection, table: Table, values: list[Values]) -> None:
    """Insert rows, and replace what stands under the same key."""
    if not values:
        return
    statement = _insert(connection, table)
    replaced = {column.name: statement.excluded[column.name] for column in table.c if not column.primary_key}
    connection.execute(
        statement.on_conflict_do_update(index_elements=list(table.primary_key), set_=replaced), values
    )


def _insert(connection: Connection, table: Table) -> sqlite.Insert | postgresql.Insert:
    return postgresql.insert(table) if connection.dialect.name == "postgresql" else sqlite.insert(table)


def _is_sqlite(url: URL) -> bool:
    return url.get_backend_name() == "sqlite"


def _parsed(url: str) -> URL:
    try:
        parsed = make_url(url)
    except ArgumentError as error:
        raise StoreError(f"{url!r} is not a database URL; write sqlite:///{url} for a file") from error
    if parsed.get_backend_name() not in ("sqlite", "postgresql"):
        raise StoreError(
            f"{parsed.render_as_string()}: results are stored in SQLite (sqlite:///FILE) or PostgreSQL "
            "(postgresql+psycopg://USER@HOST/DATABASE)"
        )
    return parsed


def _is_sqlite_file(url: URL) -> bool:
    name = url.database
    return _is_sqlite(url) and bool(name) and name != ":memory:" and not str(name).startswith("file:")


def _make_folder(url: URL) -> None:
    folder = Path(str(url.database)).parent
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise StoreError(
            f"{url.database}: the folder of the results store cannot be made ({error.strerror}: {folder}); "
            f"make it, {ELSEWHERE}"
        ) from error


def _engine(url: URL, name: str) -> Engine:
    try:
        engine = create_engine(
            url,
            connect_args={"timeout": BUSY_SECONDS} if _is_sqlite(url) else {},
            pool_pre_ping=not _is_sqlite(url),  # a server ends connections that idle while a model answers
        )
    except (ModuleNotFoundError, NoSuchModuleError) as error:
        raise StoreError(f"{name}: its driver is not installed; pip install 'harness[postgres]'") from error
    if _is_sqlite(url):
        event.listen(engine, "connect", _tune)
        event.listen(engine, "begin", _begin)

    been_there = Event()
    event.listen(engine, "connect", lambda connection, entry: been_there.set())

    @event.listens_for(engine, "handle_error")
    def explain(context: ExceptionContext) -> None:
        if context.is_pre_ping:  # SQLAlchemy connects anew by itself
            return
        error = _complaint(context.original_exception, name)
        why = " ".join(str(context.original_exception).split())
        if context.connection is None and any(words in why for words in NO_CONNECTION):
            error = StoreError(f"{name}: {TOO_MANY}")
        if error is None and context.connection is None and not been_there.is_set():
            error = StoreError(f"{name}: this database cannot be reached: {why}")
        if error is None and (context.connection is None or context.is_disconnect):
            error = StoreLost(f"{name}: {LOST}")
        if error is not None:
            raise error

    return engine


def _tune(connection: DBAPIConnection, entry: ConnectionPoolEntry) -> None:
    connection.isolation_level = None  # transactions begin where `_begin` says, not where the driver guesses
    cursor = connection.cursor()
    for pragma in PRAGMAS:
        cursor.execute(f"PRAGMA {pragma}")
    deadline = time.monotonic() + BUSY_SECONDS
    while not _entered_wal(connection, deadline):
        time.sleep(0.01)
    cursor.close()


def _entered_wal(connection: DBAPIConnection, deadline: float) -> bool:
    """Two processes that make the same new file at once fail here without SQLite waiting by itself."""
    try:
        connection.cursor().execute("PRAGMA journal_mode = WAL")
    except sqlite3.OperationalError as error:
        if error.sqlite_errorcode != sqlite3.SQLITE_BUSY or time.monotonic() > deadline:
            raise
        return False
    return True


def _begin(connection: Connection) -> None:
    options = connection.get_execution_options()
    if not options.get("begins", True):  # VACUUM wants no transaction around it
        return
    writes = options.get("writes", False)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")


def _complaint(error: BaseException, name: str) -> HarnessError | None:
    code = getattr(error, "sqlite_errorname", None) or getattr(error, "sqlstate", None) or ""
    for beginning, kind, words in COMPLAINTS:
        if code.startswith(beginning):
            return kind(f"{name}: {words}")
    return None
