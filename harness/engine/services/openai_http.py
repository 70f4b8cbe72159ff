"""An OpenAI-compatible server over HTTP: one request, its body, and what its errors mean. Imports httpx.

These errors are `Retryable`: no connection, no answer in time, an answer that breaks off or is not what was
asked for, and the statuses 408, 429, 500, 502, 503 and 504. 400, 413 and 422 may concern one request alone,
and are `RequestRefused`; a quota that is used up is an EngineError. Every other status needs a correction
here, and is a ModelError that names the model, the address and the key to correct. The key is read from its
environment variable when a server is opened, and appears in no message. Nothing is retried here.
"""

import asyncio
import json
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit, urlunsplit

import httpx

from harness.engine.services.refusals import STATUSES, RequestRefused
from harness.engine.services.retry_after import asked_wait
from harness.engine.services.retrying import (
    MEGABYTE,
    RESUMES,
    RETRYABLE_STATUSES,
    GaveUp,
    Retryable,
    in_short,
)
from harness.engine.services.service_identity import key_of
from harness.errors import EngineError, ModelError
from harness.records.models import Endpoint

Body = Mapping[str, Any]
Post = Callable[[str, Body], Awaitable[Body]]
"""Sends a JSON object to a path under the server's address, and gives the JSON object that comes back."""

FILTERED = ("content_filter", "content_policy_violation")
"""Error codes of a request that was refused for its content."""
USED_UP = ("insufficient_quota", "billing_hard_limit_reached", "billing_not_active")
"""Error codes of an account that has nothing left to spend; waiting does not help."""
PAYMENT_REQUIRED = 402


class ContentFiltered(Exception):
    """The server's filter does not let the model answer; the message is why. Never leaves the engines."""


class WrongRequest(ModelError):
    """The server will never answer this request as it is; `status` is HTTP's, `reason` holds its words."""

    def __init__(self, where: str, blame: str, status: int, reason: str) -> None:
        self.where, self.status, self.reason = where, status, reason
        super().__init__(f"{where} {blame} ({reason})")


@dataclass(frozen=True, slots=True, kw_only=True)
class _Reply:
    """What came back, whole."""

    status: int
    headers: httpx.Headers
    content: bytes

    @property
    def text(self) -> str:
        return self.content.decode("utf-8", "replace")

    def json(self) -> Any:
        """The JSON it holds. Raises ValueError, also for brackets too deep to be read."""
        try:
            return json.loads(self.content)
        except RecursionError as error:
            raise ValueError("its brackets are nested too deeply") from error


