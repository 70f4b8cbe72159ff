"""A model that generates: trained, its best checkpoint chosen, and written so that its answers end."""

from collections.abc import Callable
from functools import partial
from pathlib import Path

from transformers import PreTrainedModel, PreTrainedTokenizerBase, Trainer

from harness.engine.model_files import stated_ends
from harness.records.models import Json
from trainers.adapters import merge_adapter
from trainers.checkpoint_selection import select_checkpoint
from trainers.job import Job
from trainers.tokens import end_tokens
from trainers.training import save_model, train


def train_policy(
    job: Job,
    trainer: Trainer,
    tokenizer: PreTrainedTokenizerBase,
    *,
    chat: bool,
    check: Callable[[], None] = lambda: None,
) -> dict[str, Json]:
    """Train a model that generates, choose its checkpoint, write the candidate, and return the metrics.

    `check` is called when it is trained, and may raise. Raises TrainingError, ModelError, DataError,
    UsageError.
    """
    model, metrics = train(job, trainer)
    check()
    save = partial(save_policy, tokenizer=tokenizer, chat=chat)
    metrics |= select_checkpoint(job, model, trainer, save)
    save(job, model)
    return metrics


def save_policy(job: Job, model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, *, chat: bool) -> None:
    """Write a candidate that generates: it stops at the tokenizer's end and at the template's end of turn."""
    if not job.is_main:
        return
    model = merge_adapter(job, model)
    _agree_on_the_end(job, model, tokenizer, chat=chat)
    config = model.generation_config
    known = config.eos_token_id if isinstance(config.eos_token_id, list) else [config.eos_token_id]
    ends = [*end_tokens(tokenizer, chat=chat), *(number for number in known if number is not None)]
    config.eos_token_id = list(dict.fromkeys(ends))
    config.pad_token_id = tokenizer.pad_token_id
    save_model(job, model, tokenizer)


def _agree_on_the_end(
    job: Job, model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, *, chat: bool
) -> None:
    """Let the tokenizer end a text where the base's configuration and its chat template do.

    Some tokenizers name another token, and a tool that reads the tokenizer alone would continue after the end
    of an answer. Where configuration and template disagree too, nothing says which of the three is right.
    """
    stated = stated_ends(Path(str(job.base)))
    end = end_tokens(tokenizer, chat=chat)[-1]
    if stated and tokenizer.eos_token_id not in stated and end in stated:
        tokenizer.eos_token = tokenizer.convert_ids_to_tokens(end)
        model.config.eos_token_id = end
