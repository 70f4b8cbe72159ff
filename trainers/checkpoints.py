"""The checkpoints of a stage in training, and what is lost where it is stopped. Imports no model library.

STAGE.partial/reached.json                       the last step that was done
STAGE.partial/checkpoints/checkpoint-STEP/       what the trainer writes
    resuming    in one that serves only to resume from: never selected, deleted once there is a newer one
    complete    written once all of it is there; says how the weights were sharded
"""

import json
import os
from contextlib import suppress
from dataclasses import dataclass
from filecmp import cmp
from pathlib import Path
from shutil import rmtree

from harness.pluralize import pluralize

FOLDER = "checkpoints"
COMPLETE, RESUMING = "complete", "resuming"
REACHED = "reached.json"
RESUME_ONLY = (
    "optimizer*",
    "scheduler.pt",
    "rng_state*.pth",
    "training_args.bin",
    "pytorch_model_fsdp.bin",  # FSDP's own copy of the model, beside the usual one
    "global_step*",  # DeepSpeed's
    "latest",
)
"""Files and folders of a checkpoint that only resuming the training needs."""


def complete_checkpoints(stage: Path) -> dict[int, Path]:
    """The complete checkpoints of a stage's folder by step, in ascending order."""
    complete = [mark.parent for mark in (stage / FOLDER).glob(f"checkpoint-*/{COMPLETE}")]
    return dict(sorted((int(path.name.removeprefix("checkpoint-")), path) for path in complete))


def kept_checkpoints(stage: Path) -> dict[int, Path]:
    """Those that do not depend on how fast the machine is: of every epoch, or every so many steps."""
    every = complete_checkpoints(stage)
    return {step: path for step, path in every.items() if not (path / RESUMING).exists()}


def last_checkpoint(stage: Path) -> Path | None:
    """The latest complete checkpoint."""
    return next(reversed(complete_checkpoints(stage).values()), None)


def mark_complete(checkpoint: Path, *, sharded_by: str, for_resuming: bool) -> None:
    """Mark a checkpoint that is written, and delete what a newer one makes superfluous."""
    if for_resuming:
        (checkpoint / RESUMING).touch()
    (checkpoint / COMPLETE).write_text(sharded_by)
    for other in checkpoint.parent.glob("checkpoint-*"):
        if other == checkpoint:
            continue
        if (other / RESUMING).exists():
            delete_checkpoint(other)
        else:
            delete_optimizer_state(other)


def delete_checkpoint(checkpoint: Path) -> None:
    """Delete a whole checkpoint; one that a kill leaves half deleted is no complete one."""
    (checkpoint / COMPLETE).unlink(missing_ok=True)
    rmtree(checkpoint)


def delete_incomplete(stage: Path) -> None:
    """Delete what a kill left half written or half deleted."""
    for checkpoint in (stage / FOLDER).glob("checkpoint-*"):
        if not (checkpoint / COMPLETE).exists():
            rmtree(checkpoint)


def delete_what_resuming_needs(stage: Path) -> None:
    """Of a stage whose training is done, leave the models of the checkpoints that are kept."""
    kept = kept_checkpoints(stage)
    for step, checkpoint in complete_checkpoints(stage).items():
        if step in kept:
            delete_optimizer_state(checkpoint)
        else:
            delete_checkpoint(checkpoint)


def delete_optimizer_state(checkpoint: Path) -> None:
    """Keep a checkpoint's model, and delete what only resuming needs, which is three times as large."""
    for path in (path for name in RESUME_ONLY for path in checkpoint.glob(name)):
        if path.is_dir():
            rmtree(path)
        else:
            path.unlink()


def link_weights(stage: Path) -> None:
    """Let a checkpoint that equals the candidate share its weights' files on the disk, by hard links.

    A file system that has none keeps both files.
    """
    for weights in stage.glob("*.safetensors"):
        for same in (stage / FOLDER).glob(f"checkpoint-*/{weights.name}"):
            if cmp(weights, same, shallow=False):
                link = same.with_name(f"{same.name}.link")
                with suppress(OSError):
                    os.link(weights, link)
                    link.replace(same)


# ---------------------------------------------------------------- stopped trainings


@dataclass(frozen=True, slots=True, kw_only=True)
class Stopped:
    """How far a training had come when it was stopped, and where the same command resumes it."""

    step: int
    """The last step that was done; 0: none."""
    steps: int | None
    """All steps; None where no step was done."""
    saved: int
    """The step of the last checkpoint; 0: there is none."""

    @property
    def repeated(self) -> int:
        """Steps that were done and are done again."""
        return max(0, self.step - self.saved)

    def __str__(self) -> str:
        if self.steps is None:
            return "before its first step"
        again = pluralize(self.repeated, "step")
        again = f"{again} {'is' if self.repeated == 1 else 'are'} repeated"
        where = (
            f"the last checkpoint is at step {self.saved:,}" if self.saved else "there is no checkpoint yet"
        )
        return f"after step {self.step:,} of {self.steps:,}; {where}: {again}"


def record_step(stage: Path, step: int, steps: int) -> None:
    """Note the last step that was done. A kill leaves the earlier note or this one."""
    new = stage / f"{REACHED}.new"
    new.write_text(json.dumps([step, steps]))
    new.replace(stage / REACHED)


def stopped(stage: Path) -> Stopped:
    """What is known of a training that was stopped."""
    saved = max(complete_checkpoints(stage), default=0)
    if not (stage / REACHED).exists():
        return Stopped(step=saved, steps=None, saved=saved)
    step, steps = json.loads((stage / REACHED).read_text())
    return Stopped(step=step, steps=steps, saved=saved)
