"""Preferences: which way they face, and what several orders of one pair come to."""

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.preferences.named import IDENTICAL, NamedPreference, agreed, over_orders

RIGHT = NamedPreference(
    item="q1",
    left="sft",
    right="dpo",
    rater="gpt",
    kind="judge",
    winner="right",
    shown_first="left",
    left_length=10,
    right_length=14,
)


def test_facing_the_other_way() -> None:
    """Everything that has a side changes it, and a share is what is left of the whole."""
    turned = replace(RIGHT, share=0.75).facing("dpo")

    assert ("dpo", "sft", "left", "right") == (turned.left, turned.right, turned.winner, turned.shown_first)
    assert (0.25, -4) == (turned.value, turned.longer_by)


@given(
    st.sampled_from(["left", "right", "tie", None]),
    st.sampled_from(["left", "right", None]),
    st.sampled_from([None, 0.25, 0.5, 1.0]),
)
def test_turning_twice_changes_nothing(winner: Any, shown_first: Any, share: float | None) -> None:
    """The model on the left is all that turning asks for."""
    preference = replace(RIGHT, winner=winner, shown_first=shown_first, share=share)

    assert preference == preference.facing("dpo").facing("sft")
    assert preference == preference.facing("sft")


@pytest.mark.parametrize(
    ("orders", "winner"),
    [
        (("left", "left"), "left"),
        (("left", "right"), "tie"),
        (("left", "tie"), "tie"),
        (("tie", "tie"), "tie"),
        (("left", None), None),
        ((None, None), None),
        (("right",), "right"),
        ((), None),
    ],
)
def test_what_orders_agree_on(orders: Any, winner: Any) -> None:
    """Orders that disagree are a tie; one without a winner makes the pair unusable."""
    assert winner == agreed(orders)


@pytest.mark.parametrize(
    ("first", "second", "value"),
    [
        ("right", "right", 1.0),
        ("left", "left", 0.0),
        ("tie", "tie", 0.5),
        ("left", "right", 0.5),
        ("right", "tie", 0.5),
        ("left", "tie", 0.5),
    ],
)
def test_two_orders_are_one_choice(first: Any, second: Any, value: float) -> None:
    """What both orders say is kept; whatever they disagree in is a tie."""
    orders = [replace(RIGHT, winner=first), replace(RIGHT, winner=second, shown_first="right")]

    [choice] = over_orders(orders)

    assert (value, "q1", 4) == (choice.value, choice.unit, choice.longer_by)


def test_shares_of_two_orders_are_averaged() -> None:
    """A judge that says how sure it is need not be cut to a tie."""
    orders = [replace(RIGHT, share=0.75), replace(RIGHT, winner="left", share=0.375, shown_first="right")]

    assert [0.5625] == [choice.value for choice in over_orders(orders)]


def test_an_order_without_an_answer_leaves_none() -> None:
    """The other order alone would be biased towards a side; the reason is kept, and counted."""
    orders = [RIGHT, replace(RIGHT, winner=None, shown_first="right", reason="refused")]

    [choice] = over_orders(orders)

    assert (None, None, "refused") == (choice.value, choice.verdict, choice.reason)


def test_raters_and_items_are_kept_apart() -> None:
    """One choice for each rater and item, in the order in which they first occur."""
    given_ = [
        RIGHT,
        replace(RIGHT, rater="ana"),
        replace(RIGHT, item="q2"),
        replace(RIGHT, shown_first="right"),
    ]

    assert [("gpt", "q1"), ("ana", "q1"), ("gpt", "q2")] == [
        (each.rater, each.item) for each in over_orders(given_)
    ]


def test_a_tie_of_identical_answers_is_known_by_its_reason() -> None:
    """Only a tie can be one: a winner with that reason is a winner."""
    assert replace(RIGHT, winner="tie", reason=IDENTICAL).identical
    assert not replace(RIGHT, reason=IDENTICAL).identical
    assert not replace(RIGHT, winner="tie", reason="both bad").identical
