"""Judgements out of the store: whose, of which runs, and with what a judgement needs of the answers."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from harness.judgements import judgements, outdated
from harness.preferences import IDENTICAL
from harness.records import Study, Vote
from harness.store import Store
from tests.harness.preferences.kept import judged, keep_answers


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    """An empty store."""
    with Store.open(f"sqlite:///{tmp_path}/results.db") as store:
        yield store


def test_a_judgement_knows_models_lengths_and_clusters(store: Store) -> None:
    """Names, characters of both answers, the prompt's cluster, and what the rater said of the pair."""
    sft, dpo = (
        keep_answers(store, name, [f"{name} says", "x"], clusters=["c", None]) for name in ("sft", "dpo")
    )
    judged(store, sft, dpo, ["right", None], shown_first="right", reasons=[None, "refused"], seconds=2.0)

    first, second = judgements(store)

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
        (each.left, each.right) for each in judgements(store, ["dpo", "sft"])
    }
    assert 3 == len(judgements(store))
    assert [] == judgements(store, ["sft"])


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

    assert ["right"] == [each.winner for each in judgements(store)]
    assert (2, 0) == (outdated(store), outdated(store, ["dpo", "grpo"]))


def test_a_name_that_stands_for_other_weights_now(store: Store) -> None:
    """Where it is known what a name stands for, what was said of the former model does not count."""
    sft, dpo = keep_answers(store, "sft", ["a"]), keep_answers(store, "dpo", ["b"])
    judged(store, sft, dpo, ["right"])

    assert 1 == len(judgements(store, fingerprints={"sft": {sft.fingerprint}}))
    assert [] == judgements(store, fingerprints={"sft": {"sha256:retrained"}})
    assert 1 == outdated(store, fingerprints={"sft": {"sha256:retrained"}})


def test_prompts_of_two_sets_are_different_items(store: Store) -> None:
    """Equal ids in two sets of prompts are two items, and both sets are judged."""
    for suite in ("prompts:one", "prompts:two"):
        sft, dpo = (keep_answers(store, name, ["a"], suite=suite) for name in ("sft", "dpo"))
        judged(store, sft, dpo, ["tie"])

    assert {"prompts:one/q0", "prompts:two/q0"} == {each.item for each in judgements(store)}


def test_identical_answers_are_told_by_their_reason(store: Store) -> None:
    """They come out of the store as they went in."""
    sft, dpo = keep_answers(store, "sft", ["a"]), keep_answers(store, "dpo", ["a"])
    judged(store, sft, dpo, ["tie"], reasons=[IDENTICAL])

    assert [True] == [each.identical for each in judgements(store)]


def test_a_sealed_blind_test_says_nothing(store: Store) -> None:
    """Votes are no preferences: before it is unsealed, nobody's choice is among the judgements."""
    sft, dpo = keep_answers(store, "sft", ["a"]), keep_answers(store, "dpo", ["b"])
    study = Study(
        name="first", created="2026-11-24T00:00:00+00:00", design={"left": sft.id}, commitment="sha256:x"
    )
    store.keep_study(study)
    vote = Vote(
        study="first", rater="ana", ballot="b1", choice="left", token="t", at="2026-11-24T00:00:01+00:00"
    )
    store.keep_votes([vote])

    assert [] == judgements(store, ["sft", "dpo"])
    assert [] == judgements(store, [dpo.model, sft.model])
