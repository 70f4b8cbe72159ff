"""One store copied into another: everything arrives, nothing is changed there, and a stopped copy goes on."""

from dataclasses import replace
from typing import Any

import pytest
from sqlalchemy import create_engine

from harness.records.answers import Response, Score
from harness.records.preferences import Study, Vote
from harness.store import KeptStage, Store
from harness.store.copying import Copied, copy_store, differences
from tests.harness.store.made import FINGERPRINT, begun, kept, row
from tests.harness.store.test_removal import preferred, ran

STUDY = Study(name="blind", created="2026-11-30T10:00:00+00:00", design={"a": 1}, commitment="sha256:a")


def vote(token: str, rater: str = "ana") -> Vote:
    """A vote of the study."""
    return Vote(study="blind", rater=rater, ballot="b1", choice="left", token=token, at="2026-11-30T11:00:00")


def filled(store: Store) -> None:
    """Something of every kind."""
    ran(store, "one", "a", "a long question " * 30)
    ran(store, "two", "b", model="dpo", fingerprint="sha256:dpo")
    ran(store, "under way", "c", finished=False)
    failed = Response(text="", stop_reason="failed", reason="the server was away")
    store.runs.keep_rows(
        "one", [(7, row(7, failed, scores=(Score(metric="mc1", value=None, reason="failed"),)))]
    )
    preferred(store, rater="judge", left="one", right="two", reply=kept("a", asked="a").key)
    store.studies.keep(STUDY)
    store.studies.keep_votes([vote("1"), vote("2")])
    store.stages.keep(
        KeptStage(
            pipeline="sft",
            identity="x",
            position=0,
            kind="sft",
            folder="stages/x",
            manifest={"seconds": 1.5},
            started="2026-11-30T10:00:00+00:00",
            finished="2026-11-30T11:00:00+00:00",
        )
    )


def copied(source: Store, target: Store) -> Copied:
    """What a copy says."""
    return copy_store(source, target, lambda *_: None)


def everything(store: Store) -> dict[str, Any]:
    """What a store holds, but for runs that are under way."""
    runs = [run for run in store.runs.find() if run.finished]
    return {
        "runs": runs,
        "rows": {run.id: list(store.runs.rows(run.id)) for run in runs},
        "models": [store.models.get(run.model, run.fingerprint) for run in runs],
        "raters": store.preferences.raters(),
        "preferences": store.preferences.find(),
        "studies": store.studies.find(),
        "votes": store.studies.votes("blind"),
        "stages": store.stages.find(),
    }


def test_everything_arrives(store: Store, elsewhere: str) -> None:
    """From any database to any other; a second copy finds nothing to do."""
    filled(store)
    with Store.open(elsewhere) as target:
        first, second = copied(store, target), copied(store, target)

        assert everything(store) == everything(target)
        assert [] == target.integrity.complaints() == list(differences(store, target))
        under_way = kept("c", asked="c")
        assert {under_way.key} == target.answers.known([under_way.key]).keys()
        assert first.new == first.found == second.found
        assert {0} == set(second.new.values())
        assert {"answers": 4, "runs": 2, "votes": 2, "preferences": 1}.items() <= first.new.items()


def test_several_stores_become_one(store: Store, elsewhere: str) -> None:
    """What is in the target stays, and what both hold is there once."""
    ran(store, "one", "shared", "mine")
    with Store.open(elsewhere) as target:
        ran(target, "other", "shared", "theirs")
        done = copied(store, target)

        assert (2, 3, 1) == (done.found["answers"], target.integrity.counts()["answers"], done.new["answers"])
        assert ["one", "other"] == sorted(run.id for run in target.runs.find())
        assert [] == target.integrity.complaints() == list(differences(store, target))


