"""What votes say of the models: read with the design, once it is unsealed.

It does not know whether a rater can be trusted.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Literal

from harness.records import Preference, Rater, Study, Vote
from harness.stats.preferences import SignTest, WinRate, sign_test, win_rate
from suites.blind.checks import Check
from suites.blind.design import Design, Item, Showing
from suites.blind.tally import Tally, replay

Label = Literal["left", "right", "tie"]
"""The side of an item, not of the screen: which of the two models, the earlier or the later one."""
CANDIDATE = {"left": 0.0, "tie": 0.5, "right": 1.0}
"""The later model's share of the win."""
SKIPPED, BOTH_BAD = "skipped", "both bad"
"""Reasons of a preference without a winner, and of a tie."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """What raters preferred between two models."""

    baseline: str
    candidate: str
    """The later one of the two, as they were named."""
    rate: WinRate | None
    """The candidate's share of the votes; None: nobody has chosen between the two."""
    sign: SignTest | None
    by_rater: Mapping[str, WinRate | None]


def tallies(design: Design, votes: Iterable[Vote]) -> dict[str, Tally]:
    """Where each rater is."""
    theirs: dict[str, list[Vote]] = {rater: [] for rater in design.sheets}
    for vote in votes:
        theirs[vote.rater].append(vote)
    return {
        rater: replay([showing.id for showing in sheet.showings], theirs[rater])
        for rater, sheet in design.sheets.items()
    }


def choices(design: Design, rater: str, tally: Tally) -> Iterator[tuple[Showing, Vote]]:
    """A rater's ballots with a standing choice, in their order; skipped ones are not among them."""
    for showing in design.sheets[rater].showings:
        vote = tally.standing.get(showing.id)
        if vote is not None and vote.choice != "skip":
            yield showing, vote


def label(showing: Showing, vote: Vote) -> Label:
    """Which of the item's answers was chosen; both bad is a tie."""
    if vote.choice not in ("left", "right"):
        return "tie"
    return "left" if (vote.choice == "left") != showing.mirrored else "right"


def labels(design: Design, rater: str, tally: Tally) -> dict[Item, Label]:
    """What a rater chose of each item, as it was shown first."""
    return {
        showing.shown: label(showing, vote)
        for showing, vote in choices(design, rater, tally)
        if isinstance(showing.shown, Item) and showing.repeats is None
    }


def results(
    design: Design,
    found: Mapping[str, Tally],
    raters: Sequence[str],
    *,
    level: float,
    resamples: int,
    seed: int,
) -> tuple[Result, ...]:
    """For each two models, what these raters preferred. Votes on one prompt belong together."""
    chosen = {rater: labels(design, rater, found[rater]) for rater in raters}

    def rate(two: tuple[str, str], of: Sequence[str]) -> WinRate | None:
        values, prompts = _values(chosen, two, of)
        if not values:
            return None
        return win_rate(values, prompts, level=level, resamples=resamples, seed=seed)

    return tuple(
        Result(
            baseline=two[0],
            candidate=two[1],
            rate=rate(two, raters),
            sign=_sign(chosen, two, raters),
            by_rater={rater: rate(two, [rater]) for rater in raters},
        )
        for two in combinations(design.models, 2)
    )


def rater_id(study: str, rater: str) -> str:
    """What preferences call somebody who rates in a blind test."""
    return f"human:{study}:{rater}"


def as_rater(study: Study, rater: str, flags: Sequence[str]) -> Rater:
    """The person, with what speaks against relying on the votes."""
    return Rater(
        id=rater_id(study.name, rater),
        kind="human",
        name=rater,
        details={"study": study.name, "commitment": study.commitment, "flags": list(flags)},
    )


def preferences(design: Design, rater: str, tally: Tally) -> list[Preference]:
    """A rater's choices as preferences: one for each item that was chosen or skipped.

    Checks are none, and of an item that was shown twice the first showing counts.
    """
    acts = {act.ballot: act for act in tally.acts}
    found = []
    for showing in design.sheets[rater].showings:
        act, item = acts.get(showing.id), showing.shown
        if act is None or isinstance(item, Check) or showing.repeats is not None:
            continue
        found.append(_preference(design, rater, showing, item, act))
    return found


def _preference(design: Design, rater: str, showing: Showing, item: Item, act: Vote) -> Preference:
    reasons = {"skip": SKIPPED, "bad": BOTH_BAD}
    return Preference(
        sample=item.sample,
        left_run=design.runs[item.left],
        right_run=design.runs[item.right],
        shown_first="right" if showing.mirrored else "left",
        winner=None if act.choice == "skip" else label(showing, act),
        rater=rater_id(design.name, rater),
        seconds=act.seconds,
        reason=reasons.get(act.choice),
        comment=act.comment,
    )


def _values(
    chosen: Mapping[str, Mapping[Item, Label]], two: tuple[str, str], raters: Sequence[str]
) -> tuple[list[float], list[str]]:
    """The candidate's share of each vote between these two, and the prompt of each."""
    votes = [
        (CANDIDATE[side], item.sample)
        for rater in raters
        for item, side in chosen[rater].items()
        if (item.left, item.right) == two
    ]
    return [value for value, _ in votes], [sample for _, sample in votes]


def _sign(
    chosen: Mapping[str, Mapping[Item, Label]], two: tuple[str, str], raters: Sequence[str]
) -> SignTest | None:
    values, prompts = _values(chosen, two, raters)
    return sign_test(values, prompts) if values else None
