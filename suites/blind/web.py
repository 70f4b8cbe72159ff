"""The rating page's server: a private link per rater, one ballot at a time, votes kept as they come.

    GET  /            the page, the same for everybody; its script reads the key from the link's fragment
    GET  /api/state   whose link it is, how far they are, and the ballot to rate
    POST /api/vote    {ballot, choice, token, seconds, comment} -> the next state
    POST /api/undo    {token} -> the next state

The key is in the link's fragment, which browsers send to nobody, and comes back as a bearer token: it is in
no log, cookie or Referer, and another site's page cannot make a browser send it.
"""

import asyncio
import socket
from collections.abc import Callable
from contextlib import suppress
from ipaddress import ip_address
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import h11
import uvicorn
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.datastructures import Headers, MutableHeaders
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from uvicorn.protocols.http.h11_impl import H11Protocol

from harness.errors import HarnessError, StoreError, UsageError
from suites.blind.ballots import BallotBox
from suites.blind.messages import Malformed, UndoMessage, VoteMessage, read_message, state_of

LARGEST_BODY = 32_768
"""Bytes of a request's body: the longest comment fits, were every character of it escaped."""

REQUEST_TIMEOUT = 30.0
"""Seconds in which a connection must bring a whole request. uvicorn alone would wait for ever."""

HEADERS = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'none'; "
        "base-uri 'none'; form-action 'none'; frame-ancestors 'none'; "
        "require-trusted-types-for 'script'; trusted-types 'none'"
    ),
    "Cross-Origin-Embedder-Policy": "require-corp",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "X-Robots-Tag": "noindex",
}
"""The headers of every reply, refusals included."""

_PAGE = Path(__file__).parent / "page"
_FILES = {
    "/": ("page.html", "text/html"),
    "/page.css": ("page.css", "text/css"),
    "/page.js": ("page.js", "text/javascript"),
    "/words.js": ("words.js", "text/javascript"),
}


# ---------------------------------------------------------------- serving


def serve(
    box: BallotBox,
    *,
    host: str = "127.0.0.1",
    port: int = 0,
    public: str | None = None,
    announce: Callable[[str], None] = print,
) -> None:
    """Serve the rating page until interrupted, after announcing one private link per rater.

    `host` is an address of this machine to listen at; any but loopback comes with a warning. `port` 0 takes a
    free one. `public` is where raters reach the server, such as `https://rate.example.org`, where that is not
    `http://host:port`; it must be given with an address that stands for all of them (0.0.0.0).

    Raises UsageError for an address that cannot be listened at, and for an invalid `public`.
    """
    _check(host, public)
    with listening_at(host, port) as listening:
        address = public or f"http://{_bracketed(host)}:{listening.getsockname()[1]}"
        for line in _announcement(box, host, address):
            announce(line)
        with suppress(KeyboardInterrupt):
            server(box, public=public).run(sockets=[listening])


def server(box: BallotBox, *, public: str | None = None) -> uvicorn.Server:
    """What `serve` runs. It logs no request, since nothing that raters do is to be known but their votes."""
    return uvicorn.Server(
        uvicorn.Config(
            application(box, public=public),
            access_log=False,
            date_header=False,
            http=_TimedProtocol,
            lifespan="off",
            log_config=None,
            proxy_headers=False,
            server_header=False,
            timeout_graceful_shutdown=5,
            ws="none",
        )
    )


class _TimedProtocol(H11Protocol):
    """A connection that is closed where a request does not arrive whole in time, however busy it is.

    Between requests uvicorn's own limit holds (`timeout_keep_alive`).
    """

    _limit: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as uvicorn's
        super().connection_made(transport)
        self._set_limit()

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        if self.conn.their_state not in (h11.IDLE, h11.SEND_BODY):
            self._lift_limit()
        elif self._limit is None:
            self._set_limit()

    def connection_lost(self, exc: Exception | None) -> None:
        self._lift_limit()
        super().connection_lost(exc)

    def _set_limit(self) -> None:
        self._limit = self.loop.call_later(REQUEST_TIMEOUT, self.transport.abort)

    def _lift_limit(self) -> None:
        if self._limit is not None:
            self._limit.cancel()
            self._limit = None


def _check(host: str, public: str | None) -> None:
    if public is None and host in ("0.0.0.0", "::"):
        raise UsageError(
            f"{host} stands for every address of this machine, and links need one: "
            "name the one that raters use, such as http://192.168.1.5:8000, as the public address"
        )
    parts = urlsplit(public or "http://localhost")
    if parts.scheme not in ("http", "https") or not parts.hostname or parts.path.strip("/"):
        raise UsageError(f"{public!r} is not a public address; write it as https://rate.example.org")


def listening_at(host: str, port: int) -> socket.socket:
    """A listening socket. Raises UsageError where there can be none.

    It knows that it speaks TCP, or asyncio lets every reply wait 40 ms for a delayed acknowledgement.
    """
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        listening = socket.socket(family, kind, protocol)
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind(address)
        listening.listen()
    except OSError as error:
        raise UsageError(
            f"cannot listen at {host}, port {port} ({error.strerror}); choose another address or port"
        ) from error
    return listening


def _announcement(box: BallotBox, host: str, address: str) -> list[str]:
    links = [f"{rater}: {address.rstrip('/')}/#{key}" for rater, key in box.links().items()]
    if _is_loopback(host):
        return links
    warning = (
        f"warning: {host} can be reached from other machines. Anybody who has a rater's link can vote with "
        "it, and without https in front of this server, links and answers can be read in transit."
    )
    return [warning, *links]


