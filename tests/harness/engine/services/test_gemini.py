"""Gemini's REST interface over a real socket, spoken by Google's own client library."""

import json
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import pytest

from harness.engine import opening
from harness.engine.opening import check_model, identify_model, open_engine, takes_schema
from harness.engine.services.service_identity import identify_gemini
from harness.errors import EngineError, ModelError, SchemaRefused, UsageError
from harness.protocols import SERVED_TEMPLATE
from harness.records.answers import Message, Prompt, Response, SamplingParameters
from harness.records.models import Gemini, Model, RequestLimits
from harness.thoughts import OUT_OF_TOKENS
from tests.harness.engine.services.test_rate_limits import FakeClock
from tests.serving import FINE, Asked, Fault, ModelServer, status

pytest.importorskip("google.generativeai", reason="the extra `gemini` is not installed")

from harness.engine.services.gemini import GeminiEngine

GREEDY = SamplingParameters(max_tokens=20)


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[ModelServer]:
    """A service with nothing wrong yet, and the key that is sent to it."""
    monkeypatch.setenv("GEMINI_API_KEY", "AIza-secret")
    with ModelServer() as serving:
        yield serving


def engine(server: ModelServer, *, clock: FakeClock | None = None, **limits: Any) -> GeminiEngine:
    """An engine for the service that does not really wait between tries."""
    asked = RequestLimits(**{"concurrency": 4, **limits})
    return GeminiEngine(
        "judge", Gemini(model="g", url=server.address, limits=asked), clock=clock or FakeClock()
    )


def turn(text: str, draw: int = 0) -> Prompt:
    """A user's turn."""
    return Prompt(content=(Message(role="user", content=text),), draw=draw)


def answers(asked: GeminiEngine, *texts: str, sampling: SamplingParameters = GREEDY) -> dict[str, Response]:
    """Each text's answer."""
    return {texts[at]: answer for at, answer in asked.generate([turn(text) for text in texts], sampling)}


def test_what_is_sent_and_what_comes_back(server: ModelServer) -> None:
    """Turns with their roles, the system's apart; decoding, key and counts in Gemini's words."""
    prompt = Prompt(
        content=(
            Message(role="system", content="Be brief."),
            Message(role="user", content="hi"),
            Message(role="assistant", content="yes?"),
            Message(role="user", content="say so now"),
        )
    )
    sampling = SamplingParameters(max_tokens=7, temperature=0.5, top_p=0.25, top_k=40, stop=("NOW", ""))
    [(_, answer)] = engine(server).generate([prompt], sampling)

    [asked] = server.asked
    assert "/v1beta/models/g:generateContent" == asked.path
    assert "AIza-secret" == asked.headers["x-goog-api-key"]
    assert [("user", "hi"), ("model", "yes?"), ("user", "say so now")] == [
        (content["role"], content["parts"][0]["text"]) for content in asked.body["contents"]
    ]
    assert "Be brief." == asked.body["systemInstruction"]["parts"][0]["text"]
    assert asked.body["generationConfig"] == {
        "candidateCount": 1,
        "maxOutputTokens": 7,
        "temperature": 0.5,
        "topP": 0.25,
        "topK": 40,
        "stopSequences": ["NOW"],
    }
    assert ("SAY SO ", "end", 3, 3) == (
        answer.text,
        answer.stop_reason,
        answer.prompt_tokens,
        answer.completion_tokens,
    )
    assert answer.seconds > 0


BLOCKED: list[tuple[dict[str, Any], str, str, str | None]] = [
    (
        {"candidates": [{"content": {"parts": [{"text": "all"}]}, "finishReason": "MAX_TOKENS"}]},
        "all",
        "length",
        None,
    ),
    ({"candidates": [{"finishReason": "MAX_TOKENS"}]}, "", "thinking", OUT_OF_TOKENS),
    ({"candidates": [{"finishReason": "STOP"}]}, "", "end", None),
    (
        {"candidates": [{"content": {"parts": [{"text": "We"}]}, "finishReason": "SAFETY"}]},
        "",
        "refused",
        "the answer was blocked (SAFETY)",
    ),
    (
        {
            "candidates": [
                {"content": {"parts": [{"functionCall": {"name": "f"}}]}, "finishReason": "STOP"},
            ]
        },
        "",
        "refused",
        "the model called tools and wrote no text",
    ),
    ({"promptFeedback": {"blockReason": "OTHER"}}, "", "refused", "the prompt was blocked (OTHER)"),
]


