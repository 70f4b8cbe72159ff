"""Direct preference optimisation: the chosen answer becomes likelier than the rejected one.

With TRL's DPOTrainer, always given a path, so that its reference model is the base itself. Pairs come from
the data, or are sampled from the base and ranked by reward (`on_policy`); these are kept in `pairs.jsonl`.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from time import sleep
from typing import cast

from datasets import Dataset
from transformers import PreTrainedTokenizerBase
from trl.trainer.dpo_config import DPOConfig
from trl.trainer.dpo_trainer import DPOTrainer

from harness.errors import TrainingError
from harness.records.models import Json
from trainers.adapters import adapter_arguments
from trainers.data import PreferencePair, TrainingPrompt, pairs, training_prompts
from trainers.holdout import fitting, held_out
from trainers.job import Job
from trainers.jsonl import read_jsonl, write_jsonl
from trainers.policy import train_policy
from trainers.rewards import total_rewards, trl_answer, trl_prompt
from trainers.sample_answers import AnswerSampling, SamplingCount, sample_answers
from trainers.stage_settings import Dpo
from trainers.tokens import answer_ids, load_tokenizer, prompt_ids
from trainers.training import epoch_arguments

SAMPLED = "sampled.jsonl"
"""Beside the pairs: how much was sampled for them."""
SAMPLING = "sampling.pt"
"""What was sampled so far, until there are pairs."""
POLL_SECONDS = 0.2
"""Seconds between checks whether the main process has sampled the pairs."""


def run(job: Job) -> Mapping[str, Json]:
    """Train, write the candidate, return the metrics. Raises DataError, ModelError, TrainingError."""
    settings = cast(Dpo, job.settings)
    base, chat = str(job.base), settings.chat_template
    tokenizer = load_tokenizer(base, job.chat_template, needs_template=chat)
    preferred = sampled_pairs(job, settings, tokenizer) if settings.on_policy else pairs(job.data, job.rows)
    sampled = read_jsonl(job.folder / SAMPLED)
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
        **adapter_arguments(job),
    )
    metrics = train_policy(job, trainer, tokenizer, chat=chat)
    for count in sampled:
        metrics |= {"sampled": count, "tokens": metrics["tokens"] + count["read"] + count["written"]}
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
    """Tokens of the prompt and the longer answer."""
    answers = (
        answer_ids(tokenizer, pair.prompt, answer, chat=chat) for answer in (pair.chosen, pair.rejected)
    )
    return len(prompt_ids(tokenizer, pair.prompt, chat=chat)) + max(map(len, answers))


def sampled_pairs(job: Job, settings: Dpo, tokenizer: PreTrainedTokenizerBase) -> list[PreferencePair]:
    """Best against worst of the base's own answers, sampled once and then read from `pairs.jsonl`.

    Of several processes the main one samples them, so that the pairs are those of a single process.
    """
    kept = job.folder / "pairs.jsonl"
    while not job.is_main and not kept.exists():
        sleep(POLL_SECONDS)
    if not kept.exists():
        prompts, count = training_prompts(job.data, job.rows), SamplingCount()
        answers = sample_answers(
            str(job.base),
            tokenizer,
            [each.prompt for each in prompts],
            AnswerSampling(settings.on_policy, settings.max_new_tokens, settings.temperature, job.seed),
            chat=settings.chat_template,
            on_progress=job.on_progress,
            count=count,
            kept=job.folder / SAMPLING,
        )
        write_jsonl(job.folder / SAMPLED, [asdict(count)])
        rewards = total_rewards(job.rewards, prompts, answers, chat=settings.chat_template)
        ranked = [best_and_worst(*row) for row in zip(prompts, answers, rewards, strict=True)]
        write_jsonl(kept, (pair._asdict() for pair in ranked if pair is not None))
    if job.is_main:
        (job.folder / SAMPLING).unlink(missing_ok=True)
    sampled = [PreferencePair(**each) for each in read_jsonl(kept)]
    if not sampled:
        raise TrainingError(
            "dpo: the reward gives all of the base's answers to a prompt the same, so no pair can be learned"
        )
    return sampled


def best_and_worst(
    prompt: TrainingPrompt, answers: Sequence[str], rewards: Sequence[float]
) -> PreferencePair | None:
    """The pair of one prompt; None where all answers are worth the same."""
    best = max(range(len(answers)), key=lambda place: rewards[place])
    worst = min(range(len(answers)), key=lambda place: rewards[place])
    if rewards[best] == rewards[worst]:
        return None
    return PreferencePair(prompt.prompt, answers[best], answers[worst])
