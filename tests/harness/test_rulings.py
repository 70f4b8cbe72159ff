"""Rules of a gate, and what comparisons and agreement say of each."""

from dataclasses import replace

import pytest

from harness.comparison.verdicts import compare_all
from harness.preferences.results import RaterAgreement
from harness.records.answers import Metric
from harness.records.comparisons import Comparison, Decision, Interval, Verdict
from harness.registry import AgreementRule, LossRule, MetricRule
from harness.rulings import (
    Demand,
    Ruling,
    must_agree,
    must_be_better,
    must_be_scored,
    must_not_be_worse,
    subjects,
    with_rules,
    without_policy,
)
from harness.stats.agreement import Agreement
from tests.harness.test_non_inferiority import ASKED, KEPT, flipped, scored

RULE = AgreementRule(key="gate.agreement", coefficient="share", at_least=0.7)


def verdict(won: int, lost: int, *, headline: tuple[int, int] = (0, 0)) -> Verdict:
    """A thousand prompts of which so many are won and lost, where the margin is 0.05 and on the headline."""
    price, asked = flipped(1000, won, lost), flipped(1000, *headline)
    [found] = compare_all(
        [scored("base", {KEPT: price[0], ASKED: asked[0]})],
        {"tuned": [scored("tuned", {KEPT: price[1], ASKED: asked[1]})]},
    )
    return found


def of(found: Verdict, metric: Metric) -> Comparison:
    """Its comparison on a metric."""
    [comparison] = [each for each in found.comparisons if each.metric.name == metric.name]
    return comparison


@pytest.mark.parametrize(
    ("won", "lost", "ruling"),
    [(150, 10, Ruling.KEPT), (10, 150, Ruling.BROKEN), (30, 25, Ruling.UNDECIDED)],
)
def test_better_is_what_the_verdict_says(won: int, lost: int, ruling: Ruling) -> None:
    """A point estimate that is higher is not enough, and what is not shown fails."""
    rule = must_be_better(of(verdict(0, 0, headline=(won, lost)), ASKED), "gate.better[0]")
    assert (ruling, ruling is not Ruling.KEPT) == (rule.ruling, rule.fails)


@pytest.mark.parametrize(
    ("won", "lost", "ruling"),
    [(10, 10, Ruling.KEPT), (10, 150, Ruling.BROKEN), (300, 340, Ruling.UNDECIDED)],
)
def test_not_worse_is_decided_on_the_margin(won: int, lost: int, ruling: Ruling) -> None:
    """By the interval's end: a loss of four points whose interval reaches beyond five is not decided."""
    comparison = of(verdict(won, lost), KEPT)
    rule = must_not_be_worse(comparison, "gate.not_worse[0]")
    assert (ruling, ruling is not Ruling.KEPT) == (rule.ruling, rule.fails)
    assert 0.05 == rule.limit
    let_through = must_not_be_worse(comparison, "gate.not_worse[0]", proof=False)
    assert (ruling is Ruling.BROKEN) == let_through.fails


@pytest.mark.parametrize(
    ("unscored", "share", "ruling"),
    [
        (0, 0.0, Ruling.KEPT),
        (1, 0.0, Ruling.BROKEN),
        (29, 0.29, Ruling.KEPT),
        (30, 0.29, Ruling.BROKEN),
        (100, 0.5, Ruling.BROKEN),
    ],
)
def test_unscored_is_a_share_of_all_pairs(unscored: int, share: float, ruling: Ruling) -> None:
    """The limit itself is allowed; what is left where nothing has a score is not comparable, and broken."""
    comparison = replace(of(verdict(0, 0), KEPT), scores=100 - unscored, unscored=unscored)
    if unscored == 100:
        comparison = replace(comparison, decision=Decision.NOT_COMPARABLE)
    assert ruling is must_be_scored(comparison, share).ruling


def test_what_cannot_be_compared_keeps_nothing() -> None:
    """Other conditions, and no run at all: every rule is unknown, with the reason, and none passes."""
    comparison = replace(
        of(verdict(0, 0), KEPT),
        decision=Decision.NOT_COMPARABLE,
        non_inferiority=None,
        notes=("setting limit: 5 for base but 6 for tuned",),
        scores=0,
        unscored=0,
    )
    for rule in (
        must_be_better(comparison, "k"),
        must_not_be_worse(comparison, "k", proof=False),
        must_be_scored(comparison, 0.5),
    ):
        assert Ruling.UNKNOWN is rule.ruling
        assert "not comparable: setting limit: 5 for base but 6 for tuned" == rule.missing


