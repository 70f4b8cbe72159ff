"""The reliability table and the error that it sums up, by hand."""

import pytest

from harness.stats.calibration import calibration_error, reliability


def test_a_table_by_hand() -> None:
    """Bins of equal width, their ends belonging to the next one; the last holds its end too. No empty bin."""
    predicted = [0.0, 0.1, 0.25, 0.49, 0.5, 0.9, 1.0]
    observed = [0.0, 1.0, 0.5, 0.25, 1.0, 0.0, 1.0]
    assert [
        (0.0, 0.25, 2, pytest.approx(0.05), 0.5),
        (0.25, 0.5, 2, pytest.approx(0.37), 0.375),
        (0.5, 0.75, 1, 0.5, 1.0),
        (0.75, 1.0, 2, pytest.approx(0.95), 0.5),
    ] == reliability(predicted, observed, 4)


def test_bins_may_begin_above_nought() -> None:
    """Confidence in a choice of two is one half at least; what is below has no bin."""
    assert [(0.5, 0.6, 2, pytest.approx(0.525), 0.5), (0.9, 1.0, 1, 1.0, 1.0)] == reliability(
        [0.5, 0.55, 1.0, 0.4], [1.0, 0.0, 1.0, 1.0], 5, low=0.5
    )


def test_edges_are_without_a_floats_dust() -> None:
    """The third of ten bins is [0.2, 0.3), and not [0.2, 0.30000000000000004)."""
    assert [(0.2, 0.3)] == [(each.low, each.high) for each in reliability([0.25], [0.0], 10)]


def test_each_prediction_has_one_outcome() -> None:
    """Columns of unequal length are a mistake, and no shorter table."""
    with pytest.raises(ValueError, match="shorter"):
        reliability([0.5, 0.6], [1.0], 2)


def test_the_error_weighs_bins_by_their_cases() -> None:
    """Three cases 0.2 too high and one 0.4 too low: (3 * 0.2 + 0.4) / 4."""
    table = reliability([0.2, 0.2, 0.2, 0.6], [0.0, 0.0, 0.0, 1.0], 2)
    assert pytest.approx(0.25) == calibration_error(table)