@pytest.mark.parametrize(("reply", "text", "stopped", "reason"), BLOCKED)
def test_how_an_answer_ended(
    server: ModelServer, reply: dict[str, Any], text: str, stopped: str, reason: str | None
) -> None:
    """By its length, by a filter, or by itself."""
    server.wrong = lambda asked: Fault(body=json.dumps(reply).encode())
    [answer] = answers(engine(server), "x").values()
    assert (text, stopped, reason) == (answer.text, answer.stop_reason, answer.reason)
    assert 1 == len(server.asked)


def asks_to_wait(seconds: int) -> bytes:
    """Google's error for a used-up quota, which says when to come back in its details."""
    retry = {"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": f"{seconds}s"}
    error = {"code": 429, "message": "quota", "status": "RESOURCE_EXHAUSTED", "details": [retry]}
    return json.dumps({"error": error}).encode()


MENDING: dict[str, Callable[[Asked], Fault]] = {
    "429 with a header": lambda asked: status(429, Retry_After="1"),
    "429 with details": lambda asked: Fault(status=429, body=asks_to_wait(2)),
    **{str(code): lambda asked, code=code: status(code) for code in (408, 500, 502, 503, 504)},
    "no JSON": lambda asked: Fault(body=b"{'oops"),
    "an empty body": lambda asked: Fault(body=b""),
    "no candidates": lambda asked: Fault(body=b"{}"),
    "brackets without end": lambda asked: Fault(body=b"[" * 5_000),
    "an end nobody knows": lambda asked: Fault(body=b'{"candidates": [{"finishReason": "TIRED"}]}'),
    "a body that breaks off": lambda asked: Fault(cut=True),
    "a closed connection": lambda asked: Fault(hang_up=True),
    "no answer in time": lambda asked: Fault(delay=0.6),
}


@pytest.mark.parametrize("what", MENDING)
def test_what_may_mend_is_tried_again(server: ModelServer, what: str) -> None:
    """Every request fails twice: none is lost, and none is asked again after its answer came."""
    server.wrong = lambda asked: MENDING[what](asked) if asked.tries < 2 else FINE

    found = answers(engine(server, timeout=0.3 if "time" in what else 10), "a", "b", "c")

    assert {"a": "A", "b": "B", "c": "C"} == {text: answer.text for text, answer in found.items()}
    assert {"a": 3, "b": 3, "c": 3} == server.texts
    if "time" not in what:  # there the service finishes what nobody waits for
        assert [1, 1, 1] == list(server.answered.values())


@pytest.mark.parametrize(
    "fault",
    [status(429, Retry_After="17"), Fault(status=429, body=asks_to_wait(17))],
    ids=["header", "details"],
)
def test_a_wait_that_is_asked_for(server: ModelServer, fault: Fault) -> None:
    """In the header or in the error's details: its seconds are waited, and jitter on top."""
    clock = FakeClock()
    server.wrong = lambda asked: fault if asked.tries == 0 else FINE
    answers(engine(server, clock=clock), "a")
    assert 17 <= sum(clock.slept) < 18


def test_a_request_that_is_never_answered_has_failed(server: ModelServer) -> None:
    """The others are answered, and the failed one says why; the library does not retry by itself."""
    server.wrong = lambda asked: status(503, "overloaded") if asked.text == "b" else FINE
    found = answers(engine(server, retries=2), "a", "b", "c")
    assert ["end", "failed", "end"] == [found[text].stop_reason for text in "abc"]
    assert "503 overloaded (tried 3 times)" == found["b"].reason
    assert {"a": 1, "b": 3, "c": 1} == server.texts


def test_a_service_that_is_not_there(server: ModelServer) -> None:
    """Ends the work, which can be resumed."""
    server.stop()
    with pytest.raises(
        EngineError, match=r"has answered none of the last \d+ requests \(no connection.*Connection refused"
    ):
        answers(engine(server, concurrency=2, retries=1), *map(str, range(50)))


WRONG: dict[int, str] = {
    400: "correct what is asked of it",
    401: r"correct the key in the environment variable GEMINI_API_KEY \(`key_env`\)",
    403: r"correct the key in the environment variable GEMINI_API_KEY \(`key_env`\)",
    404: "correct `gemini`, the model's name",
}


def test_one_request_that_is_refused(server: ModelServer) -> None:
    """Its answer is refused with the service's words, and the others are answered."""
    server.wrong = lambda asked: status(400, "too long") if asked.text == "b" else FINE
    found = answers(engine(server), "a", "b", "c")
    assert ["end", "refused", "end"] == [found[text].stop_reason for text in "abc"]
    assert "400 too long" == found["b"].reason
    assert {"a": 1, "b": 1, "c": 1} == {text: server.texts[text] for text in "abc"}


