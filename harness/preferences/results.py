"""The results of an analysis of preferences, as records, each with its sentence in words."""

from collections.abc import Mapping
from dataclasses import dataclass

from harness.pluralize import pluralize
from harness.preferences.named import Kind
from harness.records.comparisons import Decision
from harness.stats.agreement import Agreement
from harness.stats.bradley_terry import Rating
from harness.stats.length_control import LengthControlled
from harness.stats.prediction_powered import CorrectedWinRate
from harness.stats.preferences import Bias, Consistency, SignTest, WinRate

JURY = "jury:"
"""How the id of a jury begins: its verdicts are its judges' own, counted once more."""
HUMANS = "all humans"
"""What every person's votes together are called. Judges have a jury for that."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RaterWinRate:
    """What one rater, or all humans together, prefer between two models.

    Everything but `identical` and `with_identical` is about pairs whose answers differ. Both orders of a
    pair are one choice.
    """

    baseline: str
    candidate: str
    rater: str
    """A rater's id, or `HUMANS`."""
    kind: Kind
    decision: Decision
    n: int
    """Choices between the two: usable preferences of different answers."""
    identical: int
    """Pairs of identical answers: ties that only `with_identical` counts besides."""
    with_identical: float | None
    """The win rate if they are counted as ties; None: there is no choice."""
    unreadable: Mapping[str, int]
    """Choices without a usable answer, by reason."""
    replies: int
    """Single preferences that somebody was asked for: of a pair that was asked in both orders, two."""
    without_verdict: Mapping[str, int]
    """How many of them say nothing, by what they are: unreadable, cut, refused, …"""
    win_rate: WinRate | None
    """The candidate's win rate; None: there is no choice."""
    bounds: tuple[float, float] | None
    """The win rate if all choices without a usable answer had been lost, and if they had been won.

    None: there is none of them, or no other.
    """
    standard_error: float | None
    """The standard error of the win rate, with prompts as the independent units; None for fewer than two."""
    test: SignTest | None
    adjusted_p: float | None
    """Holm's, over all raters and pairs of models that are analysed together."""
    position: Bias | None
    """The share that the answer shown first won, over single preferences.

    None: no order is known, or one model was always shown first.
    """
    consistency: Consistency | None
    """None: nothing was asked in both orders."""
    length: Bias | None
    """The share that the longer answer won; None: no length is known."""
    length_controlled: LengthControlled | None
    """The win rate if both answers had been equally long; None: no length is known."""
    corrected: CorrectedWinRate | None
    """A judge's win rate, corrected by what humans say of the same items; None: they share none."""

    @property
    def unread(self) -> str | None:
        """That a judge could not be read: most of its replies say nothing, and what is left shows nothing."""
        unusable = sum(self.without_verdict.values())
        if self.kind != "judge" or 2 * unusable <= self.replies:
            return None
        if self.rater.startswith(JURY):
            return f"this jury came to no verdict ({unusable:,} of {self.replies:,} pairs)"
        kinds = [f"{times:,} {kind}" for kind, times in self.without_verdict.items()]
        which = next(iter(self.without_verdict)) if len(kinds) == 1 else f"unusable: {', '.join(kinds)}"
        return f"this judge could not be read ({unusable:,} of {self.replies:,} replies {which})"

    @property
    def could_be(self) -> tuple[float, float] | None:
        """`bounds` where they say something: of a judge that was read, and of more than one prompt."""
        shows = self.unread is None and self.win_rate is not None and self.win_rate.shows_something
        return self.bounds if shows else None

    def sentence(self) -> str:
        where = f"{self.candidate} vs {self.baseline} by {self.rater}: "
        rate, left_out = self.win_rate, self._left_out()
        if self.unread is not None:
            return f"{where}{self.unread}{left_out}"
        if rate is None:
            return f"{where}{self.decision}: no usable preference{left_out}"
        counts = f"(won {rate.won:,}, tied {rate.tied:,}, lost {rate.lost:,})"
        if not rate.shows_something:
            return f"{where}{self.decision}: win rate – {counts}, n = {self.n:,}{left_out}"
        return (
            f"{where}{self.decision}: win rate {rate.value:.3f} {rate.interval:.3f} {counts}, "
            f"p = {self.adjusted_p:.2g} (adjusted), n = {self.n:,}{left_out}{self._correction()}"
        )

    def _correction(self) -> str:
        found = self.corrected
        if found is None or found.value is None or found.interval is None:
            return ""
        prompts = pluralize(found.shared, "prompt")
        return f"; corrected by people on {prompts}: {found.value:.3f} {found.interval:.3f}"

    def _left_out(self) -> str:
        unreadable = sum(self.unreadable.values())
        left_out = [f"{self.identical:,} identical"] if self.identical else []
        could_be = self.could_be
        moved = f", with which it could be {could_be[0]:.3f} to {could_be[1]:.3f}" if could_be else ""
        left_out += [f"{unreadable:,} without a usable answer{moved}"] if unreadable else []
        return f"; left out: {', '.join(left_out)}" if left_out else ""


