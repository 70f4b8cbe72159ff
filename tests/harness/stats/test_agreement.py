"""Agreement: textbook cases, three libraries as oracles, and None with a reason where nothing can be said."""

from collections.abc import Callable
from itertools import permutations

import krippendorff
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from statsmodels.stats import inter_rater

from harness.stats.agreement import (
    Agreement,
    cohen_kappa,
    fleiss_kappa,
    krippendorff_alpha,
    raw_agreement,
)
from harness.stats.intervals import critical_t, wilson
from harness.stats.plan import Resampling
from harness.stats.resampling import resamplings

LABELS = ("left", "right", "tie")
rated = st.lists(st.lists(st.sampled_from(LABELS), min_size=3, max_size=3), min_size=4, max_size=30)
gaps = st.lists(st.lists(st.sampled_from([*LABELS, None]), min_size=4, max_size=4), min_size=4, max_size=30)


def test_cohens_textbook_case() -> None:
    """20 yes/yes, 5 yes/no, 10 no/yes, 15 no/no: 0.7 seen, 0.5 by chance, kappa 0.4."""
    first = ["yes"] * 25 + ["no"] * 25
    second = ["yes"] * 20 + ["no"] * 5 + ["yes"] * 10 + ["no"] * 15
    found = cohen_kappa(first, second)

    assert (pytest.approx(0.4), 50) == (found.value, found.items)
    assert found.interval is not None
    assert found.interval.low < 0.4 < found.interval.high
    assert 0.7 == pytest.approx(raw_agreement(list(zip(first, second, strict=True))).value)


@given(rated)
@settings(max_examples=50)
def test_kappas_are_those_of_statsmodels(ratings: list[list[str]]) -> None:
    """Fleiss' over three raters, Cohen's over the first two; where statsmodels has a number."""
    table, _ = inter_rater.aggregate_raters(np.array(ratings))
    fleiss = fleiss_kappa(ratings, how=Resampling(resamples=19))
    if fleiss.value is not None:
        assert inter_rater.fleiss_kappa(table) == pytest.approx(fleiss.value)
    first, second, _ = zip(*ratings, strict=True)
    crossed = np.array([[sum(a == x and b == y for a, b, _ in ratings) for y in LABELS] for x in LABELS])
    cohen = cohen_kappa(first, second, how=Resampling(resamples=19))
    if cohen.value is not None:
        assert inter_rater.cohens_kappa(crossed, return_results=False) == pytest.approx(cohen.value)


@given(gaps)
@settings(max_examples=50)
def test_alpha_is_that_of_krippendorff(ratings: list[list[str | None]]) -> None:
    """With ratings missing anywhere."""
    found = krippendorff_alpha(ratings, how=Resampling(resamples=19))
    if found.value is not None:
        numbers = [[np.nan if label is None else LABELS.index(label) for label in item] for item in ratings]
        expected = krippendorff.alpha(reliability_data=np.array(numbers).T, level_of_measurement="nominal")
        assert expected == pytest.approx(found.value)


@pytest.mark.parametrize("coefficient", [fleiss_kappa, krippendorff_alpha])
def test_perfect_agreement_is_one_and_no_certainty(coefficient: object) -> None:
    """The interval of 20 agreeing items does not end at 1 on both sides."""
    found = coefficient([["left"] * 2, ["right"] * 2] * 10)  # type: ignore[operator]

    assert 1.0 == found.value
    assert found.interval.low < 1.0 == found.interval.high


def test_one_label_only_is_no_agreement_beyond_chance() -> None:
    """None and why, not NaN, and not 1."""
    for found in (fleiss_kappa([["tie"] * 2] * 5), cohen_kappa(["tie"] * 5, ["tie"] * 5)):
        assert (None, None) == (found.value, found.interval)
        assert "the same label" in str(found.reason)


def test_one_item_on_which_two_differ() -> None:
    """Two labels are not one: Cohen expects no agreement there and sees none, Fleiss expects half."""
    assert 0.0 == cohen_kappa(["left"], ["right"]).value
    assert -1.0 == fleiss_kappa([["left", "right"]]).value


def test_no_shared_item_is_no_agreement() -> None:
    """Raters who never rated the same."""
    found = krippendorff_alpha([["left", None], [None, "right"]])

    assert (None, 0, "no item was rated by two raters") == (found.value, found.items, found.reason)


def test_a_rater_of_chance_agrees_by_chance() -> None:
    """Kappa of independent raters is about 0, and its interval covers 0 in most seeded experiments."""
    draw = np.random.default_rng(5)
    covered = 0
    for _ in range(60):
        first, second = draw.choice(LABELS, (2, 80)).tolist()
        interval = cohen_kappa(first, second, how=Resampling(resamples=199, seed=draw)).interval
        assert interval is not None
        covered += interval.low <= 0 <= interval.high
    assert covered >= 51  # of 60; 57 are promised


# ---------------------------------------------------------------- intervals by hand


def cohen_of(ratings: list[list[str | None]], weights: np.ndarray) -> float:
    """Cohen's kappa of weighted items."""
    kept = [(weight, a, b) for weight, (a, b) in zip(weights, ratings, strict=True) if a and b]
    total = sum(weight for weight, _, _ in kept)
    observed = sum(weight for weight, a, b in kept if a != b) / total
    alike = sum(
        sum(w for w, a, _ in kept if a == label) * sum(w for w, _, b in kept if b == label) for label in "xyz"
    )
    return 1 - observed / (1 - alike / total**2)


