"""The engine that asks Google's Gemini interface. The only file that imports google.generativeai (0.8.6).

Support for that library has ended, and it warns of that whenever it is imported; the warning is silenced here
and nowhere else. Gemini can also be reached without an extra, as an `endpoint` model at its OpenAI-compatible
address, https://generativelanguage.googleapis.com/v1beta/openai
(https://ai.google.dev/gemini-api/docs/openai).

The interface takes turns only, and this version of it takes no seed: a sampled answer is drawn anew whenever
it is asked, so a resumed run has other samples than an uninterrupted one would have had. Texts to be
continued are refused, because as a user's turn they would be another question. The service's own safety
settings stay as they are: what they block is a refused answer.
"""

import asyncio
import json
import logging
import warnings
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future
from contextlib import asynccontextmanager
from functools import partial
from threading import Thread
from typing import Any, NoReturn, TypeVar

from google.api_core import client_options, exceptions
from google.protobuf.json_format import ParseError
from requests import RequestException

from harness.engine.services.concurrency import Ask, ask_concurrently
from harness.engine.services.rate_limits import CHARACTERS_PER_TOKEN, Clock
from harness.engine.services.refusals import SHORT_TEXT, STATUSES, Refusals, RequestRefused
from harness.engine.services.retry_after import TOO_MANY_REQUESTS, asked_wait, duration
from harness.engine.services.retrying import (
    MEGABYTE,
    RESUMES,
    RETRYABLE_STATUSES,
    GaveUp,
    Retryable,
    Service,
    in_short,
)
from harness.engine.services.service_identity import identify_gemini, key_of
from harness.errors import EngineError, ModelError, SchemaRefused, UsageError
from harness.protocols import EngineInfo
from harness.records.answers import LogLikelihood, Message, Prompt, Response, SamplingParameters
from harness.records.models import Gemini, RequestLimits
from harness.thoughts import OUT_OF_TOKENS, cut_at_stops

with warnings.catch_warnings():
    warnings.simplefilter("ignore", FutureWarning)  # that support has ended: said above
    import google.generativeai as genai
    from google.generativeai.client import configure, get_default_generative_client

ADDRESS = "https://generativelanguage.googleapis.com"
STOPS = 5
"""Stop strings that the interface accepts. Any others cut the answer here."""
ENDED = {"STOP": "end", "MAX_TOKENS": "length"}
CALLED_TOOLS = ("MALFORMED_FUNCTION_CALL", "UNEXPECTED_TOOL_CALL", "TOO_MANY_TOOL_CALLS")
PER_DAY = "PerDay"
"""Part of the name of a quota that stays used up for the day."""
REFUSED = ("SAFETY", "RECITATION", "LANGUAGE", "BLOCKLIST", "PROHIBITED_CONTENT", "SPII", "IMAGE_SAFETY")

A = TypeVar("A")


