"""Settings that kinds of stages share, with defaults: keys of a `[[pipelines.NAME.stages]]` table.

`kind`, `data` and `reward` stand beside these keys and belong to `harness.records.models.Stage`; what only
one kind has is in `trainers.stage_settings`. An unknown key is an error. Defaults suit a model of about a
billion parameters; the toy world's recipes set their own.
"""

import json
import re
from math import ceil
from typing import Annotated, Any, ClassVar, Literal, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, PlainSerializer, model_validator

from harness.errors import ConfigError
from harness.records.models import Json

PositiveInt = Annotated[int, Field(gt=0)]
PositiveFloat = Annotated[float, Field(gt=0)]
Share = Annotated[float, Field(ge=0, lt=1)]
Part = Annotated[float, Field(gt=0, lt=1)]

REPORTING_ONLY = ("report_to", "completions_every", "logging_steps", "save_every")
"""Settings that change how a training is reported and resumed, and not its outcome."""
LATER = (
    *("adapter", "select", "holdout", "vllm", "steps", "epochs"),
    *("layers", "width", "heads", "intermediate", "vocabulary"),  # which a classifier from a base has not
)
"""Settings that stages did not always have, or that another one can replace; None: not used."""
OF_THE_MACHINE = {"url", "memory"}
"""Settings of vLLM that say where it runs, not what it does."""

SECONDS = {"s": 1, "min": 60, "h": 3600}
"""The units in which `save_every` says a time."""
_TIME = re.compile(r"(\d+(?:\.\d+)?) ?(s|min|h)")


def _whole_if_it_can_be(epochs: float) -> float:
    """2.0 epochs are 2: the same stage must have one identity."""
    return int(epochs) if epochs == int(epochs) else epochs


Epochs = Annotated[
    PositiveFloat,
    Field(allow_inf_nan=False),
    AfterValidator(_whole_if_it_can_be),
    PlainSerializer(
        lambda epochs: epochs
    ),  # else whole ones would be written as 3.0, which hashes differently
]


def _interval(value: int | str) -> int | str:
    if (seconds_of(value) or 0) <= 0 if isinstance(value, str) else value < 1:
        raise ValueError(
            f'expected a number of steps (50) or a time ("10 min", "30 s", "2 h"), got {json.dumps(value)}'
        )
    return value


Interval = Annotated[int | str, AfterValidator(_interval)]
"""Steps, or a time."""


def seconds_of(time: str) -> float | None:
    """The seconds of a time such as `10 min`; None where it is no time."""
    match = _TIME.fullmatch(time)
    return None if match is None else float(match[1]) * SECONDS[match[2]]


def wrong_setting(key: str, message: str) -> ConfigError:
    """The error for a key of harness.toml, such as `pipelines.NAME.stages[0].data`."""
    return ConfigError("harness.toml", key, message)