def test_a_run_whose_answers_are_others_there_is_left_out(store: Store, elsewhere: str) -> None:
    """Its scores are of other texts. How long an answer took makes no difference."""
    ran(store, "one", "a", "b")
    with Store.open(elsewhere) as target:
        begun(target, "begun")
        slow = replace(kept("a", asked="a"), answer=replace(kept("a").answer, seconds=9.0))
        target.answers.keep([slow, kept("another", asked="b")])
        done = copied(store, target)

        assert [] == [run for run in target.runs.find() if run.finished]
        assert "another" in [each.text for each in target.answers.known([kept("", asked="b").key]).values()]  # type: ignore[union-attr]
    [line] = done.left_out
    assert "run one of 'sft' and 'truthfulqa': the target holds other answers to 1 of its requests" in line


def test_an_answer_takes_the_place_of_a_refusal(store: Store, elsewhere: str) -> None:
    """As it does within one store."""
    store.answers.keep([kept("said", asked="q")])
    with Store.open(elsewhere) as target:
        refused = Response(text="", stop_reason="refused", reason="no")
        target.answers.keep([replace(kept("", asked="q"), answer=refused)])
        copied(store, target)
        assert ["said"] == [each.text for each in target.answers.known([kept("", asked="q").key]).values()]  # type: ignore[union-attr]


class Killed(BaseException):
    """The process ends here."""


@pytest.mark.parametrize("stop", range(1, 7))
def test_a_copy_that_is_stopped_goes_on(store: Store, elsewhere: str, stop: int) -> None:
    """Wherever it was: a run is there once all of it is."""
    filled(store)
    seen = 0

    def stopping(*_: object) -> None:
        nonlocal seen
        seen += 1
        if seen == stop:
            raise Killed

    with Store.open(elsewhere) as target:
        with pytest.raises(Killed):
            copy_store(store, target, stopping)
        copied(store, target)
        assert everything(store) == everything(target)


def test_another_blind_test_of_the_name_stays(store: Store, elsewhere: str) -> None:
    """Its votes are not mixed with those of another design; equal designs gather votes, each once."""
    store.studies.keep(STUDY)
    store.studies.keep_votes([vote("1"), vote("2", rater="bia")])
    with Store.open(elsewhere) as target:
        target.studies.keep(replace(STUDY, commitment="sha256:b"))
        assert ["blind test 'blind': the target has another one of this name"] == copied(
            store, target
        ).left_out
        assert [] == target.studies.votes("blind")
        with Store.open("sqlite://") as third:
            third.studies.keep(STUDY)
            third.studies.keep_votes([vote("2", rater="bia"), vote("3")])
            copied(store, third)
            assert ["1", "2", "3"] == sorted(each.token for each in third.studies.votes("blind"))


def test_what_is_not_the_same_is_named(store: Store, elsewhere: str) -> None:
    """Reading both again shows an answer and a run that a copy did not bring over as they are."""
    filled(store)
    with Store.open(elsewhere) as target:
        copied(store, target)
        with create_engine(elsewhere).begin() as connection:
            connection.exec_driver_sql("UPDATE scores SET numbers = '[[0.5]]' WHERE run = 'two'")
        assert ["run two of 'dpo' and 'truthfulqa'"] == list(differences(store, target))
        with create_engine(elsewhere).begin() as connection:
            connection.exec_driver_sql("UPDATE answers SET text = '\"changed\"'")
        assert 4 + 2 == len(list(differences(store, target)))


def test_a_copy_of_two_models_keeps_them_apart(store: Store, elsewhere: str) -> None:
    """One question to two models has two answers, also where they have other numbers."""
    with Store.open(elsewhere) as target:
        target.answers.keep([kept("first", asked="another", fingerprint="sha256:zzz")])
        ours, theirs = kept("ours"), kept("theirs", fingerprint="sha256:other")
        store.answers.keep([ours, theirs])
        copied(store, target)
        known = target.answers.known([ours.key, theirs.key])
        assert ["ours", "theirs"] == [known[each.key].text for each in (ours, theirs)]  # type: ignore[union-attr]
        assert FINGERPRINT == ours.fingerprint
        assert [] == target.integrity.complaints()
