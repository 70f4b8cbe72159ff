"""How an analysis is computed: one plan for comparisons, for preferences and for blind tests."""

import hashlib
import json
from dataclasses import dataclass, replace

import numpy as np


@dataclass(frozen=True, slots=True, kw_only=True)
class Resampling:
    """How an interval is computed from resamples."""

    level: float = 0.95
    resamples: int = 10_000
    seed: int | np.random.Generator = 0
    """A generator is used on from the state that it is in."""

    def generator(self) -> np.random.Generator:
        """What resamples are drawn with."""
        return np.random.default_rng(self.seed)


DEFAULT_RESAMPLING = Resampling()
"""What is done unless a plan says otherwise."""
REFIT_RESAMPLING = Resampling(resamples=2_000)
"""The same where each resample is a model that is fitted anew."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AnalysisPlan:
    """The same for everything that is analysed together."""

    level: float = 0.95
    """The level of the intervals."""
    resamples: int = 10_000
    """The number of resamples of bootstraps and permutation tests."""
    seed: int = 0
    force: bool = False
    """Whether runs are compared whose conditions differ; the comparison then says so."""

    @property
    def alpha(self) -> float:
        """1 - level, without the float's dust: 0.05, not 0.05000000000000004."""
        return round(1 - self.level, 12)

    def at_most(self, resamples: int) -> "AnalysisPlan":
        """The same with no more resamples than these: where each is a model that is fitted anew."""
        return replace(self, resamples=min(self.resamples, resamples))

    @property
    def of_means(self) -> Resampling:
        """The resampling for the interval of one run's mean: the same wherever the mean is given."""
        return Resampling(level=self.level, resamples=self.resamples, seed=self.seed)

    def resampling(self, *what: str) -> Resampling:
        """A resampling whose seed depends on `what` alone, so that analyses beside it change no number."""
        digest = hashlib.sha256(json.dumps([self.seed, *what]).encode()).digest()
        return Resampling(level=self.level, resamples=self.resamples, seed=int.from_bytes(digest[:8]))


DEFAULT_PLAN = AnalysisPlan()
"""What is done unless a project says otherwise."""
