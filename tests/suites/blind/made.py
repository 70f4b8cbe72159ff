"""Small blind tests: pairs of answers, a sealed study in a store, and raters who follow a rule."""

import secrets
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from itertools import combinations
from pathlib import Path

from harness.preferences.named import NamedPreference
from harness.records.answers import Response, Sample
from harness.records.preferences import Pair, Preference, Study
from harness.store import Store
from suites.blind.ballots import Ballot, BallotBox, CastVote
from suites.blind.checks import CHECKS
from suites.blind.design import Design, Plan, make_design
from suites.blind.sealing import seal

PLAN = Plan(raters=("ana", "bia"), per_rater=20, overlap=6, repeats=3, checks=2)

Pairs = Mapping[tuple[str, str], Sequence[Pair]]


def pairs(prompts: int = 30, models: str = "AB") -> Pairs:
    """Answers that say whose they are, so that a test can tell sides apart; a rater could, too."""
    return {
        (left, right): [pair(f"s{number}", left, right) for number in range(prompts)]
        for left, right in combinations(models, 2)
    }


def pair(sample: str, left: str, right: str) -> Pair:
    """One prompt with two models' answers."""
    return Pair(
        sample=Sample(id=sample, prompt=f"question {sample}"),
        left_run=f"run-{left}",
        right_run=f"run-{right}",
        left=Response(text=f"{left} of {sample}", stop_reason="end"),
        right=Response(text=f"{right} of {sample}", stop_reason="end"),
    )


def design(
    plan: Plan = PLAN, *, of: Pairs | None = None, seed: str | None = "seed", name: str = "test"
) -> Design:
    """A design that is the same each time but for ids, keys and nonce."""
    return make_design(
        pairs() if of is None else of,
        plan,
        name=name,
        created="2026-11-24T10:00:00+00:00",
        prompts="prompts:made",
        seed=seed,
    )


def kept(folder: Path, made: Design | None = None) -> tuple[Store, Study, Design]:
    """A sealed study in a store of its own."""
    made = made or design()
    store = Store.open(f"sqlite:///{folder / 'store.db'}")
    study = seal(made)
    store.studies.keep(study)
    return store, study, made


def resolve(preferences: Sequence[Preference]) -> list[NamedPreference]:
    """What the store adds to preferences, of runs that are named as in `pair`."""
    return [
        NamedPreference(
            item=each.sample,
            left=each.left_run.removeprefix("run-"),
            right=each.right_run.removeprefix("run-"),
            rater=each.rater,
            winner=each.winner,
            shown_first=each.shown_first,
            reason=each.reason,
        )
        for each in preferences
    ]


def vote_all(box: BallotBox, rater: str, rule: Callable[[Ballot], str], *, seconds: float = 60.0) -> None:
    """Vote on every ballot of a rater."""
    while (ballot := box.current(rater)) is not None:
        box.vote(
            rater,
            CastVote(ballot=ballot.id, choice=rule(ballot), token=secrets.token_hex(8), seconds=seconds),
        )


def reads(ballot: Ballot, better: str = "A") -> str:
    """Prefer a model's answers, and the good answer of a check."""
    good = {check.good for check in CHECKS}
    return "left" if ballot.left in good or ballot.left.startswith(f"{better} ") else "right"


def altered(pair_: Pair, *, left: str | None = None, stopped: str = "end") -> Pair:
    """The pair with another left answer."""
    text = pair_.left.text if left is None else left
    return replace(pair_, left=replace(pair_.left, text=text, stop_reason=stopped))  # type: ignore[arg-type]