def fleiss_of(ratings: list[list[str | None]], weights: np.ndarray) -> float:
    """Fleiss' kappa of weighted items: an item's shares count for chance, also where one rater rated it."""
    shares, total = dict.fromkeys("xyz", 0.0), 0.0
    away, pairs = 0.0, 0.0
    for weight, labels in zip(weights, ratings, strict=True):
        given = [label for label in labels if label]
        total += weight
        for label in given:
            shares[label] += weight / len(given)
        if len(given) > 1:
            away += weight * np.mean([a != b for a, b in permutations(given, 2)])
            pairs += weight
    return 1 - (away / pairs) / (1 - sum((share / total) ** 2 for share in shares.values()))


def krippendorff_of(ratings: list[list[str | None]], weights: np.ndarray) -> float:
    """Krippendorff's alpha of weighted items, for nominal labels."""
    counts, total, away = dict.fromkeys("xyz", 0.0), 0.0, 0.0
    for weight, labels in zip(weights, ratings, strict=True):
        given = [label for label in labels if label]
        if len(given) > 1:
            total += weight * len(given)
            away += weight * len(given) * np.mean([a != b for a, b in permutations(given, 2)])
            for label in given:
                counts[label] += weight
    expected = (total**2 - sum(count**2 for count in counts.values())) / (total * (total - 1))
    return 1 - (away / total) / expected


def raw_of(ratings: list[list[str | None]], weights: np.ndarray) -> float:
    """The share of agreeing pairs, by item."""
    parts = [
        (weight, np.mean([a == b for a, b in permutations([x for x in labels if x], 2)]))
        for weight, labels in zip(weights, ratings, strict=True)
        if len([x for x in labels if x]) > 1
    ]
    return float(sum(weight * share for weight, share in parts) / sum(weight for weight, _ in parts))


Coefficient = Callable[[list[list[str | None]], np.ndarray], float]


def error_of(
    coefficient: Coefficient, ratings: list[list[str | None]], unit: np.ndarray, by_unit: np.ndarray
) -> float:
    """The infinitesimal jackknife: how far the coefficient moves with each unit's weight, by difference."""
    count, step = len(by_unit), 1e-4
    moves = []
    for place in range(count):
        up, down = by_unit.copy(), by_unit.copy()
        up[place] += step
        down[place] -= step
        moves.append((coefficient(ratings, up[unit]) - coefficient(ratings, down[unit])) / (2 * step))
    return float(np.sqrt((by_unit * np.array(moves) ** 2).sum() * count / (count - 1)))


@pytest.mark.parametrize(
    ("ours", "coefficient", "raters"),
    [
        (raw_agreement, raw_of, 3),
        (lambda ratings, *rest: cohen_kappa(*zip(*ratings, strict=True), *rest), cohen_of, 2),
        (fleiss_kappa, fleiss_of, 3),
        (krippendorff_alpha, krippendorff_of, 3),
    ],
)
def test_intervals_by_hand(ours: Callable[..., Agreement], coefficient: Coefficient, raters: int) -> None:
    """Resampled prompts of one to three items; each coefficient anew, and its error by its own derivative.

    Krippendorff's is taken with the number of ratings fixed, which moves the ends by 1e-4 here."""
    draw = np.random.default_rng(4)
    unit = np.repeat(np.arange(20), draw.integers(1, 4, 20))
    truth = draw.choice(list("xyz"), len(unit), p=[0.5, 0.3, 0.2])
    ratings: list[list[str | None]] = [
        [str(label) if draw.random() < 0.7 else str(draw.choice(list("xyz"))) for _ in range(raters)]
        for label in truth
    ]
    if raters > 2:
        for place in range(0, len(unit), 7):
            ratings[place][0] = None
    how = Resampling(level=0.8, resamples=39, seed=2)
    found = ours(ratings, unit.tolist(), how)

    once = np.ones(20)
    value = coefficient(ratings, once[unit])
    ts = [
        (coefficient(ratings, weights[unit]) - value) / error_of(coefficient, ratings, unit, weights)
        for weights in np.concatenate(list(resamplings(20, 39, 80, np.random.default_rng(2))))
    ]
    half = critical_t(np.array(ts), 0.8) * error_of(coefficient, ratings, unit, once)
    assert found.interval is not None
    assert (value, value - half, value + half, 0.8) == pytest.approx(
        (found.value, found.interval.low, found.interval.high, found.interval.level), abs=2e-4
    )


def test_few_disagreements_have_wilsons_interval() -> None:
    """Of as many units as the largest prompt leaves, and each end over what chance would disagree."""
    first = ["x", "y"] * 30
    second = ["x", "y"] * 29 + ["y", "y"]
    found = cohen_kappa(first, second, [place // 2 for place in range(60)], Resampling(level=0.9))

    expected = 1 - (30 / 60 * 29 / 60 + 30 / 60 * 31 / 60)
    seen = wilson(1 / 60 * 30, 30, 0.9)
    assert found.interval is not None
    assert (1 - 1 / 60 / expected, 1 - seen.high / expected, 1 - seen.low / expected) == pytest.approx(
        (found.value, found.interval.low, found.interval.high)
    )
    assert 0.9 == found.interval.level


def test_one_label_is_no_agreement_beyond_chance() -> None:
    """None and why, with how many items were seen."""
    found = cohen_kappa(["x"] * 7, ["x"] * 7)
    assert (None, 7) == (found.value, found.items)
    assert "all ratings are the same label, so that chance alone would agree as well" == found.reason
