"""Whether raters can be relied on: what their votes show of them, and of the models once it is unsealed.

While a blind test is sealed, nothing here is by model. Sides are those of the screen, which were drawn at
random for each rater; agreement is over the items' sides, and is the same number whichever model is called
which. What is preferred, and how far raters agree, are the numbers that `harness preferences` gives.

A rater is **flagged**, and the results are then also given without, for

- checks: two missed, or the only one;
- repeats: so few with the same choice that somebody who repeats `REPEATED` of the choices would do as badly
  in fewer than `RARE` of such tests;
- sides: one side of the screen preferred, by an exact binomial test with Bonferroni's correction for the
  number of raters, below `RARE`. Each model stands on either side equally often, so a preference for a model
  is none for a side;
- haste: more than `MAX_HASTY` of the timed votes came too fast. Too fast is faster than `READING` characters
  a second of prompt and answers together: some 1,000 words a minute, four times the mean speed of silent
  reading (238 words a minute: Brysbaert 2019, https://doi.org/10.1016/j.jml.2019.104047).

Disagreeing with others is not a fault, and flags nobody.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from math import comb
from statistics import median

from harness.preferences.analysis import analyse
from harness.preferences.named import NamedPreference
from harness.preferences.results import Analysis
from harness.records.preferences import Preference, Study, Vote, Winner
from harness.stats.plan import DEFAULT_PLAN, AnalysisPlan
from harness.stats.preferences import Bias, Share, share
from harness.stats.raters import rater_figures
from harness.turns import as_text
from suites.blind.ballots import as_seen
from suites.blind.checks import Check
from suites.blind.design import Design, Item, SealedBallot
from suites.blind.preferences import choices, preferences, rater_states, winner
from suites.blind.replay import RaterState

Resolve = Callable[[Sequence[Preference]], Sequence[NamedPreference]]
"""What adds the models' names, lengths and clusters to preferences between runs."""

READING = 100.0
"""The fastest reading, in characters a second."""
MAX_HASTY = 0.2
REPEATED = 0.7
RARE = 0.05


@dataclass(frozen=True, slots=True, kw_only=True)
class RaterAudit:
    """What one rater's votes show."""

    rater: str
    done: int
    ballots: int
    choices: int
    """Ballots with a standing choice: items, repeats and checks."""
    ties: int
    """Choices of a tie or of both bad."""
    skipped: int
    """Ballots that were skipped and not chosen on later."""
    undone: int
    """Votes taken back."""
    left: Bias | None
    """The left side of the screen among decided choices, each item once; None: nothing was decided."""
    repeats: Share | None
    """The share of repeats with the same choice as before."""
    checks: Share | None
    """The share of checks that were passed."""
    median_seconds: float | None
    hasty: Share | None
    """Choices that came too fast, among the timed ones."""
    flags: tuple[str, ...]
    """Why the votes should not be relied on."""


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class Audit:
    """What is known of a blind test."""

    study: str
    commitment: str
    created: str
    unsealed: str | None
    models: tuple[str, ...]
    prompts: str
    identical: int
    """Pairs that were not shown because their answers are the same: ties, counted apart."""
    missing: Mapping[str, int]
    """Pairs without an answer, by reason."""
    raters: tuple[RaterAudit, ...]
    preferences: Analysis | None
    """What the votes come to, the first model being the baseline; None: there are none.

    While it is sealed there is only how far raters agree: no win rate and no rating.
    """
    without_flagged: Analysis | None
    """The same without flagged raters; None while it is sealed, and where nobody or everybody is flagged."""

    def __repr__(self) -> str:
        """Whether to rely on each rater, and what is preferred once it is unsealed."""
        preferred = [repr(self.preferences)] if self.unsealed and self.preferences else []
        return "\n".join([f"blind test {self.study}", *map(verdict, self.raters), *preferred])

    @property
    def flagged(self) -> tuple[str, ...]:
        """Raters whose votes should not be relied on."""
        return tuple(each.rater for each in self.raters if each.flags)

    @property
    def open(self) -> int:
        return sum(each.ballots - each.done for each in self.raters)


def audit(
    study: Study, design: Design, votes: Sequence[Vote], resolve: Resolve, plan: AnalysisPlan = DEFAULT_PLAN
) -> Audit:
    """What these votes show; by model only where the study is unsealed."""
    found = rater_states(design, votes)
    raters = tuple(_audited(design, rater, state, plan.level, len(found)) for rater, state in found.items())
    trusted = [each.rater for each in raters if not each.flags]
    revealed = study.unsealed is not None

    def analysed(some: Sequence[str]) -> Analysis | None:
        theirs = resolve([each for rater in some for each in preferences(design, rater, found[rater])])
        return analyse(theirs, plan, baseline=design.models[0]) if theirs else None

    everybody = analysed(list(found))
    return Audit(
        study=study.name,
        commitment=study.commitment,
        created=study.created,
        unsealed=study.unsealed,
        models=design.models,
        prompts=design.prompts,
        identical=len(design.left_out.identical),
        missing=design.left_out.missing,
        raters=raters,
        preferences=everybody if revealed else _without_models(everybody),
        without_flagged=analysed(trusted) if revealed and 0 < len(trusted) < len(raters) else None,
    )


