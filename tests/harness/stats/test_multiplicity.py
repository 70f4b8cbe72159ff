"""Holm's correction."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from statsmodels.stats.multitest import multipletests

from harness.stats.multiplicity import holm

chances = st.lists(st.floats(min_value=1e-300, max_value=1.0), min_size=1, max_size=30)


def test_a_family_of_three():
    """The smallest p counts three times, the next twice, the last once, and none falls below another."""
    assert pytest.approx(holm([0.01, 0.04, 0.03])) == [0.03, 0.06, 0.06]


def test_no_family():
    """Nothing in, nothing out."""
    assert holm([]) == []


@pytest.mark.parametrize("size", [1, 2, 7, 40])
def test_it_agrees_with_statsmodels(size: int):
    """With ties and with p near 1."""
    p = np.random.default_rng(size).beta(0.3, 1, size).round(2).clip(1e-9).tolist()

    assert multipletests(p, method="holm")[1].tolist() == pytest.approx(holm(p))


@given(chances)
def test_it_only_raises_and_keeps_the_order(p: list[float]):
    """An adjusted p is at least the raw one, at most 1, and not smaller than one of a smaller p."""
    adjusted = holm(p)

    assert all(raw <= each <= 1 for raw, each in zip(p, adjusted, strict=True))
    assert sorted(adjusted) == [each for _, each in sorted(zip(p, adjusted, strict=True))]
