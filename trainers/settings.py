"""The settings of each kind of stage, with defaults: the keys of a `[[pipelines.NAME.stages]]` table.

`kind`, `data` and `reward` stand beside these keys and belong to `harness.records.models.Stage`. An unknown
key is an error. Defaults suit a model of about a billion parameters; the toy world's recipes set their own.
"""

import json
import re
from collections.abc import Mapping
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


CHAT_TEMPLATE = (
    "{{ bos_token }}{% for message in messages %}"
    "{% if message['role'] == 'assistant' %}<|assistant|>"
    "{% generation %}{{ message['content'] + eos_token }}{% endgeneration %}"
    "{% else %}{{ '<|' + message['role'] + '|>' + message['content'] + eos_token }}{% endif %}"
    "{% endfor %}{% if add_generation_prompt %}<|assistant|>{% endif %}"
)
"""What `pretrain` gives its tokenizer: every turn opens with its role's token and ends with `eos_token`.

The generation markers show tools that use them which tokens the assistant wrote.
"""


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


class FromScratch(EpochTraining):
    """The size of a model that starts from nothing."""

    layers: PositiveInt = 2
    width: PositiveInt = 64
    heads: PositiveInt = 4
    intermediate: PositiveInt

    @property
    def sizes(self) -> dict[str, Any]:
        """The sizes, by the names in transformers' configurations."""
        return {
            "hidden_size": self.width,
            "intermediate_size": self.intermediate,
            "num_hidden_layers": self.layers,
            "num_attention_heads": self.heads,
        }


class Pretrain(FromScratch):
    """A tokenizer and a Llama-like model from scratch. Rows: `text`."""

    learning_rate: PositiveFloat = 3e-3
    max_length: PositiveInt = 256
    """Tokens per training block; documents are joined and cut into blocks."""
    vocabulary: Annotated[int, Field(ge=300)] = 1000
    """Tokens of the byte-level BPE, special ones included. Small corpora give fewer."""
    intermediate: PositiveInt = 192
    initializer_range: PositiveFloat = 0.1
    """A model this small stays on a plateau with the usual 0.02."""
    max_positions: PositiveInt = 4096
    special_tokens: tuple[str, ...] = ("<|system|>", "<|user|>", "<|assistant|>")
    """Besides `<|begin|>`, `<|end|>` and `<|pad|>`: the tokens that the chat template needs."""
    chat_template: str = CHAT_TEMPLATE
    """The tokenizer's Jinja template."""

    @model_validator(mode="after")
    def _width_divides(self) -> Self:
        if self.width % (2 * self.heads):
            raise ValueError("width must be an even multiple of heads")
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


class Sft(Conversational, EpochTraining):
    """Supervised fine-tuning on the final answer. Rows: `messages`, `conversations`, `prompt`/`completion`,
    or `instruction`/`input`/`output`."""

    adapter_rate = 2e-4

    epochs: Epochs | None = usual_epochs(3)


class Reward(Conversational, EpochTraining):
    """A reward model: the base with one number as its head.

    Rows: `chosen`/`rejected`, each an answer to `prompt` or a whole conversation."""

    adapter_rate = 1e-4

    learning_rate: PositiveFloat = 1e-5
    holdout: Part | None = None
    """The share of prompts whose pairs are held out of training, to measure accuracy, calibration and length
    bias on. Those that `select` holds out are others."""

    @model_validator(mode="after")
    def _selected_by_loss(self) -> Self:
        if self.select is not None and (self.select.reward or self.select.suite):
            raise ValueError("a reward model writes no answers: `select` can only hold out rows for its loss")
        if (self.holdout or 0.0) + ((self.select and self.select.holdout) or 0.0) >= 1:
            raise ValueError("`holdout` and `select.holdout` leave nothing to train on")
        return self


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


