"""Preferences as tables of plain text, the same in every report; a page escapes what it shows."""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TypeVar

from harness.preferences.results import Analysis, GroupAgreement, RaterAgreement, RaterWinRate, Ratings
from harness.stats.agreement import Agreement
from harness.stats.length_control import LengthControlled
from harness.stats.prediction_powered import CorrectedWinRate
from harness.stats.preferences import Bias, WinRate
from reports.board import ModelPreferences
from reports.wording import MARKS, could_be, count, number, signed

ABOUT = (
    "What judges and people preferred, pair by pair. It stands beside the verdicts and changes none of them: "
    "those rest on the suites alone. A win rate is the model's share of the win against its baseline, a tie "
    "counting half; pairs of identical answers and those without a usable answer are in none, and “could be” "
    "is what it would be if all of the latter had been lost, and won. Both orders of a pair are one choice, "
    "and a tie where they disagree. Intervals are over prompts, and p is adjusted for every line of this "
    "table (Holm)."
)
ABOUT_BIASES = (
    "How often the answer that was shown first won, how often both orders of a pair had one outcome, and how "
    "often the longer answer won. Longer answers may be better ones: that alone is no fault. At equal length "
    "is the win rate that a logistic model of length expects there."
)
ABOUT_CORRECTED = (
    "What people would have said of all that the judge judged: its win rate, moved by how much people differ "
    "from it on what both judged (prediction-powered inference). It holds if those were drawn at random."
)
ABOUT_RATINGS = (
    "All models on one scale (Bradley-Terry): 100 more is a win rate of 64 %, and their mean is 0. Intervals "
    "are over prompts."
)
ABOUT_AGREEMENT = (
    "On the items that both judged, a tie being an outcome of its own. Kappa and alpha are 1 for full "
    "agreement and 0 for what chance would give. Two people's agreement is the measure of what to ask of a "
    "judge."
)
COLUMNS = ("judge", "humans", "agreement")
"""What `cells` are of, in their order."""
REASONS = 3
"""The most reasons for having no usable answer that are named: every unreadable reply may be another one."""
NAMED = 12
"""The most raters that are named in one cell; more are counted."""

_Agreed = TypeVar("_Agreed", RaterAgreement, GroupAgreement)


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """A table of plain text."""

    title: str
    about: str
    head: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    numbers_from = 2
    """The first column that holds numbers."""


def tables(analysis: Analysis) -> list[Table]:
    """Everything that is worth a table; those that would be empty are left out."""
    return [*([_preferred(analysis)] if analysis.win_rates else []), *tables_beside(analysis)]


def tables_beside(analysis: Analysis) -> list[Table]:
    """All but who is preferred, which can be said in sentences."""
    made = (_corrected, _biases, _agreements, _groups, _ratings)
    return [table for each in made if (table := each(analysis)).rows]


def cells(preferred: ModelPreferences | None) -> tuple[list[str], list[str], list[str]]:
    """A model's cells of the ranked table, in lines: judges by name where there are several."""
    if preferred is None:
        return ["–"], ["–"], ["–"]
    several = len(preferred.judges) > 1
    judges = [
        line for each in preferred.judges for line in ([f"{each.rater}:"] if several else []) + _rate(each)
    ]
    return judges or ["–"], _rate(preferred.humans), _agreed(preferred) or ["–"]


def _rate(result: RaterWinRate | None) -> list[str]:
    """A win rate with its mark, and its interval."""
    if result is None:
        return ["–"]
    if result.unread is not None:
        return [result.unread]
    rate = result.win_rate
    if rate is None or not rate.shows_something:
        return ["–"]
    return [f"{MARKS[result.decision]} {number(rate.value)}", number(rate.interval)]


def _agreed(preferred: ModelPreferences) -> list[str]:
    """How far each judge agrees with the humans, they among themselves, and the judge corrected by them."""
    several = len(preferred.judges) > 1
    lines = [
        f"{judge.rater if several else 'judge'}–human {_concord(agreement)}"
        for judge, agreement in zip(preferred.judges, preferred.agreements, strict=True)
        if agreement is not None
    ]
    if preferred.among_humans is not None:
        lines.append(f"human–human {_concord(preferred.among_humans)}")
    for judge in preferred.judges:
        if judge.corrected is not None and judge.corrected.value is not None:
            lines.append(f"{judge.rater if several else 'judge'} corrected {_between(judge.corrected)}")
    return lines


def _concord(agreement: RaterAgreement) -> str:
    """An agreement as a share and beyond chance."""
    share, kappa = (each.value for each in (agreement.raw, agreement.kappa))
    return ", ".join(
        [
            "–" if share is None else number(share),
            "κ undefined" if kappa is None else f"κ {number(kappa)}",
        ]
    )


def _preferred(analysis: Analysis) -> Table:
    return Table(
        title="Who is preferred",
        about=ABOUT,
        head=("models", "rater", "win rate", "won / tied / lost", "left out", "adjusted p", ""),
        rows=tuple(_line(each) for each in analysis.win_rates),
    )


