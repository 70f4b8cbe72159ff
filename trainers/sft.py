"""Supervised fine-tuning: the base learns the final answers of demonstrations.

Over TRL's SFTTrainer, with rows tokenised and labelled here (see `trainers.tokens`): the loss is on the
final answer and its end, never on a prompt, an earlier answer or padding.

It does not know where rows come from, or what the candidate is for.
"""

from collections.abc import Mapping
from typing import cast

from datasets import Dataset
from trl.trainer.sft_config import SFTConfig
from trl.trainer.sft_trainer import SFTTrainer

from harness.errors import DataError
from harness.records import Json
from trainers.adapters import adapting
from trainers.data import demonstrations
from trainers.settings import Sft
from trainers.stage import Job
from trainers.tokens import labelled, load_tokenizer
from trainers.training import common_arguments, save_policy, train


def run(job: Job) -> Mapping[str, Json]:
    """Train, write the candidate, return the metrics. Raises DataError, ModelError, TrainingError."""
    settings = cast(Sft, job.settings)
    base = str(job.base)
    tokenizer = load_tokenizer(base, job.chat_template, needs_template=settings.chat_template)
    rows = [
        labelled(tokenizer, example, chat=settings.chat_template)
        for example in demonstrations(job.data, job.rows)
    ]
    fitting = [row for row in rows if len(row["input_ids"]) <= settings.max_length]
    if not fitting:
        raise DataError(job.data, 0, f"no row fits into max_length = {settings.max_length} tokens")
    trainer = SFTTrainer(
        model=base,
        args=SFTConfig(
            **common_arguments(job),
            num_train_epochs=settings.epochs,
            max_length=None,
            dataset_kwargs={"skip_prepare_dataset": True},
        ),
        train_dataset=Dataset.from_list(fitting),
        processing_class=tokenizer,
        **adapting(job),
    )
    model, metrics = train(job, trainer)
    save_policy(job, model, tokenizer, chat=settings.chat_template)
    return {"rows": len(fitting), "rows_too_long": len(rows) - len(fitting), **metrics}
