"""An old store opens, a newer one is refused, and the tables are those that queries expect."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine, create_engine, inspect
from sqlalchemy.exc import OperationalError

from harness.errors import StoreError
from harness.records.answers import Response
from harness.records.preferences import Preference, Rater
from harness.store import Store, answer_key, migrations, schema
from harness.store.encoding import answer_as_json, canonical
from harness.store.migrations import MIGRATIONS, Migration
from tests.harness.store.made import FINGERPRINT, begun, kept, row

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
        assert run == opened.runs.get("run")

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
        assert {answer.key: replace(answer.answer, key=answer.key)} == store.answers.known([answer.key])
        assert [] == store.integrity.complaints()


LENGTH = Response(text="<think>One", stop_reason="length", completion_tokens=9)


def test_kept_thoughts_are_set_apart(url: str, store: Store) -> None:
    """Answers that were kept with their thoughts are answers alone, and what never came is unanswered."""
    texts = ("<think>One.</think>\n\nParis", "One.\n</think>\nParis", "Paris, I think.")
    answers = [*(kept(text, asked=text) for text in texts), replace(kept("", asked="cut"), answer=LENGTH)]
    empty = replace(kept("", asked="empty"), answer=replace(LENGTH, text=""))
    store.answers.keep([*answers, empty])
    before_step_four(url)

    with Store.open(url) as opened:
        found = opened.answers.known([each.key for each in (*answers, empty)])
        assert [] == opened.integrity.complaints()

    said = [
        (each.text, each.thought, each.stop_reason) for each in found.values() if isinstance(each, Response)
    ]
    assert [
        ("Paris", "One.", "end"),
        ("Paris", "One.", "end"),
        ("Paris, I think.", None, "end"),
        ("", "One", "thinking"),
        ("", None, "thinking"),
    ] == said


def test_thoughts_that_a_stop_string_cut_are_asked_anew(url: str, store: Store) -> None:
    """Nobody finds such an answer any more, and the runs that hold it show it as it now is."""
    long = "question " * 50
    request = {"kind": "generate", "prompt": long, "sampling": {"stop": ["\n\n"], "max_tokens": 9}}
    answer = replace(kept("<think>One."), key=answer_key(FINGERPRINT, request), request=request)
    whole = replace(kept("<think>One.</think>Paris"), key=answer_key(FINGERPRINT, {**request, "draw": 1}))
    whole = replace(whole, request={**request, "draw": 1})
    store.answers.keep([answer, whole])
    begun(store)
    store.runs.keep_rows(
        "run", [(0, row(0, *(replace(each.answer, key=each.key) for each in (answer, whole))))]
    )
    store.preferences.keep_rater(Rater(id="judge", kind="judge", name="j"))
    begun(store, "other", model="dpo")
    store.runs.keep_rows("other", [(0, row(0, replace(whole.answer, key=whole.key)))])
    said = Preference(
        sample="sample-0", left_run="run", right_run="other", shown_first="left", winner=None,
        rater="judge", reply=answer.key, reason="unreadable",
    )  # fmt: skip
    store.preferences.keep([said])
    before_step_four(url)

    with Store.open(url) as opened:
        assert [whole.key] == list(opened.answers.known([answer.key, whole.key]))
        assert [] == opened.integrity.complaints()
        (kept_row,) = opened.runs.rows("run")
        (preference,) = opened.preferences.find()
    first, second = kept_row.responses
    assert isinstance(first, Response)
    assert ("", "One.", "thinking") == (first.text, first.thought, first.stop_reason)
    assert first.key == preference.reply != answer.key
    assert whole.key == second.key


def before_step_four(url: str) -> None:
    """The store as if it had been kept before that step."""
    with create_engine(url).begin() as connection:
        connection.exec_driver_sql("DELETE FROM migrations WHERE name = '0004_thoughts'")


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