def _line(result: RaterWinRate) -> tuple[str, ...]:
    rate = result.win_rate
    return (
        _models((result.baseline, result.candidate)),
        result.rater,
        "–" if result.unread else _between(rate),
        "–" if rate is None else " / ".join(count(each) for each in (rate.won, rate.tied, rate.lost)),
        _left_out(result),
        "–" if result.adjusted_p is None or _between(rate) == "–" else f"{result.adjusted_p:.2g}",
        f"{MARKS[result.decision]} {result.unread or result.decision}",
    )


def _left_out(result: RaterWinRate) -> str:
    commonest = Counter(result.unreadable).most_common(REASONS)
    reasons = [f"{count(times)} × {reason}" for reason, times in commonest]
    others = sum(result.unreadable.values()) - sum(times for _, times in commonest)
    more = [f"{count(others)} × others"] if others else []
    identical = [f"{count(result.identical)} identical"] if result.identical else []
    bounds = [could_be(result.could_be)] if result.could_be else []
    return "; ".join([*identical, *reasons, *more, *bounds]) or "–"


def _corrected(analysis: Analysis) -> Table:
    corrected = [(each, each.corrected) for each in analysis.win_rates if each.corrected is not None]
    return Table(
        title="Judges corrected by people",
        about=ABOUT_CORRECTED,
        head=("models", "judge", "by the judge", "corrected", "by people alone", "judged by both"),
        rows=tuple(
            (
                _models((result.baseline, result.candidate)),
                result.rater,
                _between(result.win_rate),
                found.reason or _between(found),
                "–" if found.human is None else number(found.human),
                count(found.shared),
            )
            for result, found in corrected
        ),
    )


def _between(found: WinRate | CorrectedWinRate | LengthControlled | Agreement | None) -> str:
    if found is None or found.value is None or found.interval is None:
        return "–"
    if isinstance(found, WinRate | Agreement) and not found.shows_something:
        return "–"
    return f"{number(found.value)} {number(found.interval)}"


def _ratings(analysis: Analysis) -> Table:
    return Table(
        title="Ratings",
        about=ABOUT_RATINGS,
        head=("rater", "model", "rating", "comparisons"),
        rows=tuple(row for each in analysis.ratings for row in _rated(each)),
    )


def _rated(rated: Ratings) -> Iterator[tuple[str, ...]]:
    if rated.reason is not None:
        yield rated.rater, "–", rated.reason, "–"
    for each in rated.ratings:
        unbounded = ", won or lost everything" if each.unbounded else ""
        rating = f"{signed(each.value, 0)} {signed(each.interval, 0)}{unbounded}"
        yield rated.rater, each.name, rating, count(each.comparisons)


def _biases(analysis: Analysis) -> Table:
    shown = [
        each
        for each in analysis.win_rates
        if (each.position or each.consistency or each.length) and not _is_of_one_item(each)
    ]
    return Table(
        title="What else moved the raters",
        about=ABOUT_BIASES,
        head=("models", "rater", "the first won", "same in both orders", "the longer won", "at equal length"),
        rows=tuple(
            (
                _models((each.baseline, each.candidate)),
                each.rater,
                _bias(each.position),
                _consistent(each),
                _bias(each.length),
                _at_equal_length(each.length_controlled),
            )
            for each in shown
        ),
    )


def _is_of_one_item(result: RaterWinRate) -> bool:
    return result.win_rate is not None and not result.win_rate.shows_something


def _bias(bias: Bias | None) -> str:
    if bias is None or not bias.share.shows_something:
        return "–"
    return f"{number(bias.share.value)} {number(bias.share.interval)}, p = {bias.p:.2g}"


def _consistent(result: RaterWinRate) -> str:
    found = result.consistency
    if found is None or not found.share.shows_something:
        return "–"
    return f"{number(found.share.value)} of {count(found.share.of)}"


def _at_equal_length(found: LengthControlled | None) -> str:
    return "–" if found is None else found.reason or _between(found)


def _agreements(analysis: Analysis) -> Table:
    return Table(
        title="How far raters agree",
        about=ABOUT_AGREEMENT,
        head=("models", "raters", "verdicts compared", "agree", "Cohen's κ"),
        rows=tuple(
            (
                _models(each.models),
                _both(each.first, each.second),
                count(each.raw.items),
                *(found.reason or _between(found) for found in (each.raw, each.kappa)),
            )
            for each in _widest(analysis.agreements)
        ),
    )


def _groups(analysis: Analysis) -> Table:
    return Table(
        title="How far all of them agree",
        about="Items that at least two of them judged.",
        head=("models", "raters", "items", "agree", "Fleiss' κ", "Krippendorff's alpha"),
        rows=tuple(
            (
                _models(each.models),
                _among(each.raters),
                count(each.raw.items),
                *(found.reason or _between(found) for found in (each.raw, each.fleiss, each.alpha)),
            )
            for each in _widest(analysis.groups)
        ),
    )


def _widest(found: Sequence[_Agreed]) -> list[_Agreed]:
    """Over all pairs of models, where there are several; what single ones say stands in the ranked table."""
    over_all = [each for each in found if each.models is None]
    return over_all or list(found)


def _models(models: tuple[str, str] | None) -> str:
    return "all pairs" if models is None else f"{models[1]} vs {models[0]}"


def _among(raters: Sequence[str]) -> str:
    return ", ".join(raters) if len(raters) <= NAMED else f"{count(len(raters))} raters"


def _both(first: str, second: str) -> str:
    return f"{first}, among themselves" if first == second else f"{first}, {second}"
