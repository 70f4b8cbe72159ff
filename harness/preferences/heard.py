"""The preferences of given raters between two models, or between all of them."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from harness.preferences.judgement import Choice, Judgement, Kind, choices

FEW_PEOPLE = 10
"""So many are reported one by one. In a crowd each judges little, and each test costs all others power."""


@dataclass(frozen=True, slots=True)
class Heard:
    """What was said between two models, with the baseline on the left; or between all of them."""

    models: tuple[str, str] | None
    judgements: tuple[Judgement, ...]
    crowd: bool
    """Whether there are too many people to be reported one by one."""

    def raters(self, kind: Kind) -> list[str]:
        """By id."""
        return sorted({each.rater for each in self.judgements if each.kind == kind})

    @property
    def people(self) -> list[str]:
        """Those who are reported one by one: all, or nobody of a crowd."""
        return [] if self.crowd else self.raters("human")

    def between(self, baseline: str, candidate: str) -> "Heard":
        """What was said of these two."""
        about = (each for each in self.judgements if {each.left, each.right} == {baseline, candidate})
        return Heard((baseline, candidate), tuple(each.facing(baseline) for each in about), self.crowd)

    def by(self, *raters: str) -> "Heard":
        """What these raters alone said."""
        return replace(self, judgements=tuple(each for each in self.judgements if each.rater in raters))

    def usable(self) -> Iterator[Judgement]:
        """Judgements that prefer, or tie, two different answers."""
        return (each for each in self.judgements if each.winner is not None and not each.identical)

    def decided(self) -> list[Choice]:
        """Choices between different answers that have a value."""
        return [each for each in choices(self.judgements) if each.value is not None and not each.identical]


def overall(judgements: Sequence[Judgement]) -> Heard:
    """All judgements, those of an item and a pair of models facing as the first of them does.

    They are put in an order of their own, which resamples depend on: the numbers are the same whether the
    judgements come from a store, a file or the votes of a blind test.
    """
    judgements = sorted(judgements, key=lambda each: (each.item, each.rater, each.shown_first or ""))
    people = {each.rater for each in judgements if each.kind == "human"}
    left: dict[tuple[str, frozenset[str]], str] = {}
    for each in judgements:
        left.setdefault((each.item, frozenset((each.left, each.right))), each.left)
    facing = (each.facing(left[each.item, frozenset((each.left, each.right))]) for each in judgements)
    return Heard(None, tuple(facing), crowd=len(people) > FEW_PEOPLE)
