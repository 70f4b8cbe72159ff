"""Supervised fine-tuning: the base learns the final answers of demonstrations.

With TRL's SFTTrainer, on rows tokenised and labelled here (see `trainers.tokens`): the loss covers the final
answer and its end, never a prompt, an earlier answer or padding.
"""

from collections.abc import Mapping
from typing import cast

from datasets import Dataset
from trl.trainer.sft_config import SFTConfig
from trl.trainer.sft_trainer import SFTTrainer

from harness.records.models import Json
from trainers.adapters import adapter_arguments
from trainers.data import demonstrations
from trainers.holdout import fitting, held_out
from trainers.job import Job
from trainers.policy import train_policy
from trainers.stage_settings import Sft
from trainers.tokens import labelled, load_tokenizer
from trainers.training import epoch_arguments


def run(job: Job) -> Mapping[str, Json]:
    """Train, write the candidate, return the metrics. Raises DataError, ModelError, TrainingError."""
    settings = cast(Sft, job.settings)
    base = str(job.base)
    tokenizer = load_tokenizer(base, job.chat_template, needs_template=settings.chat_template)
    examples = demonstrations(job.data, job.rows)
    parts = [
        [labelled(tokenizer, example, chat=settings.chat_template) for example in part]
        for part in held_out(job.data, examples, settings.share_for_loss, seed=job.seed)
    ]
    loss_rows, learned = fitting(
        job.data, parts, lambda row: len(row["input_ids"]) <= settings.max_length, settings.max_length
    )
    trainer = SFTTrainer(
        model=base,
        args=SFTConfig(
            **epoch_arguments(job),
            dataset_kwargs={"skip_prepare_dataset": True},
        ),
        train_dataset=Dataset.from_list(learned),
        eval_dataset=Dataset.from_list(loss_rows) if loss_rows else None,
        processing_class=tokenizer,
        **adapter_arguments(job),
    )
    metrics = train_policy(job, trainer, tokenizer, chat=settings.chat_template)
    return {
        "rows": len(learned),
        "rows_held_out": len(loss_rows),
        "rows_too_long": len(examples) - len(learned) - len(loss_rows),
        **metrics,
    }
