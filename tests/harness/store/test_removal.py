"""Taking a run out of the store: what goes with it, and what others still need."""

import sqlite3
from pathlib import Path

import pytest
from sqlalchemy import create_engine

from harness.records.answers import Response, Score
from harness.records.preferences import Preference, Rater
from harness.store import Store
from tests.harness.store.made import FINGERPRINT, begun, kept, row

JUDGE = "sha256:judge"


def ran(store: Store, run_id: str, *texts: str, finished: bool = True, **changes: str) -> None:
    """A run with one answer for each text, each with a score."""
    run = begun(store, run_id, **changes)
    given = [kept(text, asked=text[:20], fingerprint=run.fingerprint) for text in texts]
    answers = store.answers.keep(given)
    for position, each in enumerate(given):
        answer = answers[each.key]
        assert isinstance(answer, Response)
        scores = (Score(metric="mc1", value=1.0),)
        store.runs.keep_rows(run_id, [(position, row(position, answer, scores=scores))])
    if finished:
        store.runs.finish(run_id, "2026-11-22T11:00:00+00:00")


def preferred(store: Store, *, rater: str, left: str, right: str, reply: str | None = None) -> None:
    """What a rater said about the first sample of two runs."""
    store.preferences.keep_rater(Rater(id=rater, kind="judge", name=rater))
    choice = Preference(
        sample="sample-0",
        left_run=left,
        right_run=right,
        shown_first="left",
        winner="left",
        rater=rater,
        reply=reply,
    )
    store.preferences.keep([choice])


def test_a_run_goes_with_what_it_alone_holds(store: Store) -> None:
    """Rows, scores and answers go; the other run's stay, and so do the answers and questions of both."""
    ran(store, "first", "a", "b", "c")
    ran(store, "second", "b", "c", "d")

    planned = store.removals.plan("first")
    store.removals.remove("first")

    assert (3, 3, 1, 2) == (planned.rows, planned.scores, planned.answers, planned.shared)
    assert ["second"] == [run.id for run in store.runs.find()]
    assert 3 == len(list(store.runs.rows("second")))
    assert 3 == store.integrity.counts()["answers"]
    assert [] == store.integrity.complaints()


def test_what_is_planned_is_what_goes(store: Store) -> None:
    """The numbers beforehand are those of the tables afterwards."""
    ran(store, "first", "a", "b")
    ran(store, "second", "b", "c", model="dpo", fingerprint="sha256:other")
    before = store.integrity.counts()
    planned = store.removals.plan("first")

    store.removals.remove("first")

    after = store.integrity.counts()
    gone = {table: before[table] - after[table] for table in ("rows", "scores", "answers")}
    assert {"rows": planned.rows, "scores": planned.scores, "answers": planned.answers} == gone
    assert planned.size > 100


def test_preferences_about_its_answers_go(store: Store) -> None:
    """A choice between two runs is nothing without one of them; choices between others stay."""
    for run_id in ("one", "two", "three"):
        ran(store, run_id, "a")
    preferred(store, rater="judge", left="one", right="two")
    preferred(store, rater="jury", left="two", right="three")

    assert {"judge": 1} == store.removals.plan("one").preferences
    store.removals.remove("one")

    assert ["jury"] == [each.rater for each in store.preferences.find()]
    assert [] == store.integrity.complaints()


def test_what_judges_replied_stays(store: Store) -> None:
    """A judge's reply in a run's rows, or behind a preference, was paid for."""
    reply = kept("A", asked="which?", fingerprint=JUDGE)
    [said] = store.answers.keep([reply]).values()
    assert isinstance(said, Response)
    ran(store, "one", "a")
    ran(store, "two", "b")
    store.runs.keep_rows("one", [(1, row(1, said))])
    preferred(store, rater="judge", left="one", right="two", reply=reply.key)

    assert 1 == store.removals.plan("one").replies
    store.removals.remove("one")

    assert reply.key in store.answers.known([reply.key])


