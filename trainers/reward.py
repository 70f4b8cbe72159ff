"""A reward model: the base with one number as its head, learning which of two answers is better.

Over TRL's RewardTrainer, with both conversations tokenised here, as they will be shown when it is asked.

It does not know what the preferences are about.
"""

from collections.abc import Mapping
from typing import cast

from datasets import Dataset
from trl.trainer.reward_config import RewardConfig
from trl.trainer.reward_trainer import RewardTrainer

from harness.errors import DataError
from harness.records import Json
from trainers.adapters import adapting
from trainers.data import pairs
from trainers.settings import Reward
from trainers.stage import Job
from trainers.tokens import judged_ids, load_tokenizer
from trainers.training import common_arguments, save_model, train


def run(job: Job) -> Mapping[str, Json]:
    """Train, write the candidate, return the metrics. Raises DataError, ModelError, TrainingError."""
    settings = cast(Reward, job.settings)
    base, chat = str(job.base), settings.chat_template
    tokenizer = load_tokenizer(base, job.chat_template, needs_template=chat)
    preferred = pairs(job.data, job.rows)
    rows = [
        {
            "chosen_ids": judged_ids(tokenizer, pair.prompt, pair.chosen, chat=chat),
            "rejected_ids": judged_ids(tokenizer, pair.prompt, pair.rejected, chat=chat),
        }
        for pair in preferred
    ]
    fitting = [row for row in rows if max(map(len, row.values())) <= settings.max_length]
    if not fitting:
        raise DataError(job.data, 0, f"no row fits into max_length = {settings.max_length} tokens")
    trainer = RewardTrainer(
        model=base,
        args=RewardConfig(**common_arguments(job), num_train_epochs=settings.epochs, max_length=None),
        train_dataset=Dataset.from_list(fitting),
        processing_class=tokenizer,
        **adapting(job, judges=True),
    )
    model, metrics = train(job, trainer)
    save_model(job, model, tokenizer)
    return {
        "rows": len(fitting),
        "rows_too_long": len(rows) - len(fitting),
        "rows_unpaired": len(job.rows) - len(preferred),
        **metrics,
    }
