"""Preferences out of the store: whose, of which runs, and with what a preference needs of the answers."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from harness.named_preferences import caveats, named_preferences
from harness.preferences.named import IDENTICAL
from harness.records.answers import Response, Row, Sample
from harness.records.preferences import Preference, Rater, Study, Vote
from harness.store import Store
from tests.harness.preferences.kept import judged, keep_answers
from tests.reports.boards import run_of


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    """An empty store."""
    with Store.open(f"sqlite:///{tmp_path}/results.db") as store:
        yield store


def outdated(store: Store, *names: str, **how: Any) -> int:
    """How many preferences the caveats say are about earlier answers."""
    noted = [note for note in caveats(store, names, **how) if "about earlier answers" in note]
    return sum(int(note.partition(" ")[0]) for note in noted)


def test_a_judgement_knows_models_lengths_and_clusters(store: Store) -> None:
    """Names, characters of both answers, the prompt's cluster, and what the rater said of the pair."""
    sft, dpo = (
        keep_answers(store, name, [f"{name} says", "x"], clusters=["c", None]) for name in ("sft", "dpo")
    )
    judged(store, sft, dpo, ["right", None], shown_first="right", reasons=[None, "refused"], seconds=2.0)

    first, second = named_preferences(store)

    assert ("prompts:tried/q0", "prompts:tried/c") == (first.item, first.unit)
    assert ("sft", "dpo", "judge:gpt", "judge") == (first.left, first.right, first.rater, first.kind)
    assert ("right", "right", 2.0) == (first.winner, first.shown_first, first.seconds)
    assert (len("sft says"), len("dpo says")) == (first.left_length, first.right_length)
    assert (None, "refused", "prompts:tried/q1") == (second.winner, second.reason, second.unit)


def test_whichever_side_a_model_stood_on(store: Store) -> None:
    """Pairs are found in both directions, and only between the models that are named."""
    sft, dpo, grpo = (keep_answers(store, name, ["a"]) for name in ("sft", "dpo", "grpo"))
    for left, right in [(sft, dpo), (dpo, sft), (grpo, sft)]:
        judged(store, left, right, ["left"])

    assert {("sft", "dpo"), ("dpo", "sft")} == {
        (each.left, each.right) for each in named_preferences(store, ["dpo", "sft"])
    }
    assert 3 == len(named_preferences(store))
    assert [] == named_preferences(store, ["sft"])


def test_only_the_newest_answers_count(store: Store) -> None:
    """What was said of an earlier run, or of one that is not whole, is about other answers; it is counted."""
    old, new, dpo = (
        keep_answers(store, "sft", ["a"], run_id="old", finished="2026-01-01T00:00:00+00:00"),
        keep_answers(store, "sft", ["b"], run_id="new"),
        keep_answers(store, "dpo", ["c"]),
    )
    unfinished = keep_answers(store, "sft", ["d"], run_id="later", finished=None)
    for run, winner in [(old, "left"), (new, "right"), (unfinished, "tie")]:
        judged(store, run, dpo, [winner])

    assert ["right"] == [each.winner for each in named_preferences(store)]
    assert (2, 0) == (outdated(store), outdated(store, "dpo", "grpo"))


def test_a_run_of_fewer_prompts_hides_nothing(store: Store) -> None:
    """What was said of the same answers counts, whichever run it is about; of those in both, once."""
    for run_id, finished, answers in [
        ("all", "2026-01-01T00:00:00+00:00", ["a", "b", "c"]),
        ("few", "2026-01-02T00:00:00+00:00", ["a", "B"]),
    ]:
        sft, dpo = (
            keep_answers(store, name, answers, run_id=f"{name}-{run_id}", finished=finished)
            for name in ("sft", "dpo")
        )
        judged(store, sft, dpo, ["left", "right", "right"][: len(answers)])

    found = named_preferences(store)

    assert [("q0", "left"), ("q1", "right"), ("q2", "right")] == sorted(
        (each.item.partition("/")[2], str(each.winner)) for each in found
    )
    assert 1 == outdated(store)  # the text of q1 has changed since


