"""Detects over-optimisation (Gao et al. 2023): a reward kept rising while something held out got worse."""

from collections.abc import Iterator, Mapping, Sequence

import numpy as np

from harness.stats.clusters import by_cluster, value_range
from harness.stats.intervals import difference_interval
from trainers.checkpoint_metrics import CheckpointMetrics, best_of

LEVEL = 0.95
RESAMPLES = 10_000
RISE = 0.02
"""The share by which the held-out loss must rise from its minimum to count as worse: it is one number for all
rows, for which there is no interval."""


def over_optimised(found: Sequence[CheckpointMetrics]) -> Iterator[str]:
    """A sentence for each held-out metric that gets worse while the reward keeps rising.

    The checkpoint with the highest reward is compared with an earlier one that is best by the held-out
    metric. Rewards and scores must differ by more than chance, by intervals paired over prompts or clusters,
    at a level corrected for as many comparisons as there are other checkpoints.
    """
    if len(found) < 2 or any(each.reward is None for each in found):
        return
    top = best_of(found, "reward")
    level = 1 - (1 - LEVEL) / (len(found) - 1)
    for by, name in (("loss", "the held-out loss"), ("suite", found[0].suite_metric)):
        if any(each.criterion(by) is None for each in found):
            continue
        peak = best_of(found, by)
        rises = peak.step < top.step and _interval(peak.rewards, top.rewards, level)[0] > 0
        if rises and _falls(by, peak, top, level):
            yield (
                f"from step {peak.step} to {top.step} the reward rises from {peak.reward:.3g} to "
                f"{top.reward:.3g}, and {name} gets worse, from {getattr(peak, by):.3g} to "
                f"{getattr(top, by):.3g}"
            )


def _falls(by: str, before: CheckpointMetrics, after: CheckpointMetrics, level: float) -> bool:
    if by == "loss":
        assert before.loss is not None
        assert after.loss is not None
        return after.loss > before.loss * (1 + RISE)
    low, high = _interval(before.scores, after.scores, level)
    return high < 0 if before.higher_is_better else low > 0


def _interval(before: Mapping[str, float], after: Mapping[str, float], level: float) -> tuple[float, float]:
    """The interval of the mean change, over the keys that both have."""
    shared = [key for key in before if key in after]
    low, high = value_range([*(before[key] for key in shared), *(after[key] for key in shared)])
    if not shared or low == high:
        return 0.0, 0.0
    changes = by_cluster([after[key] - before[key] for key in shared], shared)
    interval = difference_interval(
        changes, high - low, level=level, resamples=RESAMPLES, rng=np.random.default_rng(0)
    ).interval
    return interval.low, interval.high
