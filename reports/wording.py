"""Words numbers and decisions, in the same way in every report.

All of it is plain text, which a page escapes.
"""

import json
from collections.abc import Mapping

from harness.comparison.non_inferiority import at_best
from harness.escape_controls import shortened
from harness.pluralize import pluralize
from harness.records.comparisons import Comparison, Decision, Interval, MarginDecision, NonInferiority
from harness.records.models import Json
from harness.store import CutAnswers
from reports.board import Column, GroupTable, Section

MINUS = "\N{MINUS SIGN}"

MARKS = {
    Decision.BETTER: "▲",
    Decision.WORSE: "▼",
    Decision.MIXED: "◆",
    Decision.NO_DIFFERENCE: "○",
    Decision.NOT_COMPARABLE: "⊘",
    Decision.NOT_WORSE: "✓",
    Decision.UNDECIDED: "○",
}
"""A shape per decision, so that no reader depends on colour."""

PRICE_MARKS = {MarginDecision.NOT_WORSE: "✓", MarginDecision.WORSE: "▼", MarginDecision.UNDECIDED: "○"}
"""The same for what was lost."""

ABOUT_PRICE = (
    "How much was lost, against a margin. ✓ NOT WORSE: the interval ends above minus the margin, and that "
    "survives the adjustment for all comparisons of this table (Holm, one-sided). ▼ WORSE: a loss is shown, "
    "and it is not shown to be below the margin. ○ UNDECIDED: neither; the number of samples given "
    "shows in four of five cases that less than the margin is lost, if nothing is (before the adjustment)."
)

HOW_TO_READ = (
    "A mean is followed by its interval: repeat the suite with as many other samples of the same kind, and "
    "such intervals hold the model's true mean at the stated rate.",
    "A difference is the model minus the baseline, over the samples that both were scored on. It is "
    "paired, so it can be sure where the two intervals overlap.",
    "▲ BETTER and ▼ WORSE are said only where the difference survives the adjustment for all headline "
    "comparisons made together (Holm). ○ NO DIFFERENCE SHOWN is not “equal”: it says that these samples "
    "cannot tell, and the smallest difference that they could have shown is given.",
    "The mean is the plain mean of the headline metrics, and the rank follows it. Neighbouring ranks can be "
    "chance: read the verdicts before the ranks.",
    "What is unscored is counted and left out of a mean. “could be” gives the mean if every such score were "
    "as low, and if every one were as high, as the metric allows.",
    "Intervals cover the choice of samples. They do not cover training again with another seed.",
)


ABOUT_GROUPS = (
    "Exploratory: no verdict rests on a group. A difference is marked only where it survives the "
    "adjustment for all comparisons of its table (Holm); intervals are each group's own. n counts samples, "
    "or scores in samples where a sample has several."
)


def marked(decision: Decision) -> str:
    """A decision with its mark."""
    return f"{MARKS[decision]} {decision}"


def number(value: float | Interval) -> str:
    """A score, or its interval: three decimals."""
    return f"{value:z.3f}".replace("-", MINUS)


def signed(value: float | Interval, places: int = 3) -> str:
    """A difference, or its interval: always with its sign, and no minus before zeros."""
    return f"{value:+z.{places}f}".replace("-", MINUS)


def percent(share: float, places: int = 1) -> str:
    """A relative difference: always with its sign."""
    return f"{share:+z.{places}%}".replace("-", MINUS)


def count(value: int) -> str:
    """A count, with thousands set apart."""
    return f"{value:,}"


def toml(value: Json) -> str:
    """A setting as harness.toml writes it; of long ones the beginning."""
    if isinstance(value, Mapping):
        return f"{{ {', '.join(f'{name} = {toml(each)}' for name, each in value.items() if each)} }}"
    return shortened(json.dumps(value, ensure_ascii=False), 60)


def members(scores: int, samples: int) -> str:
    """How large a group is: its samples, and its scores where they are more."""
    return count(samples) if scores == samples else f"{count(scores)} in {count(samples)}"


def could_be(bounds: tuple[float, float]) -> str:
    """How far what is unscored could move a mean."""
    return f"could be {number(bounds[0])} to {number(bounds[1])}"


def heading(column: Column) -> list[str]:
    """What stands above a column: suite, metric, and who gave the numbers where a model did."""
    return [column.suite, column.metric.name, *([f"by {column.scorer}"] if column.scorer else [])]


def cut_short(cut: CutAnswers) -> str:
    """How many answers ended because their tokens ran out."""
    within = f"{count(cut.cut)} of {count(cut.answers)} cut" if cut.cut else ""
    before = f"{count(cut.thinking)} of {count(cut.answers)} cut while thinking" if cut.thinking else ""
    return ", ".join(filter(None, (within, before)))


def evidence(comparison: Comparison) -> str:
    """The comparison's own sentence, with the flips, what could have been shown, and what was left out.

    Its notes are not repeated: the leaderboard lists them once, as warnings.
    """
    return ". ".join([comparison.sentence(), *asides(comparison)]) + "."


def price(comparison: Comparison) -> str:
    """The decision on what was lost, with what belongs to it."""
    result = comparison.non_inferiority
    if result is None:
        return marked(comparison.decision)
    return f"{PRICE_MARKS[result.decision]} {result.decision}{_price_aside(comparison, result)}"


def _price_aside(comparison: Comparison, result: NonInferiority) -> str:
    if result.decision is MarginDecision.WORSE:
        return ", by more than the margin" if at_best(comparison) < -result.margin else ""
    if result.decision is MarginDecision.NOT_WORSE:
        return ", a loss below the margin is shown" if comparison.decision is Decision.WORSE else ""
    if result.needed > comparison.clusters:
        return f": {pluralize(result.needed, 'sample')} would decide, {count(comparison.clusters)} were asked"
    return f": {pluralize(result.needed, 'sample')} would have decided if nothing were lost"


def asides(comparison: Comparison) -> list[str]:
    """What belongs to a comparison's numbers: flips, what could have been shown, and what was left out."""
    found = []
    if comparison.flips is not None:
        found.append(f"Won {count(comparison.flips.won)}, lost {count(comparison.flips.lost)}")
    detectable = comparison.detectable_difference
    if comparison.decision is Decision.NO_DIFFERENCE and detectable is not None:
        found.append(
            f"This many samples would have shown a difference of {number(detectable)} or more (80 % power)"
        )
    if comparison.unscored:
        found.append(f"{pluralize(comparison.unscored, 'score')} missing and left out")
    if comparison.depends_on_unscored and comparison.difference_bounds is not None:
        least, most = map(signed, comparison.difference_bounds)
        found.append(f"With what is unscored the difference could be {least} to {most}")
    if comparison.unpaired:
        found.append(f"{pluralize(comparison.unpaired, 'sample')} in one run only")
    return found


def selection(section: Section) -> str:
    """Which of a suite's samples are shown, where not all are."""
    shown, unshown = len(section.samples), section.unshown
    whole = pluralize(shown + unshown.samples, "sample")
    return (
        f"Showing {count(shown)} of {whole}: those that were won or lost first, chosen among them by chance. "
        f"Of the other {count(unshown.samples)}, which are in the store, "
        f"{count(unshown.changed)} were won or lost."
    )


def outside(table: GroupTable) -> str:
    """What is in none of a table's groups; empty where all is."""
    return (
        f"{pluralize(table.ungrouped, 'score')} without this tag stand in no group."
        if table.ungrouped
        else ""
    )
