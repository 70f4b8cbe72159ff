"""What was heard of two models, or of all of them, and how it is to be computed.

It does not know what is computed.
"""

import hashlib
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

from harness.preferences.judgement import Choice, Judgement, Kind, choices

Numbers = dict[str, Any]
"""Keyword arguments of a resampling: level, resamples, seed."""
FEW_PEOPLE = 10
"""So many are told one by one. Of a crowd each has judged little, and every test of one costs all others."""


@dataclass(frozen=True, slots=True)
class Plan:
    """How to compute: the same for everything in one analysis."""

    level: float
    resamples: int
    seed: int
    crowd: bool
    """Whether there are too many people to be told one by one."""

    @property
    def alpha(self) -> float:
        """1 - level, without the float's dust."""
        return round(1 - self.level, 12)

    def numbers(self, *what: str) -> Numbers:
        """Arguments of a resampling, whose generator is its own in whatever company it is computed."""
        digest = hashlib.sha256(json.dumps([self.seed, *what]).encode()).digest()
        seed = int.from_bytes(digest[:8])
        return {"level": self.level, "resamples": self.resamples, "seed": seed}


@dataclass(frozen=True, slots=True)
class Heard:
    """What was said between two models, with the baseline on the left; or between all of them."""

    models: tuple[str, str] | None
    judgements: tuple[Judgement, ...]

    def raters(self, kind: Kind) -> list[str]:
        """In the order in which they are first heard."""
        return list(dict.fromkeys(each.rater for each in self.judgements if each.kind == kind))

    def people(self, plan: Plan) -> list[str]:
        """Those who are told one by one: all, or of a crowd nobody."""
        return [] if plan.crowd else self.raters("human")

    def by(self, *raters: str) -> "Heard":
        """What these raters alone said."""
        return replace(self, judgements=tuple(each for each in self.judgements if each.rater in raters))

    def usable(self) -> Iterator[Judgement]:
        """Judgements that prefer, or tie, two different answers."""
        return (each for each in self.judgements if each.winner is not None and not each.identical)

    def decided(self) -> list[Choice]:
        """Choices between different answers that have a value."""
        return [each for each in choices(self.judgements) if each.value is not None and not each.identical]


def between(judgements: Sequence[Judgement], baseline: str, candidate: str) -> Heard:
    """What was said of these two."""
    about = (each for each in judgements if {each.left, each.right} == {baseline, candidate})
    return Heard((baseline, candidate), tuple(each.facing(baseline) for each in about))


def overall(judgements: Sequence[Judgement]) -> Heard:
    """All judgements, those of an item and a pair of models facing as the first of them does."""
    left: dict[tuple[str, frozenset[str]], str] = {}
    for each in judgements:
        left.setdefault((each.item, frozenset((each.left, each.right))), each.left)
    facing = (each.facing(left[each.item, frozenset((each.left, each.right))]) for each in judgements)
    return Heard(None, tuple(facing))
