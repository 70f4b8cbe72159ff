"""Nothing that a rater gets tells whose an answer is, or which ballot is a repeat or a check."""

import json
from collections import Counter
from dataclasses import asdict, replace
from math import comb

import pytest
from scipy.stats import binomtest, chisquare

from suites.blind.ballots import as_seen
from suites.blind.checks import Check
from suites.blind.design import Design, Item, SealedBallot
from tests.suites.blind.made import PLAN, design, pairs

MANY = 200
"""Designs that are drawn; with 40 ballots each, a leaning of 2 % would show."""
PLENTY = replace(PLAN, raters=("ana", "bia"), per_rater=20, overlap=6, repeats=3, checks=2)

NEVER = 1e-7
"""A p-value that is no accident: ids come from the operating system's randomness, which no test can seed."""


@pytest.fixture(scope="module")
def designs() -> list[Design]:
    """Many designs of the same answers, each with a seed of its own."""
    return [design(PLENTY, seed=f"blindness {number}") for number in range(MANY)]


def all_ballots(designs: list[Design]) -> list[tuple[int, SealedBallot]]:
    """All ballots with their places."""
    return [
        (place, ballot)
        for each in designs
        for assignment in each.assignments.values()
        for place, ballot in enumerate(assignment.ballots)
    ]


def a_is_left(ballot: SealedBallot) -> bool:
    """Whether the first model's answer, or a check's good one, is on the left of the screen."""
    return not ballot.mirrored


def test_a_ballot_has_nothing_but_texts_and_an_id() -> None:
    """What leaves the ballot box has these fields, and no model's, run's or sample's name is in them."""
    made = design(of=pairs(30))
    for assignment in made.assignments.values():
        for ballot in assignment.ballots:
            seen = asdict(as_seen(made, ballot))
            assert ["id", "left", "left_cut", "prompt", "right", "right_cut"] == sorted(seen)
            assert not any(name in json.dumps(seen) for name in ("run-", "mirrored", "repeats", "check"))


def test_sides_carry_no_information(designs: list[Design]) -> None:
    """Each model, and each check's good answer, is on the left in half of the ballots."""
    for kind in (Item, Check):
        left = [a_is_left(ballot) for _, ballot in all_ballots(designs) if isinstance(ballot.shown, kind)]
        assert binomtest(sum(left), len(left)).pvalue > 1e-3


def test_places_carry_no_information_on_sides(designs: list[Design]) -> None:
    """At every place of the order, and between neighbours, sides are even."""
    table = Counter((place, a_is_left(ballot)) for place, ballot in all_ballots(designs))
    for place in range(PLENTY.per_rater):
        left, right = table[place, True], table[place, False]
        assert binomtest(left, left + right).pvalue > 1e-3 / PLENTY.per_rater


def test_the_first_side_tells_nothing_of_the_others_sides(designs: list[Design]) -> None:
    """Two raters see an item of the overlap on the same sides half of the time."""
    same = []
    for each in designs:
        ana, bia = (
            {s.shown: s.mirrored for s in assignment.ballots if not s.repeats}
            for assignment in each.assignments.values()
        )
        same += [ana[shown] == bia[shown] for shown in ana if shown in bia and isinstance(shown, Item)]
    assert binomtest(sum(same), len(same)).pvalue > 1e-3


def test_ids_carry_no_information(designs: list[Design]) -> None:
    """The first digit of an id is as likely any of 16 for left and right, repeats, checks and items."""
    for kind in (
        lambda ballot: a_is_left(ballot),
        lambda ballot: ballot.repeats is not None,
        lambda ballot: isinstance(ballot.shown, Check),
    ):
        for answer in (True, False):
            ids = [ballot.id for _, ballot in all_ballots(designs) if kind(ballot) == answer]
            digits = Counter(each[0] for each in ids)
            assert chisquare([digits[f"{digit:x}"] for digit in range(16)]).pvalue > NEVER


def test_ids_do_not_order_ballots(designs: list[Design]) -> None:
    """Sorting by id says nothing of which was drawn first, such as an item before its repeat."""
    ids = {ballot.id: ballot for _, ballot in all_ballots(designs)}
    before = [ballot.repeats < ballot.id for ballot in ids.values() if ballot.repeats]
    assert binomtest(sum(before), len(before)).pvalue > NEVER


def test_these_tests_would_see_a_leak(designs: list[Design]) -> None:
    """With sides that lean by 3 %, the test of sides fails: it is sharp enough to mean something."""
    ballots = len(all_ballots(designs))
    assert binomtest(round(0.53 * ballots), ballots).pvalue < 1e-3
    assert comb(20, 10) > MANY  # designs are far fewer than the ways of drawing one rater's sides
