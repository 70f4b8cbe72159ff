"""What preferences come to: small cases by hand, and raters whose leaning is known and must be found."""

import re
from dataclasses import replace
from itertools import chain
from typing import Any

import numpy as np
import pytest

from harness.preferences.analysis import analyse
from harness.preferences.named import IDENTICAL, NamedPreference
from harness.preferences.results import HUMANS
from harness.records.comparisons import Decision
from harness.stats.agreement import cohen_kappa, fleiss_kappa, krippendorff_alpha, raw_agreement
from harness.stats.bradley_terry import ratings
from harness.stats.length_control import length_controlled
from harness.stats.multiplicity import holm
from harness.stats.plan import AnalysisPlan
from harness.stats.preferences import length_bias, position_bias, position_consistency, win_rate
from reports import preference_tables
from tests.harness.preferences.simulated import asked_in_both_orders, coins, finding_of, only_of, said

FEW = AnalysisPlan(resamples=200)
L, R, T = "left", "right", "tie"


def test_a_win_rate_by_hand() -> None:
    """3 won, 2 tied, 1 lost are 4 of 6; ties leave the sign test, 3 to 1 of which gives p = .625."""
    result = finding_of(said([R, R, R, T, T, L]))

    assert result.win_rate is not None
    assert result.test is not None
    assert pytest.approx(4 / 6) == result.win_rate.value
    assert (3, 2, 1, 6) == (result.win_rate.won, result.win_rate.tied, result.win_rate.lost, result.n)
    assert (0.625, 0.625) == (result.test.p, result.adjusted_p)
    assert Decision.NO_DIFFERENCE == result.decision


def test_the_standard_error_by_hand() -> None:
    """1, 1, 0, 0 have a standard deviation of sqrt(1/3), and a standard error of sqrt(1/12)."""
    assert pytest.approx((1 / 12) ** 0.5) == finding_of(said([R, R, L, L])).standard_error
    assert pytest.approx(0.5) == finding_of(said([R, L])).standard_error
    assert finding_of(said([R])).standard_error is None


def test_better_and_worse() -> None:
    """The baseline is the first left model, or the one that is named; the other side mirrors everything."""
    preferences = said([R] * 30 + [L] * 5)

    result, mirrored = finding_of(preferences), finding_of(preferences, baseline="dpo")

    assert ("sft", "dpo", Decision.BETTER) == (result.baseline, result.candidate, result.decision)
    assert ("dpo", "sft", Decision.WORSE) == (mirrored.baseline, mirrored.candidate, mirrored.decision)
    assert result.win_rate is not None
    assert mirrored.win_rate is not None
    assert pytest.approx(1) == result.win_rate.value + mirrored.win_rate.value
    assert pytest.approx(1) == result.win_rate.interval.low + mirrored.win_rate.interval.high


def test_a_side_is_not_a_model() -> None:
    """Preferences count for a model on whichever side it stood."""
    turned = [each.facing("dpo") if i % 2 else each for i, each in enumerate(said([R, R, R, L]))]

    assert finding_of(said([R, R, R, L])) == finding_of(turned)


def replies(
    winners: list[str | None], reason: str = "unreadable: 'Hm.'", **changes: Any
) -> list[NamedPreference]:
    """A judge's, each pair in one order; those without a winner say nothing."""
    given = {"rater": "judge:j:1", "kind": "judge", **changes}
    return [
        replace(each, reason=None if each.winner else reason)
        for each in said(winners, **given)  # type: ignore[arg-type]
    ]


def test_a_judge_that_could_not_be_read() -> None:
    """Where most replies say nothing, the headline says so; what is left decides nothing."""
    result = finding_of(replies([None] * 8 + [R, R]))
    assert (10, {"unreadable": 8}) == (result.replies, result.without_verdict)
    assert result.sentence().startswith(
        "dpo vs sft by judge:j:1: this judge could not be read (8 of 10 replies unreadable)"
    )
    assert (Decision.NOT_COMPARABLE, None) == (result.decision, result.adjusted_p)

    other = replies([R] * 30, rater="judge:k:2")
    alone, beside = finding_of(other), finding_of([*other, *replies([None] * 8 + [R, R])], "judge:k:2")
    assert alone.adjusted_p == beside.adjusted_p


