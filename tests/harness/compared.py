"""Two runs of one suite, compared; and the bounds of a mean over rows."""

from collections import defaultdict
from collections.abc import Iterable, Sequence

from harness.bounds import observed_bounds
from harness.comparison.paired import ScoredRun
from harness.comparison.verdicts import compare_all
from harness.observed import Observed
from harness.records.answers import Metric, Observation, Score
from harness.records.comparisons import Comparison
from harness.stats.plan import DEFAULT_PLAN, AnalysisPlan


def compared(
    baseline: ScoredRun, candidate: ScoredRun, plan: AnalysisPlan = DEFAULT_PLAN
) -> list[Comparison]:
    """The suite's metrics, in its order."""
    [verdict] = compare_all([baseline], {candidate.run.model: [candidate]}, plan)
    return list(verdict.comparisons)


def bounds(metric: Metric, rows: Iterable[Sequence[Score]]) -> tuple[float, float] | None:
    """`observed_bounds` over the scores of these rows."""
    found: dict[str, list[Observation]] = defaultdict(list)
    for row, scores in enumerate(rows):
        for score in scores:
            part = sum(seen.sample == str(row) for seen in found[score.metric])
            seen = Observation(sample=str(row), part=part, cluster=str(row), value=score.value)
            found[score.metric].append(seen)
    return observed_bounds(metric, {name: Observed.of(theirs) for name, theirs in found.items()})
