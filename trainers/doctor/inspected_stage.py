"""A stage under inspection: its settings, some of its rows as tokens, its tokenizer where there is one."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property

from transformers import PreTrainedTokenizerBase

from harness.errors import ModelError
from trainers.data import PreferencePair, Turn, answers_of
from trainers.doctor.findings import DoctorFinding
from trainers.planning import PlannedReward, PlannedStage, StageOrigin
from trainers.row_tokens import learned_rows
from trainers.settings import Conversational
from trainers.sizes import ModelSize, model_size
from trainers.tokenizer_files import tokenizer_files
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
    def base(self) -> StageOrigin | None:
        """What it starts from, or the nearest model before that exists; None where there is none yet.

        Its tokenizer, chat template and size are those that the stage will be given.
        """
        return None if self.stage.parent is None else self.stage.parent.known

    @cached_property
    def size(self) -> ModelSize:
        """How large its base is. Raises ModelError."""
        assert self.base is not None
        return model_size(self.base)

    @cached_property
    def tokenizer(self) -> PreTrainedTokenizerBase:
        """The base's tokenizer. Raises ModelError without one, or without a chat template to render turns."""
        assert self.base is not None
        files = tokenizer_files(self.base)
        return load_tokenizer(
            str(files.folder), files.chat_template, needs_template=self.settings.chat_template
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
        return [(row.prompt, answers_of(row)) for row in learned_rows(self.settings, data, some)]

    @cached_property
    def preferences(self) -> Sequence[PreferencePair]:
        return [PreferencePair(prompt, *answers) for prompt, answers in self.texts if len(answers) == 2]

    @property
    def reward_models(self) -> Sequence[PlannedReward]:
        """Those that it learns from, and the one that chooses among its checkpoints."""
        chooses = None if self.stage.selection is None else self.stage.selection.reward
        named = [*self.stage.rewards, *([] if chooses is None else [chooses])]
        models = {each.source.source: each for each in named if not each.source.is_function}
        return list(models.values())


Check = Callable[[InspectedStage], Iterator[DoctorFinding]]
"""Looks for one thing that may be wrong with a stage."""


def no_tokenizer(inspected: InspectedStage) -> str | None:
    """Why rows cannot be tokenised; None where they can."""
    try:
        _ = inspected.tokenizer
    except ModelError as error:
        return str(error)
    return None
