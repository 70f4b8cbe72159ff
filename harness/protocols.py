"""The two protocols at the centre: an `Engine` answers requests, and a `Suite` evaluates an engine.

They depend on the records only, so that engines and suites can both use them without importing each other. A
suite drives the engine, not the reverse, so that frameworks that bring a loop of their own, such as lm-eval,
can be suites too. Members are properties, because frozen dataclasses would not match plain attributes.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from harness.records.answers import LogLikelihood, Message, Metric, Prompt, Response, Row, SamplingParameters
from harness.records.models import Json

SERVED_TEMPLATE = "applied by the server"
"""The chat template of an engine that sends turns as they are to a service that applies its own template.
Turns can then be continued, but not rendered here."""


@dataclass(frozen=True, slots=True, kw_only=True)
class EngineInfo:
    """What identifies an engine, as far as it is known without running it."""

    fingerprint: str
    """Hash of what the answers depend on: weights, tokenizer, chat template, adapter, dtype."""
    chat_template: str | None = None
    """The template's source text; SERVED_TEMPLATE; None where the model cannot be asked in turns."""
    description: Mapping[str, Json] = field(default_factory=dict)
    """What a run records about the engine: device, dtype, parameters, maximum length, attention, …"""


class Engine(Protocol):
    """Something that answers. Answers come as they are ready, each with the index of its request."""

    @property
    def info(self) -> EngineInfo:
        """The engine's identity. Reading it runs nothing; its description may grow while the engine works."""
        ...

    @property
    def can_score(self) -> bool:
        """Whether `loglikelihood` works. It is no part of `info`, since a server may have to be asked."""
        ...

    def render(self, messages: Sequence[Message], *, open_turn: bool = True) -> str:
        """Turns as the text the model reads.

        `open_turn` True ends with the header of the assistant's next turn; False leaves the last
        message open, to be continued. Raises ModelError where no template can be read here.
        """
        ...

    def generate(
        self, prompts: Sequence[Prompt], sampling: SamplingParameters
    ) -> Iterator[tuple[int, Response]]:
        """Continue every prompt, in any order. Turns go through the model's chat template first."""
        ...

    def loglikelihood(
        self, pairs: Sequence[tuple[str, str]]
    ) -> Iterator[tuple[int, LogLikelihood | Response]]:
        """Score every (context, continuation) pair of texts, in any order.

        A pair that a service refuses has a Response that says why.
        """
        ...

    def close(self) -> None:
        """Free the memory the model holds."""
        ...


class Suite(Protocol):
    """What a model is asked, and how its answers are scored."""

    @property
    def name(self) -> str: ...

    @property
    def version(self) -> str:
        """Changes whenever the same answers would be scored differently or other prompts be asked."""
        ...

    @property
    def metrics(self) -> tuple[Metric, ...]: ...

    @property
    def data_hash(self) -> str:
        """Hash of the items as read, equal for the same rows from a hub or from a file."""
        ...

    @property
    def size(self) -> int:
        """How many rows `rows` yields."""
        ...

    def settings(self, chat_template: str | None) -> Mapping[str, Json]:
        """What answers and scores depend on besides model and data, for a model with this template.

        Holds `chat_template` (whether it is applied) and the scorer's identity, where there is one.
        It must be cheap, and need no engine: an evaluation that is already stored is found by it.
        """
        ...

    def rows(self, engine: Engine) -> Iterator[Row]:
        """Ask everything, and yield each sample as soon as all its answers are there."""
        ...