def test_what_is_not_the_judges_fault() -> None:
    """Half is not most; a missing answer was not asked about; a person who skips is no judge."""
    assert finding_of(replies([None] * 5 + [R] * 5)).unread is None
    missing = replies([None] * 20, reason="no answer to judge (failed: 503)", item="gone")
    assert (10, None) == ((found := finding_of([*missing, *replies([R] * 10)])).replies, found.unread)
    assert finding_of(said([None] * 8 + [R, R], reason="skipped")).unread is None


def test_kinds_of_useless_replies_and_a_jury() -> None:
    """Several kinds are counted apart; a jury is not read but comes to no verdict."""
    mixed = [*replies([None] * 3 + [R]), *replies([None] * 2, reason="cut: too long: 9 tokens", item="c")]
    assert "(5 of 6 replies unusable: 3 unreadable, 2 cut)" in str(finding_of(mixed).unread)
    jury = replies([None, None, R], reason="usable words of the jury: 1 of 2", rater="jury:1")
    assert "this jury came to no verdict (2 of 3 pairs)" == finding_of(jury).unread


def test_one_item_has_no_statistics() -> None:
    """Its win rate, interval and p are a dash, in the sentence and in every table; its counts are there."""
    analysis = analyse(
        [*asked_in_both_orders("judge:j:1", lambda truth, first: truth, [True], [True]), *said([R])],
        AnalysisPlan(resamples=100),
    )
    sentence = only_of(analysis.win_rates, "judge:j:1").sentence()
    assert "win rate – (won 1, tied 0, lost 0), n = 1" in sentence
    for table in preference_tables.tables(analysis):
        for row in table.rows:
            assert not re.search(r"\d\.\d|[0-9] %", " ".join(row)), table.title


def test_identical_answers_stand_apart() -> None:
    """They are in no win rate, and the win rate with them as ties is given beside it."""
    result = finding_of([*said([R, R, L]), *said([T], item="same", reason=IDENTICAL)])

    assert result.win_rate is not None
    assert (3, 1, 0) == (result.n, result.identical, result.win_rate.tied)
    assert pytest.approx(2.5 / 4) == result.with_identical


def test_no_usable_answer_is_counted_by_reason_and_is_no_default() -> None:
    """What could not be read is neither a tie nor a loss; where nothing was, there are no numbers."""
    refused = [replace(each, reason="refused") for each in said([None, None])]

    some = finding_of([*said([R], item="read"), *refused])
    none = finding_of(refused)

    assert (1, {"refused": 2}) == (some.n, some.unreadable)
    assert (0, None, None, Decision.NOT_COMPARABLE) == (none.n, none.win_rate, none.test, none.decision)
    assert "no usable preference; left out: 2 without a usable answer" in none.sentence()


def test_what_is_not_counted_is_bounded() -> None:
    """Two useless answers beside 3 won, 1 tied and 1 lost: 3.5 of 7 if both were lost, 5.5 of 7 if won."""
    result = finding_of(replies([R, R, R, T, L, None, None]))
    assert pytest.approx((3.5 / 7, 5.5 / 7)) == result.bounds
    assert "2 without a usable answer, with which it could be 0.500 to 0.786" in result.sentence()

    for nothing in (replies([R, L]), replies([None, None]), said([T], reason=IDENTICAL)):
        assert finding_of(nothing).bounds is None
    assert "could be" not in finding_of(replies([R, R, *[None] * 8])).sentence()
    assert "could be" not in finding_of(replies([R, None], cluster="one prompt")).sentence()


def test_a_model_against_itself() -> None:
    """One half by definition, whatever is said and in whatever order; nothing else rests on it."""
    others = said([R] * 12 + [L])
    itself = [replace(each, right="sft", rater="gpt", kind="judge") for each in said([R, R, L, None])]
    orders = [replace(each, shown_first=side) for each in itself for side in ("left", "right")]
    without, found = analyse(others, FEW), analyse([*others, *orders], FEW)

    *tested, half = found.win_rates
    assert without.win_rates == tuple(tested)
    assert (without.agreements, without.groups) == (found.agreements, found.groups)
    assert ("sft", "sft", 4, Decision.NO_DIFFERENCE) == (half.baseline, half.candidate, half.n, half.decision)
    assert half.win_rate is not None
    assert (0.5, 0.5, 0.5) == (half.win_rate.value, half.win_rate.interval.low, half.win_rate.interval.high)
    assert (None, None, None) == (half.position, half.consistency, half.bounds)
    assert ("sft",) == analyse(orders, FEW).models


