"""The engine that asks an OpenAI-compatible server, many requests at once.

Turns go to `/chat/completions`, where the server applies its chat template; a text to be continued goes to
`/completions`, never disguised as a user's turn. Log-likelihoods come from `/completions` too, where the
server echoes a prompt with its log-probabilities (`prompt_logprobs`); before the first, it is checked that
they are right (`prompt_logprobs_check`).
"""

import json
from collections.abc import AsyncIterator, Awaitable, Callable, Generator, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, Literal, TypeVar

from harness.engine.rules import request_seed
from harness.engine.services import prompt_logprobs_check
from harness.engine.services.concurrency import Ask, ask_concurrently
from harness.engine.services.openai_answers import response_of, tokens_used
from harness.engine.services.openai_http import Body, ContentFiltered, Post, Server, WrongRequest
from harness.engine.services.prompt_logprobs import TRIAL, Unscorable, echo_request, echoes, log_likelihood
from harness.engine.services.rate_limits import CHARACTERS_PER_TOKEN, Clock
from harness.engine.services.refusals import SHORT_TEXT, Refusals, RequestRefused
from harness.engine.services.retrying import Attempt, GaveUp, Service
from harness.engine.services.service_identity import identify_endpoint
from harness.errors import ModelError, SchemaRefused, UsageError
from harness.protocols import EngineInfo
from harness.records.answers import LogLikelihood, Message, Prompt, Response, SamplingParameters
from harness.records.models import Endpoint, Json

STOPS = 4
"""Stop strings that the interface accepts. Any others cut the answer here."""
SEEDS = 2**31
"""Every server accepts seeds below this."""
FORMAT = "response_format"
SCHEMA_STATUSES = (400, 422, 501)
"""HTTP statuses for a parameter that a server does not know or cannot honour."""

R = TypeVar("R")
A = TypeVar("A")


@dataclass(frozen=True, slots=True, kw_only=True)
class _Question:
    """A request for text, ready to be sent."""

    path: Literal["/chat/completions", "/completions"]
    body: Body
    tokens: int
    """How many it may use, roughly."""

    @property
    def with_short_text(self) -> "_Question":
        """The same request with a short text; the system turn stays."""
        if "prompt" in self.body:
            return replace(self, body={**self.body, "prompt": SHORT_TEXT})
        turns = [
            turn if turn["role"] == "system" else {**turn, "content": SHORT_TEXT}
            for turn in self.body["messages"]
        ]
        return replace(self, body={**self.body, "messages": turns})


