"""The seal: what was drawn can be proved, and what was changed is refused."""

import json
import secrets
from dataclasses import replace
from itertools import count
from pathlib import Path

import pytest
from sqlalchemy import create_engine, text

from harness.errors import StoreError, UsageError
from harness.records.answers import Message, Response
from harness.store import canonical, digest
from suites.blind.ballots import BallotBox
from suites.blind.design import Item
from suites.blind.sealing import as_json, from_json, open_design, seal
from tests.suites.blind.made import design, kept, pairs


def test_a_sealed_design_opens_as_it_was(tmp_path: Path) -> None:
    """Through the store and back, nothing is lost."""
    store, study, made = kept(tmp_path)
    [read] = store.studies.find()
    assert study == read
    assert made == open_design(read, study.commitment)


def test_what_was_cut_is_sealed(tmp_path: Path) -> None:
    """Which answers were cut comes back; where none was, a design is written as it always was."""
    given_ = [replace(each, right=replace(each.right, stop_reason="length")) for each in pairs()["A", "B"]]
    cut = design(of={("A", "B"): given_})
    assert cut == from_json(as_json(cut))
    assert {frozenset("B")} == {each.cut for each in cut.questions.values()}
    assert not any("cut" in each for each in as_json(design())["questions"])  # type: ignore[union-attr, operator]


def test_what_was_left_out_is_sealed() -> None:
    """Pairs of equal answers come back with their models, in a study as in its JSON."""
    given = list(pairs()["A", "B"])
    given[3] = replace(given[3], left=given[3].right)
    made = design(of={("A", "B"): given})

    assert (Item(sample="s3", left="A", right="B"),) == made.left_out.identical
    assert [["s3", "A", "B"]] == as_json(made)["left_out"]["identical"]  # type: ignore[index, call-overload]
    assert made == from_json(as_json(made))


def test_turns_are_sealed_too() -> None:
    """A prompt that is a conversation comes back as turns."""
    turns = (Message(role="system", content="Be brief."), Message(role="user", content="Why?"))
    given = [replace(each, sample=replace(each.sample, prompt=turns)) for each in pairs()["A", "B"]]
    made = design(of={("A", "B"): given})
    assert turns == next(iter(open_design(seal(made)).questions.values())).prompt


def test_the_commitment_is_the_hash_of_the_canonical_design() -> None:
    """Anybody can check it with `sha256sum` over the JSON with sorted keys and no spaces."""
    study = seal(design())
    assert study.commitment == digest(study.design)
    assert canonical(study.design) == json.dumps(study.design, sort_keys=True, separators=(",", ":"))


def test_a_design_is_drawn_and_written_as_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    """The bytes of a sealed design, its drawing and its names: a store of any version opens by them."""
    numbers = count()
    monkeypatch.setattr(secrets, "token_hex", lambda size: f"{next(numbers):0{2 * size}x}")
    monkeypatch.setattr(secrets, "token_urlsafe", lambda size: f"{next(numbers):0{size}d}")
    cut = replace(pairs()["A", "B"][0], right=Response(text="B", stop_reason="length"))
    drawn = design(of={("A", "B"): [cut, *pairs()["A", "B"][1:]]}, seed="golden")
    assert "sha256:e36dd991c99c61a4fdae742e03e0cb217f31f32debbbbfb2821c3024b114620e" == seal(drawn).commitment


def test_the_commitment_does_not_give_the_sides_away() -> None:
    """The same order and sides have another commitment each time: trying all designs finds none."""
    assert seal(design(seed="7")).commitment != seal(design(seed="7")).commitment


def exchanged(folder: Path) -> str:
    """Exchange a ballot's sides in the store behind everybody's back; the new design's hash."""
    engine = create_engine(f"sqlite:///{folder / 'store.db'}")
    with engine.begin() as connection:
        written = json.loads(connection.scalar(text("select design from studies")))  # type: ignore[arg-type]
        ballot = written["sheets"]["ana"]["ballots"][0]
        ballot["mirrored"] = not ballot["mirrored"]
        connection.execute(text("update studies set design = :design"), {"design": canonical(written)})
    engine.dispose()
    return digest(written)


def test_a_design_that_was_changed_in_the_store_is_refused(tmp_path: Path) -> None:
    """One exchanged side, and no ballot box opens."""
    store, _, _ = kept(tmp_path)
    exchanged(tmp_path)
    with pytest.raises(
        StoreError,
        match=r"was CHANGED in the store after it was sealed.*Restore the store from a copy made before$",
    ):
        BallotBox(store, "test")


def test_who_changes_the_commitment_too_is_found_out_by_the_printed_one(tmp_path: Path) -> None:
    """The commitment in the store is only as good as the store; the noted one is not in it."""
    store, study, _ = kept(tmp_path)
    new = exchanged(tmp_path)
    engine = create_engine(f"sqlite:///{tmp_path / 'store.db'}")
    with engine.begin() as connection:
        connection.execute(text("update studies set commitment = :new"), {"new": new})
    engine.dispose()
    [changed] = store.studies.find()
    open_design(changed)
    with pytest.raises(
        UsageError,
        match=r"and not sha256:\w+: it is another test, or both its design and its commitment were CHANGED",
    ):
        open_design(changed, study.commitment)


def test_another_studys_design_is_no_substitute(tmp_path: Path) -> None:
    """A sealed design put under another name is refused: the name is sealed with it."""
    other = seal(design(name="other"))
    with pytest.raises(UsageError, match="another version"):
        open_design(replace(other, name="test"))