def test_baselines_of_their_pairs() -> None:
    """Of two that are not the baseline, the one among the baselines is that of their pair."""
    pairs = [("sft", "rl"), ("dpo", "rl")]
    preferences = [replace(said([R])[0], left=left, right=right) for left, right in pairs]

    def found(*baselines: str) -> list[tuple[str, str]]:
        results = analyse(preferences, FEW, baselines=baselines).win_rates
        return [(each.baseline, each.candidate) for each in results]

    assert [("sft", "rl"), ("rl", "dpo")] == found()
    assert pairs == found("sft", "dpo")


def test_prompts_are_what_is_independent() -> None:
    """Ten preferences of one prompt are one unit: a wide interval, and one prompt in the sign test."""
    one = finding_of(said([R] * 10, cluster="p"))
    ten = finding_of(said([R] * 10))

    assert one.test is not None
    assert ten.test is not None
    assert one.win_rate is not None
    assert ten.win_rate is not None
    assert (1.0, 2 / 2**10) == (one.test.p, ten.test.p)
    assert one.win_rate.interval.low < ten.win_rate.interval.low
    assert (1, 10) == (one.win_rate.prompts, ten.win_rate.prompts)


def test_all_raters_and_pairs_are_one_family() -> None:
    """Adjusted p are Holm's of all results' sign tests, all humans together among them."""
    preferences = [
        *said([R] * 9 + [L]),
        *said([R] * 8 + [L] * 2, "bia"),
        *said([R] * 10, "gpt", kind="judge"),
        *said([L] * 7 + [R] * 3, "gpt", kind="judge", right="grpo"),
    ]

    found = analyse(preferences, AnalysisPlan(resamples=200)).win_rates

    assert ["gpt", "ana", "bia", HUMANS, "gpt"] == [each.rater for each in found]
    assert holm([each.test.p for each in found if each.test]) == [each.adjusted_p for each in found]


def test_a_finding_does_not_depend_on_company() -> None:
    """Whatever other raters there are, one rater's numbers are the same, but for the adjusted p."""
    mine, others = said([R, R, L, T, R] * 12), said([L] * 60, "bia")

    alone = finding_of(mine)
    among = finding_of([*others, *mine], "ana")

    assert replace(alone, adjusted_p=None, decision=among.decision) == replace(among, adjusted_p=None)


def test_a_sentence_holds_what_decides() -> None:
    """Who, by whom, the decision, the win rate with its interval, the counts and p."""
    assert (
        "dpo vs sft by ana: NO DIFFERENCE SHOWN: win rate 0.667 [0.300, 0.903] "
        "(won 4, tied 0, lost 2), p = 0.69 (adjusted), n = 6"
    ) == finding_of(said([R, R, R, R, L, L])).sentence()


# ---------------------------------------------------------------- what else moves a rater


def test_a_leaning_to_the_first_is_found() -> None:
    """A judge that takes the first answer in 40 % of its calls, and the better one otherwise."""
    truths, leaning = coins(400, 0.6, 1), iter(coins(800, 0.4, 2))
    judge = asked_in_both_orders("gpt", lambda t, first: first if next(leaning) else t, truths, truths)

    result = finding_of(judge)

    assert result.position is not None
    assert result.consistency is not None
    assert result.position.share.interval.low > 0.6
    assert result.position.p < 1e-6
    # an order agrees with the other unless exactly one of them leaned, away from what is better
    assert pytest.approx(1 - 0.4 + 0.4**2 / 2 - 0.04, abs=0.08) == result.consistency.share.value
    assert result.consistency.to_first > 20 * max(result.consistency.to_second, 1)


def test_an_unbiased_judge_is_not_accused() -> None:
    """One that errs at random is inconsistent, and leans to neither side nor length."""
    truths, longer, errs = coins(400, 0.6, 1), coins(400, 0.5, 3), iter(coins(800, 0.2, 4))
    judge = asked_in_both_orders("gpt", lambda t, first: t != next(errs), truths, longer)

    result = finding_of(judge)

    assert result.position is not None
    assert result.length is not None
    assert result.position.p > 0.05
    assert result.length.p > 0.05


def test_a_tie_is_nobodys_side() -> None:
    """Of a tie in the second order, a win of the first and one of the second, two verdicts count."""
    asked = [
        NamedPreference(
            item=item, left="sft", right="dpo", rater="gpt", kind="judge", winner=winner, shown_first=first
        )
        for item, first, winner in [("a", L, L), ("a", R, "tie"), ("b", L, R), ("b", R, "tie")]
    ]
    found = finding_of(asked)
    assert found.position is not None
    assert found.consistency is not None
    assert (1, 2) == (found.position.share.count, found.position.share.of)
    assert (0, 1, 1) == (
        found.consistency.share.count, found.consistency.to_first, found.consistency.to_second
    )  # fmt: skip


