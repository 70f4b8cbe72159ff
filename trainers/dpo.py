"""Direct preference optimisation: the chosen answer is made likelier than the rejected one.

Over TRL's DPOTrainer, always handed a path, so that its reference is the base itself. Pairs are given, or
drawn from the base and ranked by reward (`on_policy`); drawn ones are kept in `pairs.jsonl`.

It does not know what the preferences are about.
"""

import json
from collections.abc import Mapping, Sequence
from functools import partial
from time import sleep
from typing import Any, cast

from datasets import Dataset
from transformers import PreTrainedTokenizerBase
from trl.trainer.dpo_config import DPOConfig
from trl.trainer.dpo_trainer import DPOTrainer

from harness.errors import TrainingError
from harness.records import Json
from trainers.adapters import adapting
from trainers.checkpoint_selection import select_checkpoint
from trainers.data import PreferencePair, TrainingPrompt, pairs, training_prompts
from trainers.holdout import fitting, held_out
from trainers.job import Job
from trainers.rewards import as_given, total_rewards
from trainers.sample_answers import AnswerSampling, sample_answers
from trainers.settings import Dpo
from trainers.tokens import answer_ids, load_tokenizer, prompt_ids
from trainers.training import common_arguments, evaluating, save_policy, train

WAITING = 0.2
"""Seconds between two looks whether the main process has drawn the answers."""


def run(job: Job) -> Mapping[str, Json]:
    """Train, write the candidate, return the metrics. Raises DataError, ModelError, TrainingError."""
    settings = cast(Dpo, job.settings)
    base, chat = str(job.base), settings.chat_template
    tokenizer = load_tokenizer(base, job.chat_template, needs_template=chat)
    preferred = sampled_pairs(job, settings, tokenizer) if settings.on_policy else pairs(job.data, job.rows)
    selecting, learned = fitting(
        job.data,
        held_out(job.data, preferred, settings.share_for_loss, seed=job.seed),
        lambda pair: length(tokenizer, pair, chat=chat) <= settings.max_length,
        settings.max_length,
    )
    trainer = DPOTrainer(
        model=base,
        args=DPOConfig(
            **common_arguments(job),
            **evaluating(job),
            num_train_epochs=settings.epochs,
            max_length=None,
            beta=settings.beta,
            loss_type=list(settings.loss),
            loss_weights=list(settings.loss_weights) or None,
        ),
        train_dataset=Dataset.from_list([as_row(pair, chat=chat) for pair in learned]),
        eval_dataset=Dataset.from_list([as_row(pair, chat=chat) for pair in selecting])
        if selecting
        else None,
        processing_class=tokenizer,
        **adapting(job),
    )
    model, metrics = train(job, trainer)
    save = partial(save_policy, tokenizer=tokenizer, chat=chat)
    metrics |= select_checkpoint(job, trainer, save)
    save(job, model)
    return {
        "rows": len(learned),
        "rows_held_out": len(selecting),
        "rows_too_long": len(preferred) - len(learned) - len(selecting),
        "rows_unpaired": len(job.rows) - len(preferred),
        **metrics,
    }


def _dataset(preferred: Sequence[PreferencePair], *, chat: bool) -> Dataset:
    return Dataset.from_list([as_row(pair, chat=chat) for pair in preferred])


def as_row(pair: PreferencePair, *, chat: bool) -> dict[str, Any]:
    """A pair as TRL takes it: messages, or texts."""
    answers = {"chosen": pair.chosen, "rejected": pair.rejected}
    return {
        "prompt": as_given(pair.prompt, chat=chat),
        **{
            side: [{"role": "assistant", "content": answer}] if chat else answer
            for side, answer in answers.items()
        },
    }


def length(tokenizer: PreTrainedTokenizerBase, pair: PreferencePair, *, chat: bool) -> int:
    """Tokens of the prompt with the longer answer."""
    answers = (
        answer_ids(tokenizer, pair.prompt, answer, chat=chat) for answer in (pair.chosen, pair.rejected)
    )
    return len(prompt_ids(tokenizer, pair.prompt, chat=chat)) + max(map(len, answers))


# ---------------------------------------------------------------- pairs from the base's own answers


def sampled_pairs(job: Job, settings: Dpo, tokenizer: PreTrainedTokenizerBase) -> list[PreferencePair]:
    """Best against worst of the base's own answers; drawn once, then read again from `pairs.jsonl`.

    Of several processes the main one draws them, so that they are the ones that one process draws.
    """
    kept = job.folder / "pairs.jsonl"
    while not job.is_main and not kept.exists():
        sleep(WAITING)
    if not kept.exists():
        asked = training_prompts(job.data, job.rows)
        answers = sample_answers(
            str(job.base),
            tokenizer,
            [training_prompt.prompt for training_prompt in asked],
            AnswerSampling(settings.on_policy, settings.max_new_tokens, settings.temperature),
            chat=settings.chat_template,
            seed=job.seed,
            on_progress=job.on_progress,
        )
        worth = total_rewards(job.rewards, asked, answers, chat=settings.chat_template)
        ranked = [best_and_worst(*row) for row in zip(asked, answers, worth, strict=True)]
        lines = [json.dumps(pair._asdict()) for pair in ranked if pair is not None]
        kept.with_suffix(".new").write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
        kept.with_suffix(".new").rename(kept)
    drawn = [PreferencePair(**json.loads(line)) for line in kept.read_text(encoding="utf-8").splitlines()]
    if not drawn:
        raise TrainingError(
            "dpo: the reward tells no two of the base's answers apart, so there is no pair to learn"
        )
    return drawn


def best_and_worst(
    training_prompt: TrainingPrompt, answers: Sequence[str], worth: Sequence[float]
) -> PreferencePair | None:
    """The pair of one prompt; None where all answers are worth the same."""
    best = max(range(len(answers)), key=lambda place: worth[place])
    worst = min(range(len(answers)), key=lambda place: worth[place])
    if worth[best] == worth[worst]:
        return None
    return PreferencePair(training_prompt.prompt, answers[best], answers[worst])
