"""Direct preference optimisation: the chosen answer is made likelier than the rejected one.

Over TRL's DPOTrainer, always handed a path, so that its reference is the base itself. Pairs are given, or
drawn from the base and ranked by reward (`on_policy`); drawn ones are kept in `pairs.jsonl`.

It does not know what the preferences are about.
"""

from collections.abc import Mapping, Sequence
from time import sleep
from typing import cast

from datasets import Dataset
from transformers import PreTrainedTokenizerBase
from trl.trainer.dpo_config import DPOConfig
from trl.trainer.dpo_trainer import DPOTrainer

from harness.errors import TrainingError
from harness.records import Json
from trainers.adapters import adapting
from trainers.data import PreferencePair, TrainingPrompt, pairs, training_prompts
from trainers.holdout import fitting, held_out
from trainers.job import Job
from trainers.jsonl import read_jsonl, write_jsonl
from trainers.policy import train_policy
from trainers.rewards import total_rewards, trl_answer, trl_prompt
from trainers.sample_answers import AnswerSampling, sample_answers
from trainers.settings import Dpo
from trainers.tokens import answer_ids, load_tokenizer, prompt_ids
from trainers.training import epoch_arguments

WAITING = 0.2
"""Seconds between two looks whether the main process has drawn the answers."""


def run(job: Job) -> Mapping[str, Json]:
    """Train, write the candidate, return the metrics. Raises DataError, ModelError, TrainingError."""
    settings = cast(Dpo, job.settings)
    base, chat = str(job.base), settings.chat_template
    tokenizer = load_tokenizer(base, job.chat_template, needs_template=chat)
    preferred = sampled_pairs(job, settings, tokenizer) if settings.on_policy else pairs(job.data, job.rows)
    loss_rows, learned = fitting(
        job.data,
        held_out(job.data, preferred, settings.share_for_loss, seed=job.seed),
        lambda pair: length(tokenizer, pair, chat=chat) <= settings.max_length,
        settings.max_length,
    )
    trainer = DPOTrainer(
        model=base,
        args=DPOConfig(
            **epoch_arguments(job),
            beta=settings.beta,
            loss_type=list(settings.loss),
            loss_weights=list(settings.loss_weights) or None,
        ),
        train_dataset=_dataset(learned, chat=chat),
        eval_dataset=_dataset(loss_rows, chat=chat) if loss_rows else None,
        processing_class=tokenizer,
        **adapting(job),
    )
    metrics = train_policy(job, trainer, tokenizer, chat=chat)
    return {
        "rows": len(learned),
        "rows_held_out": len(loss_rows),
        "rows_too_long": len(preferred) - len(learned) - len(loss_rows),
        "rows_unpaired": len(job.rows) - len(preferred),
        **metrics,
    }


def _dataset(pairs: Sequence[PreferencePair], *, chat: bool) -> Dataset:
    """Pairs as TRL takes them: messages, or texts."""
    rows = [
        {
            "prompt": trl_prompt(pair.prompt, chat=chat),
            "chosen": trl_answer(pair.chosen, chat=chat),
            "rejected": trl_answer(pair.rejected, chat=chat),
        }
        for pair in pairs
    ]
    return Dataset.from_list(rows)


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
        prompts = training_prompts(job.data, job.rows)
        answers = sample_answers(
            str(job.base),
            tokenizer,
            [each.prompt for each in prompts],
            AnswerSampling(settings.on_policy, settings.max_new_tokens, settings.temperature),
            chat=settings.chat_template,
            seed=job.seed,
            on_progress=job.on_progress,
        )
        worth = total_rewards(job.rewards, prompts, answers, chat=settings.chat_template)
        ranked = [best_and_worst(*row) for row in zip(prompts, answers, worth, strict=True)]
        write_jsonl(kept, (pair._asdict() for pair in ranked if pair is not None))
    drawn = [PreferencePair(**each) for each in read_jsonl(kept)]
    if not drawn:
        raise TrainingError(
            "dpo: the reward tells no two of the base's answers apart, so there is no pair to learn"
        )
    return drawn


def best_and_worst(
    prompt: TrainingPrompt, answers: Sequence[str], worth: Sequence[float]
) -> PreferencePair | None:
    """The pair of one prompt; None where all answers are worth the same."""
    best = max(range(len(answers)), key=lambda place: worth[place])
    worst = min(range(len(answers)), key=lambda place: worth[place])
    if worth[best] == worth[worst]:
        return None
    return PreferencePair(prompt.prompt, answers[best], answers[worst])