def test_an_unknown_length_is_told() -> None:
    """With a length missing there is no win rate at equal length, and the reason for it."""
    known = said([R, L], left_length=3, right_length=5)

    found = finding_of([*known, *said([R], item="other")]).length_controlled

    assert found is not None
    assert (None, "of 1 of 3 pairs the lengths are not known") == (found.value, found.reason)
    assert (pytest.approx(2 / 3), False, "none") == (found.raw, found.extrapolated, found.method)


def test_a_leaning_to_length_is_found() -> None:
    """A judge that takes the longer answer in half of the pairs."""
    truths, longer, leaning = coins(400, 0.5, 1), coins(400, 0.5, 5), coins(400, 0.5, 6)
    prefers = [b if lean else t for t, b, lean in zip(truths, longer, leaning, strict=True)]
    judge = asked_in_both_orders("gpt", lambda t, first: t, prefers, longer)

    result = finding_of(judge)

    assert result.length is not None
    assert result.position is not None
    assert pytest.approx(0.75, abs=0.06) == result.length.share.value
    assert result.length.p < 1e-6
    assert result.position.share.value == 0.5


def test_nothing_is_said_of_what_is_not_known() -> None:
    """Without orders and lengths there is no bias, no consistency, and none is made up."""
    result = finding_of(said([R, L, R]))

    assert (None, None, None) == (result.position, result.consistency, result.length)
    assert result.length_controlled is None


def test_a_side_that_is_always_one_model_s_tells_no_bias() -> None:
    """A reward model reads both answers in one order: that the first wins is then what the model is worth."""
    always = said([R] * 20, "reward", kind="judge", shown_first="left")

    assert finding_of(always).position is None
    assert finding_of([*always, *said([R], "reward", kind="judge", item="q", shown_first="right")]).position


# ---------------------------------------------------------------- whom to believe


def test_agreement_by_hand() -> None:
    """Cohen's example shape: of 10 items 7 agree; .5 and .5 by chance give kappa .4."""
    ana, bia = said([R] * 5 + [L] * 5), said([R, R, R, R, L, L, L, L, R, R], "bia")

    found = analyse([*ana, *bia], AnalysisPlan(resamples=200))

    raw, kappa = found.agreements[0].raw, found.agreements[0].kappa
    assert (0.7, 10) == (pytest.approx(raw.value), raw.items)
    # bia: 6 right and 4 left, ana: 5 and 5, so that chance agrees in half
    assert pytest.approx((0.7 - 0.5) / 0.5) == kappa.value
    assert "ana and bia agree on 0.700" in found.agreements[0].sentence()


def test_intervals_are_over_prompts_and_named_seeds() -> None:
    """Several preferences on one prompt are one unit of every interval; its seed comes from the project's and
    the names of models and raters, so that an analysis beside it changes nothing."""
    draw = np.random.default_rng(3)
    ana, bia, cleo = (
        [
            replace(each, cluster=f"prompt {place // 2}")
            for place, each in enumerate(
                sorted(said(draw.choice([R, L, T], 40).tolist(), rater), key=lambda each: each.item)
            )
        ]
        for rater in ("ana", "bia", "cleo")
    )
    plan = AnalysisPlan(level=0.9, resamples=99, seed=5)
    found = analyse([*ana, *bia, *cleo], plan)

    labels = [[each.verdict for each in row] for row in zip(ana, bia, cleo, strict=True)]
    prompts = [each.unit for each in ana]
    two = [row[:2] for row in labels]
    [pair] = [each for each in found.agreements if {each.first, each.second} == {"ana", "bia"}]
    how = plan.resampling("sft", "dpo", "ana", "bia")
    assert raw_agreement(two, prompts, how) == pair.raw
    first, second = zip(*two, strict=True)
    assert cohen_kappa(first, second, prompts, how) == pair.kappa
    [group] = found.groups
    how = plan.resampling("sft", "dpo", "ana", "bia", "cleo")
    assert (
        raw_agreement(labels, prompts, how),
        fleiss_kappa(labels, prompts, how),
        krippendorff_alpha(labels, prompts, how),
    ) == (group.raw, group.fleiss, group.alpha)
    assert (("sft", "dpo"), ("ana", "bia", "cleo")) == (group.models, group.raters)
    [alone] = [each for each in found.win_rates if each.rater == "ana"]
    values = [each.value for each in ana if each.value is not None]
    assert win_rate(values, prompts, plan.resampling("sft", "dpo", "ana")) == alone.win_rate


