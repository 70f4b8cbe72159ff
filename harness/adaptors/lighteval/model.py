"""Our engine as a model inside lighteval, for those who keep lighteval and want the speed and the memory.

    Pipeline(tasks="truthfulqa:mc", model=EngineModel(engine), ...)

All documents that lighteval hands over at once reach the engine at once, so that it computes what they share
only once.

An engine answers texts and shows no tokens. Nothing is written into lighteval's cache folder, since
answers are kept by the recorded engine.
"""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from lighteval.models.abstract_model import LightevalModel, ModelConfig
from lighteval.models.model_output import ModelResponse
from lighteval.tasks.requests import Doc, SamplingMethod

from harness.adaptors.engine_requests import all_answers
from harness.adaptors.lighteval.exchange import EngineTemplate, prompts, requests_of, response_of
from harness.errors import EngineError, UsageError
from harness.protocols import Engine
from harness.records.answers import SamplingParameters


class _NoCache:
    """Stands where lighteval's pipeline looks for a model's cache: the recorded engine is the memory."""

    def _init_registry(self, registry: Any) -> None:
        """Tasks change nothing here."""


class EngineModel(LightevalModel):  # type: ignore[misc]  # lighteval is an extra, checked as untyped
    """An engine in lighteval's terms.

    `sampling` says how texts are drawn; its `max_tokens` holds where a task gives no length, and its stop
    strings are added to a task's. `chat_template` None applies the template where the model has one.
    """

    def __init__(
        self,
        engine: Engine,
        *,
        name: str = "harness",
        sampling: SamplingParameters | None = None,
        chat_template: bool | None = None,
    ) -> None:
        self.config = ModelConfig(model_name=name)
        self._cache = _NoCache()
        self._engine = engine
        self._sampling = sampling or SamplingParameters(max_tokens=256)
        self._templated = engine.info.chat_template is not None if chat_template is None else chat_template
        self._prompts = prompts(engine, chat_template=self._templated)

    @property
    def tokenizer(self) -> Any:
        """Renders turns, and does nothing else that a tokenizer does."""
        return EngineTemplate(self._engine)

    @property
    def add_special_tokens(self) -> bool:
        """The engine adds them by its own rules."""
        return True

    @property
    def max_length(self) -> int:
        """The window in tokens, 0 where the engine does not say."""
        length = self._engine.info.description.get("max_length")
        return length if isinstance(length, int) else 0

    def greedy_until(self, docs: list[Doc]) -> list[ModelResponse]:
        """Texts for every document: greedily, unless `sampling` has a temperature."""
        return self._responses(SamplingMethod.GENERATIVE, docs)

    def loglikelihood(self, docs: list[Doc]) -> list[ModelResponse]:
        return self._responses(SamplingMethod.LOGPROBS, docs)

    def loglikelihood_rolling(self, docs: list[Doc]) -> list[ModelResponse]:
        """The log-likelihood of every document's whole text, after the BOS token (EOS where there is none).

        Raises EngineError for a text that does not fit the model's window.
        """
        responses = self._responses(SamplingMethod.PERPLEXITY, docs)
        if any(response.truncated_tokens_count for response in responses):
            raise EngineError("a text that does not fit the model's window has no log-likelihood as a whole")
        return responses

    def _responses(self, method: SamplingMethod, docs: Sequence[Doc]) -> list[ModelResponse]:
        contexts = [self._prompts.prepare_prompt(doc) for doc in docs]
        asked = [
            requests_of(method, doc, context, self._sampling_of(method, doc))
            for doc, context in zip(docs, contexts, strict=True)
        ]
        answers = all_answers(self._engine, (r for requests in asked for r in requests), "lighteval")
        return [
            response_of(context, [answers[request] for request in requests])
            for context, requests in zip(contexts, asked, strict=True)
        ]

    def _sampling_of(self, method: SamplingMethod, doc: Doc) -> SamplingParameters:
        """The same as lighteval's: the model ends a chat answer, and stop strings are for plain text."""
        if method is SamplingMethod.GENERATIVE and doc.num_samples > 1 and self._sampling.temperature == 0:
            raise UsageError(
                f"{doc.task_name} wants {doc.num_samples} samples, which greedy decoding makes all alike; "
                "give EngineModel a sampling with a temperature"
            )
        size = doc.generation_size or 0  # lighteval says -1 or nothing where a task gives no length
        length = size if size > 0 else self._sampling.max_tokens
        stop = () if self._templated else tuple(doc.stop_sequences or ())
        return replace(self._sampling, max_tokens=length, stop=(*stop, *self._sampling.stop))
