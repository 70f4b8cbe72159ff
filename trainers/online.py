"""GRPO and RLOO: every step samples new answers to prompts, and rewards say which are better.

Group relative policy optimisation (Shao et al. 2024, "DeepSeekMath") compares the answers to one prompt with
one another; REINFORCE leave-one-out (Ahmadian et al. 2024, "Back to Basics") holds each against the mean
reward of the others. Both with TRL's trainers.

TRL leaves some choices open, which are fixed here: a KL penalty towards the base, several prompts in every
step, the chat template applied to every prompt, and prompts of bounded length.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from importlib.util import find_spec
from statistics import fmean
from typing import Any, cast

from datasets import Dataset
from requests import ConnectionError as Unreachable
from trl.trainer.grpo_config import GRPOConfig
from trl.trainer.grpo_trainer import GRPOTrainer
from trl.trainer.rloo_config import RLOOConfig
from trl.trainer.rloo_trainer import RLOOTrainer

from harness.errors import DataError, UsageError
from harness.records.models import Json
from trainers.adapters import adapter_arguments
from trainers.data import training_prompts
from trainers.job import Job
from trainers.policy import train_policy
from trainers.reward_watch import RewardWatch
from trainers.rewards import trl_prompt
from trainers.stage_settings import Online
from trainers.tokens import load_tokenizer, prompt_ids
from trainers.training import common_arguments

TRAINERS: Mapping[str, tuple[type[Any], type[Any]]] = {
    "grpo": (GRPOTrainer, GRPOConfig),
    "rloo": (RLOOTrainer, RLOOConfig),
}
"""TRL's trainers, by kind of stage."""
LENGTH = "completions/mean_length"
"""The name, in TRL's log, of the mean length of a step's answers."""


def run(job: Job) -> Mapping[str, Json]:
    """Train, write the candidate, return the metrics. Raises DataError, ModelError, TrainingError."""
    settings = cast(Online, job.settings)
    trainer_class, config_class = TRAINERS[job.kind]
    base, chat = str(job.base), settings.chat_template
    tokenizer = load_tokenizer(base, job.chat_template, needs_template=chat)
    every = training_prompts(job.data, job.rows)
    fitting = [
        each for each in every if len(prompt_ids(tokenizer, each.prompt, chat=chat)) <= settings.max_length
    ]
    if len(fitting) < settings.prompts_per_step:
        raise DataError(
            job.data,
            0,
            f"{len(fitting)} prompts fit into max_length = {settings.max_length} tokens, and a step needs "
            f"prompts_per_step = {settings.prompts_per_step}",
        )
    rows = [{"prompt": trl_prompt(each.prompt, chat=chat), "row": row} for row, each in enumerate(fitting)]
    watch = RewardWatch(job, fitting)
    job = replace(job, on_progress=watch.reporting(job.on_progress))
    with _server_reached(settings):
        trainer = trainer_class(
            model=base,
            reward_funcs=watch.functions,
            args=config_class(**arguments(job)),
            train_dataset=Dataset.from_list(rows),
            processing_class=tokenizer,
            **adapter_arguments(job),
        )
    watch.listen(trainer)
    metrics = train_policy(job, trainer, tokenizer, chat=chat, check=watch.check_signal)
    return {
        "rows": len(fitting),
        "rows_too_long": len(every) - len(fitting),
        "steps_without_signal": watch.steps_without_signal,
        "answer_tokens": answer_tokens(trainer.state.log_history),
        **metrics,
    }


def answer_tokens(logged: Sequence[Mapping[str, Any]]) -> float:
    """The mean length of the answers that were written in training."""
    return round(fmean(entry[LENGTH] for entry in logged if LENGTH in entry), 2)


def arguments(job: Job) -> dict[str, Any]:
    """For TRL's configuration: each step samples new answers and learns from all of them at once."""
    settings = cast(Online, job.settings)
    return {
        **common_arguments(job),
        **_vllm_arguments(settings),
        "save_strategy": "steps",
        "save_steps": settings.checkpoint_steps,
        "num_generations": settings.generations,
        "max_completion_length": settings.max_new_tokens,
        "temperature": settings.temperature,
        "beta": settings.beta,
        "reward_weights": [*(reward.weight for reward in job.rewards), 0.0],
    }


def _vllm_arguments(settings: Online) -> dict[str, Any]:
    """TRL's own fields. Raises UsageError where vLLM is not installed: its server's client is part of it."""
    vllm = settings.vllm
    if vllm is None:
        return {}
    if find_spec("vllm") is None:
        raise UsageError(
            f'`vllm = {{ mode = "{vllm.mode}" }}` needs vLLM: pip install "harness[vllm]", or leave it out'
        )
    arguments: dict[str, Any] = {
        "use_vllm": True,
        "vllm_mode": vllm.mode,
        "vllm_server_base_url": vllm.url,
        "vllm_tensor_parallel_size": vllm.tensor_parallel,
        "vllm_max_model_length": settings.max_length + settings.max_new_tokens,
    }
    return arguments if vllm.memory is None else arguments | {"vllm_gpu_memory_utilization": vllm.memory}


@contextmanager
def _server_reached(settings: Online) -> Iterator[None]:
    """Raise UsageError where vLLM's server does not answer."""
    try:
        yield
    except Unreachable as error:
        url = None if settings.vllm is None else settings.vllm.url
        raise UsageError(
            f"{url}: no vLLM server answers ({error}); start one with `vllm serve`, as TRL documents it"
        ) from error