def test_what_goes_with_a_win_rate_has_its_seed_too() -> None:
    """Length, orders and the win rate at equal length; what is refitted has 2,000 resamples at most."""
    draw = np.random.default_rng(8)
    in_orders = [
        replace(each, winner=str(draw.choice([R, L])), cluster=f"prompt {place // 4}", right_length=length)
        for place, (each, length) in enumerate(
            zip(
                asked_in_both_orders("gpt", lambda truth, first: truth, [True] * 40, [True] * 40),
                draw.integers(60, 150, 80).tolist(),
                strict=True,
            )
        )
    ]
    in_orders.sort(key=lambda each: each.item)
    plan = AnalysisPlan(level=0.9, resamples=3_000, seed=5)
    found = finding_of(in_orders, plan=plan)
    how = plan.resampling("sft", "dpo", "gpt")
    refitted = replace(how, resamples=2_000)

    of = {first: [each for each in in_orders if each.shown_first == first] for first in (R, L)}
    right, left = ([float(each.winner == R) for each in of[first]] for first in (R, L))
    assert found.consistency == position_consistency(right, left, [each.unit for each in of[R]], how)
    values = [sum(pair) / 2 for pair in zip(right, left, strict=True)]
    longer, prompts = [each.longer_by or 0 for each in of[L]], [each.unit for each in of[L]]
    assert found.length == length_bias(values, longer, prompts, how)
    assert found.length_controlled == length_controlled(values, longer, prompts, refitted)
    kept = [each.winner == each.shown_first for each in in_orders]
    assert found.position == position_bias(sum(kept), len(kept) - sum(kept), level=0.9)


def test_ratings_are_by_rater_and_pooled() -> None:
    """Each judge's, and all people's together, with seeds of their names and at most 1,000 resamples."""
    plan = AnalysisPlan(resamples=1_500, seed=5)
    duels = [("a", "b", R), ("b", "c", L), ("a", "c", R), ("a", "b", L), ("b", "c", R)]
    games = {
        rater: [
            NamedPreference(item=f"q{place}", left=left, right=right, rater=rater, kind=kind, winner=winner)
            for place, (left, right, winner) in enumerate(duels[start:] + duels[:start])
        ]
        for start, (rater, kind) in enumerate([("gpt", "judge"), ("ana", "human"), ("bia", "human")])
    }
    found = {each.rater: each.ratings for each in analyse([*chain(*games.values())], plan).ratings}

    assert {"gpt", HUMANS} == set(found)
    alone = {each.rater: each.ratings for each in analyse(games["ana"], plan).ratings}
    assert {"ana"} == set(alone)
    for rater, rated in (("gpt", found["gpt"]), ("ana", alone["ana"])):
        theirs = sorted(games[rater], key=lambda each: each.item)
        how = replace(plan.resampling(rater), resamples=1_000)
        expected = ratings(
            [each.left for each in theirs],
            [each.right for each in theirs],
            [float(each.winner == L) for each in theirs],
            [each.unit for each in theirs],
            how,
        )
        assert tuple(expected) == rated


def test_agreement_is_on_shared_usable_different_answers() -> None:
    """Unreadable and identical ones, and what only one of them judged, are not agreed on."""
    ana = said([R, L, R, None, R])
    bia = [
        *said([R, L, T], "bia"),
        *said([T], "bia", item="q3"),
        *said([T], "bia", item="q4", reason=IDENTICAL),
    ]

    [agreement] = [
        each for each in analyse([*ana, *bia], AnalysisPlan(resamples=100)).agreements if each.first == "ana"
    ]

    assert (3, pytest.approx(2 / 3)) == (agreement.raw.items, agreement.raw.value)


def test_random_and_inverted_raters_are_found() -> None:
    """Kappa with a good rater is 1 for another good one, near 0 for a random, and near -1 for an inverted."""
    truth = coins(300, 0.5, 1)
    good = [R if t else L for t in truth]
    noise = [R if t else L for t in coins(300, 0.5, 2)]
    raters = {"good": good, "random": noise, "inverted": [L if t else R for t in truth]}

    found = analyse(
        [*said(good, "gpt", kind="judge"), *chain(*(said(each, name) for name, each in raters.items()))],
        AnalysisPlan(resamples=200),
    )

    kappas = {each.second: each.kappa for each in found.agreements if each.first == "gpt"}
    assert (1.0, -1.0) == (kappas["good"].value, pytest.approx(kappas["inverted"].value, abs=0.02))
    assert kappas["random"].interval is not None
    assert kappas["random"].interval.low < 0 < kappas["random"].interval.high