def test_an_answer_that_is_a_reply_elsewhere_stays(store: Store) -> None:
    """A model may be a judge too: what it said of others is needed by their preferences."""
    ran(store, "own", "a")
    ran(store, "one", "b", fingerprint="sha256:one")
    ran(store, "two", "c", fingerprint="sha256:two")
    preferred(store, rater="own", left="one", right="two", reply=kept("a", asked="a").key)

    assert (0, 1) == (store.removals.plan("own").answers, store.removals.plan("own").shared)
    store.removals.remove("own")
    assert [] == store.integrity.complaints()


def test_a_run_under_way_may_need_its_models_answers(store: Store) -> None:
    """A command that is at another run of this model has looked up what it will name in its rows."""
    ran(store, "first", "a", "b")
    ran(store, "going", finished=False)

    assert (0, 2) == (store.removals.plan("first").answers, store.removals.plan("first").shared)
    store.removals.remove("first")

    assert 2 == store.integrity.counts()["answers"]


def test_an_interrupted_run_can_go(store: Store) -> None:
    """It keeps no answer of its own from going with it."""
    ran(store, "going", "a", finished=False)
    store.removals.remove("going")
    assert 0 == store.integrity.counts()["answers"]


def test_a_model_goes_with_its_last_run(store: Store) -> None:
    """What a name stood for is kept while a run names it."""
    ran(store, "first", "a")
    ran(store, "second", "a", suite="ifeval")

    store.removals.remove("first")
    assert store.models.get("sft", FINGERPRINT) is not None
    store.removals.remove("second")
    assert store.models.get("sft", FINGERPRINT) is None


@pytest.mark.parametrize("url", ["sqlite"], indirect=True)
def test_the_file_gets_smaller(store: Store, url: str, tmp_path: Path) -> None:
    """Room that is freed stays in the file until it is rewritten, and nothing else is lost by that."""
    ran(store, "kept", "stays")
    ran(store, "large", *(f"{number} {'x' * 2000}" for number in range(200)))
    file = tmp_path / "store.db"

    store.removals.remove("large")
    unused = store.database.unused_bytes()
    store.database.compact()

    assert unused > 200 * 2000
    assert 0 == store.database.unused_bytes()
    assert file.stat().st_size < unused
    assert [] == store.integrity.complaints()
    with Store.open(url) as again:
        assert ["kept"] == [run.id for run in again.runs.find()]


@pytest.mark.parametrize(
    ("damage", "complaint"),
    [
        ("UPDATE answers SET text = '{'", "cannot be read"),
        ("UPDATE answers SET text = NULL, stopped = NULL", "cannot be read"),
        ("UPDATE requests SET content = '{'", "is not the key of its model and request"),
        ("UPDATE rows SET answers = '['", "rows: the answers of sample 'sample-0' of run one cannot be read"),
        ("UPDATE samples SET content = 'x'", "samples: the content under"),
        ("UPDATE preferences SET reply = 'sha256:lost'", "names the reply sha256:lost, which is not kept"),
    ],
)
def test_verify_finds_damage_of_any_kind(store: Store, url: str, damage: str, complaint: str) -> None:
    """Text that is no JSON and a lost reply are lines, and not errors."""
    ran(store, "one", "a")
    ran(store, "two", "b")
    preferred(store, rater="judge", left="one", right="two")
    with create_engine(url).begin() as connection:
        connection.exec_driver_sql(damage)

    assert any(complaint in line for line in store.integrity.complaints()), store.integrity.complaints()


@pytest.mark.parametrize("url", ["sqlite"], indirect=True)
def test_verify_finds_a_row_without_its_run(store: Store, tmp_path: Path) -> None:
    """Which a server does not allow, and SQLite allows others."""
    ran(store, "one", "a")
    with sqlite3.connect(tmp_path / "store.db") as connection:
        connection.executescript("PRAGMA foreign_keys = OFF; DELETE FROM runs")

    assert ["rows: a row names one of runs that is not kept"] == store.integrity.complaints()