def test_the_only_request_is_refused(server: ModelServer) -> None:
    """It is asked with a short text: where that is answered, the request itself was at fault."""
    server.wrong = lambda asked: status(400, "too long") if "very long" in asked.text else FINE
    long = Prompt(content=(Message(role="system", content="Be brief."), *turn("very long").content))
    [(_, answer)] = engine(server).generate([long], GREEDY)
    assert ("refused", "400 too long", 2) == (answer.stop_reason, answer.reason, answer.completion_tokens)
    assert "Be brief." == server.asked[1].body["systemInstruction"]["parts"][0]["text"]
    assert server.asked[0].body["generationConfig"] == server.asked[1].body["generationConfig"]


def test_a_reply_without_end(server: ModelServer) -> None:
    """No more than `max_reply_megabytes` of it is read; it is not asked again, and the answer has failed."""
    server.wrong = lambda asked: Fault(body=b"[" * 300_000) if asked.text == "b" else FINE
    found = answers(engine(server, max_reply_megabytes=0.2), "a", "b")
    assert ["end", "failed"] == [found[text].stop_reason for text in "ab"]
    assert "an answer of more than 0.2 MB (`max_reply_megabytes`)" == found["b"].reason
    assert 1 == server.texts["b"]


def test_a_quota_of_a_day(server: ModelServer) -> None:
    """It ends the work, which can be resumed: no wait of minutes helps."""
    violation = {"quotaId": "GenerateRequestsPerDayPerProjectPerModel-FreeTier"}
    error = {"code": 429, "message": "quota", "details": [{"violations": [violation]}]}
    server.wrong = lambda asked: Fault(status=429, body=json.dumps({"error": error}).encode())
    with pytest.raises(EngineError, match="answers nothing more today: the quota is used up"):
        answers(engine(server), "a")
    assert 1 == len(server.asked)


@pytest.mark.parametrize("code", WRONG)
def test_a_wrong_request_is_reported(server: ModelServer, code: int) -> None:
    """Without further tries: the model, the address, what to fix, the service's words, and never the key."""
    server.wrong = lambda asked: status(code, "no use of AIza-secret")
    with pytest.raises(ModelError, match=f"model 'judge': {server.address} .* {WRONG[code]}") as reported:
        answers(engine(server), "a")
    assert f"({code} no use of …)" in str(reported.value)
    # 400 may be about one request: a short text is tried. Google's library tries a rejected key again
    assert {400: 2, 401: 3}.get(code, 1) == len(server.asked)


def test_a_wrong_key_is_said_by_400_too(server: ModelServer) -> None:
    """As Google does."""
    server.wrong = lambda asked: status(400, "API key not valid. Please pass a valid API key.")
    with pytest.raises(ModelError, match="correct the key in the environment variable GEMINI_API_KEY"):
        answers(engine(server), "a")


def test_many_at_once_and_an_early_end(server: ModelServer) -> None:
    """As many as `concurrency`, as they arrive; closing does not wait for the library's threads."""
    server.wrong = lambda asked: Fault(delay=0.3 if asked.text == "0" else 3)
    coming = engine(server).generate([turn(str(number)) for number in range(4)], GREEDY)
    assert 0 == next(coming)[0]
    started = time.monotonic()
    coming.close()  # type: ignore[attr-defined]  # of the value that is made here
    assert time.monotonic() - started < 1
    assert 4 == server.most_at_once


def test_what_the_interface_lacks_is_refused(server: ModelServer) -> None:
    """Bare texts, turns to be gone on with, log-likelihoods and rendering, before anything is asked."""
    asked = engine(server)
    unfinished = Prompt(content=(turn("a").content[0], Message(role="assistant", content="Sure")))
    with pytest.raises(UsageError, match="takes turns only"):
        asked.generate([Prompt(content="once upon")], GREEDY)
    with pytest.raises(UsageError, match="in the middle of its own turn"):
        asked.generate([unfinished], GREEDY)
    with pytest.raises(ModelError, match="cannot be scored"):
        asked.loglikelihood([("a", " b")])
    with pytest.raises(ModelError, match="applies its chat template itself"):
        asked.render([Message(role="user", content="a")])
    assert not asked.can_score
    assert [] == server.asked


def test_two_models_keep_their_own_keys(server: ModelServer, monkeypatch: pytest.MonkeyPatch) -> None:
    """The library's configuration is one for the whole process; an engine's is its own."""
    monkeypatch.setenv("OTHER_KEY", "AIza-other")
    first = engine(server)
    other = GeminiEngine("other", Gemini(model="h", url=server.address, key_env="OTHER_KEY"))
    for asked in (first, other, first):
        answers(asked, "a")
    assert ["AIza-secret", "AIza-other", "AIza-secret"] == [
        sent.headers["x-goog-api-key"] for sent in server.asked
    ]


