"""How good a reward model is on pairs that it was not trained on: accuracy, calibration, length bias.

A Bradley–Terry reward model says by how much one answer is better: the probability that it is preferred is
the logistic function of the difference of the two rewards. Accuracy asks whether the sign is right,
calibration whether the probability is (Guo et al. 2017), and length bias whether the model takes length for
quality.
"""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from hashlib import sha256
from math import exp, fsum
from pathlib import Path
from typing import NamedTuple

import numpy as np

from harness.records.comparisons import Interval
from harness.records.models import Json
from harness.stats import mean_interval
from harness.stats.calibration import CalibrationBin, calibration_error, reliability
from harness.stats.clusters import by_cluster
from harness.stats.intervals import Estimate, difference_interval
from harness.stats.paired import sign_flip
from harness.stats.plan import Resampling
from trainers.data import PreferencePair
from trainers.holdout import prompt_key
from trainers.jsonl import read_jsonl, write_jsonl

FILE = "held_out.jsonl"
"""In a stage's folder: the rewards of both answers of every held-out pair."""
LEVEL = 0.95
RESAMPLES = 10_000
BINS = 5
"""The number of bins of equal width, between a probability of one half and certainty."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ScoredPair:
    """A pair, and the rewards of its answers."""

    pair: str
    """A hash of prompt and answers, the same in every stage."""
    prompt: str
    """A hash of the prompt: pairs of one prompt are not independent."""
    chosen: float
    rejected: float
    longer_by: int
    """How many characters longer the chosen answer is than the rejected one."""

    @property
    def right(self) -> float:
        """1 where the chosen answer has the higher reward, one half where both have the same, else 0."""
        return 0.5 if self.chosen == self.rejected else float(self.chosen > self.rejected)


class LengthBias(NamedTuple):
    """Whether a reward model takes length for quality, on pairs of unequal length."""

    pairs: int
    rewarded: float
    """The share of pairs in which the longer answer has the higher reward."""
    preferred: float
    """The share of pairs in which the longer answer is the chosen one."""
    interval: Interval
    """The interval of the difference between the two shares."""


def score_pairs(
    pairs: Sequence[PreferencePair], chosen: Sequence[float], rejected: Sequence[float]
) -> list[ScoredPair]:
    """Pairs with the rewards of their answers."""
    return [
        ScoredPair(
            pair=sha256(json.dumps(pair).encode()).hexdigest()[:16],
            prompt=prompt_key(pair.prompt)[:16],
            chosen=better,
            rejected=worse,
            longer_by=len(pair.chosen) - len(pair.rejected),
        )
        for pair, better, worse in zip(pairs, chosen, rejected, strict=True)
    ]


def write(folder: Path, found: Sequence[ScoredPair]) -> None:
    """Keep scored pairs in a stage's folder, so that another model can be compared on the same ones."""
    write_jsonl(folder / FILE, map(asdict, found))


def read(folder: Path) -> list[ScoredPair]:
    """The kept pairs; none where nothing was held out."""
    return [ScoredPair(**each) for each in read_jsonl(folder / FILE)]


def figures(found: Sequence[ScoredPair]) -> dict[str, Json]:
    """All metrics, as a manifest holds them, of at least one pair. What is undefined is None."""
    share, interval = accuracy(found)
    table = calibration(found)
    biased = lengths(found)
    return {
        "pairs": len(found),
        "prompts": len({each.prompt for each in found}),
        "accuracy": share,
        "accuracy_interval": [interval.low, interval.high],
        "calibration_error": calibration_error(table),
        "calibration": [
            {
                "low": each.low,
                "high": each.high,
                "pairs": each.cases,
                "said": each.predicted,
                "was": each.observed,
            }
            for each in table
        ],
        "lengths": None
        if biased is None
        else {**biased._asdict(), "interval": [biased.interval.low, biased.interval.high]},
    }


def accuracy(found: Sequence[ScoredPair]) -> tuple[float, Interval]:
    """The share of pairs whose chosen answer has the higher reward, ties half; the interval is by prompt."""
    values = [each.right for each in found]
    kind = "number" if 0.5 in values else "binary"
    share = fsum(values) / len(values)
    return share, mean_interval(values, [each.prompt for each in found], kind, Resampling(level=LEVEL))  # type: ignore[arg-type]  # one of the two


def calibration(found: Sequence[ScoredPair]) -> list[CalibrationBin]:
    """The reliability table for the answer of the higher reward in each pair: is it the chosen one?"""
    confidence = [_logistic(abs(each.chosen - each.rejected)) for each in found]
    return reliability(confidence, [each.right for each in found], BINS, low=0.5)


def lengths(found: Sequence[ScoredPair]) -> LengthBias | None:
    """How often the longer answer has the higher reward, and is the chosen one. None: no lengths differ."""
    unequal = [each for each in found if each.longer_by]
    if not unequal:
        return None
    preferred = [float(each.longer_by > 0) for each in unequal]
    rewarded = [each.right if each.longer_by > 0 else 1 - each.right for each in unequal]
    more = [gives - is_better for gives, is_better in zip(rewarded, preferred, strict=True)]
    return LengthBias(
        len(unequal),
        fsum(rewarded) / len(unequal),
        fsum(preferred) / len(unequal),
        _difference(more, [each.prompt for each in unequal]).interval,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class AccuracyComparison:
    """Two reward models' accuracies on the pairs that both held out."""

    pairs: int
    left: float
    """The left model's accuracy."""
    right: float
    difference: Estimate
    """The right model's accuracy minus the left one's."""
    p: float


def compare_accuracies(left: Sequence[ScoredPair], right: Sequence[ScoredPair]) -> AccuracyComparison | None:
    """A paired comparison of their accuracies; None where no pair was held out by both."""
    theirs = {each.pair: each for each in right}
    shared = [(each, theirs[each.pair]) for each in left if each.pair in theirs]
    if not shared:
        return None
    differences = [other.right - one.right for one, other in shared]
    prompts = [one.prompt for one, _ in shared]
    sums = by_cluster(differences, prompts).sums
    return AccuracyComparison(
        pairs=len(shared),
        left=fsum(one.right for one, _ in shared) / len(shared),
        right=fsum(other.right for _, other in shared) / len(shared),
        difference=_difference(differences, prompts),
        p=sign_flip(sums, resamples=RESAMPLES, rng=np.random.default_rng(0)).p,
    )


def _difference(values: Sequence[float], prompts: Sequence[str]) -> Estimate:
    return difference_interval(
        by_cluster(values, prompts),
        1.0,
        level=LEVEL,
        resamples=RESAMPLES,
        rng=np.random.default_rng(0),
    )


def _logistic(margin: float) -> float:
    return 1 / (1 + exp(-margin))