@pytest.mark.parametrize("changes", [{"settings": {"temperature": 1.0}}, {"seed": 1}])
def test_runs_that_were_asked_otherwise_are_not_joined(store: Store, changes: dict[str, Any]) -> None:
    """Answers of another sampling or seed are others, though the newest run lacks their prompts."""
    for name in ("sft", "dpo"):
        old = replace(run_of(name, "prompts:tried", run_id=f"{name}-old"), **changes)
        store.models.keep(name, old.fingerprint, {"path": name}, {}, None)
        store.runs.begin(replace(old, finished=None))
        row = Row(
            sample=Sample(id="q1", prompt="p"), responses=(Response(text="x", stop_reason="end"),), scores=()
        )
        store.runs.keep_rows(old.id, [(0, row)])
        store.runs.finish(old.id, "2026-01-01T00:00:00+00:00")
        keep_answers(store, name, ["a"], run_id=f"{name}-new", finished="2026-01-02T00:00:00+00:00")
    said = Preference(
        sample="q1",
        left_run="sft-old",
        right_run="dpo-old",
        shown_first="left",
        winner="left",
        rater="judge:gpt",
    )
    store.preferences.keep_rater(Rater(id="judge:gpt", kind="judge", name="gpt"))
    store.preferences.keep([said])

    assert ([], 1) == (named_preferences(store), outdated(store))


def test_the_same_order_of_a_pair_is_one_judgement(store: Store) -> None:
    """Judged as sft and dpo, and again as dpo and sft, a pair was shown in each order once."""
    sft, dpo = keep_answers(store, "sft", ["a"]), keep_answers(store, "dpo", ["b"])
    for left, right, winner in [(sft, dpo, "left"), (dpo, sft, "right")]:
        for shown_first in ("left", "right"):
            judged(store, left, right, [winner], shown_first=shown_first)

    found = [each.facing("sft") for each in named_preferences(store)]

    assert [("left", "left"), ("right", "left")] == sorted(
        (str(each.shown_first), str(each.winner)) for each in found
    )
    assert 0 == outdated(store)


def test_a_name_that_stands_for_other_weights_now(store: Store) -> None:
    """Where it is known what a name stands for, what was said of the former model does not count."""
    sft, dpo = keep_answers(store, "sft", ["a"]), keep_answers(store, "dpo", ["b"])
    judged(store, sft, dpo, ["right"])

    assert 1 == len(named_preferences(store, fingerprints={"sft": {sft.fingerprint}}))
    assert [] == named_preferences(store, fingerprints={"sft": {"sha256:retrained"}})
    assert 1 == outdated(store, fingerprints={"sft": {"sha256:retrained"}})


def test_prompts_of_two_sets_are_different_items(store: Store) -> None:
    """Equal ids in two sets of prompts are two items, and both sets are judged."""
    for suite in ("prompts:one", "prompts:two"):
        sft, dpo = (keep_answers(store, name, ["a"], suite=suite) for name in ("sft", "dpo"))
        judged(store, sft, dpo, ["tie"])

    assert {"prompts:one/q0", "prompts:two/q0"} == {each.item for each in named_preferences(store)}


def test_identical_answers_are_told_by_their_reason(store: Store) -> None:
    """They come out of the store as they went in."""
    sft, dpo = keep_answers(store, "sft", ["a"]), keep_answers(store, "dpo", ["a"])
    judged(store, sft, dpo, ["tie"], reasons=[IDENTICAL])

    assert [True] == [each.identical for each in named_preferences(store)]


def test_a_sealed_blind_test_says_nothing(store: Store) -> None:
    """Votes are no preferences: before it is unsealed, nobody's choice is among the preferences."""
    sft, dpo = keep_answers(store, "sft", ["a"]), keep_answers(store, "dpo", ["b"])
    study = Study(
        name="first", created="2026-11-24T00:00:00+00:00", design={"left": sft.id}, commitment="sha256:x"
    )
    store.studies.keep(study)
    vote = Vote(
        study="first", rater="ana", ballot="b1", choice="left", token="t", at="2026-11-24T00:00:01+00:00"
    )
    store.studies.keep_votes([vote])

    assert [] == named_preferences(store, ["sft", "dpo"])
    assert [] == named_preferences(store, [dpo.model, sft.model])


def test_whom_the_audit_flagged_is_told(store: Store) -> None:
    """Votes of a flagged rater count, and nobody reads them without knowing; others are not named."""
    sft, dpo = keep_answers(store, "sft", ["a"]), keep_answers(store, "dpo", ["b"])
    for rater, flags in [("human:first:ana", ["2 of 3 checks missed"]), ("human:first:bia", [])]:
        judged(store, sft, dpo, ["left"], rater=rater)
        store.preferences.keep_rater(Rater(id=rater, kind="human", name=rater, details={"flags": flags}))

    (note,) = caveats(store, ["sft", "dpo"])

    assert note.startswith("human:first:ana: the audit advises not to rely on these votes")
    assert note.endswith("2 of 3 checks missed")
    assert [] == caveats(store, ["sft", "other"])
