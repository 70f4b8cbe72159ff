"""Measures how far a candidate is from the base that its stage started from (see `harness.movement`)."""

import gc
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from itertools import islice
from pathlib import Path
from time import perf_counter
from typing import Any

import torch
from accelerate.state import AcceleratorState
from safetensors import safe_open
from transformers import PreTrainedTokenizerBase

from harness.engine.model_files import weight_files
from harness.movement import Movement
from trainers.data import Turn, demonstrations, pairs, training_prompts
from trainers.holdout import prompt_key
from trainers.job import Job
from trainers.sample_answers import AnswerSampling, sample_answers
from trainers.settings import Conversational, Dpo, Rewarded, Sft
from trainers.tokens import load_tokenizer, prompt_ids
from trainers.training import SHARDING

PROMPTS = 32
"""Prompts that are answered, at most."""
NEW_TOKENS = 64
"""The length limit of their answers: enough for a difference to show."""
PIECE = 1 << 22
"""Numbers of a tensor that are compared at once, in float64."""


def measure_movement(job: Job, metrics: Mapping[str, Any]) -> Movement:
    """How far the job's candidate is from its base. Nothing of the training may be in use any more.

    Weights are read tensor by tensor; both models are loaded for their answers, one after the other. Of
    models that were trained in shards no answers are compared: this process alone may have no room for them.
    """
    began = perf_counter()
    weights, tensors, left_out = weight_change(Path(str(job.base)), job.folder)
    prompts = changed = 0
    if isinstance(job.settings, Sft | Rewarded) and AcceleratorState().distributed_type not in SHARDING:
        prompts, changed = _answers(job, job.settings)
    return Movement(
        weights=weights,
        tensors=tensors,
        tensors_left_out=left_out,
        prompts=prompts,
        answers_changed=changed,
        kl=metrics.get("kl"),
        margin=metrics.get("rewards/margins"),
        seconds=round(perf_counter() - began, 2),
    )


def weight_change(base: Path, candidate: Path) -> tuple[float | None, int, int]:
    """norm(new − old) / norm(old), the number of tensors that it covers, and of those that it leaves out."""
    change = norm = 0.0
    compared = 0
    with ExitStack() as opened:
        old, new = (_tensors(folder, opened) for folder in (base, candidate))
        if not old:
            return None, 0, len(new)
        for name, file in new.items():
            # a base model alone is saved without the name of its part of the whole
            before = name if name in old else name.partition(".")[2]
            if before not in old:
                continue
            then, now = old[before].get_tensor(before), file.get_tensor(name)
            if then.shape != now.shape:
                continue
            compared += 1
            for left, right in zip(then.flatten().split(PIECE), now.flatten().split(PIECE), strict=True):
                change += float((right.double() - left.double()).square().sum())
                norm += float(left.double().square().sum())
        left_out = len(old) + len(new) - 2 * compared
    return (change / norm) ** 0.5 if norm else None, compared, left_out


def _tensors(folder: Path, opened: ExitStack) -> dict[str, Any]:
    """The open file of every tensor of a model, by the tensor's name; none where its weights are a pickle."""
    files = [
        opened.enter_context(safe_open(file, framework="pt"))
        for file in weight_files(folder)
        if file.suffix == ".safetensors"
    ]
    return {name: file for file in files for name in file.keys()}  # noqa: SIM118 - not a mapping


def _answers(job: Job, settings: Sft | Rewarded) -> tuple[int, int]:
    """How many fixed prompts base and candidate answered greedily, and how many answers differ.

    No prompts where the GPU is too small for a model that was trained in 4 bits.
    """
    chat, new_tokens = settings.chat_template, min(NEW_TOKENS, settings.max_length // 2)
    tokenizer = load_tokenizer(str(job.base), job.chat_template, needs_template=chat)
    prompts = list(
        fixed_prompts(_prompts(job, settings), tokenizer, settings.max_length - new_tokens, chat=chat)
    )
    if not prompts:
        return 0, 0
    if torch.cuda.is_available():
        gc.collect()  # a trainer refers to itself
        torch.cuda.empty_cache()
    try:
        greedy = AnswerSampling(1, new_tokens, seed=job.seed)
        before, after = (
            sample_answers(folder, tokenizer, prompts, greedy, chat=chat)
            for folder in (str(job.base), str(job.folder))
        )
    except torch.OutOfMemoryError:
        return 0, 0
    return len(prompts), sum(old != new for old, new in zip(before, after, strict=True))


def fixed_prompts(
    prompts: Sequence[list[Turn]], tokenizer: PreTrainedTokenizerBase, longest: int, *, chat: bool
) -> Iterator[list[Turn]]:
    """At most `PROMPTS` different ones that are short enough, by their hashes: the same ones every time."""
    by_hash = {prompt_key(prompt): prompt for prompt in prompts}
    short = (
        by_hash[key]
        for key in sorted(by_hash)
        if len(prompt_ids(tokenizer, by_hash[key], chat=chat)) <= longest
    )
    return islice(short, PROMPTS)


def _prompts(job: Job, settings: Conversational) -> list[list[Turn]]:
    """The prompts of the stage's rows."""
    if isinstance(settings, Sft):
        return [row.prompt for row in demonstrations(job.data, job.rows)]
    if isinstance(settings, Dpo) and not settings.on_policy:
        return [row.prompt for row in pairs(job.data, job.rows)]
    return [row.prompt for row in training_prompts(job.data, job.rows)]
