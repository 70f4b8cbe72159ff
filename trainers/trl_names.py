"""The names that TRL and transformers give to settings, as scripts have them, and what they are called here.

A setting that is the same thing under another name is taken, so that equal stages have one identity. For
others there is a message that says which of our keys to use, or that there is none.
"""

from collections.abc import Callable, Mapping
from math import ceil
from typing import Any

from harness.registry import Renamed
from harness.registry.mistakes import Table, expected
from trainers.settings import Training
from trainers.stage_settings import STAGE_SETTINGS, Dpo, Online

Schema = type[Training]
Converted = Mapping[str, object]
"""Our keys and their values."""


class NoCounterpart(ValueError):
    """A value that nothing here stands for; the message says what to do."""


def in_our_names(kind: str, table: Table) -> Renamed:
    """The settings of a stage of this kind, as a file has them, under our names."""
    schema = STAGE_SETTINGS[kind]
    theirs = [name for name in table if name not in schema.model_fields]
    ours: dict[str, object] = {name: table[name] for name in table if name in schema.model_fields}
    written = {name: name for name in ours}
    mistakes: list[tuple[str, str]] = []
    if isinstance(ours.get("report_to"), str):
        ours["report_to"] = [] if ours["report_to"] == "none" else [ours["report_to"]]
    for name in theirs:
        try:
            converted = _converted(name, schema, table)
        except NoCounterpart as error:
            mistakes.append((name, str(error)))
            continue
        for key, value in converted.items():
            if key in ours and ours[key] != value:
                beside = written[key]
                mistakes.append((name, f"stands beside `{beside}`, and both set `{key}`: keep one of them"))
            ours[key], written[key] = value, name
    return Renamed(ours, written, tuple(mistakes))


def _converted(name: str, schema: Schema, table: Table) -> Converted:
    """What one of their settings comes to. Raises NoCounterpart."""
    if name in CONVERSIONS:
        return CONVERSIONS[name](schema, table)
    if RENAMED.get(name) in schema.model_fields:
        return {RENAMED[name]: table[name]}
    if name in ELSEWHERE:
        raise NoCounterpart(ELSEWHERE[name])
    return {name: table[name]}  # which will be reported as unknown


RENAMED: Mapping[str, str] = {
    "num_generations": "generations",
    "max_completion_length": "max_new_tokens",
    "warmup_ratio": "warmup",
}
"""Settings that differ in their names alone."""


def _whole(table: Table, name: str, default: int | None = None) -> int:
    value = table.get(name, default)
    if not isinstance(value, int) or isinstance(value, bool):
        raise NoCounterpart(expected("a whole number", value))
    return value


def _epochs(schema: Schema, table: Table) -> Converted:
    if issubclass(schema, Online):
        raise NoCounterpart(
            "this stage counts `steps`: one epoch is the number of prompts / prompts_per_step"
        )
    return {"epochs": table["num_train_epochs"]}


def _steps(schema: Schema, table: Table) -> Converted:
    """Not positive: epochs are counted."""
    steps = _whole(table, "max_steps")
    return {"steps": steps} if steps > 0 else {}


def _save_steps(schema: Schema, table: Table) -> Converted:
    return {"checkpoint_steps" if issubclass(schema, Online) else "save_every": _whole(table, "save_steps")}


def _batch(schema: Schema, table: Table) -> Converted:
    """Rows of a step in one process, of which so many are held in memory at once."""
    each = _whole(table, "per_device_train_batch_size")
    rows = each * _whole(table, "gradient_accumulation_steps", 1)
    in_memory = {} if rows == each else {"micro_batch": each}
    if not issubclass(schema, Online):
        return {"batch_size": rows, **in_memory}
    generations = _whole(
        table, "num_generations", _whole(table, "generations", _default(schema, "generations"))
    )
    prompts, rest = divmod(rows, max(1, generations))
    if rest or prompts < 2:
        raise NoCounterpart(
            f"{rows} answers of a step, with `gradient_accumulation_steps`, are "
            f"{rows / max(1, generations):.3g} prompts with {generations} answers each (`generations`); a "
            "step needs 2 whole prompts or more"
        )
    return {"prompts_per_step": prompts, **in_memory}


def _accumulation(schema: Schema, table: Table) -> Converted:
    """Belongs to the batch."""
    if "per_device_train_batch_size" not in table:
        raise NoCounterpart(
            "needs `per_device_train_batch_size` beside it; here `micro_batch` says how many of a step's "
            "rows are held in memory at once"
        )
    return {}


def _schedule(schema: Schema, table: Table) -> Converted:
    """Their constant rate has no warm-up."""
    name = table["lr_scheduler_type"]
    if name == "constant":
        return {"schedule": "constant", "warmup": 0.0}
    return {"schedule": "constant" if name == "constant_with_warmup" else name}


