"""Checks of a finished training: nothing moved, rewards without signal or over-optimised, nothing learned."""

from collections.abc import Iterator
from typing import Any

from harness.movement import MOST_WITHOUT_SIGNAL, movement
from harness.records.comparisons import Interval
from trainers.doctor.findings import DoctorFinding
from trainers.doctor.inspected_stage import InspectedStage
from trainers.doctor.preferences import PairwiseAccuracy, no_better_than_chance
from trainers.doctor.ranges import typical_rates
from trainers.planning import PlannedStage
from trainers.reward_quality import LEVEL
from trainers.sizes import model_size


def moved_almost_nothing(inspected: InspectedStage) -> Iterator[DoctorFinding]:
    """A candidate that answers like the model that its stage started from."""
    moved = movement(metrics(inspected.stage))
    if moved is None or not moved.is_almost_nothing:
        return
    rate, size = inspected.settings.learning_rate, model_size(inspected.stage.origin).parameters
    lowest, highest = typical_rates(
        inspected.stage.kind, size, has_adapter=inspected.settings.adapter is not None
    )
    higher = min(max(3 * rate, lowest), highest)
    yield DoctorFinding(
        check="moved almost nothing",
        severity="warning",
        where=f"{inspected.key}.learning_rate",
        evidence=f"{moved}, with a learning rate of {rate:g} where {lowest:.1g} to {highest:.1g} are usual",
        fix=f"learning_rate = {higher:.0e}, or more steps" if higher > rate else "more steps, or other data",
    )


def rewards_without_signal(inspected: InspectedStage) -> Iterator[DoctorFinding]:
    """Most steps of a training had nothing to learn from."""
    found = metrics(inspected.stage)
    without, steps = found.get("steps_without_signal", 0), found.get("steps", 0)
    if without > MOST_WITHOUT_SIGNAL * steps:
        yield DoctorFinding(
            check="rewards without signal",
            severity="warning",
            where=f"{inspected.key}.{'reward' if inspected.stage.stage.reward else 'rewards'}",
            evidence=f"in {without:,} of {steps:,} steps no answer was better than another to its prompt",
            fix="take rewards that tell answers apart and prompts that are not all won or all lost, or raise "
            "`temperature` or `generations`",
        )


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
        yield from no_better_than_chance(inspected.key, accuracy, inspected.stage.pipeline)


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
