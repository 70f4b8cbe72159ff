"""Which checkpoint of a stage becomes its candidate: each is measured, and the best one is taken.

Every metric that the stage's `select` names is computed for every checkpoint and kept, whichever decides: a
reward that rises while the held-out loss or a suite gets worse is reported (`trainers.overoptimisation`).

Suites are out of reach of training: the job brings a function that scores a candidate on a part of one.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from math import fsum
from pathlib import Path
from shutil import rmtree
from typing import cast

from transformers import PreTrainedModel, Trainer

from harness.errors import DataError, TrainingError
from harness.records.models import Json, Local
from trainers import checkpoint_metrics
from trainers.checkpoint_metrics import CheckpointMetrics, best_of
from trainers.checkpoints import kept_checkpoints
from trainers.data import TrainingPrompt, training_prompts
from trainers.holdout import prompt_key
from trainers.job import Job
from trainers.overoptimisation import over_optimised
from trainers.rewards import total_rewards
from trainers.sample_answers import AnswerSampling, sample_answers
from trainers.settings import CheckpointSelection, Conversational
from trainers.tokens import load_tokenizer
from trainers.training import load_weights

SCORED = "scored"
"""The folder, within the stage's, that holds a checkpoint while it is measured."""

Save = Callable[[Job, PreTrainedModel], None]
"""Writes the model as a candidate into the job's folder."""


def select_checkpoint(
    job: Job, model: PreTrainedModel, trainer: Trainer, save: Save | None = None
) -> dict[str, Json]:
    """Measure every checkpoint, give the trained model the weights of the best, and return what to report.

    Nothing happens where the settings have no `select`. Of several processes, only the main one measures: it
    has the whole model, and writes the candidate. Metrics are kept as they come, so that an interrupted
    selection resumes. `save` is needed for metrics of answers. Raises TrainingError, DataError.
    """
    select = cast(Conversational, job.settings).select
    if select is None or not job.is_main:
        return {}
    losses = {
        int(entry["step"]): float(entry["eval_loss"])
        for entry in trainer.state.log_history
        if "eval_loss" in entry
    }
    found = checkpoint_metrics.read(job.folder)
    steps = kept_checkpoints(job.folder)
    for place, (step, folder) in enumerate(steps.items()):
        if step not in found:
            measured = CheckpointMetrics(step=step, loss=losses.get(step) if select.holdout else None)
            if save is not None and (select.reward is not None or select.suite is not None):
                load_weights(model, folder)
                measured = _answered(job, select, model, save, measured)
            found[step] = measured
            checkpoint_metrics.write(job.folder, found.values())
        job.on_progress(place + 1, len(steps), None)
    ordered = [found[step] for step in steps]
    best = best_of(ordered, select.by)
    load_weights(model, steps[best.step])
    return {"selected": _report(ordered, best, select)}


def _answered(
    job: Job, select: CheckpointSelection, model: PreTrainedModel, save: Save, so_far: CheckpointMetrics
) -> CheckpointMetrics:
    """Add the reward and the suite's score of a checkpoint's answers."""
    folder = job.folder / SCORED / f"checkpoint-{so_far.step}"
    folder.mkdir(parents=True, exist_ok=True)
    save(replace(job, folder=folder), model)
    if select.reward is not None:
        rewards = _rewards(job, select, folder)
        so_far = replace(so_far, reward=fsum(rewards.values()) / len(rewards), rewards=rewards)
    if select.suite is not None:
        assert job.selection.score is not None
        assert job.selection.base is not None
        scored = job.selection.score(job.selection.base.trained(folder.name, Local(path=str(folder))), select)
        if not scored.values:
            raise TrainingError(
                f"select: {select.suite} gave step {so_far.step} no score on any of the samples that select"
            )
        so_far = replace(
            so_far,
            suite=fsum(scored.values.values()) / len(scored.values),
            suite_metric=f"{select.suite} {scored.metric}",
            higher_is_better=scored.higher_is_better,
            scores=dict(scored.values),
            conditions=dict(scored.conditions),
        )
    rmtree(job.folder / SCORED)
    return so_far


def _rewards(job: Job, select: CheckpointSelection, folder: Path) -> dict[str, float]:
    """The reward of a greedy answer to every prompt, by the prompt's key."""
    chat = cast(Conversational, job.settings).chat_template
    prompts = selection_prompts(select, job.selection.prompts)
    tokenizer = load_tokenizer(str(folder), None, needs_template=chat)
    answers = sample_answers(
        str(folder),
        tokenizer,
        [each.prompt for each in prompts.values()],
        AnswerSampling(1, select.max_new_tokens, seed=select.seed),
        chat=chat,
    )
    rewards = total_rewards(job.selection.rewards, list(prompts.values()), answers, chat=chat)
    return {key: only for key, [only] in zip(prompts, rewards, strict=True)}


def selection_prompts(
    select: CheckpointSelection, rows: Sequence[Mapping[str, object]]
) -> dict[str, TrainingPrompt]:
    """The prompts that checkpoints answer, by their keys: the same for every checkpoint and every stage.

    Each text once, and at most `count`. Raises DataError.
    """
    source = str(select.prompts)
    found = {prompt_key(each.prompt, select.seed)[:16]: each for each in training_prompts(source, rows)}
    if not found:
        raise DataError(source, 0, "there are no prompts to select by")
    return dict(sorted(found.items())[: select.count])


def _report(
    found: Sequence[CheckpointMetrics], best: CheckpointMetrics, select: CheckpointSelection
) -> dict[str, Json]:
    return {
        "by": select.by if select.by != "suite" else best.suite_metric,
        "step": best.step,
        "checkpoints": len(found),
        "last": found[-1].step,
        "conditions": dict(best.conditions),
        "over_optimised": list(over_optimised(found)),
    }
