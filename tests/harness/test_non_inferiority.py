"""How much was lost: decisions against a margin, their error rate, and how the verdict tells them."""

from collections.abc import Sequence
from dataclasses import replace
from math import ceil

import numpy as np
import pytest

from harness.comparison.non_inferiority import MARGIN_ONLY, with_margin
from harness.comparison.paired import ScoredRun
from harness.comparison.verdicts import compare_all
from harness.observed import Observed
from harness.records.answers import Metric, Observation, Run
from harness.records.comparisons import Comparison, Decision, MarginDecision, NonInferiority, Verdict
from harness.stats.clusters import Clusters
from harness.stats.intervals import difference_interval, one_sided_p
from harness.stats.plan import AnalysisPlan
from harness.stats.power import sample_size_for_margin

KEPT = Metric(name="kept", kind="binary", margin=0.05)
ASKED = Metric(name="asked", kind="binary", headline=True)
RUN = Run(
    id="run",
    model="base",
    fingerprint="weights",
    suite="general",
    suite_version="1",
    metrics=(KEPT,),
    data_hash="sha256:1",
    settings={},
    seed=0,
    environment={},
    size=1,
    started="2026-11-22T12:00:00+00:00",
    finished="2026-11-22T12:01:00+00:00",
)


def scored(model: str, values: dict[Metric, Sequence[float]]) -> ScoredRun:
    """A run with one score per sample and metric."""
    return ScoredRun(
        run=replace(RUN, model=model, metrics=tuple(values)),
        observations={
            metric.name: Observed.of(
                Observation(sample=f"q{place}", part=0, cluster=f"q{place}", value=value)
                for place, value in enumerate(theirs)
            )
            for metric, theirs in values.items()
        },
    )


def flipped(n: int, won: int, lost: int) -> tuple[list[float], list[float]]:
    """Binary scores before and after: half of what did not change was right."""
    same = [float(place % 2) for place in range(n - won - lost)]
    return [0.0] * won + [1.0] * lost + same, [1.0] * won + [0.0] * lost + same


def verdict_on(metric: Metric, before: Sequence[float], after: Sequence[float]) -> Verdict:
    """What follows where this is all that was compared."""
    (verdict,) = compare_all(
        [scored("base", {metric: before})], {"tuned": [scored("tuned", {metric: after})]}
    )
    return verdict


def only(verdict: Verdict) -> tuple[Comparison, NonInferiority]:
    """The one comparison and its loss."""
    (comparison,) = verdict.comparisons
    assert comparison.non_inferiority is not None
    return comparison, comparison.non_inferiority


# ---------------------------------------------------------------- one decision


@pytest.mark.parametrize(
    ("won", "lost", "decision", "shown"),
    [
        (40, 40, MarginDecision.NOT_WORSE, Decision.NO_DIFFERENCE),  # [-0.018, 0.018] above -0.05
        (80, 20, MarginDecision.NOT_WORSE, Decision.BETTER),
        (5, 25, MarginDecision.NOT_WORSE, Decision.WORSE),  # a loss of 0.020 +- 0.011: shown, and small
        (30, 75, MarginDecision.WORSE, Decision.WORSE),  # 0.045 +- 0.020 crosses the margin
        (10, 150, MarginDecision.WORSE, Decision.WORSE),  # 0.140 +- 0.022: beyond it
        (150, 180, MarginDecision.UNDECIDED, Decision.NO_DIFFERENCE),  # 0.030 +- 0.036
    ],
)
def test_decisions(won: int, lost: int, decision: MarginDecision, shown: Decision) -> None:
    """Within the margin is NOT WORSE, also where a small loss is shown; a shown loss otherwise is WORSE."""
    comparison, loss = only(verdict_on(KEPT, *flipped(1000, won, lost)))

    assert (decision, shown) == (loss.decision, comparison.decision)


def test_lower_is_better_mirrors() -> None:
    """Of a metric that should fall, a rise is the loss."""
    before, after = flipped(1000, 10, 150)
    falls = replace(KEPT, higher_is_better=False)
    _, one = only(verdict_on(KEPT, before, after))
    _, other = only(verdict_on(falls, after, before))

    assert one == other


