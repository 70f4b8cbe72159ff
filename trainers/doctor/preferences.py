"""Whether preferences teach anything, and whether a reward model has learned it."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Literal, NamedTuple

from harness.pluralize import pluralize
from harness.records.comparisons import Interval
from trainers.data import PreferencePair
from trainers.doctor.findings import DoctorFinding
from trainers.doctor.inspected_stage import InspectedStage
from trainers.reward_quality import accuracy, score_pairs
from trainers.rewards import judge_pairs

NOTICEABLE = 0.1
"""The share of pairs with equal answers from which on there is a warning."""
LOPSIDED = 0.75
"""The share of pairs whose better answer is the longer one from which on a reward model may learn length."""


def equal_answers(inspected: InspectedStage) -> Iterator[DoctorFinding]:
    """Pairs that teach nothing, because both answers are the same."""
    pairs = inspected.preferences
    equal = sum(pair.chosen.strip() == pair.rejected.strip() for pair in pairs)
    if pairs and equal > NOTICEABLE * len(pairs):
        yield DoctorFinding(
            check="nothing to prefer",
            severity="error" if equal == len(pairs) else "warning",
            where=f"{inspected.key}.data",
            evidence=f"in {equal} of {len(pairs)} pairs looked at, both answers are the same",
            fix="leave these rows out",
        )


def length_preferred(inspected: InspectedStage) -> Iterator[DoctorFinding]:
    """Pairs in which the better answer is nearly always the longer one, or the shorter one."""
    unequal = [pair for pair in inspected.preferences if len(pair.chosen) != len(pair.rejected)]
    longer = sum(len(pair.chosen) > len(pair.rejected) for pair in unequal)
    share = longer / len(unequal) if unequal else 0.5
    if max(share, 1 - share) > LOPSIDED:
        which = "longer" if share > 0.5 else "shorter"
        yield DoctorFinding(
            check="length tells the better answer",
            severity="note",
            where=f"{inspected.key}.data",
            evidence=f"in {max(share, 1 - share):.0%} of {len(unequal)} pairs the {which} answer is the "
            "better one: a reward model may learn length",
            fix="mix in pairs in which it is not",
        )


RANKED = 100
"""Pairs that a reward model is tried on, at most: with six of ten right it is told from chance."""
WIDE = 0.5
"""The width of an interval that tells nothing: around three of four pairs right it still reaches one half."""


class PairwiseAccuracy(NamedTuple):
    """How well a reward model ranks pairs."""

    share: float
    """The share of pairs whose chosen answer has the higher reward."""
    interval: Interval
    pairs: int
    which: Literal["held-out", "training"]

    @property
    def is_wide(self) -> bool:
        """Whether a usable model could not be told from chance on so few pairs."""
        return self.interval.high - self.interval.low >= WIDE

    def __str__(self) -> str:
        pairs = pluralize(self.pairs, f"{self.which} pair")
        return f"ranks {self.share:.0%} {self.interval:.0%} of {pairs} right, where chance is 50%"


def training_accuracy(folder: Path, pairs: Sequence[PreferencePair], *, chat: bool) -> PairwiseAccuracy:
    """How well the model in a folder ranks some of these pairs, which it was trained on."""
    some = pairs[:: -(-len(pairs) // RANKED)]
    found = score_pairs(some, *judge_pairs(str(folder), some, chat=chat))
    return PairwiseAccuracy(*accuracy(found), len(found), "training")


def no_better_than_chance(where: str, found: PairwiseAccuracy, name: str) -> Iterator[DoctorFinding]:
    """A reward model that cannot distinguish chosen from rejected answers, or where that cannot be told."""
    if found.interval.low > 0.5:
        return
    if found.is_wide:
        pairs = pluralize(found.pairs, "pair")
        yield DoctorFinding(
            check="too few pairs to judge a reward model",
            severity="note",
            where=where,
            evidence=f"reward model {name!r} {found}; whether it is better than that cannot be told from "
            f"{pairs}",
            fix="hold out more pairs (`holdout` in its stage, and more data)"
            if found.which == "held-out"
            else "train it on more pairs",
        )
        return
    yield DoctorFinding(
        check="reward model no better than chance",
        severity="error",
        where=where,
        evidence=f"reward model {name!r} {found}",
        fix="train it longer or on other pairs, or hold out more, before a policy learns from it",
    )