def _without_models(analysis: Analysis | None) -> Analysis | None:
    """How far raters agree, and nothing of which model is ahead."""
    return None if analysis is None else replace(analysis, win_rates=(), ratings=())


def verdict(rater: RaterAudit) -> str:
    """Whether to rely on a rater, and why, in a sentence."""
    grounds = ", ".join(_grounds(rater))
    if rater.flags:
        against = "; ".join(rater.flags)
        return f"{rater.rater}: do not rely on these votes: {against}" + (f" ({grounds})" if grounds else "")
    if rater.checks is None and rater.repeats is None:
        return f"{rater.rater}: no check and no repeat is voted on, so nothing is known for or against" + (
            f" ({grounds})" if grounds else ""
        )
    return f"{rater.rater}: can be relied on: {grounds}"


def _grounds(rater: RaterAudit) -> list[str]:
    """What was looked at, and did not flag."""
    grounds = []
    if rater.checks is not None and _missed_checks(rater.checks) is None:
        grounds.append(f"{rater.checks.count} of {rater.checks.of} checks passed")
    if rater.repeats is not None and _inconsistent(rater.repeats) is None:
        grounds.append(f"the same choice in {rater.repeats.count} of {rater.repeats.of} repeats")
    if rater.left is not None and not any("side" in flag for flag in rater.flags):
        grounds.append(f"no side of the screen preferred (p = {rater.left.p:.2g})")
    if rater.hasty is not None and _hasty(rater.hasty) is None:
        grounds.append(f"{rater.hasty.value:.0%} of the votes too fast")
    return grounds


def _audited(design: Design, rater: str, state: RaterState, level: float, raters: int) -> RaterAudit:
    made = list(choices(design, rater, state))
    figures = rater_figures(
        [_screen(vote) for ballot, vote in made if _is_first(ballot)],
        _repeats(made),
        [_passed(ballot, vote) for ballot, vote in made if isinstance(ballot.shown, Check)],
        level=level,
    )
    times = [(ballot, vote.seconds) for ballot, vote in made if vote.seconds is not None]
    hasty = share(sum(_is_hasty(design, *timed) for timed in times), len(times), level=level)
    return RaterAudit(
        rater=rater,
        done=len(state.standing),
        ballots=len(design.assignments[rater].ballots),
        choices=len(made),
        ties=sum(vote.choice in ("tie", "bad") for _, vote in made),
        skipped=len({act.ballot for act in state.acts} - {ballot.id for ballot, _ in made}),
        undone=len(state.undone),
        left=figures.left,
        repeats=figures.repeats,
        checks=figures.checks,
        median_seconds=median(seconds for _, seconds in times) if times else None,
        hasty=hasty,
        flags=tuple(
            flag
            for flag in (
                _missed_checks(figures.checks),
                _inconsistent(figures.repeats),
                _sided(figures.left, raters),
                _hasty(hasty),
            )
            if flag is not None
        ),
    )


def _missed_checks(checks: Share | None) -> str | None:
    missed = 0 if checks is None else checks.of - checks.count
    if checks is None or missed < min(2, checks.of):
        return None
    return f"{missed} of {checks.of} checks missed, whose answer is plain"


def _inconsistent(repeats: Share | None) -> str | None:
    if repeats is None or _binomial_at_most(repeats.count, repeats.of, REPEATED) >= RARE:
        return None
    return f"only {repeats.count} of {repeats.of} repeats got the same choice"


def _sided(left: Bias | None, raters: int) -> str | None:
    if left is None or left.p * raters >= RARE:
        return None
    side, of = ("left", left.share.value) if left.share.value > 0.5 else ("right", 1 - left.share.value)
    return f"the {side} side of the screen chosen in {of:.0%} of {left.share.of} (p = {left.p:.2g})"


def _hasty(hasty: Share | None) -> str | None:
    if hasty is None or hasty.value <= MAX_HASTY:
        return None
    return f"{hasty.value:.0%} of {hasty.of} votes came faster than anybody reads"


def _is_hasty(design: Design, ballot: SealedBallot, seconds: float) -> bool:
    seen = as_seen(design, ballot)
    characters = len(as_text(seen.prompt)) + len(seen.left) + len(seen.right)
    return seconds < characters / READING


def _is_first(ballot: SealedBallot) -> bool:
    return isinstance(ballot.shown, Item) and ballot.repeats is None


def _screen(vote: Vote) -> Winner:
    """The side of the screen."""
    return "left" if vote.choice == "left" else "right" if vote.choice == "right" else "tie"


def _passed(ballot: SealedBallot, vote: Vote) -> bool:
    """Whether a check's good answer was chosen."""
    return winner(ballot, vote) == "left"


def _repeats(made: Sequence[tuple[SealedBallot, Vote]]) -> list[tuple[Winner, Winner]]:
    """The choices of each item that was chosen on twice, by the item's sides."""
    before = {ballot.id: winner(ballot, vote) for ballot, vote in made}
    return [
        (before[ballot.repeats], winner(ballot, vote))
        for ballot, vote in made
        if ballot.repeats is not None and ballot.repeats in before
    ]


def _binomial_at_most(count: int, of: int, chance: float) -> float:
    return sum(comb(of, k) * chance**k * (1 - chance) ** (of - k) for k in range(count + 1))
