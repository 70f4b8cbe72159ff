"""A judge in words: what it is asked in which order, what its replies say, and who it is."""

from collections import Counter
from dataclasses import replace
from typing import Any

import pytest

from harness.preferences.named import IDENTICAL
from harness.records.answers import Message, Response
from suites.judge.judges import without_asking
from suites.judge.templates import TEMPLATES
from tests.suites.judge.made import pair, pairwise


def says(text: str) -> Response:
    """A reply that is kept."""
    return Response(text=text, stop_reason="end", key=f"key {text}", seconds=0.5)


def test_both_orders() -> None:
    """Left first, then right first; the letter stands for the answer shown there."""
    judge, asked = pairwise(), pair(left="LLL", right="RRR")
    one, other = (prompt.content[0] for prompt in judge.prompts(asked))
    assert isinstance(one, Message)
    assert isinstance(other, Message)
    assert one.content.index("LLL") < one.content.index("RRR")
    assert other.content.index("RRR") < other.content.index("LLL")

    first, second = judge.preferences(asked, [says("A"), says("A")])
    assert ("left", "left") == (first.shown_first, first.winner)
    assert ("right", "right") == (second.shown_first, second.winner)
    assert ("s", "run-l", "run-r", judge.rater.id) == (
        first.sample,
        first.left_run,
        first.right_run,
        first.rater,
    )
    assert ("key A", 0.5, None) == (first.reply, first.seconds, first.reason)


@pytest.mark.parametrize(
    ("said", "winners"), [("A", ("left", "right")), ("B", ("right", "left")), ("tie", ("tie", "tie"))]
)
def test_what_letters_mean(said: str, winners: tuple[str, str]) -> None:
    """By the order in which the answers were shown."""
    chosen = pairwise().preferences(pair(), [says(said), says(said)])
    assert winners == tuple(each.winner for each in chosen)


def test_one_order_is_drawn_from_seed_and_pair() -> None:
    """The same again for the same seed, another for another, and about as often either side."""
    pairs = [pair(f"s{number}") for number in range(400)]

    def firsts(seed: int) -> list[str]:
        judge = pairwise(order="one", seed=seed)
        return [judge.preferences(each, [says("A")])[0].shown_first for each in pairs]

    assert firsts(0) == firsts(0)
    assert firsts(0) != firsts(1)
    assert 160 < Counter(firsts(0))["left"] < 240
    assert all(1 == len(pairwise(order="one").prompts(each)) for each in pairs)


def test_one_order_is_the_same_from_either_side() -> None:
    """Whichever model is named first: the same answer is shown first, and nothing is asked a second time."""
    judge = pairwise(order="one")
    for number in range(20):
        asked = pair(f"s{number}")
        turned = replace(asked, left_run="run-r", right_run="run-l", left=asked.right, right=asked.left)
        assert judge.prompts(asked) == judge.prompts(turned)


def test_an_unreadable_reply_is_no_verdict() -> None:
    """And its reply can be looked up."""
    chosen, _ = pairwise().preferences(pair(), [says("hm"), says("A")])
    assert (None, "unreadable: 'hm'", "key hm") == (chosen.winner, chosen.reason, chosen.reply)


@pytest.mark.parametrize(
    "other",
    [
        {"fingerprint": "g"},
        {"template": TEMPLATES["pairwise"]},
        {"criteria": ("honest",)},
        {"order": "one"},
        {"form": "schema"},
        {"max_tokens": 17},
        {"name": "other"},
    ],
)
def test_another_way_of_asking_is_another_rater(other: dict[str, Any]) -> None:
    """The id is made of what verdicts depend on, and the details hold it in full."""
    usual, changed = pairwise().rater, pairwise(**other).rater
    assert usual.id.startswith("judge:judge:")
    assert usual.id != changed.id
    if "name" not in other:
        assert usual.details != changed.details


def test_the_seed_matters_only_where_it_draws() -> None:
    """Both orders are the same questions, whatever the seed."""
    assert pairwise(seed=0).rater == pairwise(seed=1).rater
    assert pairwise(order="one", seed=0).rater != pairwise(order="one", seed=1).rater


def test_a_judge_without_turns_continues_a_text() -> None:
    """And one whose service takes a schema is held to it."""
    [text, _] = pairwise(has_turns=False).prompts(pair())
    assert isinstance(text.content, str)
    assert text.schema is None
    [held, _] = pairwise(form="schema").prompts(pair())
    assert held.schema is not None


def test_nobody_is_asked_about_what_is_known() -> None:
    """Identical answers are a tie with its reason; a missing answer is no verdict, with its own."""
    judge = pairwise()
    same = without_asking(judge, pair(left="same ", right="same"))
    assert same is not None
    assert ("tie", IDENTICAL) == (same.winner, same.reason)
    gone = without_asking(judge, pair(left_stopped="failed", reason="503"))
    assert gone is not None
    assert (None, "no answer to judge (failed: 503)") == (gone.winner, gone.reason)
    both_gone = without_asking(judge, pair(left="", right="", left_stopped="failed", right_stopped="failed"))
    assert both_gone is not None
    assert both_gone.winner is None
    assert without_asking(judge, pair()) is None


def test_an_answer_that_comes_later_replaces_its_absence() -> None:
    """What is said of a missing answer stands in the order that will be asked, and leaves no row behind."""
    judge = pairwise(order="one")
    for number in range(20):
        absent = without_asking(judge, pair(f"s{number}", left_stopped="failed"))
        assert absent is not None
        [later] = judge.preferences(pair(f"s{number}"), [says("A")])
        assert absent.shown_first == later.shown_first
