"""What numbers allow one to say: the rules of BETTER, WORSE and NOT WORSE, for scores and preferences alike.

A difference is shown by **both** its interval, at its own level, and its test, corrected for everything that
was looked at. Either alone is not enough: an interval knows of no other comparison, and a test of no size.
"""

from harness.records.comparisons import Decision, Interval, MarginDecision


def decide_difference(
    interval: Interval, adjusted_p: float, alpha: float, *, equal: float = 0.0, higher_is_better: bool = True
) -> Decision:
    """BETTER or WORSE where the corrected p is below alpha and the interval lies on one side of `equal`.

    `equal` is the value of no difference: 0 for a difference of scores, one half for a win rate.
    """
    above, below = interval.low > equal, interval.high < equal
    if adjusted_p >= alpha or not (above or below):
        return Decision.NO_DIFFERENCE
    return Decision.BETTER if above == higher_is_better else Decision.WORSE


def decide_non_inferiority(
    interval: Interval,
    adjusted_p: float,
    alpha: float,
    *,
    margin: float,
    difference: Decision,
    higher_is_better: bool = True,
) -> MarginDecision:
    """NOT WORSE where less than the margin is lost, by the interval and a one-sided test; else what is shown.

    `difference` is what `decide_difference` says of the same numbers: WORSE rests on that.
    """
    at_worst = interval.low if higher_is_better else -interval.high
    if adjusted_p < alpha / 2 and at_worst > -margin:
        return MarginDecision.NOT_WORSE
    return MarginDecision.WORSE if difference is Decision.WORSE else MarginDecision.UNDECIDED
