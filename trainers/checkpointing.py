"""Writes the checkpoints that `save_every` asks for, and lets training resume with the rows that come next.

The trainer itself writes one at the end of every epoch, or every `checkpoint_steps`. Others are written by
steps, which are kept, or by time, which are for resuming only.
"""

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from accelerate import PartialState
from accelerate.utils import broadcast_object_list
from torch.utils.data import BatchSampler, DataLoader, Sampler
from transformers import TrainerCallback, TrainerControl, TrainerState, TrainingArguments
from transformers.trainer_utils import SaveStrategy
from trl.trainer.utils import RepeatSampler

from trainers.checkpoints import mark_complete
from trainers.job import Job


class Checkpointing(TrainerCallback):
    """Writes the checkpoints that `save_every` asks for, and marks every one that is complete."""

    def __init__(
        self,
        job: Job,
        sharded_by: str,
        clock: Callable[[], float] = time.monotonic,
        *,
        evaluate: Callable[[], None] | None = None,
    ) -> None:
        """Write checkpoints of this job; `sharded_by` is how its weights are sharded. `evaluate` logs the
        held-out loss of one that is kept, where the trainer does not."""
        self.job = job
        self.sharded_by = sharded_by
        self.evaluate = evaluate
        self.clock = clock
        self.saved_at = clock()
        self.for_resuming: int | None = None
        """The last step at which time alone made a checkpoint due."""

    def on_train_begin(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        """Draw the rows of a later epoch as an uninterrupted training would."""
        self.saved_at = self.clock()
        sampler = _sampler_of_rows(kwargs["train_dataloader"])
        if isinstance(sampler, RepeatSampler):  # it draws each order of the prompts after the last one
            for _ in range(int(state.epoch or 0)):
                next(iter(sampler))

    def on_step_end(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: object
    ) -> None:
        """Have a checkpoint written where one is due, and the trainer does not write one here anyway."""
        if control.should_save or state.global_step == state.max_steps or _ends_epoch(args, state):
            return
        every = self.job.settings.keep_every
        if every is not None and state.global_step % every == 0:
            control.should_save = True
            control.should_evaluate = args.eval_strategy != "no"
            self._evaluate()
        elif self._is_due():
            control.should_save = True
            self.for_resuming = state.global_step

    def on_epoch_end(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: object
    ) -> None:
        """Evaluate before the checkpoint of the epoch is written, which keeps what was logged."""
        self._evaluate()

    def on_save(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: object
    ) -> None:
        """Mark the checkpoint complete; of earlier ones only the models of those that are kept stay."""
        PartialState().wait_for_everyone()  # each process writes a part
        self.saved_at = self.clock()
        if self.job.is_main:
            mark_complete(
                Path(str(args.output_dir)) / f"checkpoint-{state.global_step}",
                sharded_by=self.sharded_by,
                for_resuming=self.for_resuming == state.global_step,
            )

    def _evaluate(self) -> None:
        if self.evaluate is not None:
            self.evaluate()

    def _is_due(self) -> bool:
        """Whether enough time has passed since the last checkpoint; the main process's clock decides."""
        seconds = self.job.settings.save_seconds
        if seconds is None:
            return False
        due = [self.clock() - self.saved_at >= seconds]
        if self.job.processes > 1:
            broadcast_object_list(due)
        return due[0]


def _ends_epoch(args: TrainingArguments, state: TrainerState) -> bool:
    """Whether a checkpoint of the epoch is written right after this step."""
    return args.save_strategy == SaveStrategy.EPOCH and float(state.epoch or 0).is_integer()


def _sampler_of_rows(loader: "DataLoader[Any]") -> Sampler[int]:
    """What draws the rows of a loader, beneath what makes batches of them and shares those out."""
    sampler: Any = loader.batch_sampler
    while isinstance(sampler, BatchSampler):
        sampler = getattr(sampler, "batch_sampler", None) or sampler.sampler
    return sampler  # type: ignore[no-any-return]  # accelerate's samplers have no types
