"""A reward model: the base, with one number as its output, learns which of two answers is better.

With TRL's RewardTrainer, on conversations tokenised here exactly as the model will read them later.
"""

from collections.abc import Mapping, Sequence
from typing import NamedTuple, cast

from datasets import Dataset
from trl.trainer.reward_config import RewardConfig
from trl.trainer.reward_trainer import RewardTrainer

from harness.records.models import Json
from trainers import reward_quality
from trainers.adapters import adapter_arguments
from trainers.checkpoint_selection import select_checkpoint
from trainers.data import PreferencePair, pairs
from trainers.holdout import fitting, held_out
from trainers.job import Job
from trainers.rewards import judge_pairs
from trainers.stage_settings import Reward
from trainers.tokens import judged_ids, load_tokenizer
from trainers.training import epoch_arguments, save_model, train


class TokenisedPair(NamedTuple):
    """A pair, and its two conversations as tokens."""

    pair: PreferencePair
    chosen: list[int]
    rejected: list[int]


def run(job: Job) -> Mapping[str, Json]:
    """Train, write the candidate, return the metrics. Raises DataError, ModelError, TrainingError."""
    settings = cast(Reward, job.settings)
    base, chat = str(job.base), settings.chat_template
    tokenizer = load_tokenizer(base, job.chat_template, needs_template=chat)
    preferred = pairs(job.data, job.rows)
    shares = settings.holdout, settings.share_for_loss
    parts = [
        [
            TokenisedPair(
                pair,
                judged_ids(tokenizer, pair.prompt, pair.chosen, chat=chat),
                judged_ids(tokenizer, pair.prompt, pair.rejected, chat=chat),
            )
            for pair in part
        ]
        for part in held_out(job.data, preferred, *shares, seed=job.seed)
    ]
    test_pairs, loss_pairs, learned = fitting(
        job.data,
        parts,
        lambda row: max(len(row.chosen), len(row.rejected)) <= settings.max_length,
        settings.max_length,
    )
    trainer = RewardTrainer(
        model=base,
        args=RewardConfig(**epoch_arguments(job)),
        train_dataset=_dataset(learned),
        eval_dataset=_dataset(loss_pairs) if loss_pairs else None,
        processing_class=tokenizer,
        **adapter_arguments(job, judges=True),
    )
    model, metrics = train(job, trainer)
    metrics |= select_checkpoint(job, model, trainer)
    save_model(job, model, tokenizer)
    if test_pairs and job.is_main:
        metrics["held_out"] = _held_out_quality(job, [row.pair for row in test_pairs], chat=chat)
    return {
        "rows": len(learned),
        "rows_held_out": len(test_pairs) + len(loss_pairs),
        "rows_too_long": len(preferred) - len(learned) - len(test_pairs) - len(loss_pairs),
        "rows_unpaired": len(job.rows) - len(preferred),
        **metrics,
    }


def _dataset(rows: Sequence[TokenisedPair]) -> Dataset:
    return Dataset.from_list([{"chosen_ids": row.chosen, "rejected_ids": row.rejected} for row in rows])


def _held_out_quality(job: Job, pairs: Sequence[PreferencePair], *, chat: bool) -> dict[str, Json]:
    """Score pairs that the finished model did not learn, keep the scores, and return its quality."""
    found = reward_quality.score_pairs(pairs, *judge_pairs(str(job.folder), pairs, chat=chat))
    reward_quality.write(job.folder, found)
    return reward_quality.figures(found)