def test_a_metric_without_a_margin_has_no_price() -> None:
    """Nothing is added to what was compared before, and it stays in its family."""
    (comparison,) = verdict_on(replace(KEPT, margin=None), *flipped(100, 1, 5)).comparisons

    assert (None, "exploratory") == (comparison.non_inferiority, comparison.family)


def test_the_margin_belongs_to_no_headline() -> None:
    """A price is a family of its own, a headline with a margin stays a headline and is decided twice."""
    data = flipped(1000, 10, 150)
    price, headline = verdict_on(KEPT, *data), verdict_on(replace(KEPT, headline=True), *data)

    assert (MARGIN_ONLY, "headline") == (price.comparisons[0].family, headline.comparisons[0].family)
    assert (Decision.WORSE, Decision.WORSE) == (price.decision, headline.decision)
    assert {MarginDecision.WORSE} == {only(price)[1].decision, only(headline)[1].decision}


def test_whose_margin_a_user_sets() -> None:
    """Of metrics that have one from their suite, or else of the headlines; without a setting, of none."""
    assert (ASKED, replace(KEPT, margin=0.2)) == with_margin((ASKED, KEPT), 0.2)
    other = Metric(name="other", kind="number")
    assert (replace(ASKED, margin=0.2), other) == with_margin((ASKED, other), 0.2)
    assert (ASKED, KEPT) == with_margin((ASKED, KEPT), None)


# ---------------------------------------------------------------- the test


@pytest.mark.parametrize("draws", [[0.04, 0.05, 0.91], [0.004, 0.004, 0.992]], ids=["bootstrap", "score"])
def test_the_test_is_the_interval_turned_round(draws: list[float]) -> None:
    """p is below 2.5 % just where the 95 % interval's lower end is above minus the margin."""
    sums = np.random.default_rng(3).choice([1.0, -1.0, 0.0], 600, p=draws)
    differences = Clusters(sums, np.ones(600))
    found = difference_interval(
        differences, 1.0, level=0.95, resamples=999, rng=np.random.default_rng(1)
    ).interval
    for bound, inside in ((found.low - 1e-6, True), (found.low + 1e-6, False)):
        p = one_sided_p(differences, 1.0, bound, resamples=999, rng=np.random.default_rng(1))
        assert inside == (p <= 0.025)


def test_a_margin_wider_than_the_scores() -> None:
    """Scores within 0.005 of each other cannot lose 0.01: p is as small as can be, and never 0."""
    differences = Clusters(np.full(30, -0.004), np.ones(30))
    p = one_sided_p(differences, 0.005, -0.01, resamples=9, rng=np.random.default_rng(0))

    assert 0 < p < 1e-300


def test_needed_without_a_change() -> None:
    """Where no score changed, just enough samples for Tango's z² / (n + z²) to be below the margin."""
    needed = sample_size_for_margin(Clusters(np.zeros(50), np.ones(50)), 1.0, 0.01, level=0.95)
    few, enough = (
        difference_interval(
            Clusters(np.zeros(n), np.ones(n)), 1.0, level=0.95, resamples=9, rng=np.random.default_rng(0)
        ).interval.low
        for n in (needed - 1, needed)
    )

    assert few <= -0.01 < enough
    assert 381 == needed


def test_needed_is_enough_four_times_in_five() -> None:
    """By simulation: so many samples show that less than the margin is lost, where nothing is."""
    rng = np.random.default_rng(20261124)

    def differences(n: int) -> Clusters:
        return Clusters(rng.choice([1.0, -1.0, 0.0], n, p=[0.05, 0.05, 0.9]), np.ones(n))

    needed = sample_size_for_margin(differences(20_000), 1.0, 0.03, level=0.95)
    shown = [
        one_sided_p(differences(needed), 1.0, -0.03, resamples=199, rng=rng) <= 0.025 for _ in range(300)
    ]

    assert needed == pytest.approx((1.96 + 0.8416) ** 2 * 0.1 / 0.03**2, rel=0.03)
    assert np.mean(shown) == pytest.approx(0.8, abs=3 * np.sqrt(0.8 * 0.2 / 300))


