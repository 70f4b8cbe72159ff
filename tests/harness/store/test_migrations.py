"""An old store opens, a newer one is refused, and the tables are those that queries expect."""

from dataclasses import replace
from typing import Any

import pytest
from sqlalchemy import Engine, create_engine, inspect, text
from sqlalchemy.exc import DatabaseError

from harness.errors import StoreError
from harness.records.answers import LogLikelihood, Response, Score
from harness.records.preferences import Preference, Rater
from harness.store import Store, answer_key, migrations, schema, smaller
from harness.store.database import Database
from harness.store.encoding import answer_as_json, canonical
from harness.store.migrations import MIGRATIONS, Migration
from harness.store.moving import watch_moves
from tests.harness.store.earlier import ANSWER, EarlierStore
from tests.harness.store.made import FINGERPRINT, begun, kept, row

NEXT = Migration("0006_next", ("ALTER TABLE runs ADD COLUMN note TEXT", "CREATE TABLE notes (text TEXT)"))


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
            "indexes": [
                (index["name"], index["column_names"])
                for index in look.get_indexes(table)
                if "duplicates_constraint" not in index  # of a column that is unique, which SQLite leaves out
            ],
        }
        for table in look.get_table_names()
    }


def test_migrations_make_the_tables_that_queries_expect(store: Store, url: str, elsewhere: str) -> None:
    """The schema in Python and all migrations together describe the same database."""
    declared = create_engine(elsewhere)
    schema.metadata.create_all(declared)

    assert shape(declared) == shape(create_engine(url))


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


def test_a_first_store_keeps_its_answers(elsewhere: str) -> None:
    """A store whose requests stood in a table of their own opens with the same answers, all of them sound."""
    answer = kept("kept", asked="a long question " * 50)
    first = EarlierStore(elsewhere, steps=1)
    with first.database.writing() as connection:
        request = {"hash": "hash", "content": canonical(answer.request)}
        connection.execute(text("INSERT INTO requests VALUES (:hash, :content)"), request)
        values = {"key": answer.key, "fingerprint": answer.fingerprint, "request": "hash"}
        connection.execute(ANSWER, {**values, "answer": canonical(answer_as_json(answer.answer))})
    first.close()

    with Store.open(elsewhere) as store:
        assert {answer.key: replace(answer.answer, key=answer.key)} == store.answers.known([answer.key])
        assert [] == store.integrity.complaints()


LENGTH = Response(text="<think>One", stop_reason="length", completion_tokens=9)


def test_kept_thoughts_are_set_apart(elsewhere: str) -> None:
    """Answers that were kept with their thoughts are answers alone, and what never came is unanswered."""
    texts = ("<think>One.</think>\n\nParis", "One.\n</think>\nParis", "Paris, I think.")
    answers = [*(kept(text, asked=text) for text in texts), replace(kept("", asked="cut"), answer=LENGTH)]
    empty = replace(kept("", asked="empty"), answer=replace(LENGTH, text=""))
    earlier = EarlierStore(elsewhere, steps=3)
    earlier.keep(*answers, empty)
    earlier.close()

    with Store.open(elsewhere) as opened:
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


def test_thoughts_that_a_stop_string_cut_are_asked_anew(elsewhere: str) -> None:
    """Nobody finds such an answer any more, and the runs that hold it show it as it now is."""
    long = "question " * 50
    request = {"kind": "generate", "prompt": long, "sampling": {"stop": ["\n\n"], "max_tokens": 9}}
    answer = replace(kept("<think>One."), key=answer_key(FINGERPRINT, request), request=request)
    whole = replace(kept("<think>One.</think>Paris"), key=answer_key(FINGERPRINT, {**request, "draw": 1}))
    whole = replace(whole, request={**request, "draw": 1})
    earlier = EarlierStore(elsewhere, steps=3)
    earlier.keep(answer, whole)
    earlier.begin()
    earlier.keep_rows("run", [row(0, *(replace(each.answer, key=each.key) for each in (answer, whole)))])
    earlier.preferences.keep_rater(Rater(id="judge", kind="judge", name="j"))
    earlier.begin("other", model="dpo")
    earlier.keep_rows("other", [row(0, replace(whole.answer, key=whole.key))])
    said = Preference(
        sample="sample-0", left_run="run", right_run="other", shown_first="left", winner=None,
        rater="judge", reply=answer.key, reason="unreadable",
    )  # fmt: skip
    earlier.preferences.keep([said])
    earlier.close()

    with Store.open(elsewhere) as opened:
        assert [whole.key] == list(opened.answers.known([answer.key, whole.key]))
        assert [] == opened.integrity.complaints()
        (kept_row,) = opened.runs.rows("run")
        (preference,) = opened.preferences.find()
    first, second = kept_row.responses
    assert isinstance(first, Response)
    assert ("", "One.", "thinking") == (first.text, first.thought, first.stop_reason)
    assert first.key == preference.reply != answer.key
    assert whole.key == second.key


