"""A gate's rules and rulings in words, the same in a terminal, in JUnit XML and in a step summary."""

from harness.pluralize import pluralize
from harness.records.comparisons import Comparison
from harness.rulings import Demand, GateResult, JudgedRule, Ruling
from harness.stats.agreement import Agreement
from reports.wording import asides, count, marked, number, price, signed

RULING_MARKS = {
    Ruling.KEPT: "✓",
    Ruling.BROKEN: "✗",
    Ruling.UNDECIDED: "○",
    Ruling.UNKNOWN: "⊘",
}
"""A shape per ruling, so that no reader depends on colour."""


def title(result: GateResult) -> str:
    """Who is judged, and against whom."""
    return f"{result.candidate} against {result.baseline}"


def summary(result: GateResult) -> str:
    """Whether the candidate passes, and how many rules there are of each ruling."""
    if not result.rules:
        return "nothing to judge by"
    found = {each: sum(rule.ruling is each for rule in result.rules) for each in Ruling}
    first, *others = [(each, times) for each, times in found.items() if times]
    rules = ", ".join([f"{pluralize(first[1], 'rule')} {first[0]}", *(f"{n} {each}" for each, n in others)])
    if result.fails:
        return f"does not pass ({rules})"
    return f"passes ({rules})" if result.is_known else f"cannot be judged ({rules})"


def demand(rule: JudgedRule) -> str:
    """What is asked for."""
    limit = 0.0 if rule.limit is None else rule.limit
    match rule.demand:
        case Demand.BETTER | Demand.NO_LOSS:
            return f"{rule.demand} on {_place(rule)}"
        case Demand.NOT_WORSE:
            beyond = "" if rule.limit is None else f" by {limit:g} or more"
            return f"not worse on {_place(rule)}{beyond}"
        case Demand.UNSCORED:
            most = f"at most {_share(limit)}" if limit else "nothing"
            return f"{most} unscored on {_place(rule)}"
        case Demand.AGREEMENT:
            return _agreeing(rule, limit)


def why(rule: JudgedRule) -> str:
    """What the ruling rests on, with its numbers."""
    return f"{_found(rule)}{_let_through(rule)}"


def _found(rule: JudgedRule) -> str:
    if rule.ruling is Ruling.UNKNOWN:
        return rule.missing or "nothing can be said"
    if rule.agreement is not None:
        return _coefficient(rule.agreement)
    assert rule.comparison is not None
    if rule.demand is Demand.UNSCORED:
        return _missing_scores(rule.comparison)
    return _figures(rule.demand, rule.comparison)


def _coefficient(found: Agreement) -> str:
    assert found.value is not None
    assert found.interval is not None
    return f"{number(found.value)} {number(found.interval)}, n = {count(found.items)}"


def _figures(demanded: Demand, comparison: Comparison) -> str:
    assert comparison.difference is not None
    assert comparison.interval is not None
    size = f"{signed(comparison.difference)} {signed(comparison.interval)}"
    result = comparison.non_inferiority
    if demanded is Demand.NOT_WORSE and result is not None:
        p = f"p = {result.adjusted_p:.2g} (of a loss of {result.margin:g}, adjusted)"
        return f"{price(comparison)}; {size}, {p}, n = {count(comparison.n)}"
    p = f"p = {comparison.adjusted_p:.2g} (adjusted)"
    return ". ".join(
        [f"{marked(comparison.decision)}: {size}, {p}, n = {count(comparison.n)}", *asides(comparison)]
    )


def _missing_scores(comparison: Comparison) -> str:
    asked = comparison.scores + comparison.unscored
    return (
        f"{count(comparison.unscored)} of {pluralize(asked, 'pair')} ({_share(comparison.unscored / asked)})"
    )


def _let_through(rule: JudgedRule) -> str:
    return " (`proof = false` lets it through)" if rule.ruling is Ruling.UNDECIDED and not rule.fails else ""


def _place(rule: JudgedRule) -> str:
    return f"{rule.suite} ({rule.metric})" if rule.metric else f"{rule.suite}"


def _agreeing(rule: JudgedRule, limit: float) -> str:
    rater = rule.rater or "a judge"
    if rule.coefficient == "kappa":
        return f"{rater} agrees with people at a kappa of at least {limit:g}"
    return f"{rater} agrees with people on at least {_share(limit)}"


def _share(share: float) -> str:
    return f"{share:.1%}".replace(".0%", "%")
