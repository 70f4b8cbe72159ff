"""Replays a rater's votes in the order they came, to find which of them count.

- A choice decides an open ballot. Another choice on a decided one counts for nothing, so that two tabs, or
  two processes, never make one ballot count twice.
- `skip` leaves a ballot open and puts it at the end; skipped again there, it stays skipped.
- `undo` takes back the last thing done with its ballot, if there is one.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from harness.records.preferences import Vote

SKIPS = 2
"""After that many a ballot is done, without a choice."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RaterState:
    """How far one rater is."""

    acts: tuple[Vote, ...]
    """Choices and skips that count and were not taken back, in their order."""
    standing: Mapping[str, Vote]
    """What decided each ballot that is done: its choice, or the last skip of one skipped for good."""
    open: tuple[str, ...]
    """Ballots to be decided: those never touched in their order, then skipped ones as they were skipped.

    What was just taken back stands before all of them.
    """
    undone: tuple[Vote, ...]
    """Choices and skips that were taken back."""
    ignored: tuple[Vote, ...]
    """Votes that count for nothing: on a decided ballot or one of another, or with nothing to take back."""


def replay(order: Sequence[str], votes: Iterable[Vote]) -> RaterState:
    """Where a rater with these ballots is after these votes."""
    acts: list[Vote] = []
    undone, ignored = [], []
    reopened = None
    ballots = set(order)
    for vote in votes:
        before = [act for act in acts if act.ballot == vote.ballot]
        if vote.choice == "undo" and before:
            undone.append(before[-1])
            acts.remove(before[-1])
            reopened = vote.ballot
        elif vote.choice == "undo" or vote.ballot not in ballots or _decided(before):
            ignored.append(vote)
        else:
            acts.append(vote)
            reopened = None
    return RaterState(
        acts=tuple(acts),
        standing=_standing(acts),
        open=_open(order, acts, reopened),
        undone=tuple(undone),
        ignored=tuple(ignored),
    )


def _decided(acts: Sequence[Vote]) -> bool:
    """Whether these acts on one ballot decide it."""
    return len(acts) >= SKIPS or any(act.choice != "skip" for act in acts)


def _standing(acts: Sequence[Vote]) -> dict[str, Vote]:
    times = Counter(act.ballot for act in acts if act.choice == "skip")
    return {act.ballot: act for act in acts if act.choice != "skip" or times[act.ballot] >= SKIPS}


def _open(order: Sequence[str], acts: Sequence[Vote], reopened: str | None) -> tuple[str, ...]:
    standing = _standing(acts)
    skipped = dict.fromkeys(act.ballot for act in acts if act.ballot not in standing)
    fresh = [ballot for ballot in order if ballot not in standing and ballot not in skipped]
    return tuple(sorted([*fresh, *skipped], key=lambda ballot: ballot != reopened))