def test_false_claims_stay_as_rare_as_said() -> None:
    """With a true loss of the margin in each of four metrics, any NOT WORSE comes in at most 2.5 %."""
    rng = np.random.default_rng(20261124)
    experiments, n = 300, 150
    metrics = [replace(KEPT, name=f"task {place}", margin=0.06) for place in range(4)]
    claimed = 0
    for _ in range(experiments):
        before, after = {}, {}
        for metric in metrics:
            change = rng.choice([1.0, -1.0, 0.0], n, p=[0.06, 0.12, 0.82])
            before[metric] = (change < 0).astype(float).tolist()
            after[metric] = (change > 0).astype(float).tolist()
        (verdict,) = compare_all(
            [scored("base", before)], {"tuned": [scored("tuned", after)]}, AnalysisPlan(resamples=199)
        )
        results = (comparison.non_inferiority for comparison in verdict.comparisons)
        claimed += any(
            result is not None and result.decision is MarginDecision.NOT_WORSE for result in results
        )

    assert claimed / experiments <= 0.025 + 3 * np.sqrt(0.025 * 0.975 / experiments)


# ---------------------------------------------------------------- in words


def test_the_verdict_names_the_price() -> None:
    """After the headlines: what was lost, with its size and margin, then what is open, then what was kept."""
    tasks = {
        replace(KEPT, name="beyond"): flipped(1000, 10, 150),
        replace(KEPT, name="across"): flipped(1000, 30, 75),
        replace(KEPT, name="small"): flipped(1000, 5, 25),
        replace(KEPT, name="kept"): flipped(1000, 40, 40),
        replace(KEPT, name="open"): flipped(1000, 150, 180),
        ASKED: flipped(1000, 150, 20),
    }
    (verdict,) = compare_all(
        [scored("base", {metric: before for metric, (before, _) in tasks.items()})],
        {"tuned": [scored("tuned", {metric: after for metric, (_, after) in tasks.items()})]},
    )
    better, paid, within, undecided, kept = verdict.reason.split("; ")

    assert Decision.BETTER == verdict.decision
    assert better.startswith("better on general (asked +0.130 ")
    assert paid.startswith("at a price on general (beyond -0.140 [")
    assert "beyond the margin of 0.05), general (across -0.045 [" in paid
    assert paid.endswith(", margin 0.05)")
    assert within.startswith("at a price within the margin on general (small -0.020 [")
    assert ("price undecided on general (open)", "no loss beyond the margin on general (kept)") == (
        undecided,
        kept,
    )


# ---------------------------------------------------------------- where nothing else was compared


@pytest.mark.parametrize(
    ("won", "lost", "decision", "reason"),
    [
        (40, 40, Decision.NOT_WORSE, "no loss beyond the margin on general (kept)"),
        (10, 150, Decision.WORSE, "at a price on general (kept -0.140 "),
    ],
)
def test_the_price_alone_is_the_verdict(won: int, lost: int, decision: Decision, reason: str) -> None:
    """Without a headline the verdict is the price's, and is not called incomparable."""
    verdict = verdict_on(KEPT, *flipped(1000, won, lost))
    assert decision == verdict.decision
    assert verdict.reason.startswith(reason)


def test_few_samples_leave_the_price_alone_undecided() -> None:
    """Neither a loss nor its absence is shown: that is the verdict."""
    verdict = verdict_on(KEPT, *flipped(20, 1, 1))
    assert Decision.UNDECIDED == verdict.decision
    assert "price undecided on general (kept)" == verdict.reason


def test_one_loss_among_prices_decides() -> None:
    """A price is as high as its highest part."""
    other = replace(KEPT, name="other")
    cheap, dear = flipped(1000, 0, 0), flipped(1000, 10, 150)
    (verdict,) = compare_all(
        [scored("base", {KEPT: cheap[0], other: dear[0]})],
        {"tuned": [scored("tuned", {KEPT: cheap[1], other: dear[1]})]},
    )
    assert Decision.WORSE == verdict.decision