class EndpointEngine:
    """A model behind a server. Matches `harness.protocols.Engine`."""

    def __init__(
        self,
        name: str,
        source: Endpoint,
        *,
        template_arguments: Mapping[str, Json] | None = None,
        clock: Clock | None = None,
    ) -> None:
        """Reaches nothing. `template_arguments` go to the server with turns, for its chat template.

        Raises ModelError where the key's environment variable is not set."""
        self.name = name
        self._source = source
        self._template_arguments = template_arguments or {}
        self._server = Server(name, source)
        self._service = Service(name, self._server.url, source.limits, clock)
        self._refusals = Refusals(self._service.unanswered)
        self._can_score: bool | None = None
        self._echo_doubt: str | None = None
        self._echo_is_checked = False

    @property
    def info(self) -> EngineInfo:
        source = self._source
        return identify_endpoint(source).info(
            {
                "engine": "endpoint",
                "url": self._server.url,
                "model": source.model,
                "api": source.api,
                "concurrency": source.limits.concurrency,
            }
        )

    @property
    def can_score(self) -> bool:
        """Whether the server returns a prompt's log-probabilities. It is asked once, when this is first read.

        Raises EngineError where the server does not answer at all.
        """
        if self._can_score is None:
            [(_, self._can_score)] = self._asked(self._echoes, [TRIAL])
        return self._can_score

    def render(self, messages: Sequence[Message], *, open_turn: bool = True) -> str:
        """Always refused: the template, where there is one, is the server's. Raises ModelError."""
        if self.info.chat_template is None:
            raise ModelError(f'model {self.name!r} takes no turns (`api = "completions"`)')
        raise ModelError(
            f"model {self.name!r}: the server at {self._server.url} applies its chat template itself, so "
            "turns cannot be rendered here; ask without one (the suite's `chat_template = false`)"
        )

    def generate(
        self, prompts: Sequence[Prompt], sampling: SamplingParameters
    ) -> Iterator[tuple[int, Response]]:
        """Continue every prompt, as answers arrive.

        An answer that never came is `failed`; one that was filtered away, or that the server would not give,
        `refused`. A sampled answer has a seed of its own, which the server may or may not heed. Raises
        UsageError for `top_k`, which the interface lacks, and for turns that end with the assistant's;
        ModelError where every request is refused, and SchemaRefused where that may be for its schema.
        """
        questions = [self._question(prompt, sampling) for prompt in prompts]

        async def ask(post: Post, question: _Question) -> Response | RequestRefused:
            return await self._service.response(partial(_answered, post, question, sampling), question.tokens)

        def with_short_text(index: int) -> Response | RequestRefused:
            [(_, answer)] = self._asked(ask, [questions[index].with_short_text])
            return answer

        ways = {(question.path, prompt.schema) for question, prompt in zip(questions, prompts, strict=True)}
        way = (sampling, frozenset(ways))
        return self._refusals.resolved(self._asked(ask, questions), with_short_text, way)

    def loglikelihood(
        self, pairs: Sequence[tuple[str, str]]
    ) -> Iterator[tuple[int, LogLikelihood | Response]]:
        """Score every pair, as answers arrive. A pair that cannot be scored has a `refused` response.

        Raises ModelError where the server gives no log-probabilities of a prompt, or wrong ones; EngineError
        for a pair that never was answered.
        """
        if not self.can_score:
            raise ModelError(
                f"model {self.name!r}: the server at {self._server.url} does not echo the log-probabilities "
                "of a prompt (`/completions` with `echo` and `logprobs`), so it cannot give log-likelihoods; "
                "ask it suites that generate, or score a model that this machine loads (`path`)"
            )
        self._check_echo()
        return self._asked(self._scored, pairs)

    def close(self) -> None:
        """Nothing is held between calls."""

    def _asked(
        self, ask: Callable[[Post, R], Awaitable[A]], requests: Sequence[R]
    ) -> Generator[tuple[int, A]]:
        @asynccontextmanager
        async def opened() -> AsyncIterator[Ask[R, A]]:
            async with self._server.connected() as post:
                yield partial(ask, post)

        return ask_concurrently(opened, requests, self._source.limits.concurrency)

    def _question(self, prompt: Prompt, sampling: SamplingParameters) -> _Question:
        if isinstance(prompt.content, str):
            content: dict[str, Any] = {"prompt": prompt.content}
            identity = prompt.content
        else:
            content = {"messages": self._turns(prompt.content)}
            if self._template_arguments:
                content["chat_template_kwargs"] = dict(self._template_arguments)
            identity = json.dumps(content["messages"])
        seed = request_seed(sampling, identity, prompt.draw) % SEEDS
        return _Question(
            path="/completions" if "prompt" in content else "/chat/completions",
            body={
                "model": self._source.model,
                **content,
                **self._decoding(sampling, seed),
                **({} if prompt.schema is None else _held_to(prompt.schema)),
            },
            tokens=len(identity) // CHARACTERS_PER_TOKEN + 1 + sampling.max_tokens,
        )

    def _turns(self, messages: Sequence[Message]) -> list[dict[str, str]]:
        if self.info.chat_template is None:
            self.render(messages)
        if messages[-1].role == "assistant":
            raise UsageError(
                f"model {self.name!r}: an OpenAI-compatible server cannot be asked to go on in the middle of "
                "the assistant's turn, which this suite needs"
            )
        return [{"role": message.role, "content": message.content} for message in messages]

    def _decoding(self, sampling: SamplingParameters, seed: int) -> dict[str, Any]:
        decoding: dict[str, Any] = {"max_tokens": sampling.max_tokens, "temperature": sampling.temperature}
        if sampling.temperature > 0:
            if sampling.top_k:
                raise UsageError(
                    f"model {self.name!r}: `top_k` is not part of the OpenAI interface, and leaving it out "
                    "would draw other answers"
                )
            decoding |= {"top_p": sampling.top_p, "seed": seed}
        stops = [stop for stop in sampling.stop if stop]
        return decoding | ({"stop": stops[:STOPS]} if stops else {})

    def _check_echo(self) -> None:
        """Raise ModelError where what the server echoes is not what it generates. It is asked once."""
        if not self._echo_is_checked:
            found = self._asked(self._compared, prompt_logprobs_check.TEXTS)
            self._echo_doubt = prompt_logprobs_check.doubt([token for _, tokens in found for token in tokens])
            self._echo_is_checked = True
        if self._echo_doubt is not None:
            raise ModelError(
                f"model {self.name!r}: the server at {self._server.url} cannot be asked for log-likelihoods: "
                f"{self._echo_doubt}; ask it suites that generate, or score a model that this machine loads "
                "(`path`)"
            )

    async def _compared(self, post: Post, text: str) -> list[prompt_logprobs_check.Token]:
        """The server's log-probabilities of its own continuation of a text; empty where it refuses."""
        model = self._source.model
        try:
            continued = await self._sent(post, prompt_logprobs_check.continuation_request(model, text))
            continuation = prompt_logprobs_check.continuation_of(continued)
            echoed = await self._sent(post, echo_request(model, text + continuation))
        except (RequestRefused, ContentFiltered):
            return []
        return prompt_logprobs_check.compared(continued, echoed, text)

    async def _scored(self, post: Post, pair: tuple[str, str]) -> LogLikelihood | Response:
        async def attempt() -> tuple[LogLikelihood, int]:
            body = await post("/completions", echo_request(self._source.model, "".join(pair)))
            return log_likelihood(body, *pair), tokens_used(body)

        try:
            return await self._needed(attempt, "".join(pair))
        except RequestRefused as refused:
            return refused.answer
        except (ContentFiltered, Unscorable) as error:
            return Response(text="", stop_reason="refused", reason=str(error))

    async def _echoes(self, post: Post, text: str) -> bool:
        try:
            return echoes(await self._sent(post, echo_request(self._source.model, text)))
        except (WrongRequest, RequestRefused, ContentFiltered):
            return False

    async def _sent(self, post: Post, body: Body) -> Body:
        """The reply to a body sent to `/completions`."""

        async def attempt() -> tuple[Body, int]:
            answer = await post("/completions", body)
            return answer, tokens_used(answer)

        return await self._needed(attempt, body["prompt"])

    async def _needed(self, attempt: Attempt[A], text: str) -> A:
        """An answer that the work cannot do without. Raises EngineError where none came."""
        try:
            return await self._service.with_retries(attempt, len(text) // CHARACTERS_PER_TOKEN + 1)
        except GaveUp as error:
            raise self._service.unanswered(str(error)) from error


def _held_to(schema: str) -> dict[str, Any]:
    """https://platform.openai.com/docs/guides/structured-outputs; vLLM and llama.cpp take the same."""
    form = {"name": "answer", "strict": True, "schema": json.loads(schema)}
    return {FORMAT: {"type": "json_schema", "json_schema": form}}


async def _answered(post: Post, question: _Question, sampling: SamplingParameters) -> tuple[Response, int]:
    try:
        body = await post(question.path, question.body)
    except ContentFiltered as error:
        return Response(text="", stop_reason="refused", reason=str(error)), 0
    except WrongRequest as error:
        raise _blamed(error, question) from error
    except RequestRefused as refused:
        raise RequestRefused(refused.reason, _blamed(refused.error, question)) from refused
    return response_of(body, sampling), tokens_used(body)


def _blamed(error: ModelError, question: _Question) -> ModelError:
    """The error, or that the schema was refused, where there is one and it may be its fault."""
    if FORMAT in question.body and isinstance(error, WrongRequest) and error.status in SCHEMA_STATUSES:
        return SchemaRefused(f"{error.where} takes no request with a JSON schema ({error.reason})")
    return error
