"""Samples of a suite that select checkpoints: which these are.

A score is never reported on what selected the candidate, or it would be the best of several tries and not a
measurement. So a part of the suite's samples selects, drawn by a hash, and the rest is reported: for every
model of a comparison, whether it was selected or not, so that all are asked the same.

Whole clusters are drawn, since samples of one cluster are not independent. It does not know how a checkpoint
is selected, nor what is reported.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256

from harness.records import Observation, Sample


@dataclass(frozen=True, slots=True, kw_only=True)
class SelectionSplit:
    """The part of a suite's samples by which a checkpoint was selected."""

    suite: str
    share: float
    seed: int

    def selects(self, cluster: str) -> bool:
        """Whether this cluster's samples (`cluster_of`) are in it. Of one seed, larger shares hold the
        smaller ones."""
        digest = sha256(f"{self.seed} {cluster}".encode()).digest()
        return int.from_bytes(digest[:8]) < self.share * 2**64


@dataclass(frozen=True, slots=True, kw_only=True)
class LeftOut:
    """What no model of a comparison is measured on, because it selected a checkpoint of one of them."""

    splits: Mapping[SelectionSplit, tuple[str, ...]]
    """With the models that were selected by each."""
    suite_of: Callable[[str], str] = lambda name: name
    """The suite whose samples a name asks: of a label, the suite that has it."""

    def holds(self, suite: str, cluster: str) -> bool:
        """Whether this suite's cluster is among it."""
        return any(split.selects(cluster) for split in self._of(suite))

    def without(self, suite: str, observations: Sequence[Observation]) -> list[Observation]:
        """What may be reported of these."""
        return [seen for seen in observations if not self.holds(suite, seen.cluster)]

    def note(self, suite: str, clusters: Mapping[str, str]) -> str | None:
        """What a reader must know of a suite; `clusters` are its samples' by their ids. None: nothing."""
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
    """By which a sample is drawn: its cluster, or its id where it stands alone."""
    return sample.cluster or sample.id
