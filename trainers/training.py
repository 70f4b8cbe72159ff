"""What all training runs share: arguments, threads, logging, checkpoints, progress, a candidate's files."""

import logging
import math
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from pickle import UnpicklingError
from typing import Any, cast

import datasets
import torch
import transformers
from peft import PeftModel, get_peft_model, load_peft_weights, set_peft_model_state_dict
from transformers import (
    AutoConfig,
    PreTrainedModel,
    PreTrainedTokenizerBase,
    PrinterCallback,
    Trainer,
    TrainerCallback,
    TrainerControl,
    TrainerState,
    TrainingArguments,
)
from transformers.trainer import TRAINER_STATE_NAME

from harness.engine.local.loading import pickles, refused
from harness.engine.local.network import SMALL, threads
from harness.errors import ModelError, TrainingError, UsageError
from harness.records.models import Json
from trainers import history
from trainers.adapters import merge_adapter
from trainers.checkpointing import Checkpointing
from trainers.checkpoints import (
    COMPLETE,
    FOLDER,
    delete_incomplete,
    delete_what_resuming_needs,
    last_checkpoint,
    record_step,
)
from trainers.held_out_loss import log_held_out_loss
from trainers.job import Job
from trainers.settings import EpochTraining, Training
from trainers.stage_settings import Dpo, Online, Reward, Sft
from trainers.training_pace import TrainingPace

SHARDING = ("FSDP", "DEEPSPEED")
"""How accelerate names the ways in which no process has all weights."""
SERVICES = {"tensorboard": ("tensorboard", "tensorboardX"), "wandb": ("wandb",), "trackio": ("trackio",)}
"""Each service needs one of its libraries installed."""

POINTS = 50
"""Logged points of a training of up to 500 steps; of a longer one every 10th step is logged."""
LOSSES = {"loss": "loss", "eval_loss": "held-out loss"}
"""Losses that are checked, by their names in the log, and what messages call them."""


def common_arguments(job: Job) -> dict[str, Any]:
    """What every stage passes to its TRL configuration.

    float32 on a CPU, where bfloat16 is slower; bfloat16 on a GPU.
    """
    settings = job.settings
    cuda = torch.cuda.is_available()
    rows = settings.rows_per_step // job.processes
    micro_batch = settings.micro_batch or rows
    return {
        "output_dir": str(job.folder / FOLDER),
        "seed": job.seed,
        "data_seed": job.seed,
        "per_device_train_batch_size": micro_batch,
        "gradient_accumulation_steps": rows // micro_batch,
        "learning_rate": settings.learning_rate,
        "lr_scheduler_type": "constant_with_warmup" if settings.schedule == "constant" else settings.schedule,
        "warmup_steps": settings.warmup,
        "weight_decay": settings.weight_decay,
        "use_cpu": not cuda,
        "bf16": cuda,
        "gradient_checkpointing": cuda,
        "dataloader_pin_memory": cuda,
        **_length(settings),
        "save_strategy": "epoch",
        "logging_steps": settings.logging_steps or 1,
        "logging_nan_inf_filter": False,  # else a NaN loss is logged as the last good one
        "report_to": _services(settings.report_to),
        "run_name": job.folder.name,
        "disable_tqdm": True,
    }


def plain_arguments(job: Job) -> dict[str, Any]:
    """What stages whose rows the trainer reads as they are pass to it: it counts their tokens.

    The count is kept in checkpoints, so that a kill loses none; that of TRL's trainers begins anew.
    """
    return {**common_arguments(job), "include_num_input_tokens_seen": "non_padding"}


def _length(settings: Training) -> dict[str, Any]:
    """How long a stage is trained, as the trainer takes it."""
    if isinstance(settings, EpochTraining) and settings.epochs is not None:
        return {"num_train_epochs": settings.epochs}
    assert isinstance(settings, EpochTraining | Online)
    return {"max_steps": settings.steps}


def epoch_arguments(job: Job) -> dict[str, Any]:
    """What stages that learn from conversations, epoch by epoch, pass to their TRL configuration.

    Rows are never cut. Where some are held out for the loss, it is computed at each checkpoint.
    """
    assert isinstance(job.settings, Sft | Reward | Dpo)
    arguments = {**plain_arguments(job), "max_length": None}
    if job.settings.share_for_loss is None:
        return arguments
    return arguments | {
        "eval_strategy": "epoch" if job.processes == 1 else "no",  # `held_out_loss` is for several
        "per_device_eval_batch_size": job.settings.micro_batch or job.settings.rows_per_step,
        "prediction_loss_only": True,
    }


def _services(names: Sequence[str]) -> list[str]:
    """Raises UsageError for a service whose library is not installed, before anything is loaded."""
    for name in names:
        if not any(find_spec(library) for library in SERVICES[name]):
            raise UsageError(
                f'`report_to = ["{name}"]` needs its library: pip install {SERVICES[name][0]}, or leave it '
                "out: the store keeps what is logged in any case"
            )
    return list(names)