class GeminiEngine:
    """A model behind Gemini's interface, asked over REST. Matches `harness.protocols.Engine`."""

    can_score = False
    """The interface has no log-probabilities of a prompt."""

    def __init__(self, name: str, source: Gemini, *, clock: Clock | None = None) -> None:
        """Reaches nothing. Raises ModelError where the key's environment variable is not set."""
        self.name = name
        self._source = source
        self._where = source.url or ADDRESS
        self._service = Service(name, self._where, source.limits, clock)
        self._refusals = Refusals(self._service.unanswered)
        options = client_options.ClientOptions(api_endpoint=source.url)
        self._key = str(key_of(name, source.key_env))
        configure(api_key=self._key, transport="rest", client_options=options)
        self._client = get_default_generative_client()  # this engine's own: `configure` forgets the last one
        # replies are read by the transport's session, which has no public name
        session: Any = self._client.transport._session  # type: ignore[attr-defined]  # not declared there
        session.hooks["response"].append(partial(_capped, source.limits))
        # threads beyond its pool's size make urllib3 speak of connections that it does not keep
        logging.getLogger("urllib3.connectionpool").setLevel(logging.ERROR)

    @property
    def info(self) -> EngineInfo:
        return identify_gemini(self._source).info(
            {
                "engine": "gemini",
                "url": self._where,
                "model": self._source.model,
                "concurrency": self._source.limits.concurrency,
            }
        )

    def render(self, messages: Sequence[Message], *, open_turn: bool = True) -> str:
        """Always refused: the template is the service's. Raises ModelError."""
        raise ModelError(f"model {self.name!r}: Gemini applies its chat template itself, so none is here")

    def generate(
        self, prompts: Sequence[Prompt], sampling: SamplingParameters
    ) -> Iterator[tuple[int, Response]]:
        """Answer every prompt, as answers arrive; one that never came is `failed`, a blocked one `refused`.

        Raises UsageError for a text to be continued, and for turns that end with the assistant's; ModelError
        where every request is refused, and SchemaRefused where that may be for its schema.
        """
        requests = [self._request(prompt, sampling) for prompt in prompts]

        async def ask(request: Any) -> Response | RequestRefused:
            attempt = partial(self._answered, request, sampling)
            return await self._service.response(attempt, _guess(request, sampling))

        @asynccontextmanager
        async def opened() -> AsyncIterator[Ask[Any, Response | RequestRefused]]:
            yield ask

        def with_short_text(index: int) -> Response | RequestRefused:
            [(_, answer)] = ask_concurrently(opened, [_with_short_text(requests[index])], 1)
            return answer

        way = (sampling, frozenset(prompt.schema for prompt in prompts))
        answers = ask_concurrently(opened, requests, self._source.limits.concurrency)
        return self._refusals.resolved(answers, with_short_text, way)

    def loglikelihood(self, pairs: Sequence[tuple[str, str]]) -> Iterator[tuple[int, LogLikelihood]]:
        raise ModelError(
            f"model {self.name!r}: Gemini gives no log-probabilities of a prompt, so it cannot be scored; "
            "ask it suites that generate"
        )

    def close(self) -> None:
        self._client.transport.close()  # type: ignore[no-untyped-call]  # not annotated there

    def _request(self, prompt: Prompt, sampling: SamplingParameters) -> Any:
        if isinstance(prompt.content, str):
            raise UsageError(
                f"model {self.name!r}: Gemini takes turns only and cannot continue a bare text; leave the "
                "suite's `chat_template = false` out"
            )
        if prompt.content[-1].role == "assistant":
            raise UsageError(
                f"model {self.name!r}: Gemini cannot be asked to go on in the middle of its own turn, which "
                "this suite needs"
            )
        name = self._source.model
        system = [{"text": turn.content} for turn in prompt.content if turn.role == "system"]
        return genai.protos.GenerateContentRequest(
            model=name if "/" in name else f"models/{name}",
            contents=[
                {"role": "model" if turn.role == "assistant" else "user", "parts": [{"text": turn.content}]}
                for turn in prompt.content
                if turn.role != "system"
            ],
            system_instruction={"parts": system} if system else None,
            generation_config={**_decoding(sampling), **_held_to(prompt.schema)},
        )

    async def _answered(self, request: Any, sampling: SamplingParameters) -> tuple[Response, int]:
        timeout = self._source.limits.timeout
        call = partial(self._client.generate_content, request, retry=None, timeout=timeout)
        try:
            async with asyncio.timeout(timeout):
                answer = await _in_a_thread(call)
        except TimeoutError as error:
            raise Retryable(f"no answer within {timeout:g} seconds") from error
        except RequestException as error:
            # the library's message begins with addresses of its own, and ends with what happened
            what = str(error).rpartition(": ")[2].strip("'\")")
            raise Retryable(f"no connection, or it broke off: {in_short(what)}") from error
        except (ParseError, RecursionError) as error:
            raise Retryable(f"an answer that is not what it should be: {in_short(str(error))}") from error
        except exceptions.RetryError as error:
            raise Retryable(f"no answer within {timeout:g} seconds") from error
        except exceptions.GoogleAPICallError as error:
            self._complain(error, with_schema=bool(request.generation_config.response_mime_type))
        return _response(answer, sampling), answer.usage_metadata.total_token_count

    def _complain(self, error: exceptions.GoogleAPICallError, *, with_schema: bool) -> NoReturn:
        """What a service's error means: worth a retry, one request is refused, or something is wrong."""
        status, words = error.code, in_short(f"{error.code} {_own_words(error)}".replace(self._key, "…"))
        if status == TOO_MANY_REQUESTS and PER_DAY in str(error.details):
            raise EngineError(
                f"model {self.name!r}: {self._where} answers nothing more today: the quota is used up "
                f"({words}); {RESUMES}"
            ) from error
        if status in RETRYABLE_STATUSES:
            raise Retryable(words, after=_asked_wait(error)) from error
        about_key = status in (401, 403) or "API key" in words
        fault = f"the key in the environment variable {self._source.key_env} (`key_env`)"
        if not about_key:
            fault = "`gemini`, the model's name" if status == 404 else "what is asked of it"
        kind = SchemaRefused if status == 400 and with_schema and not about_key else ModelError
        wrong = kind(
            f"model {self.name!r}: {self._where} does not answer for {self._source.model!r}: correct {fault} "
            f"({words})"
        )
        if status in STATUSES and not about_key:
            raise RequestRefused(words, wrong) from error
        raise wrong from error


def _with_short_text(request: Any) -> Any:
    """The same request with a short text; the system instruction stays."""
    shortened = genai.protos.GenerateContentRequest(request)
    for turn in shortened.contents:
        turn.parts[0].text = SHORT_TEXT
    return shortened


def _decoding(sampling: SamplingParameters) -> dict[str, Any]:
    decoding: dict[str, Any] = {
        "candidate_count": 1,
        "max_output_tokens": sampling.max_tokens,
        "temperature": sampling.temperature,
        "stop_sequences": [stop for stop in sampling.stop if stop][:STOPS],
    }
    if sampling.temperature > 0:
        decoding |= {"top_p": sampling.top_p} | ({"top_k": sampling.top_k} if sampling.top_k else {})
    return decoding