def test_a_judge_stands_beside_people_with_their_own_agreement() -> None:
    """Every vote of a person against the judge's, and every two people's against each other."""
    found = analyse(
        [*said([R, R, L, L], "gpt", kind="judge"), *said([R, R, L, R]), *said([R, L, L, L], "bia")],
        AnalysisPlan(resamples=100),
    )

    judge, among = found.agreement("dpo", "gpt"), found.agreement("dpo", HUMANS)
    assert judge is not None
    assert among is not None
    assert (8, 6 / 8) == (judge.raw.items, judge.raw.value)
    assert (4, 2 / 4) == (among.raw.items, among.raw.value)
    humans = found.humans("dpo")
    assert humans is not None
    assert (HUMANS, 8) == (humans.rater, humans.n)


@pytest.mark.parametrize(("people", "is_few"), [(10, True), (11, False)])
def test_a_crowd_is_reported_together(people: int, is_few: bool) -> None:
    """Of more than ten people each judged little: one by one they are in no result and in no agreement."""
    names = [f"person {n}" for n in range(people)]
    votes = [each for name in names for each in said([R, R, L], name)]

    found = analyse([*said([R, L, L], "gpt", kind="judge"), *votes], AnalysisPlan(resamples=20))

    singly = names if is_few else []
    assert ["gpt", *singly, HUMANS] == [each.rater for each in found.win_rates]
    assert {"gpt", *singly, HUMANS} == {who for each in found.agreements for who in (each.first, each.second)}
    assert tuple(sorted(names)) == found.groups[0].raters


def test_one_of_a_crowd_speaks_for_it() -> None:
    """Where only one of many people judged a pair of models, it is still the crowd's result."""
    votes = [each for n in range(11) for each in said([R, R, L], f"person {n}")]

    found = analyse([*votes, *said([R, R, L], "person 0", right="grpo")], AnalysisPlan(resamples=20))

    assert [("dpo", HUMANS), ("grpo", HUMANS)] == [(each.candidate, each.rater) for each in found.win_rates]
    assert [HUMANS] == [each.rater for each in found.ratings]


def test_votes_of_one_item_are_not_independent() -> None:
    """Doubling every person's votes by a twin does not shrink the judge's interval by the root of two."""
    truth, noise = coins(150, 0.5, 1), coins(150, 0.25, 2)
    judge = said([R if t else L for t in truth], "gpt", kind="judge")
    votes = [R if t != flip else L for t, flip in zip(truth, noise, strict=True)]

    alone = analyse([*judge, *said(votes)], AnalysisPlan(resamples=1000)).agreement("dpo", "gpt")
    twins = analyse([*judge, *said(votes), *said(votes, "bia")], AnalysisPlan(resamples=1000)).agreement(
        "dpo", "gpt"
    )

    assert alone is not None
    assert twins is not None
    widths = [
        each.kappa.interval.high - each.kappa.interval.low for each in (alone, twins) if each.kappa.interval
    ]
    assert pytest.approx(widths[0], rel=0.1) == widths[1]


def test_a_jury_is_no_further_rater_of_its_judges() -> None:
    """It has a result of its own and is the judge's column, and agreement among all leaves it out."""
    judges = [*said([R, R, L], "judge:a", kind="judge"), *said([R, L, L], "judge:b", kind="judge")]

    found = analyse([*judges, *said([R, R, L], "jury:ab", kind="judge")], AnalysisPlan(resamples=100))

    assert ["jury:ab"] == [each.rater for each in found.judges("dpo")]
    assert [("judge:a", "judge:b")] == [each.raters for each in found.groups]


# ---------------------------------------------------------------- judges corrected by people


