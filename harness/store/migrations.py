"""How a store of any age becomes today's: numbered steps, each applied once, their names kept as rows.

A step is written once and never changed; a new need is a new step at the end. The statements are literal
SQL, understood by SQLite and PostgreSQL alike, so that what an old step did cannot drift with the code. What
steps do to rows that SQL cannot is in `harness.store.kept_thoughts` and `harness.store.smaller`.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime

from sqlalchemy import Connection, false, insert, inspect, select, update

from harness.errors import StoreError
from harness.store import schema
from harness.store.database import Database, one_at_a_time
from harness.store.kept_thoughts import set_apart
from harness.store.smaller import UNMOVED, move_at_once

PROOF = update(schema.migrations).where(false()).values(applied="")
"""Changes nothing, and fails where writing is not allowed: SQLite says so to statements, not to BEGIN."""


@dataclass(frozen=True, slots=True)
class Migration:
    """One step. `{…}` in a statement stands for what databases write differently (`DIALECTS`)."""

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
    Migration(
        "0005_smaller",  # what is in the tables moves afterwards: see `harness.store.smaller`
        (
            "ALTER TABLE answers RENAME TO answers_before",
            "ALTER TABLE scores RENAME TO scores_before",
            """CREATE TABLE fingerprints (
                number {number},
                fingerprint TEXT NOT NULL UNIQUE
            )""",
            """CREATE TABLE requests (
                number {number},
                hash {bytes} NOT NULL UNIQUE,
                content TEXT NOT NULL
            )""",
            """CREATE TABLE answers (
                number {number},
                key {bytes} NOT NULL UNIQUE,
                fingerprint INTEGER NOT NULL REFERENCES fingerprints (number),
                request INTEGER NOT NULL REFERENCES requests (number),
                draw INTEGER,
                text TEXT,
                stopped TEXT,
                prompt_tokens INTEGER,
                completion_tokens INTEGER,
                seconds DOUBLE PRECISION,
                logprob DOUBLE PRECISION,
                greedy INTEGER,
                tokens INTEGER,
                more TEXT
            )""",
            """CREATE TABLE scores (
                run TEXT NOT NULL,
                sample TEXT NOT NULL,
                metrics TEXT NOT NULL,
                numbers TEXT NOT NULL,
                reasons TEXT,
                PRIMARY KEY (run, sample),
                FOREIGN KEY (run, sample) REFERENCES rows (run, sample),
                CONSTRAINT unscored_has_a_reason CHECK (
                    length(numbers) - length(replace(numbers, 'null', ''))
                    = 4 * coalesce(json_array_length({reasons}), 0)
                ),
                CONSTRAINT score_is_finite CHECK (numbers {only_numbers})
            ){compact}""",
            "CREATE TABLE unmoved (source TEXT PRIMARY KEY NOT NULL, after TEXT NOT NULL)",
            "INSERT INTO unmoved VALUES ('answers', 'null'), ('rows', 'null'), ('scores', 'null')",
        ),
        move_at_once,
    ),
)

DIALECTS: Mapping[str, Mapping[str, str]] = {
    "sqlite": {
        "compact": " WITHOUT ROWID",
        "number": "INTEGER PRIMARY KEY NOT NULL",
        "bytes": "BLOB",
        "reasons": "reasons",
        "only_numbers": "NOT GLOB '*[^][0-9.,eE+nul-]*'",
    },
    "postgresql": {
        "compact": "",
        "number": "BIGINT PRIMARY KEY GENERATED BY DEFAULT AS IDENTITY",
        "bytes": "BYTEA",
        "reasons": "CAST(reasons AS json)",
        "only_numbers": "!~ '[^][0-9.,eE+nul-]'",
    },
}
"""What statements leave open, by database. `compact`: the key is the table, stored once."""


def is_todays(database: Database) -> bool:
    """Whether a store has all steps, and all that is in it has moved."""
    with database.reading() as connection:
        tables = inspect(connection).get_table_names()
        if "migrations" not in tables or UNMOVED in tables:
            return False
        applied = set(connection.scalars(select(schema.migrations.c.name)))
    return applied == {migration.name for migration in MIGRATIONS}


def bring_forward(connection: Connection, store: str) -> None:
    """Apply the steps a store lacks, inside the caller's write transaction: all of them or none.

    `store` names it in messages. Raises StoreError for somebody else's database, a newer store and a
    read-only one, so that this shows before a model is loaded.
    """
    one_at_a_time(connection)
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


def in_dialect(statement: str, dialect: str) -> str:
    """A statement of a step as this database writes it."""
    for name, words in DIALECTS[dialect].items():
        statement = statement.replace(f"{{{name}}}", words)
    return statement


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
    for statement in migration.statements:
        connection.exec_driver_sql(in_dialect(statement, connection.dialect.name))
    if migration.change is not None:
        migration.change(connection)
    now = datetime.now(UTC).isoformat(timespec="seconds")
    connection.execute(insert(schema.migrations).values(name=migration.name, applied=now))