def test_a_price_that_cannot_be_compared_says_why() -> None:
    """Other data leave the price open, and the reason names them."""
    before, after = flipped(100, 0, 0)
    theirs = scored("tuned", {KEPT: after})
    theirs = replace(theirs, run=replace(theirs.run, data_hash="sha256:2"))
    (verdict,) = compare_all([scored("base", {KEPT: before})], {"tuned": [theirs]})
    assert Decision.NOT_COMPARABLE == verdict.decision
    assert (
        "not comparable on general (kept): data: sha256:1 for base but sha256:2 for tuned" == verdict.reason
    )


def test_what_is_known_before_a_decision() -> None:
    """The loss carries its corrected p and how many samples decide: Holm's over two, and by hand."""
    before, after = flipped(1000, 40, 40)
    others = flipped(1000, 100, 130)
    second = replace(KEPT, name="second")
    (verdict,) = compare_all(
        [scored("base", {KEPT: before, second: others[0]})],
        {"tuned": [scored("tuned", {KEPT: after, second: others[1]})]},
    )
    one, other = (each.non_inferiority for each in verdict.comparisons)
    assert one is not None
    assert other is not None

    assert one.p < other.p
    assert (pytest.approx(2 * one.p), pytest.approx(other.p)) == (one.adjusted_p, other.adjusted_p)
    variance = 0.08 * 1000 / 999
    assert ceil(7.84888 * variance / 0.05**2) == one.needed


def test_metrics_of_a_clause_are_joined_by_commas() -> None:
    """Of one suite within its parentheses."""
    data = flipped(1000, 40, 40)
    second = replace(KEPT, name="second")
    (verdict,) = compare_all(
        [scored("base", dict.fromkeys((KEPT, second), data[0]))],
        {"tuned": [scored("tuned", dict.fromkeys((KEPT, second), data[1]))]},
    )
    assert "no loss beyond the margin on general (kept, second)" == verdict.reason


def test_a_price_of_what_should_fall() -> None:
    """Words and decision turn with the metric: a rise beyond the margin is a price."""
    falls = replace(KEPT, higher_is_better=False)
    after, before = flipped(1000, 10, 150)
    verdict = verdict_on(falls, before, after)

    assert MarginDecision.WORSE == only(verdict)[1].decision
    assert "at a price on general (kept +0.140 [" in verdict.reason
    assert verdict.reason.endswith(", beyond the margin of 0.05)")
    within = verdict_on(falls, *reversed(flipped(1000, 5, 25)))
    assert MarginDecision.NOT_WORSE == only(within)[1].decision


def test_the_price_rests_on_the_intervals_own_resamples() -> None:
    """Of numbers too: a margin just beyond the interval's end is kept, and one just within it is not."""
    draw = np.random.default_rng(4)
    before, after = draw.normal(-3.0, 1.0, 60), draw.normal(-3.1, 1.0, 60)
    number = replace(KEPT, kind="number")
    interval = only(verdict_on(number, before.tolist(), after.tolist()))[0].interval
    assert interval is not None

    for away, decision in ((1e-9, MarginDecision.NOT_WORSE), (-1e-9, MarginDecision.UNDECIDED)):
        asked = replace(number, margin=-interval.low + away)
        _, loss = only(verdict_on(asked, before.tolist(), after.tolist()))
        assert decision == loss.decision
        assert (loss.p < 0.025) == (decision is MarginDecision.NOT_WORSE)


def test_a_fall_that_is_wanted_is_not_worse() -> None:
    """However large, where less is better; two suites' names are joined by commas."""
    falls = replace(KEPT, higher_is_better=False)
    _, loss = only(verdict_on(falls, *reversed(flipped(1000, 150, 10))))
    assert MarginDecision.NOT_WORSE == loss.decision

    data = flipped(1000, 40, 40)
    runs = [
        [replace(each, run=replace(each.run, suite=suite)) for suite in ("one", "two")]
        for each in (scored("base", {KEPT: data[0]}), scored("tuned", {KEPT: data[1]}))
    ]
    (verdict,) = compare_all(runs[0], {"tuned": runs[1]})
    assert "no loss beyond the margin on one (kept), two (kept)" == verdict.reason
