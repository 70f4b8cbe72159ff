"""A server over a real socket on 127.0.0.1, for tests: OpenAI's interface and Gemini's, and what goes wrong.

It counts what it was asked and which answers it gave whole: nothing may be lost, nothing be paid for twice.
What goes wrong is a `Fault`, chosen for each request by a function of it.
"""

import hashlib
import json
import re
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Condition, Thread
from typing import Any, Self

Json = dict[str, Any]
Columns = dict[str, list[Any]]
"""A prompt's tokens as a server echoes them: one list for each thing that is said of them."""


@dataclass(frozen=True, kw_only=True)
class Fault:
    """What is done instead of answering. All defaults: the request is answered as it should be."""

    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes | None = None
    """Sent instead of the answer."""
    cut: bool = False
    """The body breaks off half-way, and with it the connection."""
    hang_up: bool = False
    """The connection is closed without a word."""
    delay: float = 0.0
    """Seconds before anything is sent."""

    @property
    def answers(self) -> bool:
        """Whether the answer arrives whole."""
        return self.status == 200 and self.body is None and not self.cut and not self.hang_up


FINE = Fault()


def status(code: int, message: str = "not now", **headers: str) -> Fault:
    """An error in OpenAI's form; header names are written with underscores."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return Fault(status=code, headers=named, body=json.dumps({"error": {"message": message}}).encode())


@dataclass(frozen=True, kw_only=True)
class Asked:
    """A request as a server sees it."""

    path: str
    body: Json
    number: int
    """How many requests came before it."""
    tries: int
    """How many times the same was asked before."""
    headers: Mapping[str, str]
    query: str = ""
    """What stands behind the path's question mark."""

    @property
    def text(self) -> str:
        """What is asked: the last turn, or the text to be continued."""
        if "messages" in self.body:
            return str(self.body["messages"][-1]["content"])
        if "contents" in self.body:
            return str(self.body["contents"][-1]["parts"][0]["text"])
        return str(self.body["prompt"])


def upper(asked: Asked) -> str:
    """The usual answer: what was asked, in capitals."""
    return asked.text.upper()


