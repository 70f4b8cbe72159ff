"""An engine as deepeval's judge: its metrics, G-Eval and others, ask any registered model.

    GEval(name="helpful", criteria="…", evaluation_params=[…], model=EngineJudge(engine, name="gemma"))

Given a recorded engine, no judgement is paid for twice. What deepeval asks at the same time (`asyncio.gather`
over `a_measure`) reaches the engine in one call, so that a local model answers it in one batch.

A reply that does not hold exactly one JSON object of the wanted form is an UnreadableReply and never guessed
at. That a score lies in its range, and that a judge gave verdicts at all, is for the caller to check:
deepeval gives full marks for an empty list of verdicts.
"""

import asyncio
from collections.abc import Sequence
from typing import TypeVar

from deepeval.models import DeepEvalBaseLLM
from pydantic import BaseModel, ValidationError

from harness.errors import UnreadableReply
from harness.protocols import Engine
from harness.records.answers import Prompt, Response, SamplingParameters
from harness.replies import json_objects
from harness.turns import turns_or_text

SchemaT = TypeVar("SchemaT", bound=BaseModel)

SHOWN = 200
"""Characters of a reply that an error shows."""


class EngineJudge(DeepEvalBaseLLM):  # type: ignore[misc]  # deepeval is an extra, checked as untyped
    """An engine in deepeval's terms.

    `name` is what results call the judge. A prompt is one user turn where the model has a chat template,
    unless `chat` says otherwise. deepeval's smoothing of scores by token probabilities is not offered: an
    engine gives texts.
    """

    def __init__(
        self,
        engine: Engine,
        *,
        name: str,
        sampling: SamplingParameters | None = None,
        chat: bool | None = None,
    ) -> None:
        self._engine = engine
        self._sampling = sampling or SamplingParameters(max_tokens=2048)
        self._chat = engine.info.chat_template is not None if chat is None else chat
        self._waiting: list[Prompt] = []
        self._round: asyncio.Task[list[Response]] | None = None
        super().__init__(name)

    def load_model(self) -> "EngineJudge":
        return self

    def get_model_name(self) -> str:
        return str(self.name)

    def supports_log_probs(self) -> bool:
        return False

    def generate(self, prompt: str, schema: type[SchemaT] | None = None) -> str | SchemaT:
        """The reply; with a schema, the object it holds. Raises UnreadableReply."""
        (response,) = self._responses([self._prompt(prompt)])
        return read(response, schema)

    async def a_generate(self, prompt: str, schema: type[SchemaT] | None = None) -> str | SchemaT:
        """The same, together with everything else that is asked now."""
        return read(await self.a_response(prompt), schema)

    async def a_response(self, prompt: str) -> Response:
        """The reply as the engine gave it, whatever can be read from it."""
        if self._round is None:
            self._round = asyncio.create_task(self._ask_waiting())
        answered, place = self._round, len(self._waiting)
        self._waiting.append(self._prompt(prompt))
        responses = await asyncio.shield(answered)  # who gives up waiting takes no answer from the others
        return responses[place]

    async def _ask_waiting(self) -> list[Response]:
        """Begins when everybody who could ask has asked, and ends before anybody else can."""
        prompts, self._waiting, self._round = self._waiting, [], None
        return self._responses(prompts)

    def _responses(self, prompts: Sequence[Prompt]) -> list[Response]:
        """The responses in the order of the prompts; equal ones are asked once."""
        distinct = list(dict.fromkeys(prompts))
        answers = dict(self._engine.generate(distinct, self._sampling))
        found = {prompt: answers[index] for index, prompt in enumerate(distinct)}
        return [found[prompt] for prompt in prompts]

    def _prompt(self, text: str) -> Prompt:
        return Prompt(content=turns_or_text(text, chat=self._chat))


def read(response: Response, schema: type[SchemaT] | None) -> str | SchemaT:
    """A judge's reply as text, or as an instance of the schema.

    Raises UnreadableReply where it was refused or failed; with a schema also where it holds no JSON object of
    that form, or several that differ.
    """
    if response.unanswered is not None:
        raise UnreadableReply(f"the judge gave no reply ({response.unanswered})")
    if schema is None:
        return response.text
    try:
        objects = [schema.model_validate(found) for found in json_objects(response.text)]
    except (ValueError, RecursionError, ValidationError) as error:
        raise UnreadableReply(_complaint(response, schema, str(error).splitlines()[0])) from error
    if not objects or any(found != objects[0] for found in objects):
        raise UnreadableReply(_complaint(response, schema, f"it holds {len(objects)} objects"))
    return objects[0]


def _complaint(response: Response, schema: type[BaseModel], why: str) -> str:
    cut = ", and it was cut at its longest length" if response.stop_reason == "length" else ""
    wanted = ", ".join(schema.model_fields)
    return (
        f"the judge's reply is not one JSON object with {wanted}: {why}{cut}; it begins: "
        f"{response.text[:SHOWN]!r}"
    )
