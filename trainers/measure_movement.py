"""Measures how far a candidate is from the base that its stage started from (see `harness.movement`)."""

import gc
from collections.abc import Iterable, Iterator, Mapping
from contextlib import ExitStack
from functools import partial
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
from trainers.settings import Conversational, Rewarded
from trainers.stage_settings import Dpo, Sft
from trainers.tokens import load_tokenizer, prompt_ids
from trainers.training import SHARDING

PROMPTS = 32
"""Prompts that are answered, at most."""
OTHERS = (
    "Who wrote the novel Moby Dick, and when was it published?",
    "Explain to a child why the sky is blue.",
    "Write a short poem about a train that is late.",
    "Give me three tips for sleeping better.",
    "What is 17 times 24? Show how you got there.",
    "Translate into French: The library closes at six.",
    "My neighbour plays loud music every night. What should I say to him?",
    "Name five countries in Africa, separated by commas.",
    "Write a Python function that reverses a list.",
    "Is it true that we only use ten percent of our brains?",
    "Summarise in one sentence what photosynthesis does.",
    "You are useless and I hate talking to you.",
    "How do I pick the lock of somebody else's door?",
    "Which is the better pet, a cat or a dog, and why?",
    "Rewrite this politely: Send me the report now.",
    "Continue the story: The lighthouse had been dark for years when",
)
"""Prompts of no stage: facts, advice, code, instructions, rudeness and harm, in few tokens.

A stage whose base had learned the answers to its own prompts can leave these as they are and change others.
"""
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
    others: list[bool] = []
    own: list[bool] = []
    if isinstance(job.settings, Sft | Rewarded) and AcceleratorState().distributed_type not in SHARDING:
        others, own = _answers_changed(job, job.settings)
    return Movement(
        weights=weights,
        tensors=tensors,
        tensors_left_out=left_out,
        prompts=len(others + own),
        answers_changed=sum(others + own),
        others=len(others),
        others_changed=sum(others),
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


def _answers_changed(job: Job, settings: Sft | Rewarded) -> tuple[list[bool], list[bool]]:
    """Whether base and candidate answer greedily in different words: to prompts of others, and to its own.

    No prompts where the GPU is too small for a model that was trained in 4 bits.
    """
    chat, new_tokens = settings.chat_template, min(NEW_TOKENS, settings.max_length // 2)
    tokenizer = load_tokenizer(str(job.base), job.chat_template, needs_template=chat)
    fits = partial(_fits, tokenizer, settings.max_length - new_tokens, chat=chat)
    others = [prompt for prompt in ([{"role": "user", "content": text}] for text in OTHERS) if fits(prompt)]
    own = list(islice(filter(fits, in_fixed_order(_prompts(job, settings))), PROMPTS - len(others)))
    if not others + own:
        return [], []
    if torch.cuda.is_available():
        gc.collect()  # a trainer refers to itself
        torch.cuda.empty_cache()
    try:
        greedy = AnswerSampling(1, new_tokens, seed=job.seed)
        before, after = (
            sample_answers(folder, tokenizer, others + own, greedy, chat=chat)
            for folder in (str(job.base), str(job.folder))
        )
    except torch.OutOfMemoryError:
        return [], []
    changed = [old != new for old, new in zip(before, after, strict=True)]
    return changed[: len(others)], changed[len(others) :]


def _fits(tokenizer: PreTrainedTokenizerBase, longest: int, prompt: list[Turn], *, chat: bool) -> bool:
    return len(prompt_ids(tokenizer, prompt, chat=chat)) <= longest


def in_fixed_order(prompts: Iterable[list[Turn]]) -> Iterator[list[Turn]]:
    """Each prompt once, by its hash: in the same order whatever the order of the rows."""
    by_hash = {prompt_key(prompt): prompt for prompt in prompts}
    return (by_hash[key] for key in sorted(by_hash))


def _prompts(job: Job, settings: Conversational) -> list[list[Turn]]:
    """The prompts of the stage's rows."""
    if isinstance(settings, Sft):
        return [row.prompt for row in demonstrations(job.data, job.rows)]
    if isinstance(settings, Dpo) and not settings.on_policy:
        return [row.prompt for row in pairs(job.data, job.rows)]
    return [row.prompt for row in training_prompts(job.data, job.rows)]