class ModelServer:
    """A server with one model, `m`. Use it as a context manager; `url` is the address to configure.

    `wrong` says what goes wrong with a request, `answer` what the model says; without `completions` the
    server can only chat, and with `echo` it gives a prompt's log-probabilities, as `distorted` leaves them.
    """

    def __init__(
        self,
        *,
        answer: Callable[[Asked], str] = upper,
        wrong: Callable[[Asked], Fault] = lambda asked: FINE,
        completions: bool = True,
        echo: bool = False,
        distorted: Callable[[Columns], Columns] = lambda columns: columns,
        finish_reason: str = "stop",
    ) -> None:
        self.answer, self.wrong = answer, wrong
        self.completions, self.echo, self.finish_reason = completions, echo, finish_reason
        self.distorted = distorted
        self.asked: list[Asked] = []
        """Every request, in the order of arrival."""
        self._answered: Counter[str] = Counter()
        self._tries: Counter[str] = Counter()
        self.most_at_once = 0
        self._at_once = 0
        self._lock = Condition()
        self._http: ThreadingHTTPServer | None = None
        self.port = 0

    @property
    def url(self) -> str:
        """OpenAI's interface."""
        return f"http://127.0.0.1:{self.port}/v1"

    @property
    def address(self) -> str:
        """Gemini's interface."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def texts(self) -> Counter[str]:
        """How often each text was asked, answered or not."""
        return Counter(asked.text for asked in self.asked)

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *ending: object) -> None:
        self.stop()

    def start(self) -> None:
        """Listen, on the same port as the last time."""
        self._http = _Listening(("127.0.0.1", self.port), _handler(self))
        self.port = self._http.server_address[1]
        Thread(target=self._http.serve_forever, args=(0.01,), daemon=True).start()

    def stop(self) -> None:
        """Refuse connections; what is open already is closed at its next request."""
        http, self._http = self._http, None
        if http is not None:
            http.shutdown()
            http.server_close()

    @property
    def is_up(self) -> bool:
        """Whether it listens."""
        return self._http is not None

    @property
    def answered(self) -> Counter[str]:
        """How often each request was answered whole, by its body's canonical JSON.

        Waits until nothing is served: a client has its answer before the server has counted it.
        """
        with self._lock:
            assert self._lock.wait_for(lambda: self._at_once == 0, timeout=10)
            return self._answered

    @contextmanager
    def serving(
        self, path: str, body: Json, headers: Mapping[str, str], query: str = ""
    ) -> Iterator[tuple[Asked, Fault]]:
        """Count a request while it is served."""
        canonical = json.dumps(body, sort_keys=True)
        with self._lock:
            tries = self._tries[canonical]
            asked = Asked(
                path=path, body=body, number=len(self.asked), tries=tries, headers=headers, query=query
            )
            self.asked.append(asked)
            self._tries[canonical] += 1
            fault = self.wrong(asked)
            self._at_once += 1
            self.most_at_once = max(self.most_at_once, self._at_once)
        try:
            yield asked, fault
            if fault.answers:
                with self._lock:
                    self._answered[canonical] += 1
        finally:
            with self._lock:
                self._at_once -= 1
                self._lock.notify_all()

    def reply(self, asked: Asked) -> tuple[int, Json]:
        """Status and JSON of an answer that nothing is wrong with."""
        if asked.path.endswith(":generateContent"):
            return 200, _gemini(self.answer(asked), asked.text)
        if asked.body.get("model") != "m":
            return 404, {"error": {"message": f"there is no model {asked.body.get('model')!r}"}}
        if asked.path == "/v1/chat/completions":
            message = {"role": "assistant", "content": self.answer(asked)}
            return 200, self._openai({"message": message}, asked.text, message["content"])
        if asked.path == "/v1/completions" and self.completions:
            choice = self._completed(asked)
            return 200, self._openai(choice, asked.text, "" if asked.body.get("echo") else choice["text"])
        return 404, {"error": {"message": f"nothing at {asked.path}"}}

    def _completed(self, asked: Asked) -> Json:
        if not self.echo or "logprobs" not in asked.body:
            return {"text": self.answer(asked), "logprobs": None}
        if asked.body.get("echo"):
            return {"text": f"{asked.text} and", "logprobs": self.distorted(_echoed(asked.text))}
        return _continued(asked.text, asked.body["max_tokens"])

    def _openai(self, choice: Json, prompt: str, text: str) -> Json:
        choice = {"index": 0, "finish_reason": self.finish_reason, **choice}
        usage = {"prompt_tokens": len(tokens(prompt)), "completion_tokens": len(tokens(text))}
        return {"id": "x", "object": "completion", "model": "m", "choices": [choice], "usage": usage}


def tokens(text: str) -> list[str]:
    """The server's tokens: words, each with the spaces before it."""
    return re.findall(r"\s*\S+|\s+$", text)


def logprob_of(before: str, token: str, model: str = "") -> float:
    """What the server's model thinks of a token after a text: a number between -4 and 0, always the same."""
    digest = hashlib.sha256(f"{model}{before}\0{token}".encode()).digest()
    return -4 * digest[0] / 255


WORDS = (" blue", " wide", " green", " and", " the", " deep", " old", " far")
"""What the server's model goes on with."""


def likeliest(before: str) -> str:
    """The word that the server's model likes best after a text."""
    return max(WORDS, key=lambda word: logprob_of(before, word))


def _continued(text: str, count: int) -> Json:
    """So many of the likeliest words, with their log-probabilities."""
    found: list[str] = []
    logprobs = []
    for _ in range(count):
        before = text + "".join(found)
        found.append(likeliest(before))
        logprobs.append(logprob_of(before, found[-1]))
    columns = {
        "tokens": found,
        "text_offset": [len(text) + sum(map(len, found[:place])) for place in range(count)],
        "token_logprobs": logprobs,
        "top_logprobs": [{token: value} for token, value in zip(found, logprobs, strict=True)],
    }
    return {"text": "".join(found), "logprobs": columns}


