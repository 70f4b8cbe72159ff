"""Which samples of a suite select checkpoints.

A score is never reported on the samples that selected the candidate, or it would be the best of several tries
and not a measurement. So a part of the suite's samples, chosen by a hash, selects, and the rest is reported:
for every model of a comparison, whether it was selected or not, so that all are measured on the same samples.

Whole clusters are chosen, since samples of one cluster are not independent.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from hashlib import sha256

import numpy as np

from harness.observed import Mask, Observed, Samples
from harness.records.answers import Sample


@dataclass(frozen=True, slots=True, kw_only=True)
class SelectionSplit:
    """The part of a suite's samples by which a checkpoint was selected."""

    suite: str
    share: float
    seed: int

    def selects(self, cluster: str) -> bool:
        """Whether this cluster (see `cluster_of`) is in the part. With the same seed, a larger share contains
        a smaller one."""
        digest = sha256(f"{self.seed} {cluster}".encode()).digest()
        return int.from_bytes(digest[:8]) < self.share * 2**64


@dataclass(frozen=True, slots=True, kw_only=True)
class LeftOut:
    """Samples on which no model of a comparison is measured, because they selected a checkpoint of one."""

    splits: Mapping[SelectionSplit, tuple[str, ...]]
    """The models that each split selected."""
    suite_of: Callable[[str], str] = lambda name: name
    """The suite behind a name, which can be a label."""

    def holds(self, suite: str, cluster: str) -> bool:
        """Whether this suite's cluster is left out."""
        return any(split.selects(cluster) for split in self._of(suite))

    def without(self, suite: str, observations: Mapping[str, Observed]) -> Mapping[str, Observed]:
        """The observations of each metric that may be reported."""
        if not self._of(suite):
            return observations
        return {
            metric: observed.only(self._kept(suite, observed.samples)[observed.rows])
            for metric, observed in observations.items()
        }

    def remaining(self, suite: str, clusters: Mapping[str, str]) -> Mapping[str, str]:
        """The samples that may be reported, of those whose clusters are given by their ids."""
        if not self._of(suite):
            return clusters
        return {sample: each for sample, each in clusters.items() if not self.holds(suite, each)}

    def _kept(self, suite: str, samples: Samples) -> Mask:
        """Which of these samples are not left out."""
        return np.array([not self.holds(suite, cluster) for cluster in samples.clusters], dtype=np.bool_)

    def note(self, suite: str, clusters: Mapping[str, str]) -> str | None:
        """What a reader must know about a suite, if anything; `clusters` is by the ids of its samples."""
        splits = self._of(suite)
        if not splits:
            return None
        models = dict.fromkeys(name for split in splits for name in self.splits[split])
        gone = sum(self.holds(suite, cluster) for cluster in clusters.values())
        return (
            f"{suite}: {gone} of {len(clusters)} samples selected a checkpoint of {', '.join(models)}; they "
            "are left out for every model"
        )

    def _of(self, suite: str) -> list[SelectionSplit]:
        base = self.suite_of(suite)
        return [split for split in self.splits if self.suite_of(split.suite) == base]


NOTHING = LeftOut(splits={})


def cluster_of(sample: Sample) -> str:
    """What a sample is chosen by: its cluster, or its id where it has none."""
    return sample.cluster or sample.id
