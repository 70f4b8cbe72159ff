"""Each stage's own settings, with defaults: what `trainers.settings` has for all of them is the rest.

`STAGE_SETTINGS` has them by kind.
"""

from collections.abc import Mapping
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from trainers.settings import (
    Conversational,
    Epochs,
    EpochTraining,
    Part,
    PositiveFloat,
    PositiveInt,
    Rewarded,
    Share,
    Training,
    usual_epochs,
)

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


class Pretrain(EpochTraining):
    """A tokenizer and a Llama-like model from scratch. Rows: `text`."""

    learning_rate: PositiveFloat = 3e-3
    max_length: PositiveInt = 256
    """Tokens per training block; documents are joined and cut into blocks."""
    vocabulary: Annotated[int, Field(ge=300)] = 1000
    """Tokens of the byte-level BPE, special ones included. Small corpora give fewer."""
    layers: PositiveInt = 2
    width: PositiveInt = 64
    heads: PositiveInt = 4
    intermediate: PositiveInt = 192
    initializer_range: PositiveFloat = 0.1
    """A model this small stays on a plateau with the usual 0.02."""
    max_positions: PositiveInt = 4096
    special_tokens: tuple[str, ...] = ("<|system|>", "<|user|>", "<|assistant|>")
    """Besides `<|begin|>`, `<|end|>` and `<|pad|>`: the tokens that the chat template needs."""
    chat_template: str = CHAT_TEMPLATE
    """The tokenizer's Jinja template."""

    @property
    def sizes(self) -> dict[str, Any]:
        """The sizes, by the names in transformers' configurations."""
        return {
            "hidden_size": self.width,
            "intermediate_size": self.intermediate,
            "num_hidden_layers": self.layers,
            "num_attention_heads": self.heads,
        }

    @model_validator(mode="after")
    def _width_divides(self) -> Self:
        if self.width % (2 * self.heads):
            raise ValueError("width must be an even multiple of heads")
        return self


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