def _warmup_steps(schema: Schema, table: Table) -> Converted:
    """Steps, or a share of them."""
    warmup = table["warmup_steps"]
    if not isinstance(warmup, int | float) or isinstance(warmup, bool):
        raise NoCounterpart(expected("a number", warmup))
    if warmup < 1:
        return {"warmup": float(warmup)}
    steps = table.get("steps", table.get("max_steps", _default(schema, "steps")))
    if not isinstance(steps, int) or steps <= 0:
        raise NoCounterpart(
            "the number of steps is not known beforehand: `warmup = 0.03` is a share of them, or give `steps`"
        )
    if warmup >= steps:
        raise NoCounterpart(f"the rate rises in {warmup} of {steps} steps; less than all are needed")
    share = warmup / steps
    return {"warmup": share if ceil(steps * share) == warmup else (warmup - 0.5) / steps}


def _loss_type(schema: Schema, table: Table) -> Converted:
    if not issubclass(schema, Dpo):
        raise NoCounterpart(TRL_DEFAULT)
    loss = table["loss_type"]
    return {"loss": [loss] if isinstance(loss, str) else loss}


def _default(schema: Schema, name: str) -> Any:
    return schema.model_fields[name].default


CONVERSIONS: Mapping[str, Callable[[Schema, Table], Converted]] = {
    "num_train_epochs": _epochs,
    "max_steps": _steps,
    "save_steps": _save_steps,
    "per_device_train_batch_size": _batch,
    "gradient_accumulation_steps": _accumulation,
    "lr_scheduler_type": _schedule,
    "warmup_steps": _warmup_steps,
    "loss_type": _loss_type,
}
"""Settings whose values differ too."""

TRL_DEFAULT = "cannot be set: TRL's default is used; leave it out"
_SELECT = (
    '`select = { by = "loss", holdout = 0.1 }` computes the loss of held-out rows at every checkpoint, and '
    "takes the best one"
)
_GROUPS: Mapping[tuple[str, ...], str] = {
    ("max_prompt_length", "max_seq_length"): (
        "nothing is cut here: `max_length` leaves longer rows and prompts out, and counts them"
    ),
    ("seed", "data_seed"): "a pipeline has a `seed`, and a project (`[project] seed`, `--seed`)",
    ("output_dir", "overwrite_output_dir"): "candidates lie in `[project] output`",
    ("resume_from_checkpoint",): "the same command resumes a stopped training by itself; leave it out",
    ("model_name_or_path",): "what a pipeline starts from is its `base`",
    ("dataset_name", "dataset_text_field"): "a stage's rows are its `data`",
    ("save_strategy", "save_total_limit"): (
        "a checkpoint is kept at the end of every epoch, or every `checkpoint_steps`; `save_every` (50 or "
        '"10 min") says when there are others'
    ),
    ("logging_strategy", "logging_first_step"): "`logging_steps` says how often values are logged",
    (
        "eval_strategy",
        "evaluation_strategy",
        "eval_steps",
        "do_eval",
        "per_device_eval_batch_size",
        "load_best_model_at_end",
        "metric_for_best_model",
        "greater_is_better",
    ): _SELECT,
    ("bf16", "fp16", "tf32", "use_cpu", "no_cuda", "dtype", "torch_dtype", "gradient_checkpointing"): (
        "follows from the machine: bfloat16 and gradient checkpointing on a GPU, float32 on a processor; "
        "leave it out"
    ),
    ("auto_find_batch_size",): "`micro_batch` says how many of a step's rows are held in memory at once",
    ("use_peft", "lora_r", "lora_alpha", "lora_dropout", "lora_target_modules"): (
        "`adapter = { rank = 16, alpha = 32 }` trains a LoRA adapter"
    ),
    ("load_in_4bit", "load_in_8bit"): '`adapter = { quantize = "4bit" }` holds the base in 4 bits',
    ("packing", "padding_free", "assistant_only_loss", "completion_only_loss"): (
        "the loss is on the final answer alone, and rows are not packed; leave it out"
    ),
    (
        "use_vllm",
        "vllm_mode",
        "vllm_server_base_url",
        "vllm_gpu_memory_utilization",
        "vllm_tensor_parallel_size",
    ): '`vllm = { mode = "colocate" }`, or `{ mode = "server", url = … }`, has vLLM write the answers',
    (
        "reward_weights",
    ): "`rewards = [{ name = …, weight = … }, …]` instead of `reward` has a weight for each",
    ("log_completions",): "answers are kept every `completions_every` steps",
    ("deepspeed", "fsdp"): "`harness train --launch accelerate --launch-config FILE` trains with them",
    (
        "optim",
        "adam_beta1",
        "adam_beta2",
        "adam_epsilon",
        "max_grad_norm",
        "num_iterations",
        "steps_per_generation",
        "generation_batch_size",
        "epsilon",
        "epsilon_high",
        "scale_rewards",
        "mask_truncated_completions",
        "top_p",
        "top_k",
        "min_p",
        "repetition_penalty",
        "label_smoothing",
        "precompute_ref_log_probs",
        "disable_dropout",
        "lr_scheduler_kwargs",
    ): TRL_DEFAULT,
}
ELSEWHERE: Mapping[str, str] = {name: message for names, message in _GROUPS.items() for name in names}
"""Settings that have no counterpart with the same meaning, and what to use instead."""
