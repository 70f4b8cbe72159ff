"""An OpenAI-compatible server over HTTP: one request, its body, and what its errors mean. Speaks httpx.

Errors that may mend are `Mendable`: no connection, no answer in time, an answer that breaks off or is not
what was asked for, and the statuses 408, 429, 500, 502, 503 and 504. Every other status says that something
must be changed here, and is a ModelError that names the model, the address and the key to mend. The key is
read from its environment variable when a server is opened, and appears in no message.

It does not know what is asked, and does not retry.
"""

import asyncio
import json
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from typing import Any

import httpx

from harness.engine.services.retrying import Mendable, asked_wait
from harness.engine.services.served import MENDABLE_STATUSES, in_short, key_of
from harness.errors import ModelError
from harness.records import Endpoint

Body = Mapping[str, Any]
Post = Callable[[str, Body], Awaitable[Body]]
"""Sends a JSON object to a path under the server's address, and gives the JSON object that comes back."""


class ContentFiltered(Exception):
    """The server's filter does not let the model answer; the message is why. Never leaves the engines."""


class WrongRequest(ModelError):
    """The server will never answer this request as it is; `status` is HTTP's."""

    def __init__(self, message: str, status: int) -> None:
        self.status = status
        super().__init__(message)


class Server:
    """A server that answers JSON with JSON. Opening it reaches nothing."""

    def __init__(self, name: str, source: Endpoint) -> None:
        self.url = source.url.rstrip("/")
        self._name, self._source = name, source
        self._key = key_of(name, source.key_env)
        self._tls: ssl.SSLContext | None = None

    @asynccontextmanager
    async def connected(self) -> AsyncIterator[Post]:
        """What posts to the server, over connections that are kept until the end."""
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

    async def _sent(self, client: httpx.AsyncClient, path: str, body: Body) -> httpx.Response:
        try:
            async with asyncio.timeout(self._source.traffic.timeout):
                # ASCII JSON, because half of a surrogate pair, which texts may hold, is no UTF-8
                return await client.post(f"{self.url}{path}", content=json.dumps(body))
        except TimeoutError as error:
            raise Mendable(f"no answer within {self._source.traffic.timeout:g} seconds") from error
        except (httpx.NetworkError, httpx.RemoteProtocolError, httpx.ProxyError) as error:
            raise Mendable(f"no connection, or it broke off: {_words(error)}") from error
        except httpx.DecodingError as error:
            raise Mendable(f"a damaged answer: {_words(error)}") from error
        except (httpx.InvalidURL, httpx.UnsupportedProtocol, httpx.LocalProtocolError) as error:
            raise ModelError(
                f"model {self._name!r}: {self.url} cannot be asked ({_words(error)}); mend its `endpoint`"
            ) from error

    def _read(self, path: str, response: httpx.Response) -> Body:
        if not response.is_success:
            raise self._complaint(path, response)
        try:
            body = response.json()
        except ValueError as error:
            raise Mendable(f"an answer that is not JSON: {in_short(response.text)!r}") from error
        if not isinstance(body, dict):
            raise Mendable(f"an answer that is no JSON object: {in_short(response.text)!r}")
        return body

    def _complaint(self, path: str, response: httpx.Response) -> Exception:
        """The error that a status stands for."""
        status, said, code = response.status_code, *_said(response)
        if self._key is not None:
            said = said.replace(self._key, "…")
        words = f"{status} {said}".strip()
        if status in MENDABLE_STATUSES:
            return Mendable(words, after=asked_wait(response.headers.get("Retry-After")))
        if code == "content_filter":
            return ContentFiltered(said)
        message = f"model {self._name!r}: {self.url}{path} {self._blame(status, path)} ({words})"
        return ModelError(message) if status in (401, 403) else WrongRequest(message, status)

    def _blame(self, status: int, path: str) -> str:
        """What to mend, by the status."""
        variable = self._source.key_env
        if status in (401, 403) and variable is None:
            return "wants a key: name the environment variable that holds it as `key_env`"
        if status in (401, 403):
            return f"does not accept the key in the environment variable {variable} (`key_env`)"
        if status in (404, 405):
            return f"knows no model {self._source.model!r} there: mend `model` or `endpoint`" + (
                ', or ask in turns (`api = "chat"`), if it has no plain completions'
                if path == "/completions"
                else ""
            )
        return f"will not answer this request: mend `model`, `endpoint` or what is asked of {path}"


def _said(response: httpx.Response) -> tuple[str, str]:
    """The server's own words for an error, and its code."""
    try:
        body = response.json()
    except ValueError:
        return in_short(response.text), ""
    error = body.get("error", body) if isinstance(body, dict) else body
    if not isinstance(error, dict):
        return in_short(error if isinstance(error, str) else json.dumps(error)), ""
    words = error.get("message") or error.get("detail") or json.dumps(error)
    return in_short(str(words)), str(error.get("code"))


def _words(error: Exception) -> str:
    return in_short(str(error)) or type(error).__name__