@dataclass(frozen=True, slots=True, kw_only=True)
class RaterAgreement:
    """How far two raters agree on the items that both judged, ties being a verdict of their own."""

    models: tuple[str, str] | None
    """The baseline and the candidate; None: over all pairs of models."""
    first: str
    second: str
    """Raters' ids, or `HUMANS`: then every vote of one with every vote of another on the same item."""
    raw: Agreement
    """Its `items` are pairs of verdicts: of one item as many as there are pairs of such raters."""
    kappa: Agreement
    """Cohen's."""

    def sentence(self) -> str:
        where = "" if self.models is None else f"{self.models[1]} vs {self.models[0]}: "
        who = (
            f"{self.first} among themselves"
            if self.first == self.second
            else f"{self.first} and {self.second}"
        )
        raw, kappa = (_coefficient(each) for each in (self.raw, self.kappa))
        return (
            f"{where}{who} agree on {raw} of what both judged, Cohen's kappa {kappa}, n = {self.raw.items:,}"
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class GroupAgreement:
    """How far several raters agree with one another."""

    models: tuple[str, str] | None
    """The baseline and the candidate; None: over all pairs of models."""
    raters: tuple[str, ...]
    raw: Agreement
    fleiss: Agreement
    alpha: Agreement
    """Krippendorff's, nominal."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Ratings:
    """Three or more models on one scale, by one rater or all humans."""

    rater: str
    ratings: tuple[Rating, ...]
    """Best first; empty: there are none."""
    reason: str | None = None
    """Why there are none."""


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class Analysis:
    """Everything that preferences of some models come to."""

    baseline: str
    models: tuple[str, ...]
    """The baseline first."""
    level: float
    win_rates: tuple[RaterWinRate, ...]
    """For each pair of models, each judge's, each person's, and then those of all humans; of a crowd no
    single person's."""
    agreements: tuple[RaterAgreement, ...]
    """Over all pairs of models, where there are several, and then pair by pair."""
    groups: tuple[GroupAgreement, ...]
    """The groups' agreement, in the same order."""
    ratings: tuple[Ratings, ...]
    """Where there are three models or more."""

    def __repr__(self) -> str:
        """Each result in a sentence."""
        return "\n".join(each.sentence() for each in self.win_rates) or f"no preference among {self.models}"

    def judges(self, candidate: str) -> tuple[RaterWinRate, ...]:
        """What judges say of a model against the baseline: the juries, or where there is none each judge."""
        found = self._against(candidate, "judge")
        return tuple(each for each in found if each.rater.startswith(JURY)) or found

    def humans(self, candidate: str) -> RaterWinRate | None:
        """What all humans together say of a model against the baseline; None: nothing."""
        return next(iter(reversed(self._against(candidate, "human"))), None)

    def agreement(self, candidate: str, rater: str) -> RaterAgreement | None:
        """How far this rater, or `HUMANS` among themselves, agree with humans on a model and the baseline."""
        humans = self.humans(candidate)
        wanted = humans and (self.baseline, candidate), {rater, humans and humans.rater}
        return next(
            (each for each in self.agreements if wanted == (each.models, {each.first, each.second})), None
        )

    def _against(self, candidate: str, kind: Kind) -> tuple[RaterWinRate, ...]:
        models = self.baseline, candidate
        return tuple(
            each for each in self.win_rates if (each.baseline, each.candidate) == models and each.kind == kind
        )


def _coefficient(found: Agreement) -> str:
    if found.value is None or found.interval is None:
        return f"undefined ({found.reason})"
    if not found.shows_something:
        return "–"
    return f"{found.value:.3f} {found.interval:.3f}"