def _held_to(schema: str | None) -> dict[str, Any]:
    """https://ai.google.dev/gemini-api/docs/structured-output. Properties come in alphabetical order."""
    if schema is None:
        return {}
    return {"response_mime_type": "application/json", "response_schema": _as_proto(json.loads(schema))}


def _as_proto(schema: Mapping[str, Any]) -> dict[str, Any]:
    """The interface's subset of JSON schema: types, properties, and enumerations of strings."""
    node: dict[str, Any] = {"type_": schema["type"].upper()}
    if "enum" in schema:
        node |= {"format_": "enum", "enum": schema["enum"]}
    if "properties" in schema:
        node["properties"] = {name: _as_proto(inner) for name, inner in schema["properties"].items()}
        node["required"] = schema["required"]
    return node


def _response(answer: Any, sampling: SamplingParameters) -> Response:
    usage = answer.usage_metadata
    thought = usage.total_token_count - usage.prompt_token_count  # thinking is in the total only, and is paid
    counts = {
        "prompt_tokens": usage.prompt_token_count,
        "completion_tokens": max(usage.candidates_token_count, thought),
    }
    if not answer.candidates:
        if not answer.prompt_feedback.block_reason:
            raise Retryable("an answer without candidates")
        reason = f"the prompt was blocked ({answer.prompt_feedback.block_reason.name})"
        return Response(text="", stop_reason="refused", reason=reason, **counts)
    candidate = answer.candidates[0]
    reason = candidate.finish_reason.name
    if reason in REFUSED:
        return Response(text="", stop_reason="refused", reason=f"the answer was blocked ({reason})", **counts)
    if reason in CALLED_TOOLS or any("function_call" in part for part in candidate.content.parts):
        return Response(
            text="", stop_reason="refused", reason="the model called tools and wrote no text", **counts
        )
    if reason not in ENDED:
        raise Retryable(f"an answer that ended by {reason}")
    whole = "".join(part.text for part in candidate.content.parts)
    if not whole and reason == "MAX_TOKENS":
        return Response(text="", stop_reason="thinking", reason=OUT_OF_TOKENS, **counts)
    text = cut_at_stops(whole, sampling.stop)
    return Response(
        text=text, stop_reason="length" if reason == "MAX_TOKENS" and text == whole else "end", **counts
    )


def _guess(request: Any, sampling: SamplingParameters) -> int:
    """Roughly how many tokens a request may use."""
    characters = sum(len(part.text) for content in request.contents for part in content.parts)
    return characters // CHARACTERS_PER_TOKEN + 1 + sampling.max_tokens


def _own_words(error: exceptions.GoogleAPICallError) -> str:
    """The service's words, without the address that the library puts before them."""
    words = str(error.message)
    return words.partition(": ")[2] if words.startswith("POST http") else words


def _asked_wait(error: exceptions.GoogleAPICallError) -> float | None:
    """Seconds to wait, by the service's headers or the error's details."""
    asked = None if error.response is None else asked_wait(error.response.headers, int(error.code or 0))
    if asked is not None:
        return asked
    details = (detail for detail in error.details if isinstance(detail, Mapping))  # as JSON, over REST
    stated = [str(detail["retryDelay"]) for detail in details if "retryDelay" in detail]
    return duration(next(iter(stated), None))


class _Capped:
    """A reply that is read up to a limit in megabytes; raises GaveUp beyond it."""

    def __init__(self, raw: Any, most: float) -> None:
        self._raw, self._most = raw, most

    def stream(self, *arguments: Any, **named: Any) -> Iterator[bytes]:
        """The chunks that `requests` reads."""
        size = 0
        for chunk in self._raw.stream(*arguments, **named):
            size += len(chunk)
            if size > self._most * MEGABYTE:
                raise GaveUp(f"an answer of more than {self._most:g} MB (`max_reply_megabytes`)")
            yield chunk

    def __getattr__(self, name: str) -> Any:
        """Everything else is the reply's own."""
        return getattr(self._raw, name)


def _capped(limits: RequestLimits, response: Any, *arguments: Any, **named: Any) -> None:
    """Limit how much is read of a reply whose headers have come."""
    response.raw = _Capped(response.raw, limits.max_reply_megabytes)


async def _in_a_thread(call: Callable[[], A]) -> A:
    """The result of a blocking call, made in a daemon thread, which never keeps the program from ending."""
    outcome: Future[A] = Future()

    def work() -> None:
        outcome.set_running_or_notify_cancel()
        try:
            answer = call()
        except BaseException as error:  # noqa: BLE001 - it is passed on to the caller, not swallowed
            outcome.set_exception(error)
        else:
            outcome.set_result(answer)

    Thread(target=work, name="gemini", daemon=True).start()
    return await asyncio.wrap_future(outcome)
