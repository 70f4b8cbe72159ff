"""Settings far outside the usual for their kind of stage; the ranges are rules of thumb, with sources."""

from collections.abc import Iterator, Mapping
from typing import NamedTuple

from harness.pluralize import pluralize
from trainers.doctor.findings import DoctorFinding
from trainers.doctor.inspected_stage import InspectedStage
from trainers.settings import EpochTraining
from trainers.stage_settings import Online


class TypicalSettings(NamedTuple):
    """What is usual for a kind of stage."""

    lowest_rate: float
    """Of a whole model."""
    border: float
    """The highest rate of a whole model, and the lowest of an adapter."""
    highest_rate: float
    """Of an adapter."""
    most_epochs: int | None


TYPICAL_SETTINGS: Mapping[str, TypicalSettings] = {
    "sft": TypicalSettings(1e-6, 1e-4, 2e-3, 5),
    "reward": TypicalSettings(1e-6, 5e-5, 1e-3, 3),
    "dpo": TypicalSettings(5e-8, 3e-6, 1e-4, 3),
    "grpo": TypicalSettings(1e-7, 5e-6, 2e-4, None),
    "rloo": TypicalSettings(1e-7, 5e-6, 2e-4, None),
}
"""Rates that are published for models of 0.1 to 8 billion parameters, widened on both sides.

Each border lies between TRL's rates for a whole model and for an adapter of it, which are ten times as high
(`trainers.settings.Conversational.adapter_rate` has the sources): 2e-5 and 2e-4 for SFT, 1e-5 and 1e-4 for
reward models, 5e-7 and 5e-6 for DPO, 1e-6 and 1e-5 for GRPO. Higher than TRL's are, inside: DPO on whole
models with 1e-6 (SmolLM2, alignment-handbook); GRPO on adapters with 5e-5 (TRL's guide to "LoRA Without
Regret"); SFT on adapters with 5e-4 × (2000 / hidden size)^0.78, which is 1.3e-3 for 135M (Thinking Machines'
`tinker_cookbook`, for Llamas). Outside is one that was found: SFT on whole models of 135M and 360M with 1e-3
(SmolLM2, over half a million rows).
"""
SMALLEST = 1e8
"""Parameters of the smallest published models. Whole models that are smaller may have any rate up to the
highest, which grows with the root of how much smaller they are; that the toy world needs."""
SEVERAL = 2
"""Checkpoints that a selection needs."""


def learning_rate(inspected: InspectedStage) -> Iterator[DoctorFinding]:
    """A learning rate far from the usual, such as a whole model's for an adapter, which then hardly moves."""
    rate = inspected.settings.learning_rate
    size = inspected.size.parameters
    has_adapter = inspected.settings.adapter is not None
    lowest, highest = typical_rates(inspected.stage.kind, size, has_adapter=has_adapter)
    if not lowest <= rate <= highest:
        yield DoctorFinding(
            check="learning rate far outside the usual",
            severity="warning",
            where=f"{inspected.key}.learning_rate",
            evidence=f"{rate:g}, where a {inspected.stage.kind} stage on {size / 1e6:,.1f} million "
            f"parameters {'with' if has_adapter else 'without'} an adapter usually has {lowest:.1g} to "
            f"{highest:.1g}",
            fix=f"learning_rate = {highest / 3 if rate > highest else lowest * 3:.0e}",
        )


def typical_rates(kind: str, size: int, *, has_adapter: bool) -> tuple[float, float]:
    """The lowest and the highest usual learning rate of a stage on so many parameters."""
    typical = TYPICAL_SETTINGS[kind]
    highest = typical.highest_rate * max(1.0, (SMALLEST / size) ** 0.5)
    if has_adapter:
        return typical.border, highest
    return typical.lowest_rate, typical.border if size >= SMALLEST else highest


def epochs(inspected: InspectedStage) -> Iterator[DoctorFinding]:
    """More passes over the same rows than usual: the model memorises them.

    Fine where the checkpoint is selected by something held out.
    """
    most, settings = TYPICAL_SETTINGS[inspected.stage.kind].most_epochs, inspected.settings
    if settings.select is not None and settings.select.by != "reward":
        return
    if most is None or not isinstance(settings, EpochTraining):
        return
    wanted = settings.epochs_over(inspected.row_count)
    if wanted > most:
        yield DoctorFinding(
            check="many epochs",
            severity="warning",
            where=f"{inspected.key}.{'epochs' if settings.steps is None else 'steps'}",
            evidence=f"{wanted:.3g} passes over the same rows, where {most} are usual; validation loss rises "
            "long before, and reward models have been seen to prefer the overfitted checkpoints",
            fix=f'epochs = {most}, or select = {{ by = "loss", holdout = 0.1 }}',
        )


def no_penalty(inspected: InspectedStage) -> Iterator[DoctorFinding]:
    """A policy that nothing keeps near its base."""
    if isinstance(inspected.settings, Online) and inspected.settings.beta == 0:
        default = type(inspected.settings).model_fields["beta"].default
        yield DoctorFinding(
            check="no KL penalty",
            severity="warning",
            where=f"{inspected.key}.beta",
            evidence="beta is 0: nothing holds the policy near its base, and no KL is logged",
            fix=f"beta = {default}",
        )


def few_checkpoints(inspected: InspectedStage) -> Iterator[DoctorFinding]:
    """A training that leaves too few checkpoints to choose from."""
    settings = inspected.settings
    if settings.select is not None and isinstance(settings, EpochTraining):
        steps = settings.steps_over(inspected.row_count)
        if settings.checkpoints_over(inspected.row_count) < SEVERAL:
            yield DoctorFinding(
                check="no checkpoints to choose from",
                severity="warning",
                where=f"{inspected.key}.{'epochs' if settings.steps is None else 'steps'}",
                evidence=f"{pluralize(steps, 'step')} make 1 checkpoint, and `select` has no choice",
                fix=f"save_every = {max(1, steps // 5)}, epochs = {SEVERAL}, or leave `select` out",
            )
    if isinstance(settings, Online) and settings.steps // settings.checkpoint_steps < SEVERAL:
        kept = max(1, settings.steps // settings.checkpoint_steps)
        yield DoctorFinding(
            check="no checkpoints to choose from",
            severity="warning",
            where=f"{inspected.key}.checkpoint_steps",
            evidence=f"{settings.steps} steps, a checkpoint every {settings.checkpoint_steps}: {kept} in all",
            fix=f"checkpoint_steps = {max(1, settings.steps // 5)}",
        )
