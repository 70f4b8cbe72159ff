"""A stage under inspection: its settings, some of its rows as tokens, its tokenizer where there is one."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from transformers import PreTrainedTokenizerBase

from harness.errors import ModelError
from trainers.data import (
    Demonstration,
    PreferencePair,
    TrainingPrompt,
    Turn,
    demonstrations,
    pairs,
    training_prompts,
)
from trainers.doctor.findings import DoctorFinding
from trainers.planning import PlannedStage
from trainers.settings import Conversational, Dpo, Reward, Sft
from trainers.tokens import answer_ids, load_tokenizer, prompt_ids

SAMPLED = 200
"""Rows that are inspected, spread evenly over all."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadRow:
    """A row as the model reads it: a prompt, and what is learned of it."""

    prompt: tuple[Turn, ...]
    prompt_ids: tuple[int, ...]
    learned: tuple[tuple[int, ...], ...]
    """The tokens in the loss: of one answer, of two that are compared, or none where the model writes."""

    @property
    def length(self) -> int:
        """Tokens of the longest sequence."""
        return len(self.prompt_ids) + max(map(len, self.learned), default=0)


class InspectedStage:
    """A stage that learns from conversations."""

    def __init__(self, stage: PlannedStage) -> None:
        assert isinstance(stage.settings, Conversational)
        self.stage = stage
        self.key = stage.key
        self.settings: Conversational = stage.settings

    @property
    def has_base(self) -> bool:
        """Whether what it starts from exists yet."""
        return self.stage.parent is not None and (self.stage.parent.folder / "config.json").is_file()

    @cached_property
    def tokenizer(self) -> PreTrainedTokenizerBase:
        """The base's tokenizer. Raises ModelError without one, or without a chat template to render turns."""
        parent = self.stage.parent
        assert parent is not None
        return load_tokenizer(
            str(parent.folder), parent.chat_template, needs_template=self.settings.chat_template
        )

    @property
    def row_count(self) -> int:
        """All rows of its data."""
        return sum(len(source.rows) for source in self.stage.sources)

    @cached_property
    def rows(self) -> Sequence[ReadRow]:
        """Some of its rows, tokenised as the stage itself does. Raises DataError and ModelError."""
        chat = self.settings.chat_template
        return [
            ReadRow(
                prompt=tuple(prompt),
                prompt_ids=tuple(prompt_ids(self.tokenizer, prompt, chat=chat)),
                learned=tuple(tuple(answer_ids(self.tokenizer, prompt, text, chat=chat)) for text in answers),
            )
            for prompt, answers in self.texts
        ]

    @cached_property
    def texts(self) -> Sequence[tuple[list[Turn], tuple[str, ...]]]:
        """Prompts and learned answers of some of its rows. Raises DataError."""
        every = [row for source in self.stage.sources for row in source.rows]
        some = every[:: -(-len(every) // SAMPLED)]
        data = ", ".join(source.name for source in self.stage.sources)
        read: Sequence[Demonstration | PreferencePair | TrainingPrompt]
        if isinstance(self.settings, Sft):
            read = demonstrations(data, some)
        elif isinstance(self.settings, Reward) or (
            isinstance(self.settings, Dpo) and not self.settings.on_policy
        ):
            read = pairs(data, some)
        else:
            read = training_prompts(data, some)
        return [(row.prompt, _answers(row)) for row in read]

    @cached_property
    def preferences(self) -> Sequence[PreferencePair]:
        return [PreferencePair(prompt, *answers) for prompt, answers in self.texts if len(answers) == 2]

    @property
    def reward_models(self) -> Sequence[Path]:
        """Folders of the reward models it learns from, as far as they exist."""
        folders = [Path(each.source.source) for each in self.stage.rewards if not each.source.is_function]
        return [folder for folder in folders if (folder / "config.json").is_file()]


Check = Callable[[InspectedStage], Iterator[DoctorFinding]]
"""Looks for one thing that may be wrong with a stage."""


def _answers(row: Demonstration | PreferencePair | TrainingPrompt) -> tuple[str, ...]:
    if isinstance(row, Demonstration):
        return (row.answer,)
    return (row.chosen, row.rejected) if isinstance(row, PreferencePair) else ()


def no_tokenizer(inspected: InspectedStage) -> str | None:
    """Why rows cannot be tokenised; None where they can."""
    try:
        _ = inspected.tokenizer
    except ModelError as error:
        return str(error)
    return None
