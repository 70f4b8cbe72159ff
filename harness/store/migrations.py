"""How a store of any age becomes today's: numbered steps, each applied once, their names kept as rows.

A step is written once and never changed; a new need is a new step at the end. The statements are literal
SQL, understood by SQLite and PostgreSQL alike, so that what an old step did cannot drift with the code. The
one step that needs more is a function, of `harness.store.kept_thoughts`.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime

from sqlalchemy import Connection, false, insert, inspect, select, update

from harness.errors import StoreError
from harness.store import schema
from harness.store.kept_thoughts import set_apart

ADVISORY_LOCK = 0x6861726E657373
"""PostgreSQL's number for "somebody is migrating a harness store": the word harness in ASCII."""

PROOF = update(schema.migrations).where(false()).values(applied="")
"""Changes nothing, and fails where writing is not allowed: SQLite says so to statements, not to BEGIN."""


@dataclass(frozen=True, slots=True)
class Migration:
    """One step. `{compact}` in a statement is SQLite's WITHOUT ROWID: the key is the table, stored once."""

    name: str
    statements: tuple[str, ...]
    change: Callable[[Connection], None] | None = None
    """What SQL cannot do, after the statements."""


MIGRATIONS = (
    Migration(
        "0001_tables",
        (
            """CREATE TABLE migrations (
                name TEXT PRIMARY KEY NOT NULL,
                applied TEXT NOT NULL
            )""",
            """CREATE TABLE models (
                name TEXT NOT NULL,
                fingerprint TEXT NOT NULL,
                source TEXT NOT NULL,
                description TEXT NOT NULL,
                chat_template TEXT,
                chat_template_hash TEXT,
                PRIMARY KEY (name, fingerprint)
            )""",
            """CREATE TABLE runs (
                id TEXT PRIMARY KEY NOT NULL,
                model TEXT NOT NULL,
                fingerprint TEXT NOT NULL,
                suite TEXT NOT NULL,
                suite_version TEXT NOT NULL,
                metrics TEXT NOT NULL,
                data_hash TEXT NOT NULL,
                settings TEXT NOT NULL,
                seed BIGINT NOT NULL,
                environment TEXT NOT NULL,
                size BIGINT NOT NULL,
                started TEXT NOT NULL,
                finished TEXT,
                FOREIGN KEY (model, fingerprint) REFERENCES models (name, fingerprint)
            )""",
            """CREATE TABLE samples (
                hash TEXT PRIMARY KEY NOT NULL,
                cluster TEXT NOT NULL,
                content TEXT NOT NULL
            )""",
            """CREATE TABLE rows (
                run TEXT NOT NULL REFERENCES runs (id),
                sample TEXT NOT NULL,
                position BIGINT NOT NULL,
                sample_hash TEXT NOT NULL REFERENCES samples (hash),
                answers TEXT NOT NULL,
                PRIMARY KEY (run, sample)
            )""",
            "CREATE INDEX rows_in_order ON rows (run, position)",
            """CREATE TABLE requests (
                hash TEXT PRIMARY KEY NOT NULL,
                content TEXT NOT NULL
            )""",
            """CREATE TABLE answers (
                key TEXT PRIMARY KEY NOT NULL,
                fingerprint TEXT NOT NULL,
                request TEXT NOT NULL REFERENCES requests (hash),
                answer TEXT NOT NULL
            )""",
            """CREATE TABLE scores (
                run TEXT NOT NULL,
                sample TEXT NOT NULL,
                place BIGINT NOT NULL,
                metric TEXT NOT NULL,
                part BIGINT NOT NULL,
                value DOUBLE PRECISION,
                reason TEXT,
                PRIMARY KEY (run, sample, place),
                FOREIGN KEY (run, sample) REFERENCES rows (run, sample),
                CONSTRAINT unscored_has_a_reason CHECK (value IS NOT NULL OR reason IS NOT NULL),
                CONSTRAINT score_is_finite CHECK (abs(value) <= 1.7976931348623157e308)
            ){compact}""",
            """CREATE TABLE preferences (
                left_run TEXT NOT NULL,
                right_run TEXT NOT NULL,
                sample TEXT NOT NULL,
                rater TEXT NOT NULL,
                shown_first TEXT NOT NULL,
                winner TEXT,
                seconds DOUBLE PRECISION,
                cost DOUBLE PRECISION,
                reason TEXT,
                PRIMARY KEY (left_run, right_run, sample, rater, shown_first),
                FOREIGN KEY (left_run, sample) REFERENCES rows (run, sample),
                FOREIGN KEY (right_run, sample) REFERENCES rows (run, sample)
            )""",
            """CREATE TABLE stages (
                pipeline TEXT NOT NULL,
                identity TEXT NOT NULL,
                position BIGINT NOT NULL,
                kind TEXT NOT NULL,
                folder TEXT NOT NULL,
                manifest TEXT NOT NULL,
                started TEXT NOT NULL,
                finished TEXT NOT NULL,
                PRIMARY KEY (pipeline, identity)
            )""",
        ),
    ),
    Migration(
        "0002_texts",  # requests kept before hold their texts themselves, and stay as they are
        (
            """CREATE TABLE texts (
                hash TEXT PRIMARY KEY NOT NULL,
                text TEXT NOT NULL
            )""",
            """CREATE TABLE answers_with_requests (
                key TEXT PRIMARY KEY NOT NULL,
                fingerprint TEXT NOT NULL,
                request TEXT NOT NULL,
                answer TEXT NOT NULL
            )""",
            """INSERT INTO answers_with_requests
                SELECT answers.key, answers.fingerprint, requests.content, answers.answer
                FROM answers JOIN requests ON requests.hash = answers.request""",
            "DROP TABLE answers",
            "DROP TABLE requests",
            "ALTER TABLE answers_with_requests RENAME TO answers",
        ),
    ),
    Migration(
        "0003_raters",
        (
            """CREATE TABLE raters (
                id TEXT PRIMARY KEY NOT NULL,
                kind TEXT NOT NULL,
                name TEXT NOT NULL,
                details TEXT NOT NULL
            )""",
            "ALTER TABLE preferences ADD COLUMN difference DOUBLE PRECISION",
            "ALTER TABLE preferences ADD COLUMN reply TEXT",
            "ALTER TABLE preferences ADD COLUMN comment TEXT",
            """CREATE TABLE studies (
                name TEXT PRIMARY KEY NOT NULL,
                created TEXT NOT NULL,
                design TEXT NOT NULL,
                commitment TEXT NOT NULL,
                unsealed TEXT
            )""",
            """CREATE TABLE votes (
                study TEXT NOT NULL REFERENCES studies (name),
                place BIGINT NOT NULL,
                rater TEXT NOT NULL,
                ballot TEXT NOT NULL,
                choice TEXT NOT NULL,
                token TEXT NOT NULL,
                at TEXT NOT NULL,
                seconds DOUBLE PRECISION,
                comment TEXT,
                source TEXT NOT NULL,
                PRIMARY KEY (study, place)
            )""",
            "CREATE UNIQUE INDEX votes_once ON votes (study, rater, token)",
        ),
    ),
    Migration("0004_thoughts", (), set_apart),
)


