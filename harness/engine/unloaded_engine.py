"""The engine of a model that is not loaded: it has an identity, renders turns, and answers nothing.

It is for work on answers that are in the store. Of a local model only the tokenizer is read, and only where a
suite renders turns.
"""

from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property
from typing import TYPE_CHECKING

from harness.engine.identity import Identity, LocalIdentity
from harness.errors import EngineError, ModelError
from harness.protocols import SERVED_TEMPLATE, EngineInfo
from harness.records.answers import LogLikelihood, Message, Prompt, Response, SamplingParameters
from harness.records.models import Json, Local, Model
from harness.thoughts import template_arguments

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase


class UnloadedEngine:
    """An identified model without its weights. Matches `harness.protocols.Engine`.

    `description` is what was recorded of the engine when the model was there.
    """

    can_score = True
    """Log-likelihoods are in the store, or missing like any other answer."""

    def __init__(self, model: Model, identity: Identity, description: Mapping[str, Json]) -> None:
        self._model = model
        self._identity = identity
        self._description = description

    @property
    def info(self) -> EngineInfo:
        return self._identity.info(self._description)

    def render(self, messages: Sequence[Message], *, open_turn: bool = True) -> str:
        """Turns as text. Raises ModelError where no template can be read here, or it refuses these turns."""
        from harness.engine.local.chat import ChatRenderer  # noqa: PLC0415 - transformers takes seconds to import

        model, own = self._model, self._identity.chat_template
        template = None if own == SERVED_TEMPLATE else own
        chat = ChatRenderer(self._tokenizer, template, model.name, template_arguments(model))
        return chat.render(messages, open_turn=open_turn)

    def generate(
        self, prompts: Sequence[Prompt], sampling: SamplingParameters
    ) -> Iterator[tuple[int, Response]]:
        raise EngineError(f"model {self._model.name!r} is not loaded, and can answer nothing")

    def loglikelihood(self, pairs: Sequence[tuple[str, str]]) -> Iterator[tuple[int, LogLikelihood]]:
        raise EngineError(f"model {self._model.name!r} is not loaded, and can score nothing")

    def close(self) -> None:
        """Nothing is held."""

    @cached_property
    def _tokenizer(self) -> "PreTrainedTokenizerBase":
        from harness.engine.local.loading import load_tokenizer  # noqa: PLC0415 - torch takes seconds to import

        source, identity = self._model.source, self._identity
        if not isinstance(source, Local) or not isinstance(identity, LocalIdentity):
            raise ModelError(f"model {self._model.name!r}: its turns cannot be rendered on this machine")
        return load_tokenizer(source, identity, name=self._model.name)