class Vllm(BaseModel):
    """Sampling with vLLM, through TRL (`use_vllm`): much faster than the policy itself."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    mode: Literal["server", "colocate"]
    """`server`: `vllm serve`, on its own GPUs. `colocate`: within the training's processes."""
    url: str | None = None
    """The server's URL, such as `http://localhost:8000`."""
    memory: Annotated[float, Field(gt=0, le=1)] | None = None
    """The share of a GPU's memory that colocated vLLM may take. None: TRL's default, 0.3."""
    tensor_parallel: PositiveInt = 1
    """GPUs over which colocated vLLM spreads the model; divides the number of processes."""

    @model_validator(mode="after")
    def _fits_the_mode(self) -> Self:
        if self.mode == "server" and self.url is None:
            raise ValueError('mode = "server" needs the server\'s `url`')
        if self.mode == "server" and (self.memory is not None or self.tensor_parallel != 1):
            raise ValueError("`memory` and `tensor_parallel` are the server's own: give them to `vllm serve`")
        if self.mode == "colocate" and self.url is not None:
            raise ValueError('`url` is for mode = "server"')
        return self


def _steps_of_save_every(given: dict[str, Any]) -> int:
    every = given.get("save_every")
    return every if isinstance(every, int) else 20


class Online(Rewarded):
    """Settings of stages that learn from new answers. Rows: `prompt`, or `messages` up to a user's turn.

    Other columns reach the reward functions."""

    adapter_rate = 1e-5

    steps: PositiveInt = 200
    prompts_per_step: Annotated[int, Field(ge=2)] = 8
    """Distinct prompts; a step on a single prompt would follow its noise."""
    generations: Annotated[int, Field(ge=2)] = 8
    """Answers per prompt, compared with one another."""
    batch_size: Literal[0] = 0
    """Follows from the two settings above."""
    learning_rate: PositiveFloat = 1e-6
    schedule: Literal["cosine", "linear", "constant"] = "constant"
    warmup: Share = 0.0
    beta: Annotated[float, Field(ge=0)]
    """Weight of the KL penalty towards the base; 0 switches it off, a known mistake."""
    checkpoint_steps: PositiveInt = Field(default_factory=_steps_of_save_every)
    """Steps between checkpoints that are kept; `save_every`, where that is a number of steps."""
    completions_every: PositiveInt = 10
    """Steps between those of which some answers are kept, for the report."""
    vllm: Vllm | None = None
    """Sample answers with vLLM. None: with the policy itself, through transformers."""

    @model_validator(mode="after")
    def _one_interval(self) -> Self:
        if isinstance(self.save_every, int) and self.save_every != self.checkpoint_steps:
            raise ValueError(
                "`save_every` and `checkpoint_steps` both say after how many steps a checkpoint is written: "
                "keep one of them"
            )
        return self

    @model_validator(mode="after")
    def _selected_by_answers(self) -> Self:
        if self.select is not None and self.select.holdout is not None:
            raise ValueError(
                "`select.holdout`: a loss on fresh answers says nothing about them; name a reward"
            )
        return self

    @property
    def keep_every(self) -> int:
        return self.checkpoint_steps

    @property
    def rows_per_step(self) -> int:
        """All answers to all prompts of a step."""
        return self.prompts_per_step * self.generations

    @property
    def needs_rewards(self) -> bool:
        return True


class Grpo(Online):
    """Group relative policy optimisation against rewards."""

    beta: Annotated[float, Field(ge=0)] = 0.04


class Rloo(Online):
    """REINFORCE against rewards, an answer's baseline being the mean of its prompt's other answers."""

    beta: Annotated[float, Field(ge=0)] = 0.05


