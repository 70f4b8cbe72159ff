"""Replaying votes: what stands, what is open, and what counts for nothing."""

from typing import get_args

from hypothesis import given
from hypothesis import strategies as st

from harness.records.preferences import Vote
from suites.blind.replay import replay

ORDER = ("a", "b", "c", "d")
CHOICES = ["left", "right", "tie", "bad", "skip", "undo"]


def votes(*acts: str) -> list[Vote]:
    """Votes such as `a left`."""
    return [
        Vote(
            study="test",
            rater="ana",
            ballot=act.split()[0],
            choice=act.split()[1],  # type: ignore[arg-type]  # the choices above
            token=str(number),
            at="2026-11-24T10:00:00+00:00",
        )
        for number, act in enumerate(acts)
    ]


def test_the_table_of_choices_is_whole() -> None:
    """The tests know every choice that a vote can have."""
    assert CHOICES == list(get_args(Vote.__annotations__["choice"]))


def test_a_second_choice_counts_for_nothing() -> None:
    """The first of two votes on a ballot stands; the other stays in the record as ignored."""
    state = replay(ORDER, votes("a left", "a right"))
    assert "left" == state.standing["a"].choice
    assert ["right"] == [vote.choice for vote in state.ignored]


def test_undo_takes_back_the_ballots_last_choice() -> None:
    """It is open again and comes first, and another choice stands then."""
    state = replay(ORDER, votes("a left", "b tie", "a undo"))
    assert ("a", "c", "d") == state.open
    assert ["left"] == [vote.choice for vote in state.undone]
    assert "right" == replay(ORDER, votes("a left", "a undo", "a right")).standing["a"].choice


def test_undo_with_nothing_to_take_back_counts_for_nothing() -> None:
    """Two tabs that undo the same choice undo it once."""
    state = replay(ORDER, votes("a left", "a undo", "a undo"))
    assert (1, 1) == (len(state.undone), len(state.ignored))


def test_skipped_ballots_come_again_at_the_end_as_they_were_skipped() -> None:
    """Those never touched first, then skipped ones in the order of skipping."""
    assert ("c", "d", "b", "a") == replay(ORDER, votes("b skip", "a skip")).open


def test_a_ballot_skipped_twice_is_done() -> None:
    """It stays without a choice, and the rater can end."""
    state = replay(ORDER, votes("a skip", "b left", "c left", "d left", "a skip"))
    assert () == state.open
    assert "skip" == state.standing["a"].choice


def test_a_taken_back_skip_is_as_if_it_had_not_been() -> None:
    """Its ballot is at its old place."""
    assert ORDER == replay(ORDER, votes("a skip", "a undo")).open


@given(st.lists(st.tuples(st.sampled_from(ORDER), st.sampled_from(CHOICES)), max_size=40))
def test_every_vote_is_accounted_for(acts: list[tuple[str, str]]) -> None:
    """Each act counts, was taken back, took one back, or is ignored; each ballot is done or open."""
    given_ = votes(*(" ".join(act) for act in acts))
    state = replay(ORDER, given_)
    assert len(given_) == len(state.acts) + 2 * len(state.undone) + len(state.ignored)
    assert sorted(ORDER) == sorted([*state.standing, *state.open])
    for ballot in ORDER:
        choices = [act.choice for act in state.acts if act.ballot == ballot]
        assert sum(choice != "skip" for choice in choices) <= 1


@given(st.lists(st.tuples(st.sampled_from(ORDER), st.sampled_from(CHOICES)), max_size=40))
def test_undo_gives_back_what_was(acts: list[tuple[str, str]]) -> None:
    """Any act that counts, taken back at once, leaves what stood before."""
    given_ = votes(*(" ".join(act) for act in acts))
    before = replay(ORDER, given_)
    for ballot in before.open:
        after = replay(ORDER, [*given_, *votes(f"{ballot} left", f"{ballot} undo")])
        assert (before.acts, ballot) == (after.acts, after.open[0])