@pytest.mark.parametrize(
    ("low", "high", "ruling"),
    [
        (0.7, 0.9, Ruling.KEPT),
        (0.69, 0.9, Ruling.UNDECIDED),
        (0.5, 0.7, Ruling.UNDECIDED),
        (0.5, 0.69, Ruling.BROKEN),
    ],
)
def test_agreement_is_decided_by_the_interval(low: float, high: float, ruling: Ruling) -> None:
    """Its lower end must reach the limit; only an upper end below it breaks the rule."""
    rule = must_agree(RULE, "judge:gpt", agreement(low, high))
    assert (ruling, ruling is not Ruling.KEPT) == (rule.ruling, rule.fails)
    assert must_agree(replace(RULE, proof=False), "judge:gpt", agreement(low, high)).fails is (
        ruling is Ruling.BROKEN
    )


def agreement(low: float, high: float, items: int = 50) -> RaterAgreement:
    """Between a judge and a person: this share, and a kappa of one half."""
    interval = Interval(low=low, high=high, level=0.95)
    raw = Agreement(value=(low + high) / 2, interval=interval, items=items)
    half = Agreement(value=0.5, interval=Interval(low=0.5, high=0.5, level=0.95), items=items)
    return RaterAgreement(models=("a", "b"), first="judge:gpt", second="human", raw=raw, kappa=half)


def test_kappa_is_another_coefficient() -> None:
    """Beyond chance: the share does not count then."""
    kappa = replace(RULE, coefficient="kappa")
    assert Ruling.BROKEN is must_agree(kappa, "judge:gpt", agreement(0.8, 0.9)).ruling


def test_one_item_is_no_agreement_and_none_is_unknown() -> None:
    """One pair shows nothing; no pair that both judged, or a kappa that is undefined, cannot be judged."""
    assert Ruling.UNDECIDED is must_agree(RULE, "judge:gpt", agreement(0.9, 1.0, items=1)).ruling
    assert Ruling.UNKNOWN is must_agree(RULE, "judge:gpt", None).ruling
    undefined = replace(
        agreement(0.9, 1.0), raw=Agreement(value=None, interval=None, items=9, reason="all the same")
    )
    rule = must_agree(RULE, "judge:gpt", undefined)
    assert (Ruling.UNKNOWN, "all the same") == (rule.ruling, rule.missing)


def test_what_a_rule_is_about() -> None:
    """Without a metric: the headlines; for a loss what has a margin of its own, or else the headlines."""
    headline, other = Metric(name="h", kind="binary", headline=True), Metric(name="o", kind="binary")
    better, loss = MetricRule(key="k", suite="s"), LossRule(key="k", suite="s")
    assert {"h"} == subjects(better, [headline, other]) == subjects(loss, [headline, other])
    assert {"o"} == subjects(loss, [headline, replace(other, margin=0.1)])
    assert {"o"} == subjects(replace(better, metric="o"), [headline, other])
    assert not subjects(replace(better, metric="x"), [headline, other])
    assert not subjects(better, [other])


def test_margins_of_rules() -> None:
    """A rule's margin stands in the place of the suite's; what a rule names counts more than a suite."""
    metrics = [Metric(name="h", kind="binary", headline=True), Metric(name="i", kind="binary", headline=True)]
    rules = [
        LossRule(key="a", suite="s", metric="i", margin=0.2),
        LossRule(key="b", suite="s", margin=0.1),
        LossRule(key="c", suite="other", margin=0.3),
        LossRule(key="d", suite="s", metric="h"),
    ]
    assert [0.1, 0.2] == [each.margin for each in with_rules(metrics, "s", rules)]
    assert [None, None] == [each.margin for each in with_rules(metrics, "nothing", rules)]


@pytest.mark.parametrize(
    ("price", "headline", "fails"),
    [((10, 10), (5, 0), False), ((10, 150), (150, 10), True), ((10, 10), (10, 150), True)],
)
def test_a_comparison_without_a_policy(
    price: tuple[int, int], headline: tuple[int, int], fails: bool
) -> None:
    """As `--fail-on worse`: a loss that is shown on a headline, or beyond a margin, and nothing else."""
    result = without_policy(verdict(*price, headline=headline))
    assert {Demand.NO_LOSS, Demand.NOT_WORSE} == {rule.demand for rule in result.rules}
    assert fails is result.fails
    assert result.is_known
