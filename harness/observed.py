"""The scores of one metric of a run as arrays: what is paired, averaged, bounded and split into groups.

A run has hundreds of thousands of scores, and what is done with them is done with all of them at once. One at
a time they are `Observation`s.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from math import isnan

import numpy as np
from numpy.typing import NDArray

from harness.records.answers import Observation
from harness.stats.clusters import Codes, Floats, numbered

Mask = NDArray[np.bool_]


@dataclass(frozen=True, eq=False)
class Samples:
    """The samples of a run in the order of its rows, and the clusters that they are in."""

    ids: tuple[str, ...]
    clusters: tuple[str, ...]
    """The cluster of each."""

    @classmethod
    def of_all(cls, every: "Iterable[Samples]") -> "Samples":
        """Those of several runs, each once."""
        found = {
            sample: cluster for each in every for sample, cluster in zip(each.ids, each.clusters, strict=True)
        }
        return cls(tuple(found), tuple(found.values()))

    @cached_property
    def places(self) -> Mapping[str, int]:
        """Where each sample is among them."""
        return {sample: place for place, sample in enumerate(self.ids)}

    @cached_property
    def codes(self) -> Codes:
        """Each sample's cluster as a number, from 0 on in the order in which clusters come."""
        return numbered(self.clusters)

    def where(self, wanted: "Samples") -> Codes:
        """Where these samples are among the others; -1 for those that are not."""
        if self.ids == wanted.ids:
            return np.arange(len(self.ids))
        return np.array([wanted.places.get(sample, -1) for sample in self.ids], dtype=np.intp)


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Observed:
    """Scores in the order of rows and parts: arrays of one length, but for `reasons`."""

    samples: Samples
    """Of the run, also those without a score of this metric."""
    rows: Codes
    """The place of each score's sample among them."""
    parts: Codes
    """Which of its sample's scores each is."""
    values: Floats
    """NaN where there is none: no score is NaN."""
    reasons: NDArray[np.object_]
    """Why there is none, of each NaN in turn."""

    @classmethod
    def of(cls, observations: Iterable[Observation]) -> "Observed":
        """Arrays of observations, which say no reasons. Raises ValueError for one that is NaN."""
        seen = list(observations)
        if any(each.value is not None and isnan(each.value) for each in seen):
            raise ValueError("a score is NaN; an unscored sample has None instead")
        clusters = {each.sample: each.cluster for each in seen}
        samples = Samples(tuple(clusters), tuple(clusters.values()))
        values = np.array([each.value for each in seen], dtype=np.float64)
        return cls(
            samples=samples,
            rows=np.array([samples.places[each.sample] for each in seen], dtype=np.intp),
            parts=np.array([each.part for each in seen], dtype=np.intp),
            values=values,
            reasons=np.full(int(np.isnan(values).sum()), None, dtype=object),
        )

    def __len__(self) -> int:
        return len(self.values)

    def __iter__(self) -> Iterator[Observation]:
        ids, clusters = self.samples.ids, self.samples.clusters
        for row, part, value in zip(
            self.rows.tolist(), self.parts.tolist(), self.values.tolist(), strict=True
        ):
            known = None if isnan(value) else value
            yield Observation(sample=ids[row], part=part, cluster=clusters[row], value=known)

    def __eq__(self, other: object) -> bool:
        """Whether both have the same scores in the same order, and reasons for those that are missing."""
        if not isinstance(other, Observed):
            return NotImplemented
        return list(self) == list(other) and self.reasons.tolist() == other.reasons.tolist()

    __hash__ = None  # type: ignore[assignment] # arrays have none

    @property
    def is_scored(self) -> Mask:
        """Which of them have a value."""
        return ~np.isnan(self.values)

    @property
    def scored(self) -> "Observed":
        """Those that have a value."""
        return self if not len(self.reasons) else self.only(self.is_scored)

    @property
    def clusters(self) -> Codes:
        """The cluster of each, as a number."""
        return self.samples.codes[self.rows]

    @property
    def sample_count(self) -> int:
        """How many samples they are of."""
        return count_distinct(self.rows)

    def only(self, wanted: Mask) -> "Observed":
        """Those that are wanted, in their order."""
        return replace(
            self,
            rows=self.rows[wanted],
            parts=self.parts[wanted],
            values=self.values[wanted],
            reasons=self.reasons[wanted[~self.is_scored]],
        )


NOTHING_OBSERVED = Observed.of(())


def count_distinct(codes: Codes) -> int:
    """How many different numbers these are."""
    return int(np.count_nonzero(np.bincount(codes)))


@dataclass(frozen=True, slots=True)
class Pairs:
    """Scores of two runs by sample and part, over the samples of both: the left's first, in their order."""

    left: Codes
    """Where each is among the left's; -1 where only the right has that part."""
    right: Codes
    unpaired: int
    """Samples that only one of the two has."""


def paired(left: Observed, right: Observed) -> Pairs:
    """Pairs by the samples' ids and by parts."""
    theirs = left.samples.where(right.samples)[left.rows]  # the place on the right of each score's sample
    places = _places(right, theirs, left.parts)
    asked = np.bincount(right.rows, minlength=len(right.samples.ids) + 1) > 0  # the last, at -1, is nobody's
    of_both = asked[theirs]
    is_met = np.zeros(len(right) + 1, dtype=np.bool_)
    is_met[places] = True
    ours = np.zeros(len(right.samples.ids) + 1, dtype=np.bool_)
    ours[theirs] = True
    only_right = np.flatnonzero(~is_met[:-1] & ours[right.rows])
    shared = int(np.count_nonzero(ours[:-1] & asked[:-1]))
    return Pairs(
        np.concatenate([np.flatnonzero(of_both), np.full(len(only_right), -1)]),
        np.concatenate([places[of_both], only_right]),
        left.sample_count + right.sample_count - 2 * shared,
    )


def _places(observed: Observed, rows: Codes, parts: Codes) -> Codes:
    """Where the scores of these rows and parts are; -1 for those that are not there, and for row -1."""
    if np.array_equal(observed.rows, rows) and np.array_equal(observed.parts, parts):
        return np.arange(len(rows))
    width = int(max(observed.parts.max(initial=0), parts.max(initial=0))) + 1
    places = np.full((len(observed.samples.ids) + 1) * width, -1)
    places[observed.rows * width + observed.parts] = np.arange(len(observed))
    return np.where(rows < 0, -1, places[rows * width + parts])
