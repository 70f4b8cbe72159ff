"""The examination of a stage: every check that can be made with what exists so far."""

from collections.abc import Sequence
from pathlib import Path

from harness.errors import DataError
from trainers.doctor.findings import DoctorFinding, Examination
from trainers.doctor.inspected_stage import Check, InspectedStage, no_tokenizer
from trainers.doctor.loss import ends, left_out, other_turns, padding, shown
from trainers.doctor.post_training_checks import (
    held_out_accuracy,
    length_rewarded,
    moved_almost_nothing,
    nothing_learned,
    over_optimised,
    rewards_without_signal,
)
from trainers.doctor.preferences import (
    equal_answers,
    length_preferred,
    no_better_than_chance,
    training_accuracy,
)
from trainers.doctor.ranges import epochs, few_checkpoints, learning_rate, no_penalty
from trainers.doctor.templates import (
    doubled_beginning,
    evaluated_differently,
    markers,
    reward_reads_otherwise,
)
from trainers.planning import PlannedStage
from trainers.settings import Conversational

WITHOUT_BASE: tuple[Check, ...] = (
    epochs,
    no_penalty,
    few_checkpoints,
    equal_answers,
    length_preferred,
    moved_almost_nothing,
    rewards_without_signal,
    over_optimised,
    length_rewarded,
    nothing_learned,
)
"""Checks that need only settings and rows, or what a finished stage reports about itself."""
WITH_BASE: tuple[Check, ...] = (
    learning_rate,
    other_turns,
    ends,
    padding,
    left_out,
    evaluated_differently,
    doubled_beginning,
    reward_reads_otherwise,
    markers,
)
"""Checks that need the base's tokenizer and weights."""


def examine(
    stage: PlannedStage, plan: Sequence[PlannedStage] = (), *, extra: Sequence[Check] = (), deep: bool = True
) -> Examination:
    """Everything that can be said about a stage now. `plan` holds the stages of its reward models.

    `extra` are the caller's own checks. `deep`: reward models are loaded and run. Raises DataError.
    """
    name = f"{stage.pipeline} · {stage.kind}"
    if not isinstance(stage.settings, Conversational):
        return Examination(name=name, findings=())
    inspected = InspectedStage(stage)
    findings = [finding for check in (*WITHOUT_BASE, *extra) for finding in check(inspected)]
    if not inspected.has_base:
        waiting = "what it starts from is not trained yet: its tokens cannot be looked at"
        if stage.parent is not None and stage.parent.written_from is not None:
            waiting = "its base is unpacked for the first training: its tokens cannot be looked at before"
        return Examination(name=name, findings=tuple(findings), left_out=(waiting,))
    missing = no_tokenizer(inspected)
    if missing is not None:
        findings.append(
            DoctorFinding(
                check="chat template missing",
                severity="error",
                where=f"{inspected.key}.chat_template",
                evidence=missing,
                fix="chat_template = false",
            )
        )
        return Examination(name=name, findings=tuple(findings))
    if not inspected.rows:
        raise DataError(", ".join(source.name for source in stage.sources), 0, "there are no usable rows")
    findings += [finding for check in WITH_BASE for finding in check(inspected)]
    measured: dict[str, str] = {}
    if (held_out := held_out_accuracy(stage)) is not None:
        measured[stage.folder.name] = str(held_out)
    if deep:
        for folder in inspected.reward_models:
            found, figures = _reward_model(inspected, folder, plan)
            findings += found
            measured |= figures
    return Examination(name=name, findings=tuple(findings), shown=shown(inspected), measured=measured)


def _reward_model(
    inspected: InspectedStage, folder: Path, plan: Sequence[PlannedStage]
) -> tuple[list[DoctorFinding], dict[str, str]]:
    """How well a reward model that was trained here ranks its pairs: findings, and figures by folder."""
    theirs = next((stage for stage in plan if stage.folder == folder), None)
    if theirs is None:
        return [], {}
    held_out = held_out_accuracy(theirs)
    if held_out is not None:  # its findings belong to the stage that made it
        return [], {folder.name: str(held_out)}
    pairs = InspectedStage(theirs).preferences
    accuracy = training_accuracy(folder, pairs, chat=inspected.settings.chat_template)
    findings = no_better_than_chance(f"{inspected.key}.reward", accuracy, f"{folder.name} {accuracy}")
    return list(findings), {folder.name: str(accuracy)}