def test_a_biased_judge_is_corrected() -> None:
    """The judge takes the right one as people do and in a third of the rest; people judged 200 of 1,000."""
    truth, flattery = coins(1000, 0.5, 1), coins(1000, 1 / 3, 2)
    judged = [R if t or f else L for t, f in zip(truth, flattery, strict=True)]
    people = [R if t else L for t in truth][:200]

    result = finding_of(
        [*said(judged, "gpt", kind="judge"), *said(people)], "gpt", AnalysisPlan(resamples=1000)
    )

    assert result.win_rate is not None
    assert result.corrected is not None
    assert result.corrected.interval is not None
    assert result.win_rate.interval.low > 0.6
    assert result.corrected.interval.low < np.mean(truth) < result.corrected.interval.high
    assert 200 == result.corrected.shared
    loose = finding_of([*said(judged, "gpt", kind="judge"), *said(people)], "gpt", AnalysisPlan(level=0.8))
    assert loose.corrected is not None
    assert loose.corrected.interval is not None
    assert 0.8 == loose.corrected.interval.level == loose.corrected.human.level  # type: ignore[union-attr]  # there is one


def test_people_are_averaged_over_an_item() -> None:
    """Two votes against each other on an item are one half, whichever came first."""
    judge = said([R, L] * 20, "gpt", kind="judge")
    votes = [*said([R, R] * 10), *said([L, L] * 10, "bia")]

    result = finding_of([*judge, *votes], "gpt")

    assert result.corrected is not None
    assert pytest.approx(0.5) == result.corrected.value


def test_a_judge_without_people_is_not_corrected() -> None:
    """Nor are people by themselves."""
    assert finding_of(said([R, L], "gpt", kind="judge")).corrected is None
    assert finding_of(said([R, L])).corrected is None


@pytest.mark.parametrize("bias", [0.0, 0.3])
def test_the_corrected_win_rate_covers(bias: float) -> None:
    """In 100 simulated experiments each, 95 % intervals hold the true rate in 90 % at the least."""
    held = 0
    for seed in range(100):
        rng = np.random.default_rng(seed)
        truth = rng.random(300) < 0.55
        judged = np.where(rng.random(300) < bias, True, truth ^ (rng.random(300) < 0.15))
        people = said([R if t else L for t in truth[:80]])
        judge = said([R if j else L for j in judged], "gpt", kind="judge")
        corrected = finding_of([*judge, *people], "gpt", AnalysisPlan(resamples=200, seed=seed)).corrected
        assert corrected is not None
        assert corrected.interval is not None
        held += corrected.interval.low <= 0.55 <= corrected.interval.high

    assert held >= 90


# ---------------------------------------------------------------- more than two models


def test_ratings_of_three_models() -> None:
    """Who beats whom in three of four is 400 log10(3) = 191 above; two models alone are not rated."""
    pairs = [("sft", "dpo"), ("dpo", "grpo"), ("sft", "grpo")]
    votes = [R, R, R, L] * 50
    preferences = [each for left, right in pairs for each in said(votes, left=left, right=right)]
    preferences = [replace(each, item=f"{each.item}{i}") for i, each in enumerate(preferences)]

    [rated] = analyse(preferences, AnalysisPlan(resamples=100)).ratings

    assert ["grpo", "dpo", "sft"] == [each.name for each in rated.ratings]
    assert rated.ratings[0].interval.low > rated.ratings[2].interval.high
    assert () == analyse(said(votes), AnalysisPlan(resamples=100)).ratings


def test_models_that_never_met_are_not_rated() -> None:
    """The reason is given in the place of the ratings."""
    preferences = [*said([R, L]), *said([R, L], left="a", right="b")]

    [rated] = analyse(preferences, AnalysisPlan(resamples=100)).ratings

    assert () == rated.ratings
    assert rated.reason is not None
    assert "never compared" in rated.reason


def test_the_same_item_of_two_pairs_is_two_choices() -> None:
    """A prompt that two candidates answered is judged once for each."""
    preferences = [*said([R, R]), *said([L, L], right="grpo")]

    found = analyse(preferences, AnalysisPlan(resamples=100))

    assert [("dpo", 1.0), ("grpo", 0.0)] == [
        (each.candidate, each.win_rate and each.win_rate.value) for each in found.win_rates
    ]


def test_an_unread_order_does_not_let_the_other_decide() -> None:
    """It would be a vote with the judge's leaning to a side; agreement and correction leave it out too."""
    orders = [
        *said([R] * 3, "gpt", kind="judge", shown_first="left"),
        *said([None] * 3, "gpt", kind="judge", shown_first="right"),
    ]

    found = analyse([*orders, *said([R, R, R])], AnalysisPlan(resamples=100))

    judge = only_of(found.win_rates, "gpt")
    assert (0, 3, None) == (judge.n, sum(judge.unreadable.values()), judge.corrected)
    assert () == found.agreements


