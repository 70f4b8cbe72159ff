"""An old store opens, a newer one is refused, and the tables are those that queries expect."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine, create_engine, inspect
from sqlalchemy.exc import OperationalError

from harness.errors import StoreError
from harness.store import Store, migrations, schema
from harness.store.encoding import answer_as_json, canonical
from harness.store.migrations import MIGRATIONS, Migration
from tests.harness.store.made import begun, kept

NEXT = Migration("0005_next", ("ALTER TABLE runs ADD COLUMN note TEXT", "CREATE TABLE notes (text TEXT)"))


def shape(engine: Engine) -> dict[str, Any]:
    """Each table's columns (kind, whether it may be empty), key, references and indexes."""
    look = inspect(engine)
    return {
        table: {
            "columns": {
                column["name"]: (column["type"].python_type, column["nullable"])
                for column in look.get_columns(table)
            },
            "key": look.get_pk_constraint(table)["constrained_columns"],
            "references": sorted(
                (key["constrained_columns"], key["referred_table"], key["referred_columns"])
                for key in look.get_foreign_keys(table)
            ),
            "indexes": [(index["name"], index["column_names"]) for index in look.get_indexes(table)],
        }
        for table in look.get_table_names()
    }


def test_migrations_make_the_tables_that_queries_expect(tmp_path: Path) -> None:
    """The schema in Python and all migrations together describe the same database."""
    Store.open(f"sqlite:///{tmp_path}/migrated.db").close()
    declared = create_engine(f"sqlite:///{tmp_path}/declared.db")
    schema.metadata.create_all(declared)

    assert shape(declared) == shape(create_engine(f"sqlite:///{tmp_path}/migrated.db"))


def test_applied_names_are_rows(url: str, store: Store) -> None:
    """What was done to a store can be read from it; opening it again does nothing twice."""
    Store.open(url).close()

    with create_engine(url).connect() as connection:
        names = connection.exec_driver_sql("SELECT name FROM migrations ORDER BY name").scalars().all()
    assert [migration.name for migration in MIGRATIONS] == names


def test_an_old_store_is_brought_forward(url: str, store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """It gets the steps it lacks, and keeps what it holds."""
    run = begun(store)
    monkeypatch.setattr(migrations, "MIGRATIONS", (*MIGRATIONS, NEXT))

    with Store.open(url) as opened:
        assert run == opened.run("run")

    assert "notes" in inspect(create_engine(url)).get_table_names()


def test_a_first_store_keeps_its_answers(tmp_path: Path) -> None:
    """A store whose requests stood in a table of their own opens with the same answers, all of them sound."""
    url = f"sqlite:///{tmp_path}/first.db"
    answer = kept("kept", asked="a long question " * 50)
    with create_engine(url).begin() as connection:
        for statement in MIGRATIONS[0].statements:
            connection.exec_driver_sql(statement.replace("{compact}", ""))
        connection.exec_driver_sql("INSERT INTO migrations VALUES ('0001_tables', 'then')")
        request, body = canonical(answer.request), canonical(answer_as_json(answer.answer))
        connection.exec_driver_sql("INSERT INTO requests VALUES ('hash', ?)", (request,))
        values = (answer.key, answer.fingerprint, "hash", body)
        connection.exec_driver_sql("INSERT INTO answers VALUES (?, ?, ?, ?)", values)

    with Store.open(url) as store:
        assert {answer.key: replace(answer.answer, key=answer.key)} == store.known_answers([answer.key])
        assert [] == store.verify()


def test_a_step_that_fails_leaves_the_store_as_it_was(
    url: str, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    """All steps of one opening succeed together or none of them happened."""
    before = shape(create_engine(url))
    broken = Migration("0005_broken", ("CREATE TABLE half (done TEXT)", "CREATE TABLE runs (again TEXT)"))
    monkeypatch.setattr(migrations, "MIGRATIONS", (*MIGRATIONS, NEXT, broken))

    with pytest.raises(OperationalError, match="already exists"):
        Store.open(url)

    assert before == shape(create_engine(url))


def test_a_newer_store_is_refused(url: str, store: Store) -> None:
    """A step we do not know means a meaning we do not know: nothing is touched, and the step is named."""
    with create_engine(url).begin() as connection:
        connection.exec_driver_sql("INSERT INTO migrations VALUES ('0099_future', 'now')")

    with pytest.raises(StoreError, match=r"store.db: .* from a newer version of harness .*0099_future"):
        Store.open(url)
