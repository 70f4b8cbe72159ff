"""Two reward models compared, on the pairs that neither was trained on."""

from trainers import reward_quality
from trainers.doctor.findings import DoctorFinding, Examination
from trainers.planning import PlannedStage
from trainers.reward_quality import compare_accuracies


def compare_reward_models(left: PlannedStage, right: PlannedStage) -> Examination:
    """The difference of their accuracies as a note, or why it cannot be measured."""
    name = f"{right.pipeline} against {left.pipeline}"
    missing = [stage.pipeline for stage in (left, right) if not reward_quality.read(stage.folder)]
    if missing:
        reason = f"{', '.join(missing)}: nothing is held out yet (`holdout = 0.1` in the stage, and train it)"
        return Examination(name=name, findings=(), left_out=(reason,))
    found = compare_accuracies(reward_quality.read(left.folder), reward_quality.read(right.folder))
    if found is None:
        reason = "no pair is held out by both: give the two the same data, `holdout` and seed"
        return Examination(name=name, findings=(), left_out=(reason,))
    interval = found.difference.interval
    better = right.pipeline if interval.low > 0 else left.pipeline if interval.high < 0 else None
    finding = DoctorFinding(
        check="held-out accuracies compared",
        severity="note",
        where=f"{left.key}, {right.key}",
        evidence=f"of {found.pairs} pairs that both held out, {left.pipeline} ranks {found.left:.0%} right "
        f"and {right.pipeline} {found.right:.0%}: a difference of {found.difference.value:+z.1%} "
        f"{interval:+z.1%}, p = {found.p:.2g}",
        fix="no difference is shown; hold out more pairs to see a smaller one"
        if better is None
        else f"learn from {better}",
    )
    return Examination(name=name, findings=(finding,))