def bring_forward(connection: Connection, store: str) -> None:
    """Apply the steps a store lacks, inside the caller's write transaction: all of them or none.

    `store` names it in messages. Raises StoreError for somebody else's database, a newer store and a
    read-only one, so that this shows before a model is loaded.
    """
    if connection.dialect.name == "postgresql":
        connection.exec_driver_sql(f"SELECT pg_advisory_xact_lock({ADVISORY_LOCK})")
    applied = _applied(connection, store)
    unknown = applied - {migration.name for migration in MIGRATIONS}
    if unknown:
        raise StoreError(
            f"{store}: this results store is from a newer version of harness (it has "
            f"{', '.join(sorted(unknown))}); update harness, or name another store under [project] store"
        )
    for migration in MIGRATIONS:
        if migration.name not in applied:
            _apply(connection, migration)
    connection.execute(PROOF)


def _applied(connection: Connection, store: str) -> set[str]:
    tables = inspect(connection).get_table_names()
    if "migrations" in tables:
        return set(connection.scalars(select(schema.migrations.c.name)))
    if tables:
        raise StoreError(
            f"{store}: this database belongs to something else (it has a table {min(tables)!r} and is not a "
            "results store); name another one under [project] store"
        )
    return set()


def _apply(connection: Connection, migration: Migration) -> None:
    compact = " WITHOUT ROWID" if connection.dialect.name == "sqlite" else ""
    for statement in migration.statements:
        connection.exec_driver_sql(statement.replace("{compact}", compact))
    if migration.change is not None:
        migration.change(connection)
    now = datetime.now(UTC).isoformat(timespec="seconds")
    connection.execute(insert(schema.migrations).values(name=migration.name, applied=now))
