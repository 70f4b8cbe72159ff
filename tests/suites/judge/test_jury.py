"""A jury: the majority of what its judges say over their orders, and nothing made up."""

import pytest

from harness.preferences.named import IDENTICAL
from harness.records.preferences import Winner
from suites.judge.judges import preference
from suites.judge.jury import jury_of, jury_preferences
from tests.suites.judge.made import pair, pairwise

ONE, TWO, THREE = (pairwise(name=name).rater for name in ("one", "two", "three"))
JURY = jury_of([ONE, TWO, THREE])


@pytest.mark.parametrize(
    ("words", "winner"),
    [
        (("left", "left", "right"), "left"),
        (("left", "left", "tie"), "left"),
        (("left", "right", "tie"), "tie"),
        (("tie", "tie", "left"), "tie"),
        (("left", "right", None), "tie"),
        (("right", "right", None), "right"),
        (("left", "tie", None), "tie"),
        (("left", None, None), None),
        ((None, None, None), None),
    ],
)
def test_the_majority(words: tuple[Winner | None, ...], winner: Winner | None) -> None:
    """More than half of the usable words, of which there must be two; a tie where nothing has it."""
    asked = pair()
    said = {
        rater.id: [preference(asked, rater, "left", one)]
        for rater, one in zip((ONE, TWO, THREE), words, strict=True)
    }
    [found] = jury_preferences(JURY, [asked], said)
    assert (winner, JURY.id) == (found.winner, found.rater)
    assert (found.reason is None) == (winner is not None)


def test_only_what_was_asked_is_decided() -> None:
    """A pair about which no member said anything has no verdict, not even an empty one."""
    asked, other = pair("asked"), pair("other")
    said = {rater.id: [preference(asked, rater, "left", "left")] for rater in (ONE, TWO)}
    assert ["asked"] == [each.sample for each in jury_preferences(JURY, [other, asked], said)]


def test_identical_answers_stay_apart() -> None:
    """They are a tie of the jury's for the same reason as of its members."""
    same = pair(left="x", right="x")
    said = {rater.id: [preference(same, rater, "left", "tie", IDENTICAL)] for rater in (ONE, TWO)}
    [found] = jury_preferences(JURY, [same], said)
    assert ("tie", IDENTICAL) == (found.winner, found.reason)


def test_who_a_jury_is() -> None:
    """Its members, in whatever order they are named."""
    assert jury_of([TWO, ONE]) == jury_of([ONE, TWO])
    assert jury_of([ONE, TWO]) != JURY
    assert JURY.id.startswith("jury:")
    assert 2 == len(JURY.id.split(":"))