def test_one_judgement_is_enough() -> None:
    """The smallest analysis there is has a win rate, and decides nothing."""
    one = NamedPreference(item="q", left="a", right="b", rater="ana", winner="right")

    result = finding_of([one])

    assert result.win_rate is not None
    assert (1.0, 1.0, Decision.NO_DIFFERENCE) == (
        result.win_rate.value,
        result.adjusted_p,
        result.decision,
    )


def test_a_jury_is_not_compared_with_its_judges() -> None:
    """It repeats them: only its agreement with people says anything."""
    judges = [*said([R, R, L], "judge:a", kind="judge"), *said([R, L, L], "judge:b", kind="judge")]
    found = analyse(
        [*judges, *said([R, R, L], "jury:ab", kind="judge"), *said([R, R, L], "ana")],
        AnalysisPlan(resamples=100),
    )

    pairs = {(each.first, each.second) for each in found.agreements}
    assert {("judge:a", "judge:b"), ("judge:a", "ana"), ("judge:b", "ana"), ("jury:ab", "ana")} == pairs


def test_the_order_of_judgements_changes_no_number() -> None:
    """The same votes give the same analysis, to the last digit, whichever comes first."""
    rng = np.random.default_rng(4)
    votes = [
        *said(rng.choice([L, R, T], 40).tolist(), "bia"),
        *said(rng.choice([L, R, T], 30).tolist()),
        *said(rng.choice([L, R, T], 40).tolist(), "bia", right="grpo"),
        *asked_in_both_orders("judge:j", lambda truth, first: truth, coins(40, 0.5, 1), coins(40, 0.5, 2)),
    ]
    first, *others = votes  # names the models, whose order is that of the report
    shuffled = [first, *(others[place] for place in rng.permutation(len(others)))]

    assert analyse(votes, FEW) == analyse(shuffled, FEW)


def test_a_sentence_says_what_was_left_out_and_corrected() -> None:
    """Identical answers, useless replies, and the win rate that people's votes correct."""
    said_by_gpt = [
        *said([R, R, R, L, L, R] * 5, "gpt", kind="judge"),
        *said(["tie"], "gpt", kind="judge", item="same", reason=IDENTICAL),
        *said([None], "gpt", kind="judge", item="none", reason="cut"),
    ]
    people = said([R, R, L, R, L, L] * 2)
    result = finding_of([*said_by_gpt, *people], "gpt")
    assert result.corrected is not None
    assert result.corrected.value is not None

    expected = f"corrected by people on 12 prompts: {result.corrected.value:.3f} ["
    left_out = "1 identical, 1 without a usable answer, with which it could be 0.645 to 0.677"
    assert f"n = 30; left out: {left_out}; {expected}" in result.sentence()
    assert result.sentence().endswith("]")
    assert result.sentence().endswith(replace(result, identical=0, unreadable={}).sentence().split("; ")[-1])
    assert "; " not in replace(result, identical=0, unreadable={}, corrected=None).sentence()


def test_sentences_of_agreement() -> None:
    """Of which models, who, and what cannot be said."""
    found = analyse(
        [*said([R, L, L, R], "gpt", kind="judge"), *said([R, L, L, L]), *said([R, L], "bia")],
        AnalysisPlan(resamples=100),
    )
    judge, among = found.agreement("dpo", "gpt"), found.agreement("dpo", HUMANS)
    assert judge is not None
    assert among is not None

    assert judge.sentence().startswith("dpo vs sft: gpt and all humans agree on 0.833 [")
    assert judge.sentence().endswith("n = 6")
    assert among.sentence().startswith("dpo vs sft: all humans among themselves agree on 1.000 [")
    assert replace(judge, models=None).sentence().startswith("gpt and all humans agree on ")
    unknown = replace(judge.kappa, value=None, interval=None, reason="nobody disagreed")
    assert "Cohen's kappa undefined (nobody disagreed), n = 6" in replace(judge, kappa=unknown).sentence()
    one = replace(judge.kappa, items=1)
    assert "Cohen's kappa –, n = 6" in replace(judge, kappa=one).sentence()


def test_an_analysis_shows_its_sentences() -> None:
    """One line for each result; of nothing it says so."""
    found = analyse([*said([R, R, L], "ana"), *said([R, L, L], "bia")], AnalysisPlan(resamples=20))

    assert [each.sentence() for each in found.win_rates] == repr(found).split("\n")
    assert "no preference among ('sft', 'dpo')" == repr(replace(found, win_rates=()))
    assert found.humans("nobody") is None