class Dpo(Rewarded, EpochTraining):
    """Direct preference optimisation. Rows: as for `reward`; with `on_policy`, as for `grpo`."""

    adapter_rate = 5e-6

    learning_rate: PositiveFloat = 5e-7
    beta: PositiveFloat = 0.1
    """How strongly the policy is kept near its base."""
    loss: tuple[str, ...] = ("sigmoid",)
    """TRL's loss types, summed with `loss_weights`."""
    loss_weights: tuple[float, ...] = ()
    """One weight for each loss; empty: 1 each."""
    on_policy: Annotated[int, Field(ge=0)] = 0
    """0: pairs as given. N ≥ 2: the base answers every prompt N times, the reward ranks the answers, and
    best against worst becomes a pair; ties are dropped."""

    @property
    def needs_rewards(self) -> bool:
        """Rewards rank the base's own answers."""
        return self.on_policy > 0

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if self.loss_weights and len(self.loss_weights) != len(self.loss):
            raise ValueError("loss_weights needs one weight per loss")
        if self.on_policy == 1:
            raise ValueError("on_policy needs at least 2 answers per prompt")
        return self


class ToxicityTraining(EpochTraining):
    """A toxicity classifier in Detoxify's checkpoint format, from a base (an encoder such as BERT, RoBERTa or
    MiniLM) or a small BERT from nothing.

    Rows: `text` and, under the name of each class, a number from 0 to 1, or null; rows with the same `group`
    are held out together. Or RealToxicityPrompts' own rows: a prompt and a continuation, each with scores."""

    epochs: Epochs | None = usual_epochs(3)
    batch_size: PositiveInt = 32
    learning_rate: PositiveFloat | None = None  # type: ignore[assignment]  # a number once it is planned
    """None: 1e-4 from a base, 1e-3 from nothing."""
    classes: Annotated[tuple[str, ...], Field(min_length=1)] = ("toxicity",)
    holdout: Share = 0.1
    """The share of texts that is held out of training, to measure on. Equal texts, and texts of one group,
    stay together."""
    max_length: PositiveInt = 512
    """Tokens of a text that are read, at most as many as the base can read."""
    layers: PositiveInt | None = None
    """This and the next four are of a classifier from nothing; None: 2."""
    width: PositiveInt | None = None
    """None: 64."""
    heads: PositiveInt | None = None
    """None: 4."""
    intermediate: PositiveInt | None = None
    """None: 128."""
    vocabulary: Annotated[int, Field(ge=300)] | None = None
    """Tokens, special ones included; None: 2000."""

    @property
    def sizes(self) -> dict[str, Any]:
        """The sizes that are given, by their names here."""
        given = {name: getattr(self, name) for name in FROM_NOTHING if name != "learning_rate"}
        return {name: size for name, size in given.items() if size is not None}

    def starting(self, *, from_base: bool) -> Self:
        """The settings with the defaults of what the classifier starts from."""
        usual = FROM_BASE if from_base else FROM_NOTHING
        missing = {name: value for name, value in usual.items() if getattr(self, name) is None}
        return self.model_copy(update=missing)


FROM_BASE = {"learning_rate": 1e-4}
FROM_NOTHING = {
    "learning_rate": 1e-3,
    "layers": 2,
    "width": 64,
    "heads": 4,
    "intermediate": 128,
    "vocabulary": 2000,
}
"""Defaults of a toxicity classifier, by what it starts from."""


STAGE_SETTINGS: Mapping[str, type[Training]] = {
    "pretrain": Pretrain,
    "sft": Sft,
    "reward": Reward,
    "grpo": Grpo,
    "rloo": Rloo,
    "dpo": Dpo,
    "toxicity": ToxicityTraining,
}

TRAINED_ON: Mapping[str, tuple[str, ...]] = {
    "pretrain": ("texts",),
    "toxicity": ("texts",),
    "sft": ("demonstrations",),
    "reward": ("preferences",),
    "dpo": ("preferences",),
}
"""The shapes of a mix's rows that each kind can learn from, where it needs no rewards."""
PROMPT_SHAPES = ("prompts", "demonstrations", "preferences")
"""The shapes that prompts can be taken from, for stages that need rewards."""


def learned_shapes(kind: str, settings: Training) -> tuple[str, ...]:
    """The shapes of a mix's rows that a stage can learn from."""
    return PROMPT_SHAPES if settings.needs_rewards else TRAINED_ON[kind]