class Training(BaseModel):
    """Settings that every stage has."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    batch_size: PositiveInt = 16
    """Rows per optimiser step."""
    micro_batch: PositiveInt | None = None
    """Rows held in memory at once; must divide the batch. None: the whole batch."""
    learning_rate: PositiveFloat = 2e-5
    schedule: Literal["cosine", "linear", "constant"] = "cosine"
    """The learning rate's course after the warm-up."""
    warmup: Share = 0.03
    """The share of steps in which the learning rate rises from 0."""
    weight_decay: Annotated[float, Field(ge=0)] = 0.0
    report_to: tuple[Literal["tensorboard", "wandb", "trackio"], ...] = ()
    """Services that also receive the training's log; the store keeps it in any case."""
    logging_steps: PositiveInt | None = None
    """Steps between logged values, which are means over them. None: as many as give a curve of
    `trainers.training.POINTS` points, and at most 10; 1 for stages that sample answers."""
    save_every: Interval = "10 min"
    """How often a checkpoint is written, besides those at the ends of epochs or every `checkpoint_steps`.

    A time ("10 min", "30 s", "2 h"): when that much has passed since the last one. Such a checkpoint is for
    resuming only: it is never selected, and is deleted once there is a newer one. A number of steps: a
    checkpoint every so many, which is kept like the others."""

    @property
    def save_seconds(self) -> float | None:
        """Seconds after which a checkpoint is written for resuming; None where steps are counted instead."""
        return seconds_of(self.save_every) if isinstance(self.save_every, str) else None

    @property
    def keep_every(self) -> int | None:
        """Steps between checkpoints that are kept; None: those at the ends of epochs are."""
        return None if isinstance(self.save_every, str) else self.save_every

    @property
    def selects(self) -> bool:
        """Whether the best checkpoint becomes the candidate."""
        return False

    @property
    def rows_per_step(self) -> int:
        return self.batch_size

    @property
    def needs_rewards(self) -> bool:
        return False

    def identifying(self) -> dict[str, Json]:
        """The settings that the outcome depends on, except rewards.

        Settings that were added later and are not used are left out, so that earlier stages keep their
        identity.
        """
        values = self.model_dump(
            mode="json", exclude={"vllm": OF_THE_MACHINE, **dict.fromkeys(("rewards", *REPORTING_ONLY), True)}
        )
        return {name: value for name, value in values.items() if name not in LATER or value is not None}

    @model_validator(mode="after")
    def _micro_batch_divides(self) -> Self:
        if self.micro_batch and self.rows_per_step % self.micro_batch:
            raise ValueError(f"micro_batch must divide the {self.rows_per_step} rows of a step")
        return self


class WeightedReward(BaseModel):
    """One of several rewards."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str
    """As a stage's `reward`: a pipeline ending in a reward stage, a model, or `module:function`."""
    weight: float = 1.0


def usual_epochs(epochs: int) -> Any:
    """A default that is in force unless `steps` are given."""
    return Field(default_factory=lambda given: None if given.get("steps") else epochs)


class EpochTraining(Training):
    """Settings of stages that go through their rows in epochs."""

    steps: PositiveInt | None = None
    """Optimiser steps, instead of `epochs`."""
    epochs: Epochs | None = usual_epochs(1)
    """How often every row is read; 0.5 trains on half of the rows."""

    def steps_over(self, rows: int) -> int:
        """Optimiser steps on so many rows."""
        return self.steps or ceil(self._steps_of_epoch(rows) * (self.epochs or 0))

    def epochs_over(self, rows: int) -> float:
        """How often each of so many rows is read, on average."""
        return self.epochs or (self.steps or 0) / self._steps_of_epoch(rows)

    def checkpoints_over(self, rows: int) -> int:
        """Checkpoints that are kept of a training on so many rows."""
        steps, epoch = self.steps_over(rows), self._steps_of_epoch(rows)
        every = self.keep_every or epoch
        return len({*range(every, steps, every), *range(epoch, steps, epoch), steps})

    def _steps_of_epoch(self, rows: int) -> int:
        return ceil(rows / self.rows_per_step)

    def identifying(self) -> dict[str, Json]:
        """As for every stage; how many steps lie between checkpoints counts where one of them is selected."""
        values = super().identifying()
        return {**values, "save_every": self.save_every} if self.selects and self.keep_every else values

    @model_validator(mode="after")
    def _one_length(self) -> Self:
        if (self.steps is None) == (self.epochs is None):
            raise ValueError("`steps` and `epochs` both say how long to train: keep one of them")
        return self


class Adapter(BaseModel):
    """A low-rank adapter (LoRA, Hu et al. 2021), trained instead of the base's own weights."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    rank: PositiveInt = 16
    alpha: PositiveInt = 32
    """The adapter's contribution is scaled by alpha / rank."""
    dropout: Share = 0.0
    targets: Annotated[tuple[str, ...], Field(min_length=1)] = ("all-linear",)
    """The layers that get one, by the ends of their names; `all-linear`: all but the output layer."""
    quantize: Literal["4bit"] | None = None
    """Hold the frozen base in 4 bits (QLoRA, Dettmers et al. 2023); needs a GPU and bitsandbytes."""