LIKELIHOOD = LogLikelihood(logprob=-0.1 - 0.2, greedy=True, tokens=2, truncated=1)
SCORES = (
    *(Score(metric="toxic", value=value) for value in (0.25, 1.0, 1e-17)),
    Score(metric="toxic", value=None, reason="refused: no, null, [null]"),
    *(Score(metric=metric, value=value) for value in (0.0, 1.0) for metric in ("a", "b")),
)
"""Several parts of a metric, one of them unscored, and metrics that take turns."""


def filled(url: str, samples: int = 7) -> EarlierStore:
    """A store of before with runs of two models, whose rows share samples and requests."""
    earlier = EarlierStore(url)
    failed = Response(text="", stop_reason="failed", reason="the server was away")
    for model in ("sft", "dpo"):
        fingerprint = f"sha256:{model}"
        earlier.begin(model, model=model, fingerprint=fingerprint)
        draws = [
            {"kind": "generate", "prompt": "long " * 99, "draw": draw, "sampling": {"stop": [number]}}
            for number in range(samples)
            for draw in range(3)
        ]
        texts = [
            replace(kept(f"{number} \0 \ud800"), key=answer_key(fingerprint, asked), request=asked)
            for number, asked in enumerate(draws)
        ]
        scored = kept("", asked="scored", fingerprint=fingerprint)
        scored = replace(scored, answer=LIKELIHOOD)
        answers = [replace(each, fingerprint=fingerprint) for each in (*texts, scored)]
        earlier.keep(*answers)
        said = [replace(each.answer, key=each.key) for each in answers]
        earlier.keep_rows(
            model,
            [
                replace(row(number, scores=SCORES), responses=(*said[3 * number :][:3], failed, said[-1]))
                for number in range(samples)
            ],
        )
    return earlier


def content(store: Store) -> dict[str, Any]:
    """Everything that runs hold."""
    return {
        run.id: (run, list(store.runs.rows(run.id)), store.runs.observations(run.id))
        for run in store.runs.find()
    }


@pytest.mark.parametrize("at_once", [1, 2, 3, 1000])
def test_what_is_kept_moves_into_smaller_tables(
    elsewhere: str, monkeypatch: pytest.MonkeyPatch, at_once: int
) -> None:
    """Answers, rows and scores are the same ones, in parts of any size; nothing of the old tables is left."""
    filled(elsewhere).close()
    monkeypatch.setattr(smaller, "AT_ONCE", dict.fromkeys(smaller.AT_ONCE, at_once))

    with Store.open(elsewhere) as store:
        found = content(store)
        assert [] == store.integrity.complaints()

    assert shape(create_engine(elsewhere)).keys() == {table.name for table in schema.metadata.sorted_tables}
    assert ["dpo", "sft"] == sorted(found)
    for _, rows, observations in found.values():
        assert [SCORES] * 7 == [each.scores for each in rows]
        assert [row(number).sample for number in range(7)] == [each.sample for each in rows]
        assert ["toxic", "a", "b"] == list(observations)
        assert [0.25, 1.0, 1e-17, None] == [seen.value for seen in list(observations["toxic"])[:4]]
        assert [(0, 0.0), (1, 1.0)] == [(seen.part, seen.value) for seen in list(observations["b"])[:2]]
        *_, failed, likelihood = rows[2].responses
        assert ("failed", LIKELIHOOD) == (failed.stop_reason, replace(likelihood, key=""))  # type: ignore[union-attr]
        assert ["6 \0 \ud800", "7 \0 \ud800", "8 \0 \ud800"] == [each.text for each in rows[2].responses[:3]]  # type: ignore[union-attr]


