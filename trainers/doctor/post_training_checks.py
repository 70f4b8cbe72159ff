"""Checks of a finished training: over-optimised rewards, length taken for quality, nothing learned."""

from collections.abc import Iterator
from typing import Any

from harness.records.comparisons import Interval
from trainers.doctor.findings import DoctorFinding
from trainers.doctor.inspected_stage import InspectedStage
from trainers.doctor.preferences import PairwiseAccuracy, no_better_than_chance
from trainers.planning import PlannedStage
from trainers.reward_quality import LEVEL


def over_optimised(inspected: InspectedStage) -> Iterator[DoctorFinding]:
    """A reward that kept rising while something held out got worse."""
    selected = metrics(inspected.stage).get("selected") or {}
    for description in selected.get("over_optimised", ()):
        yield DoctorFinding(
            check="reward over-optimised",
            severity="warning",
            where=f"{inspected.key}.select",
            evidence=f"{description}; the candidate is step {selected['step']}, chosen by {selected['by']}",
            fix="train fewer steps, or hold the policy nearer to its base"
            + (", or select by what was held out" if selected["by"] == "reward" else ""),
        )


def length_rewarded(inspected: InspectedStage) -> Iterator[DoctorFinding]:
    """A reward model that rewards longer answers more than they deserve, or shorter ones."""
    lengths = (metrics(inspected.stage).get("held_out") or {}).get("lengths")
    if lengths is None:
        return
    low, high = lengths["interval"]
    if low > 0 or high < 0:
        yield DoctorFinding(
            check="length taken for quality",
            severity="warning",
            where=f"{inspected.key}.data",
            evidence=f"of {lengths['pairs']} held-out pairs the longer answer is given more in "
            f"{lengths['rewarded']:.0%} and is better in {lengths['preferred']:.0%} "
            f"(difference [{low:+z.0%}, {high:+z.0%}])",
            fix="mix in pairs in which length tells nothing; a policy would learn to write "
            + ("longer" if low > 0 else "shorter"),
        )


def nothing_learned(inspected: InspectedStage) -> Iterator[DoctorFinding]:
    """A reward model that ranks held-out pairs no better than chance."""
    accuracy = held_out_accuracy(inspected.stage)
    if accuracy is not None:
        yield from no_better_than_chance(inspected.key, accuracy, str(accuracy))


def held_out_accuracy(stage: PlannedStage) -> PairwiseAccuracy | None:
    """How well a finished reward model ranks the pairs that it held out; None where it held out none."""
    found = metrics(stage).get("held_out")
    if found is None:
        return None
    low, high = found["accuracy_interval"]
    return PairwiseAccuracy(
        found["accuracy"], Interval(low=low, high=high, level=LEVEL), found["pairs"], "held-out"
    )


def metrics(stage: PlannedStage) -> dict[str, Any]:
    """A finished stage's metrics; none for any other."""
    return dict(stage.manifest["metrics"]) if stage.done else {}