class CheckpointSelection(BaseModel):
    """Which of a stage's checkpoints becomes its candidate, and what is measured of each.

    Every metric that is configured is measured, and its curve is kept; `by` says which one decides."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    by: Literal["loss", "reward", "suite"]
    holdout: Part | None = None
    """For the loss: the share of prompts whose rows are held out of training, to compute the loss on."""
    reward: str | None = None
    """For the reward: as a stage's `reward`. Its mean over greedy answers to `prompts` is measured."""
    prompts: str | None = None
    """A source of prompts, as in `data`."""
    count: PositiveInt = 64
    """How many prompts are answered, chosen once from the source."""
    max_new_tokens: PositiveInt = 256
    """The length limit of each answer to them."""
    suite: str | None = None
    """For a suite's score: the suite's name. It is computed on a part of the samples only, which are left out
    of everything reported of that suite."""
    metric: str | None = None
    """One of the suite's metrics; None: its first headline metric."""
    share: Part = 0.5
    """The share of the suite's samples that select."""
    seed: Annotated[int, Field(ge=0)] = 0
    """Decides which prompts are answered, and which of the suite's samples select. Use the same seed for
    candidates that are compared: samples that selected any of them are left out for all."""

    @model_validator(mode="after")
    def _whole(self) -> Self:
        needed = {"loss": ("holdout",), "reward": ("reward", "prompts"), "suite": ("suite",)}
        for name in needed[self.by]:
            if getattr(self, name) is None:
                raise ValueError(f'`by = "{self.by}"` needs `{name}`')
        if (self.reward is None) != (self.prompts is None):
            raise ValueError("`reward` and `prompts` need each other")
        if self.metric is not None and self.suite is None:
            raise ValueError("`metric` needs the `suite` whose metric it is")
        return self


class Conversational(Training):
    """Settings of every stage that learns from conversations."""

    adapter_rate: ClassVar[float]
    """The learning rate of an adapter where none is given: ten times that of the whole model.

    TRL's documentation has both rates for SFT, DPO and GRPO ("PEFT Integration", section "Learning Rate
    Considerations"), its scripts for SFT and DPO (`trl/scripts/sft.py`, `dpo.py`), and its example
    `reward_modeling.py` for reward models. The factor is that of Schulman et al. 2025, "LoRA Without Regret"
    (Thinking Machines), where it holds for supervised and reinforcement learning and for every rank. RLOO is
    published with GRPO's rates.
    """

    select: CheckpointSelection | None = None
    """Make the best checkpoint the candidate. None: the last one is."""

    adapter: Adapter | None = None
    """Train an adapter. The candidate is the base with the adapter merged into it; the adapter itself is
    saved beside it, in the folder `adapter`. Where `learning_rate` is not given, it is `adapter_rate`."""

    chat_template: bool = True
    """Whether prompts are rendered as turns with the model's template. False: raw text, turns joined by a
    blank line; training a policy that way and then prompting it with its template is a known mistake."""

    max_length: PositiveInt = 1024
    """Tokens. Longer rows, and prompts of online stages, are left out and counted: a cut answer teaches
    never to end."""

    @model_validator(mode="after")
    def _rate_of_an_adapter(self) -> Self:
        if self.adapter is not None and "learning_rate" not in self.model_fields_set:
            object.__setattr__(self, "learning_rate", self.adapter_rate)  # frozen for others only
        return self

    @property
    def selects(self) -> bool:
        return self.select is not None

    @property
    def share_for_loss(self) -> float | None:
        """The share of prompts that is held out for the loss of checkpoints."""
        return None if self.select is None else self.select.holdout


class Rewarded(Conversational):
    """Settings of stages that can need rewards."""

    rewards: tuple[WeightedReward, ...] = ()
    """Several rewards, summed with their weights; instead of the stage's `reward`, which has weight 1.

    A `module:function` follows TRL's convention: called with `prompts`, `completions` (texts, or lists of
    one message each with `chat_template` on) and the rows' other columns as keyword lists, it returns one
    number per completion."""
    temperature: PositiveFloat = 1.0
    """The temperature of the model's own samples."""
    max_new_tokens: PositiveInt = 256
    """The maximum length of the model's own samples."""
