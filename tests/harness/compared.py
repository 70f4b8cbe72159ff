"""Two runs of one suite, compared."""

from harness.comparison.paired import ScoredRun
from harness.comparison.verdicts import compare_all
from harness.records.comparisons import Comparison
from harness.stats.plan import DEFAULT_PLAN, AnalysisPlan


def compared(
    baseline: ScoredRun, candidate: ScoredRun, plan: AnalysisPlan = DEFAULT_PLAN
) -> list[Comparison]:
    """The suite's metrics, in its order."""
    [verdict] = compare_all([baseline], {candidate.run.model: [candidate]}, plan)
    return list(verdict.comparisons)