def rounded(columns: Columns) -> Columns:
    """As a server that gives four decimals and computes in bfloat16, a hundred tokens at a time."""
    noisy = [
        None if value is None else round(value + (0.05 if place % 3 else -0.05), 4)
        for place, value in enumerate(columns["token_logprobs"])
    ]
    return {**columns, "token_logprobs": noisy}


def moved(columns: Columns) -> Columns:
    """Every token has what belongs to the token after it."""
    values = columns["token_logprobs"]
    return {**columns, "token_logprobs": [None, *values[2:], values[-1]]}


def of_the_next_place(columns: Columns) -> Columns:
    """As llama-cpp-python 0.3.36: every token is looked up in what was computed to predict its follower."""
    texts = ["".join(columns["tokens"][1 : place + 1]) for place in range(len(columns["tokens"]))]
    values = [logprob_of(text, token) for text, token in zip(texts, columns["tokens"], strict=True)]
    foreseen = [{likeliest(text): logprob_of(text, likeliest(text))} for text in texts]
    return {**columns, "token_logprobs": [None, *values[1:]], "top_logprobs": [None, *foreseen[1:]]}


def of_another_model(columns: Columns) -> Columns:
    """As a proxy that sends what is echoed to other weights than what is generated."""
    tokens = columns["tokens"]
    values = [logprob_of("".join(tokens[1:place]), tokens[place], "other") for place in range(len(tokens))]
    return {**columns, "token_logprobs": [None, *values[1:]]}


def _echoed(text: str) -> Columns:
    """As vLLM has it: a BOS token's text stands before the prompt's, and one token is generated after it."""
    found = ["<s>", *tokens(text), " and"]
    offsets = [sum(map(len, found[:place])) for place in range(len(found))]
    logprobs: list[float | None] = [None]
    top: list[dict[str, float] | None] = [None]
    for place, token in enumerate(found[1:], 1):
        logprob = logprob_of("".join(found[1:place]), token)
        logprobs.append(logprob)
        top.append({token: logprob} if logprob > -2 else {" the": -0.1, token: logprob})
    return {"tokens": found, "text_offset": offsets, "token_logprobs": logprobs, "top_logprobs": top}


def _gemini(text: str, prompt: str) -> Json:
    content = {"role": "model", "parts": [{"text": text}]}
    used, given = len(tokens(prompt)), len(tokens(text))
    usage = {"promptTokenCount": used, "candidatesTokenCount": given, "totalTokenCount": used + given}
    return {"candidates": [{"content": content, "finishReason": "STOP"}], "usageMetadata": usage}


class _Listening(ThreadingHTTPServer):
    allow_reuse_address = True
    daemon_threads = True
    request_queue_size = 128

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that goes away is part of the tests."""


def _handler(server: ModelServer) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True  # else a body waits for its head to be acknowledged: 40 ms per request

        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            if not server.is_up:
                self.close_connection = True
                return
            path, _, query = self.path.partition("?")
            with server.serving(path, body, dict(self.headers), query) as (asked, fault):
                time.sleep(fault.delay)
                self._send(asked, fault)

        def _send(self, asked: Asked, fault: Fault) -> None:
            if fault.hang_up:
                self.close_connection = True
                return
            code, reply = server.reply(asked) if fault.status == 200 else (fault.status, {})
            payload = json.dumps(reply).encode() if fault.body is None else fault.body
            self.send_response(code)
            for name, value in {"Content-Type": "application/json", **fault.headers}.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(payload)))
            self.end_headers()
            self.wfile.write(payload[: len(payload) // 2] if fault.cut else payload)
            self.close_connection = self.close_connection or fault.cut

        def log_message(self, *words: object) -> None:
            """Nobody reads it."""

    return Handler