class Killed(BaseException):
    """The process ends here."""


def test_a_move_that_is_killed_goes_on(elsewhere: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """At any moment, and as often as it is killed: the next opening moves what is left, once."""
    filled(elsewhere).close()
    monkeypatch.setattr(smaller, "AT_ONCE", dict.fromkeys(smaller.AT_ONCE, 4))
    parts = dict.fromkeys(smaller.MOVES, 0)

    def killing(kind: str) -> Any:
        whole = smaller.MOVES[kind]

        def move(*arguments: Any) -> Any:
            parts[kind] += 1
            if parts[kind] % 2 == 0:
                raise Killed
            return whole(*arguments)

        return move

    monkeypatch.setattr(smaller, "MOVES", {kind: killing(kind) for kind in smaller.MOVES})
    openings = 0
    while True:
        openings += 1
        try:
            store = Store.open(elsewhere)
        except Killed:
            continue
        break
    with store:
        assert [] == store.integrity.complaints()
        assert {"answers": 44, "scores": 2 * 7 * len(SCORES)}.items() <= store.integrity.counts().items()
    assert openings > 10
    assert openings == 1 + sum(number // 2 for number in parts.values())


def test_how_far_a_move_is_can_be_watched(elsewhere: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every part is told, and of a move that goes on, how much is left."""
    filled(elsewhere).close()
    monkeypatch.setattr(smaller, "AT_ONCE", dict.fromkeys(smaller.AT_ONCE, 5))
    seen: list[tuple[str, int, int]] = []

    def stopping(kind: str, done: int, total: int) -> None:
        seen.append((kind, done, total))
        if len(seen) == 3:
            raise Killed

    watch_moves(stopping)
    with pytest.raises(Killed):
        Store.open(elsewhere)
    Store.open(elsewhere).close()
    watch_moves(lambda *_: None)

    assert seen[:3] == [("answers", 5, 44), ("answers", 10, 44), ("answers", 15, 44)]
    assert seen[3] == ("answers", 5, 29)
    ends = {kind: (done, total) for kind, done, total in seen}
    assert ends == {"answers": (29, 29), "rows": (14, 14), "scores": (14, 14)}


def test_an_earlier_version_refuses_a_store_that_is_moving(elsewhere: str) -> None:
    """It would write into tables that are left behind."""
    filled(elsewhere).close()
    with Database(elsewhere).writing() as connection:
        migrations.bring_forward(connection, "store")
    with create_engine(elsewhere).connect() as connection:
        applied = connection.exec_driver_sql("SELECT name FROM migrations").scalars().all()
        assert "unmoved" in inspect(connection).get_table_names()
    assert "0005_smaller" in applied


def test_a_step_that_fails_leaves_the_store_as_it_was(
    url: str, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    """All steps of one opening succeed together or none of them happened."""
    before = shape(create_engine(url))
    broken = Migration("0006_broken", ("CREATE TABLE half (done TEXT)", "CREATE TABLE runs (again TEXT)"))
    monkeypatch.setattr(migrations, "MIGRATIONS", (*MIGRATIONS, NEXT, broken))

    with pytest.raises(DatabaseError, match="already exists"):
        Store.open(url)

    assert before == shape(create_engine(url))


def test_a_newer_store_is_refused(url: str, store: Store) -> None:
    """A step we do not know means a meaning we do not know: nothing is touched, and the step is named."""
    with create_engine(url).begin() as connection:
        connection.exec_driver_sql("INSERT INTO migrations VALUES ('0099_future', 'now')")

    with pytest.raises(StoreError, match=r"from a newer version of harness .*0099_future"):
        Store.open(url)