def train(job: Job, trainer: Trainer) -> tuple[PreTrainedModel, dict[str, Json]]:
    """Run a trainer, from its last complete checkpoint where there is one. Returns model and metrics.

    Raises ModelError where the base's weights are not finite; UsageError where processes are launched in a
    way that cannot resume or cannot write the candidate; TrainingError where the loss or the trained weights
    are not finite, or the GPU's memory is too small.
    """
    model = cast(PreTrainedModel, trainer.model)
    if not is_finite(model):
        raise ModelError(f"{job.base}: its weights hold NaN or infinity; nothing can be trained from them")
    trainer.remove_callback(PrinterCallback)
    trainer.add_callback(TrainingMonitor(job))
    evaluates = job.processes > 1 and trainer.eval_dataset is not None
    evaluate = partial(log_held_out_loss, trainer) if evaluates else None
    trainer.add_callback(Checkpointing(job, sharding(trainer), evaluate=evaluate))
    pace = TrainingPace()
    trainer.add_callback(pace)
    if sharding(trainer) == "DEEPSPEED":
        if job.settings.selects:
            raise UsageError(
                f"{job.kind}: `select` was not tried with DeepSpeed; launch the stage with FSDP, or leave "
                "`select` out"
            )
        check_gathering(trainer.accelerator.state.deepspeed_plugin.deepspeed_config)
    if job.is_main:
        delete_incomplete(job.folder)
    checkpoint = last_checkpoint(job.folder)
    if checkpoint is not None:
        _check_sharding(checkpoint, trainer)
    if checkpoint is not None and (state := _whole_training(checkpoint, trainer)) is not None:
        trainer.state = state
        if job.is_main:
            load_weights(model, checkpoint)
    else:
        with limited_threads(model):
            try:
                trainer.train(resume_from_checkpoint=str(checkpoint) if checkpoint else None)
            except torch.OutOfMemoryError as error:
                raise TrainingError(
                    f"{job.kind}: the GPU's memory is too small; set `micro_batch` below "
                    f"{trainer.args.per_device_train_batch_size}, or lower `max_length`"
                ) from error
        model = gather_model(trainer)
    if job.is_main:
        check_weights(job, model)
        history.write(job.folder, trainer.state.log_history)
        delete_what_resuming_needs(job.folder)
    done: dict[str, Json] = {
        "steps": trainer.state.global_step,
        "tokens": int(trainer.state.num_input_tokens_seen),
        "pace": pace.measured,
    }
    return model, {**done, **last_logged(trainer.state)}


def _whole_training(checkpoint: Path, trainer: Trainer) -> TrainerState | None:
    """The trainer's state at a checkpoint of the last step: resumed there, the trainer would do one more.

    None for another checkpoint, and with DeepSpeed, which alone can load what it wrote.
    """
    state = TrainerState.load_from_json(str(checkpoint / TRAINER_STATE_NAME))
    return state if state.global_step == state.max_steps and sharding(trainer) != "DEEPSPEED" else None


def load_weights(model: PreTrainedModel, checkpoint: Path) -> None:
    """Load a checkpoint's weights into the model, or into the adapter on it."""
    if isinstance(model, PeftModel):
        set_peft_model_state_dict(model, load_peft_weights(str(checkpoint)))
        return
    then = type(model).from_pretrained(checkpoint, dtype=model.dtype)
    model.load_state_dict(then.state_dict())


def sharding(trainer: Trainer) -> str:
    """How weights are sharded over processes: `FSDP` or `DEEPSPEED`; empty where each process has all."""
    kind = str(trainer.accelerator.distributed_type.value)
    return kind if kind in SHARDING else ""


def check_gathering(deepspeed: Mapping[str, Any]) -> None:
    """Raise UsageError for a DeepSpeed configuration with which no candidate could be written."""
    zero = deepspeed.get("zero_optimization", {})
    if zero.get("stage") == 3 and not zero.get("stage3_gather_16bit_weights_on_model_save"):
        raise UsageError(
            "DeepSpeed's stage 3 shards the weights, and is configured not to gather them: set "
            "`zero3_save_16bit_model: true` in accelerate's file, or "
            "`stage3_gather_16bit_weights_on_model_save` in DeepSpeed's own"
        )


def _check_sharding(checkpoint: Path, trainer: Trainer) -> None:
    """Raise UsageError for a checkpoint that was written with weights sharded in another way."""
    before, now = (checkpoint / COMPLETE).read_text(), sharding(trainer)
    if before != now:
        raise UsageError(
            f"{checkpoint} was written {f'with {before}' if before else 'without FSDP or DeepSpeed'}, and "
            "training can resume from it only in the same way; launch it that way, or delete the folder to "
            "start again"
        )


