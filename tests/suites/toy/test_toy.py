"""What all of the toy world's suites have in common."""

import pytest

from suites.settings import SuiteContext, SuiteSettings
from suites.toy.ifeval import ToyIFEval, ToyIFEvalSettings
from suites.toy.truthfulqa import ToyTruthfulQA


@pytest.mark.parametrize(
    "suite",
    [ToyTruthfulQA(SuiteSettings(), SuiteContext()), ToyIFEval(ToyIFEvalSettings(), SuiteContext())],
)
def test_one_headline_and_toy_in_the_name(suite: ToyTruthfulQA | ToyIFEval) -> None:
    """A toy suite cannot be taken for the real one, and the leaderboard shows one of its metrics."""
    assert suite.name.startswith("toy-")
    assert 1 == sum(metric.headline for metric in suite.metrics)