def _is_loopback(host: str) -> bool:
    return host == "localhost" or (_is_address(host) and ip_address(host).is_loopback)


def _is_address(host: str) -> bool:
    try:
        ip_address(host)
    except ValueError:
        return False
    return True


def _bracketed(host: str) -> str:
    return f"[{host}]" if ":" in host else host


# ---------------------------------------------------------------- what is asked


class Refused(Exception):
    """A request that is not granted: a status, and a code for the page, which has the words."""

    def __init__(self, status: int, code: str) -> None:
        self.status, self.code = status, code
        super().__init__(code)


def application(box: BallotBox, *, public: str | None = None) -> ASGIApp:
    """The server as an ASGI application. It is asked under a numeric address, `localhost` or `public`."""
    api = _RatingApi(box)
    pages = [Route(path, _file(*named)) for path, named in _FILES.items()]
    acts = [
        Route("/api/state", api.state, methods=["GET"]),
        Route("/api/vote", api.vote, methods=["POST"]),
        Route("/api/undo", api.undo, methods=["POST"]),
    ]
    handlers: Any = {
        Refused: _refusal,
        HTTPException: _http_refusal,
        Malformed: _malformed,
        ClientDisconnect: _malformed,
    }
    inner = Starlette(routes=[*pages, *acts], exception_handlers=handlers)
    return _Guard(inner, name=urlsplit(public).hostname if public else None)


def _file(name: str, media_type: str) -> Callable[[Request], Response]:
    content = (_PAGE / name).read_bytes()
    return lambda request: Response(content, media_type=media_type)


def _refusal(request: Request, refused: Refused) -> Response:
    return JSONResponse({"error": refused.code}, refused.status)


def _http_refusal(request: Request, error: HTTPException) -> Response:
    return JSONResponse({"error": "not_found" if error.status_code == 404 else "refused"}, error.status_code)


def _malformed(request: Request, error: Exception) -> Response:
    return JSONResponse({"error": "malformed"}, 400)


class _Guard:
    """Sets the headers of every reply, and lets nothing in that another site's page could have sent.

    The Host must be a number, `localhost` or the public name: a foreign name that was pointed at this machine
    (DNS rebinding) is none of them. What a browser says of a request's origin must be this server.
    """

    def __init__(self, inner: ASGIApp, *, name: str | None) -> None:
        self.inner, self.name = inner, name

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message).update(HEADERS)
            await send(message)

        refused = self._refused(Headers(scope=scope), scope["path"])
        app = JSONResponse({"error": refused.code}, refused.status) if refused else self.inner
        await app(scope, receive, send_with_headers)

    def _refused(self, headers: Headers, path: str) -> Refused | None:
        host = headers.get("host", "")
        if not self._is_own(host):
            return Refused(421, "unknown_host")
        if path.startswith("/api/") and not _is_same_origin(headers, host):
            return Refused(403, "cross_site")
        return None

    def _is_own(self, host: str) -> bool:
        try:
            name = urlsplit(f"//{host}").hostname or ""
        except ValueError:
            return False
        return name in ("localhost", self.name) or _is_address(name)


def _is_same_origin(headers: Headers, host: str) -> bool:
    origin = headers.get("origin")
    return headers.get("sec-fetch-site", "same-origin") == "same-origin" and (
        origin is None or origin in (f"http://{host}", f"https://{host}")
    )


# ---------------------------------------------------------------- what is answered


class _RatingApi:
    """Where raters' requests meet the ballot box."""

    def __init__(self, box: BallotBox) -> None:
        self.box = box

    async def state(self, request: Request) -> Response:
        return await self._done(request, lambda rater: None)

    async def vote(self, request: Request) -> Response:
        """Keep a vote; sending one twice is not an error."""
        vote = read_message(VoteMessage, await _body(request))
        return await self._done(request, lambda rater: self.box.vote(rater, vote.cast))

    async def undo(self, request: Request) -> Response:
        token = read_message(UndoMessage, await _body(request)).token
        return await self._done(request, lambda rater: self.box.undo(rater, token=token))

    async def _done(self, request: Request, act: Callable[[str], object]) -> Response:
        return await run_in_threadpool(self._answer, request.headers.get("authorization", ""), act)

    def _answer(self, authorization: str, act: Callable[[str], object]) -> Response:
        """Act, and say what there is to see now; 409 with the same where the box refuses the act."""
        try:
            rater = self.box.rater_of(authorization.removeprefix("Bearer "))
            if rater is None:
                raise Refused(404, "unknown_link")
            refused = _refused_by_the_box(act, rater)
            state = state_of(self.box, rater)
        except HarnessError as error:
            raise Refused(503, "store") from error
        return JSONResponse({"error": "refused", **state} if refused else state, 409 if refused else 200)


def _refused_by_the_box(act: Callable[[str], object], rater: str) -> bool:
    try:
        act(rater)
    except StoreError:
        raise
    except UsageError:
        return True
    return False


async def _body(request: Request) -> bytes:
    """What a request brings, if it says that this is JSON, which no form of another site can say."""
    if request.headers.get("content-type", "").partition(";")[0].strip().lower() != "application/json":
        raise Refused(415, "not_json")
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > LARGEST_BODY:
            raise Refused(413, "too_large")
    return bytes(body)