class Server:
    """A server that answers JSON with JSON. Opening it reaches nothing."""

    def __init__(self, name: str, source: Endpoint) -> None:
        self.url = source.url.rstrip("/")
        self._name, self._source = name, source
        self._key = key_of(name, source.key_env)
        self._tls: ssl.SSLContext | None = None

    @asynccontextmanager
    async def connected(self) -> AsyncIterator[Post]:
        """A function that posts to the server, over connections that are kept until the end."""
        if self._tls is None:
            self._tls = httpx.create_ssl_context()  # reading the certificates takes a while
        headers = {"Content-Type": "application/json"}
        if self._key is not None:
            headers["Authorization"] = f"Bearer {self._key}"
        unlimited = httpx.Limits(max_connections=None)
        async with httpx.AsyncClient(
            headers=headers, timeout=None, limits=unlimited, verify=self._tls
        ) as client:

            async def post(path: str, body: Body) -> Body:
                return self._read(path, await self._sent(client, path, body))

            yield post

    async def _sent(self, client: httpx.AsyncClient, path: str, body: Body) -> _Reply:
        try:
            async with asyncio.timeout(self._source.limits.timeout):
                # ASCII JSON, because half of a surrogate pair, which texts may hold, is no UTF-8
                content = json.dumps(body)
                async with client.stream("POST", self._address(path), content=content) as response:
                    return await self._received(response)
        except TimeoutError as error:
            raise Retryable(f"no answer within {self._source.limits.timeout:g} seconds") from error
        except (httpx.NetworkError, httpx.RemoteProtocolError, httpx.ProxyError) as error:
            raise Retryable(f"no connection, or it broke off: {_words(error)}") from error
        except httpx.DecodingError as error:
            raise Retryable(f"a damaged answer: {_words(error)}") from error
        except (httpx.InvalidURL, httpx.UnsupportedProtocol, httpx.LocalProtocolError) as error:
            raise ModelError(
                f"model {self._name!r}: {self.url} cannot be asked ({_words(error)}); correct its `endpoint`"
            ) from error

    def _address(self, path: str) -> str:
        """A path under the server's address, before its query if it has one (Azure's `api-version`)."""
        parts = urlsplit(self.url)
        return urlunsplit(parts._replace(path=parts.path.rstrip("/") + path))

    async def _received(self, response: httpx.Response) -> _Reply:
        """The whole reply, up to the limit in megabytes."""
        most = self._source.limits.max_reply_megabytes
        content = bytearray()
        async for chunk in response.aiter_bytes():
            content += chunk
            if len(content) > most * MEGABYTE:
                raise GaveUp(f"an answer of more than {most:g} MB (`max_reply_megabytes`)")
        return _Reply(status=response.status_code, headers=response.headers, content=bytes(content))

    def _read(self, path: str, reply: _Reply) -> Body:
        if not httpx.codes.is_success(reply.status):
            raise self._complaint(path, reply)
        try:
            body = reply.json()
        except ValueError as error:
            raise Retryable(f"an answer that is not JSON: {in_short(reply.text)!r}") from error
        if not isinstance(body, dict):
            raise Retryable(f"an answer that is no JSON object: {in_short(reply.text)!r}")
        return body

    def _complaint(self, path: str, reply: _Reply) -> Exception:
        """The error that a status stands for."""
        status, (said, codes) = reply.status, _said(reply)
        if self._key is not None:
            said = said.replace(self._key, "…")
        words = f"{status} {said}".strip()
        if status == PAYMENT_REQUIRED or not codes.isdisjoint(USED_UP):
            return EngineError(
                f"model {self._name!r}: {self.url} answers nothing more: the account has nothing left to "
                f"spend ({words}); {RESUMES}"
            )
        if status in RETRYABLE_STATUSES:
            return Retryable(words, after=asked_wait(reply.headers, status))
        if not codes.isdisjoint(FILTERED):
            return ContentFiltered(said)
        where = f"model {self._name!r}: {self._address(path)}"
        if status in (401, 403):
            return ModelError(f"{where} {self._blame(status, path)} ({words})")
        wrong = WrongRequest(where, self._blame(status, path), status, words)
        return RequestRefused(words, wrong) if status in STATUSES else wrong

    def _blame(self, status: int, path: str) -> str:
        """What is wrong and what to correct, by the status."""
        variable = self._source.key_env
        if status in (401, 403) and variable is None:
            return "wants a key: name the environment variable that holds it as `key_env`"
        if status in (401, 403):
            return f"does not accept the key in the environment variable {variable} (`key_env`)"
        if status in (404, 405):
            return f"knows no model {self._source.model!r} there: correct `model` or `endpoint`" + (
                ', or ask in turns (`api = "chat"`), if it has no plain completions'
                if path == "/completions"
                else ""
            )
        if status in STATUSES:
            return (
                "refuses every request, whatever it says: correct `model`, `endpoint`, or what is sent with "
                "each (`max_tokens`, `temperature`, a system prompt, …)"
            )
        return f"will not answer this request: correct `model`, `endpoint` or what is asked of {path}"


def _said(reply: _Reply) -> tuple[str, set[str]]:
    """The server's own words for an error, and what it calls it."""
    try:
        body = reply.json()
    except ValueError:
        return in_short(reply.text), set()
    error = body.get("error", body) if isinstance(body, dict) else body
    if not isinstance(error, dict):
        return in_short(error if isinstance(error, str) else reply.text), set()
    words = error.get("message") or error.get("detail") or reply.text
    return in_short(str(words)), {str(error.get("code")), str(error.get("type"))}


def _words(error: Exception) -> str:
    return in_short(str(error)) or type(error).__name__
