"""Comparisons: what two runs come to, and what that allows one to say."""

from dataclasses import dataclass
from enum import StrEnum

from harness.records.answers import Metric


@dataclass(frozen=True, slots=True, kw_only=True)
class Interval:
    """A two-sided interval and its level (0.95 is 95 %)."""

    low: float
    high: float
    level: float

    def __format__(self, spec: str) -> str:
        """`[0.123, 0.456]` for `.3f`."""
        return f"[{self.low:{spec}}, {self.high:{spec}}]"


@dataclass(frozen=True, slots=True, kw_only=True)
class Flips:
    """How paired binary scores changed from the baseline to the candidate."""

    won: int
    lost: int
    both_right: int
    both_wrong: int


class Decision(StrEnum):
    """What a comparison allows one to say."""

    BETTER = "BETTER"
    WORSE = "WORSE"
    MIXED = "MIXED"
    """Over several metrics: better in one and worse in another."""
    NO_DIFFERENCE = "NO DIFFERENCE SHOWN"
    NOT_COMPARABLE = "NOT COMPARABLE"
    NOT_WORSE = "NOT WORSE"
    """Only the price was compared, no headline: less than the margin is lost everywhere, if anything."""
    UNDECIDED = "UNDECIDED"
    """Only the price was compared, and it is not decided everywhere."""


class MarginDecision(StrEnum):
    """What a comparison with a margin allows one to say of what was lost."""

    NOT_WORSE = "NOT WORSE"
    """Less than the margin is lost, if anything: non-inferior."""
    WORSE = "WORSE"
    """A loss is shown, and it is not shown to be below the margin."""
    UNDECIDED = "UNDECIDED"


@dataclass(frozen=True, slots=True, kw_only=True)
class NonInferiority:
    """Whether the candidate lost less than a margin (`harness.comparison.non_inferiority`)."""

    margin: float
    decision: MarginDecision
    p: float
    """The one-sided p of a loss as large as the margin or larger."""
    adjusted_p: float | None
    """Holm's, over all comparisons with a margin."""
    needed: int
    """Independent samples that show with 80 % power that less than the margin is lost, if nothing is."""


@dataclass(frozen=True, slots=True, kw_only=True)
class EqualAnswers:
    """How many samples of a suite the candidate answered as the baseline did, where that is nearly all."""

    equal: int
    samples: int
    """The samples that both answered."""
    answers: int
    """The number of answers per sample; a sample is equal where all of them are."""
    of_texts: bool
    """Whether answers are texts, and not log-likelihoods."""

    def in_words(self, suite: str) -> str:
        """The same in words, as a clause."""
        if self.of_texts and self.answers == 1:
            return f"{self.equal:,} of {self.samples:,} answers on {suite} equal the baseline's"
        what = "answers" if self.of_texts else "log-likelihoods"
        return f"on {suite} all {what} to {self.equal:,} of {self.samples:,} samples equal the baseline's"


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """A candidate against a baseline on one metric of one suite."""

    baseline: str
    candidate: str
    suite: str
    metric: Metric
    decision: Decision
    n: int
    """Samples with a score in both runs."""
    scores: int
    """Scores that both runs have, paired by sample and part: several for a sample, where it has several."""
    clusters: int
    """Independent units among the samples."""
    unscored: int
    """Pairs that at least one of the runs left unscored."""
    unpaired: int
    """Samples that only one of the runs has."""
    baseline_mean: float | None
    candidate_mean: float | None
    """Means over the paired samples."""
    difference: float | None
    """Candidate minus baseline, in the metric's own unit."""
    interval: Interval | None
    p: float | None
    adjusted_p: float | None
    """Holm's, over the family `family`."""
    family: str
    flips: Flips | None
    """Samples won and lost, for binary metrics with one score per sample."""
    detectable_difference: float | None
    """The smallest true difference that this many samples would have shown, with 80 % power."""
    method: str
    """Test and interval, in words."""
    notes: tuple[str, ...] = ()
    """What a reader must know: a forced comparison, different chat templates, different packages."""
    difference_bounds: tuple[float, float] | None = None
    """The lowest and highest difference, had every pair a score. None: all have, or no range is known."""
    non_inferiority: NonInferiority | None = None
    """The decision on the margin, if the metric has one and there are numbers."""
    equal_answers: EqualAnswers | None = None
    """How many answers equal the baseline's, if nearly all do."""

    @property
    def depends_on_unscored(self) -> bool:
        """Whether a difference that is shown could be none, or its opposite, with what is unscored."""
        if self.difference_bounds is None or self.decision not in (Decision.BETTER, Decision.WORSE):
            return False
        lowest, highest = self.difference_bounds
        return lowest <= 0 <= highest

    def sentence(self) -> str:
        """The verdict on this metric in one sentence."""
        where = f"{self.candidate} vs {self.baseline} on {self.suite}/{self.metric.name}"
        if self.difference is None or self.interval is None or self.adjusted_p is None:
            return f"{where}: {self.decision}: {'; '.join(self.notes) or 'no paired scores'}"
        return (
            f"{where}: {self.decision}: {self.difference:+z.3f} {self.interval:+z.3f}, "
            f"p = {self.adjusted_p:.2g} (adjusted), n = {self.n}"
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """What follows for one candidate, and the comparisons it rests on."""

    candidate: str
    baseline: str
    decision: Decision
    comparisons: tuple[Comparison, ...]
    reason: str
    """The decision in words."""