def gather_model(trainer: Trainer) -> PreTrainedModel:
    """The trained model with all of its weights, where FSDP or DeepSpeed have sharded them over processes.

    Every process must call this; the main one gets the weights. Those of a base under an adapter are left
    out.
    """
    accelerator, sharded_by = trainer.accelerator, sharding(trainer)
    if not sharded_by:
        return cast(PreTrainedModel, trainer.model)
    sharded = trainer.model_wrapped if sharded_by == "DEEPSPEED" else trainer.model
    weights = accelerator.get_state_dict(sharded)
    model = accelerator.unwrap_model(sharded)
    inner = cast(PreTrainedModel, model.get_base_model() if isinstance(model, PeftModel) else model)
    with torch.device("meta"):
        empty = type(inner)(inner.config)
        again = get_peft_model(empty, model.peft_config["default"]) if isinstance(model, PeftModel) else empty
    again.load_state_dict(weights, strict=False, assign=True)
    empty.tie_weights()
    if inner.can_generate():
        empty.generation_config = inner.generation_config
    return cast(PreTrainedModel, again)


def save_model(job: Job, model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase) -> None:
    """Write a candidate in hub layout, in the base's own dtype; of several processes, the main one writes."""
    if not job.is_main:
        return
    model = merge_adapter(job, model)
    if job.base is not None:
        dtype = AutoConfig.from_pretrained(job.base).dtype
        if dtype is not None:
            model.to(dtype=dtype)  # type: ignore[call-arg]  # its wrapper hides self from mypy
    model.config.use_cache = True
    model.save_pretrained(job.folder)
    tokenizer.save_pretrained(job.folder)


class TrainingMonitor(TrainerCallback):
    """Reports progress, and stops at a loss that is not finite."""

    def __init__(self, job: Job) -> None:
        """Monitor this job."""
        self.job = job
        self.loss: float | None = None

    def on_train_begin(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: object
    ) -> None:
        """Log as often as a curve needs, now that the number of steps is known."""
        settings = self.job.settings
        if settings.logging_steps is None and isinstance(settings, EpochTraining):
            state.logging_steps = min(10, math.ceil(state.max_steps / POINTS))

    def on_step_end(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: object
    ) -> None:
        """Report and record the step, and have the last one logged even where few are."""
        if state.global_step == state.max_steps:
            control.should_log = True
        if self.job.is_main:
            record_step(self.job.folder, state.global_step, state.max_steps)
        tokens = int(state.num_input_tokens_seen)
        self.job.on_progress(state.global_step, state.max_steps, self.loss, tokens)

    def on_log(
        self,
        args: TrainingArguments,
        state: TrainerState,
        control: TrainerControl,
        logs: Mapping[str, float] | None = None,
        **kwargs: object,
    ) -> None:
        """Remember the loss. Raises TrainingError for one that is not finite."""
        for name, called in LOSSES.items():
            loss = (logs or {}).get(name)
            if loss is not None and not math.isfinite(loss):
                raise TrainingError(
                    f"{self.job.kind}: the {called} became {loss} by step {state.global_step}; try a "
                    f"lower `learning_rate` than {self.job.settings.learning_rate}"
                )
        self.loss = (logs or {}).get("loss", self.loss)


def check_weights(job: Job, model: torch.nn.Module) -> None:
    """Raise TrainingError where a weight is not finite: the last steps' loss is not always logged."""
    if not is_finite(model):
        raise TrainingError(
            f"{job.kind}: the trained weights hold NaN or infinity; try a lower `learning_rate` than "
            f"{job.settings.learning_rate}"
        )


def is_finite(model: torch.nn.Module) -> bool:
    """Whether every weight is a finite number."""
    return all(bool(torch.isfinite(weight).all()) for weight in model.parameters() if not weight.is_meta)


def last_logged(state: TrainerState) -> dict[str, Json]:
    """The last value of every logged metric, without the trainer's own timings."""
    numbers = {name: value for entry in state.log_history for name, value in entry.items()}
    return {name: value for name, value in numbers.items() if history.is_metric(name, value)}


def limited_threads(model: torch.nn.Module) -> AbstractContextManager[None]:
    """Use one thread while a small model runs."""
    small = sum(weight.numel() for weight in model.parameters()) < SMALL
    return threads(1 if small else torch.get_num_threads())


@contextmanager
def tensors_only(base: str | None) -> Iterator[None]:
    """Raise ModelError where the base's weights are a pickle that torch refuses."""
    try:
        yield
    except UnpicklingError as error:
        raise refused(pickles(Path(str(base)))) from error


@contextmanager
def quiet() -> Iterator[None]:
    """Silence progress bars and warnings of the libraries beneath; their errors still come through."""
    trl = logging.getLogger("trl")
    verbosity, level = transformers.logging.get_verbosity(), trl.level
    bars = (transformers.logging.is_progress_bar_enabled(), datasets.is_progress_bar_enabled())
    transformers.logging.set_verbosity(logging.ERROR)
    transformers.logging.disable_progress_bar()  # type: ignore[no-untyped-call]  # not annotated there
    trl.setLevel(logging.ERROR)
    datasets.disable_progress_bars()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        transformers.logging.set_verbosity(verbosity)
        trl.setLevel(level)
        if bars[0]:
            transformers.logging.enable_progress_bar()  # type: ignore[no-untyped-call]  # the same
        if bars[1]:
            datasets.enable_progress_bars()
