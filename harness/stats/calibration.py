"""Whether predicted probabilities are what is observed: the reliability table (Guo et al. 2017)."""

from collections.abc import Sequence
from itertools import pairwise
from math import fsum
from typing import NamedTuple


class CalibrationBin(NamedTuple):
    """Cases with about the same predicted probability."""

    low: float
    high: float
    cases: int
    predicted: float
    """The mean probability it gives them."""
    observed: float
    """Their mean outcome: the share of those that are so, where outcomes are 0 or 1."""


def reliability(
    predicted: Sequence[float], observed: Sequence[float], bins: int, low: float = 0.0
) -> list[CalibrationBin]:
    """The reliability table in bins of equal width from `low` to 1, without empty ones."""
    edges = [low + place * (1 - low) / bins for place in range(bins + 1)]
    every = list(zip(predicted, observed, strict=True))
    table = []
    for start, end in pairwise(edges):
        within = [case for case in every if start <= case[0] < end or case[0] == end == edges[-1]]
        if within:
            means = (fsum(side) / len(within) for side in zip(*within, strict=True))
            table.append(CalibrationBin(round(start, 10), round(end, 10), len(within), *means))
    return table


def calibration_error(table: Sequence[CalibrationBin]) -> float:
    """The expected calibration error: the mean distance of predicted and observed, weighted by cases."""
    return fsum(each.cases * abs(each.predicted - each.observed) for each in table) / sum(
        each.cases for each in table
    )