def test_what_identifies_it(server: ModelServer) -> None:
    """Address and name, and neither key nor limits."""
    source = Gemini(model="g")
    same = replace(source, key_env="K", limits=RequestLimits(retries=1))
    others = [replace(source, model="h"), replace(source, url="http://x")]
    assert 3 == len({identify_gemini(each).fingerprint for each in (source, *others)})
    assert identify_gemini(source) == identify_gemini(same) == identify_model(Model(name="j", source=source))
    assert SERVED_TEMPLATE == identify_gemini(source).chat_template
    opened = open_engine(Model(name="j", source=source))
    assert identify_gemini(source).fingerprint == opened.info.fingerprint
    opened.close()


def test_the_end_of_support_is_not_reported_over_and_over() -> None:
    """The library warns whenever it is imported; here, and only here, that is silenced."""
    done = subprocess.run(
        [sys.executable, "-W", "always", "-c", "import harness.engine.services.gemini"],
        capture_output=True,
        text=True,
        check=True,
    )
    assert "support for the `google.generativeai` package has ended" not in done.stderr


@pytest.mark.parametrize("use", [check_model, open_engine])
def test_the_extra_is_named_where_it_is_missing(
    use: Callable[[Model], object], monkeypatch: pytest.MonkeyPatch
) -> None:
    """With the command that installs it."""
    monkeypatch.setattr(opening, "find_spec", lambda package: None)
    with pytest.raises(UsageError, match=r'pip install "harness\[gemini\]"'):
        use(Model(name="j", source=Gemini(model="g")))


@pytest.mark.parametrize("use", [check_model, open_engine])
def test_a_key_that_is_not_set(use: Callable[[Model], object], monkeypatch: pytest.MonkeyPatch) -> None:
    """Is reported before anything is asked, and not looked for elsewhere."""
    monkeypatch.delenv("GEMINI_API_KEY", raising=False)
    monkeypatch.setenv("GOOGLE_API_KEY", "x")
    with pytest.raises(ModelError, match="model 'j': the environment variable GEMINI_API_KEY"):
        use(Model(name="j", source=Gemini(model="g")))


# ---------------------------------------------------------------- answers by a schema

SCHEMA = json.dumps(
    {
        "type": "object",
        "properties": {"reasoning": {"type": "string"}, "verdict": {"type": "string", "enum": ["A", "B"]}},
        "required": ["reasoning", "verdict"],
        "additionalProperties": False,
    }
)


STRING, OBJECT = 1, 6
"""The library sends a type by its number (google.ai.generativelanguage.Type), which the service takes."""


def test_an_answer_is_held_to_a_schema(server: ModelServer) -> None:
    """In Gemini's own words; a request without one sends nothing of it."""
    assert takes_schema(Model(name="a", source=Gemini(model="g")))
    list(engine(server).generate([replace(turn("hi"), schema=SCHEMA), turn("ho")], GREEDY))
    sent = {asked.text: asked.body["generationConfig"] for asked in server.asked}
    assert "application/json" == sent["hi"]["responseMimeType"]
    schema = sent["hi"]["responseSchema"]
    assert OBJECT == schema["type"]
    assert ["reasoning", "verdict"] == schema["required"] == sorted(schema["properties"])
    assert {"type": STRING, "format": "enum", "enum": ["A", "B"]} == schema["properties"]["verdict"]
    assert not {"responseMimeType", "responseSchema"} & set(sent["ho"])


def test_a_refused_schema_is_distinguished(server: ModelServer) -> None:
    """So that the caller can ask without one; a key that is refused is about the key."""
    held = replace(turn("hi"), schema=SCHEMA)
    server.wrong = lambda asked: status(400, "responseSchema is not supported")
    with pytest.raises(SchemaRefused, match="responseSchema is not supported"):
        list(engine(server).generate([held], GREEDY))
    with pytest.raises(ModelError) as caught:
        list(engine(server).generate([turn("hi")], GREEDY))
    assert not isinstance(caught.value, SchemaRefused)
    server.wrong = lambda asked: status(400, "API key not valid")
    with pytest.raises(ModelError, match="correct the key") as caught:
        list(engine(server).generate([held], GREEDY))
    assert not isinstance(caught.value, SchemaRefused)


def test_thinking_is_paid_for(server: ModelServer) -> None:
    """It is in the total of tokens only, and counts to the answer's."""
    usage = {"promptTokenCount": 5, "candidatesTokenCount": 2, "totalTokenCount": 47}
    content = {"role": "model", "parts": [{"text": "A"}]}
    reply = {"candidates": [{"content": content, "finishReason": "STOP"}], "usageMetadata": usage}
    server.wrong = lambda asked: Fault(body=json.dumps(reply).encode())
    [(_, answer)] = engine(server).generate([turn("hi")], GREEDY)
    assert (5, 42) == (answer.prompt_tokens, answer.completion_tokens)
