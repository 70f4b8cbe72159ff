"""The preferences of given raters between two models, or between all of them."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import combinations_with_replacement

from harness.preferences.named import Kind, NamedPreference, over_orders

FEW_PEOPLE = 10
"""The most reported one by one. In a crowd each judges little, and every test costs the others power."""


@dataclass(frozen=True, slots=True)
class PreferenceSet:
    """Between two models, with the baseline on the left (of one against itself: twice); or all of them."""

    models: tuple[str, str] | None
    preferences: tuple[NamedPreference, ...]
    crowd: bool
    """Whether there are too many people to be reported one by one."""

    def raters(self, kind: Kind) -> list[str]:
        """The raters of this kind, sorted by id."""
        return sorted({each.rater for each in self.preferences if each.kind == kind})

    @property
    def people(self) -> list[str]:
        """The people who are reported one by one: all of them, or none of a crowd."""
        return [] if self.crowd else self.raters("human")

    @property
    def pools_people(self) -> bool:
        """Whether people are also reported together: several of them, or any of a crowd."""
        people = self.raters("human")
        return len(people) > 1 or (self.crowd and bool(people))

    def pairs(self, models: Sequence[str]) -> "list[PreferenceSet]":
        """The preferences about each two of these models, the one that is named first being the baseline."""
        about: dict[frozenset[str], list[NamedPreference]] = {}
        for each in self.preferences:
            about.setdefault(frozenset((each.left, each.right)), []).append(each)
        return [
            PreferenceSet(pair, tuple(each.facing(pair[0]) for each in about[frozenset(pair)]), self.crowd)
            for pair in combinations_with_replacement(models, 2)
            if frozenset(pair) in about
        ]

    def by(self, *raters: str) -> "PreferenceSet":
        """The preferences of these raters alone."""
        wanted = frozenset(raters)
        return replace(self, preferences=tuple(each for each in self.preferences if each.rater in wanted))

    def usable(self) -> Iterator[NamedPreference]:
        """Preferences that prefer, or tie, two different answers."""
        return (each for each in self.preferences if each.winner is not None and not each.identical)

    def decided(self) -> list[NamedPreference]:
        """Over both orders, those between different answers that have a value."""
        return [
            each for each in over_orders(self.preferences) if each.value is not None and not each.identical
        ]


def overall(preferences: Sequence[NamedPreference]) -> PreferenceSet:
    """All preferences, those of an item and a pair of models facing as the first of them does.

    They are put in an order of their own, which resamples depend on: the numbers are the same whether the
    preferences come from a store, a file or the votes of a blind test.
    """
    preferences = sorted(preferences, key=_place)
    people = {each.rater for each in preferences if each.kind == "human"}
    left: dict[tuple[str, frozenset[str]], str] = {}
    for each in preferences:
        left.setdefault((each.item, frozenset((each.left, each.right))), each.left)
    facing = (each.facing(left[each.item, frozenset((each.left, each.right))]) for each in preferences)
    return PreferenceSet(None, tuple(facing), crowd=len(people) > FEW_PEOPLE)


def _place(preference: NamedPreference) -> tuple[str, ...]:
    """A sort key: item, rater, the two models and the order shown, whichever model stands on the left."""
    models = sorted((preference.left, preference.right))
    return (preference.item, preference.rater, *models, preference.shown_first or "")
