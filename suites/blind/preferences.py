"""Turns votes into preferences, which are analysed with all others."""

from collections.abc import Iterable, Iterator, Sequence

from harness.preferences.named import BOTH_BAD
from harness.records.preferences import Preference, Rater, Study, Vote, Winner
from suites.blind.checks import Check
from suites.blind.design import Design, Item, SealedBallot
from suites.blind.replay import RaterState, replay

SKIPPED = "skipped"
"""The reason of a preference without a winner."""


def rater_states(design: Design, votes: Iterable[Vote]) -> dict[str, RaterState]:
    """Where each rater is."""
    theirs: dict[str, list[Vote]] = {rater: [] for rater in design.assignments}
    for vote in votes:
        theirs[vote.rater].append(vote)
    return {
        rater: replay([ballot.id for ballot in assignment.ballots], theirs[rater])
        for rater, assignment in design.assignments.items()
    }


def choices(design: Design, rater: str, state: RaterState) -> Iterator[tuple[SealedBallot, Vote]]:
    """A rater's ballots with a standing choice, in their order; skipped ones are not among them."""
    for ballot in design.assignments[rater].ballots:
        vote = state.standing.get(ballot.id)
        if vote is not None and vote.choice != "skip":
            yield ballot, vote


def winner(ballot: SealedBallot, vote: Vote) -> Winner:
    """Which of the item's answers was chosen, whatever its side of the screen; both bad is a tie."""
    if vote.choice not in ("left", "right"):
        return "tie"
    return "left" if (vote.choice == "left") != ballot.mirrored else "right"


def rater_id(study: str, rater: str) -> str:
    """What preferences call a person who rates in a blind test."""
    return f"human:{study}:{rater}"


def as_rater(study: Study, rater: str, flags: Sequence[str]) -> Rater:
    """The person, with what speaks against relying on the votes."""
    return Rater(
        id=rater_id(study.name, rater),
        kind="human",
        name=rater,
        details={"study": study.name, "commitment": study.commitment, "flags": list(flags)},
    )


def preferences(design: Design, rater: str, state: RaterState) -> list[Preference]:
    """A rater's choices as preferences: one for each item that was chosen or skipped.

    Checks are none, and of an item that was shown twice the first showing counts.
    """
    acts = {act.ballot: act for act in state.acts}
    found = []
    for ballot in design.assignments[rater].ballots:
        act, item = acts.get(ballot.id), ballot.shown
        if act is None or isinstance(item, Check) or ballot.repeats is not None:
            continue
        found.append(_preference(design, rater, ballot, item, act))
    return found


def _preference(design: Design, rater: str, ballot: SealedBallot, item: Item, act: Vote) -> Preference:
    reasons = {"skip": SKIPPED, "bad": BOTH_BAD}
    return Preference(
        sample=item.sample,
        left_run=design.runs[item.left],
        right_run=design.runs[item.right],
        shown_first="right" if ballot.mirrored else "left",
        winner=None if act.choice == "skip" else winner(ballot, act),
        rater=rater_id(design.name, rater),
        seconds=act.seconds,
        reason=reasons.get(act.choice),
        comment=act.comment,
    )
