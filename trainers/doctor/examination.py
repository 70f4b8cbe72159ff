"""The examination of a stage: every check that can be made with what exists so far."""

from collections.abc import MutableMapping, Sequence
from pathlib import Path

from harness.errors import DataError
from trainers.doctor.classifiers import examine_classifier
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
    PairwiseAccuracy,
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
from trainers.planning import PlannedReward, PlannedStage
from trainers.settings import Conversational
from trainers.stage_settings import ToxicityTraining

KnownAccuracies = MutableMapping[tuple[Path, bool], PairwiseAccuracy]
"""How well reward models rank pairs, by their folders, and whether they read them as turns."""
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
NO_TOKENIZER = (
    "which tokens it learns cannot be looked at yet: the `pretrain` stage that its chain begins with makes "
    "the tokenizer, and is not trained"
)
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
    stage: PlannedStage,
    *,
    extra: Sequence[Check] = (),
    accuracies: KnownAccuracies | None = None,
) -> Examination:
    """Everything that can be said about a stage now. Raises DataError.

    `extra` are the caller's own checks. Reward models that it learns from are run on their own pairs, unless
    `accuracies` knows how well they rank them; what is found is added to it.
    """
    if isinstance(stage.settings, ToxicityTraining):
        return examine_classifier(stage)
    if not isinstance(stage.settings, Conversational):
        nothing = f"a {stage.kind} stage learns from plain text: it has no turns or pairs to look at"
        return Examination(name=stage.name, findings=(), left_out=(nothing,))
    inspected = InspectedStage(stage)
    findings = [finding for check in (*WITHOUT_BASE, *extra) for finding in check(inspected)]
    if inspected.base is None:
        return Examination(name=stage.name, findings=tuple(findings), left_out=(NO_TOKENIZER,))
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
        return Examination(name=stage.name, findings=tuple(findings))
    if not inspected.rows:
        raise DataError(", ".join(source.name for source in stage.sources), 0, "there are no usable rows")
    findings += [finding for check in WITH_BASE for finding in check(inspected)]
    measured: dict[str, str] = {}
    left_out: list[str] = []
    if (held_out := held_out_accuracy(stage)) is not None:
        measured[stage.folder.name] = str(held_out)
    for reward in inspected.reward_models:
        accuracy = _accuracy(inspected, reward, {} if accuracies is None else accuracies)
        if isinstance(accuracy, str):
            left_out.append(accuracy)
            continue
        measured[Path(reward.source.source).name] = str(accuracy)
        key = "reward" if reward in stage.rewards else "select.reward"
        findings += no_better_than_chance(f"{inspected.key}.{key}", accuracy, reward.name)
    return Examination(
        name=stage.name,
        findings=tuple(findings),
        shown=shown(inspected),
        measured=measured,
        left_out=left_out,
    )


def _accuracy(
    inspected: InspectedStage, reward: PlannedReward, known: KnownAccuracies
) -> PairwiseAccuracy | str:
    """How well a reward model ranks pairs: those it held out, or else its own; or why that cannot be seen."""
    made = reward.stage
    if made is None:
        return f"reward model {reward.name!r} was not trained here: no pairs are known to try it on"
    if not made.done:
        return f"reward model {reward.name!r} is not trained yet: what it has learned shows once it is"
    shown_as = made.folder, inspected.settings.chat_template
    if shown_as not in known:
        pairs = InspectedStage(made).preferences
        known[shown_as] = held_out_accuracy(made) or training_accuracy(
            made.folder, pairs, chat=inspected.settings.chat_template
        )
    return known[shown_as]
