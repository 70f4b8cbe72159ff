"""Answers that nothing scores: prompts asked of a model so that somebody can prefer one answer to another.

It is a suite without metrics, so that its answers are a run like any other: kept, resumed, and never asked
twice. Every prompt is asked as a user's turn where the model has a chat template, and as bare text otherwise.

It does not know who will prefer what. Of prompts that are conversations it asks the turns up to the first
answer only.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from typing import ClassVar

from harness.protocols import Engine
from harness.records import Json, Message, Metric, Prompt, Row, Sample, Sampling
from suites.official import hash_rows

FAMILY = "prompts"
"""`prompts:NAME` is how runs, reports and comparisons call such answers."""


@dataclass(frozen=True)
class Answers:
    """The answers to these prompts, drawn in one way."""

    label: str
    """Where the prompts come from: a file's stem, or a data set's name."""
    samples: Sequence[Sample]
    sampling: Sampling

    version: ClassVar[str] = "2"
    metrics: ClassVar[tuple[Metric, ...]] = ()

    @property
    def name(self) -> str:
        """`prompts:` and the label."""
        return f"{FAMILY}:{self.label}"

    @cached_property
    def data_hash(self) -> str:
        """Over the prompts."""
        return hash_rows({"id": sample.id, "prompt": _plain(sample.prompt)} for sample in self.samples)

    @property
    def size(self) -> int:
        """How many prompts there are."""
        return len(self.samples)

    def settings(self, chat_template: str | None) -> Mapping[str, Json]:
        """How answers are drawn, and whether the template is applied."""
        return {"chat_template": chat_template is not None, "sampling": asdict(self.sampling)}

    def rows(self, engine: Engine) -> Iterator[Row]:
        """Ask everything, and yield each prompt with its answer."""
        chat = engine.info.chat_template is not None
        prompts = [Prompt(content=asked(sample.prompt, chat=chat)) for sample in self.samples]
        for place, response in engine.generate(prompts, self.sampling):
            yield Row(sample=self.samples[place], responses=(response,), scores=(), position=place)


def asked(prompt: str | tuple[Message, ...], *, chat: bool) -> str | tuple[Message, ...]:
    """A prompt as turns for a model that has a chat template, and as a text for one that has none."""
    if chat:
        return (Message(role="user", content=prompt),) if isinstance(prompt, str) else prompt
    return prompt if isinstance(prompt, str) else "\n\n".join(turn.content for turn in prompt)


def _plain(prompt: str | tuple[Message, ...]) -> Json:
    return prompt if isinstance(prompt, str) else [[turn.role, turn.content] for turn in prompt]
