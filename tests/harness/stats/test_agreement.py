"""Agreement: textbook cases, three libraries as oracles, and None with a reason where nothing can be said."""

import krippendorff
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from statsmodels.stats import inter_rater

from harness.stats.agreement import cohen_kappa, fleiss_kappa, krippendorff_alpha, raw_agreement
from harness.stats.plan import Resampling

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
