"""An OpenAI-compatible server over a real socket: what is sent, what comes back, and all that goes wrong."""

import gzip
import json
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import pytest

from harness.engine.opening import check_model, identify_model, open_engine, takes_schema
from harness.engine.services.endpoint import EndpointEngine
from harness.engine.services.prompt_logprobs_check import TEXTS
from harness.engine.services.service_identity import identify_endpoint
from harness.errors import EngineError, ModelError, SchemaRefused, UsageError
from harness.protocols import SERVED_TEMPLATE
from harness.records.answers import LogLikelihood, Message, Prompt, Response, SamplingParameters
from harness.records.models import Endpoint, Model, RequestLimits
from harness.thoughts import OUT_OF_TOKENS
from tests.harness.engine.services.test_rate_limits import FakeClock
from tests.serving import (
    FINE,
    Asked,
    Columns,
    Fault,
    ModelServer,
    logprob_of,
    moved,
    of_another_model,
    of_the_next_place,
    rounded,
    status,
    tokens,
)

GREEDY = SamplingParameters(max_tokens=20)
DRAWN = SamplingParameters(max_tokens=20, temperature=0.7, top_p=0.9, seed=3)


@pytest.fixture
def server() -> Iterator[ModelServer]:
    """A server with nothing wrong yet."""
    with ModelServer() as serving:
        yield serving


def engine(server: ModelServer, *, clock: FakeClock | None = None, **source: Any) -> EndpointEngine:
    """An engine for the server that does not really wait between tries."""
    limits = source.pop("limits", RequestLimits(concurrency=4))
    endpoint = Endpoint(url=server.url, model="m", limits=limits)
    return EndpointEngine("served", replace(endpoint, **source), clock=clock or FakeClock())


def turn(text: str, draw: int = 0) -> Prompt:
    """A user's turn."""
    return Prompt(content=(Message(role="user", content=text),), draw=draw)


def answers(asked: EndpointEngine, *texts: str, sampling: SamplingParameters = GREEDY) -> dict[str, Response]:
    """Each text's answer, asked as a turn."""
    return {texts[at]: answer for at, answer in asked.generate([turn(text) for text in texts], sampling)}


# ---------------------------------------------------------------- what is sent and what comes back


def test_a_turn_goes_to_the_chat_interface(server: ModelServer) -> None:
    """With every turn and its role; greedy decoding sends no seed."""
    prompt = Prompt(
        content=(
            Message(role="system", content="Be brief."),
            Message(role="user", content="hi"),
            Message(role="assistant", content="yes?"),
            Message(role="user", content="say so"),
        )
    )
    [(index, answer)] = engine(server).generate([prompt], replace(GREEDY, stop=("\n",)))

    [asked] = server.asked
    assert "/v1/chat/completions" == asked.path
    assert asked.body == {
        "model": "m",
        "messages": [
            {"role": "system", "content": "Be brief."},
            {"role": "user", "content": "hi"},
            {"role": "assistant", "content": "yes?"},
            {"role": "user", "content": "say so"},
        ],
        "max_tokens": 20,
        "temperature": 0.0,
        "stop": ["\n"],
    }
    assert (0, "SAY SO", "end", 2, 2) == (
        index,
        answer.text,
        answer.stop_reason,
        answer.prompt_tokens,
        answer.completion_tokens,
    )
    assert answer.seconds > 0


def test_a_text_goes_to_plain_completions(server: ModelServer) -> None:
    """Whatever the interface for turns is: a text is never disguised as a turn."""
    for api in ("chat", "completions"):
        [(_, answer)] = engine(server, api=api).generate([Prompt(content="once upon")], GREEDY)
        assert "ONCE UPON" == answer.text
    assert ["/v1/completions"] * 2 == [asked.path for asked in server.asked]
    assert "once upon" == server.asked[0].body["prompt"]


def test_an_address_with_a_query(server: ModelServer) -> None:
    """Such as Azure's: the interface's path comes before it."""
    [(_, answer)] = engine(server, url=f"{server.url}/?api-version=2024-10-21").generate([turn("a")], GREEDY)
    assert "A" == answer.text
    assert ["/v1/chat/completions"] == [asked.path for asked in server.asked]
    assert ["api-version=2024-10-21"] == [asked.query for asked in server.asked]


def test_every_draw_has_a_seed_of_its_own(server: ModelServer) -> None:
    """The same request has the same seed in any order; another draw, text or seed has another."""

    def seeds(prompts: list[Prompt], sampling: SamplingParameters = DRAWN) -> dict[Prompt, int]:
        begun = len(server.asked)
        asked = engine(server, limits=RequestLimits(concurrency=1))
        list(asked.generate(prompts, sampling))
        return {prompt: sent.body["seed"] for prompt, sent in zip(prompts, server.asked[begun:], strict=True)}

    prompts = [turn("a"), turn("a", draw=1), turn("b"), Prompt(content="a")]
    found = seeds(prompts)
    assert 4 == len(set(found.values()))
    assert found == seeds(prompts[::-1])
    assert not set(found.values()) & set(seeds(prompts, replace(DRAWN, seed=4)).values())
    assert all(0 <= seed < 2**31 for seed in found.values())
    assert (0.7, 0.9) == (server.asked[0].body["temperature"], server.asked[0].body["top_p"])


def test_stop_strings_cut_exactly(server: ModelServer) -> None:
    """Four are sent, as many as the interface takes; every one of them cuts, whatever the server does."""
    sampling = replace(GREEDY, stop=("1", "", "2", "3", "4", "FOX"))
    [answer] = answers(engine(server), "the quick fox jumps", sampling=sampling).values()
    assert ("THE QUICK ", "end") == (answer.text, answer.stop_reason)
    assert ["1", "2", "3", "4"] == server.asked[0].body["stop"]


@pytest.mark.parametrize(
    ("choice", "text", "stopped", "reason"),
    [
        ({"message": {"content": "all"}, "finish_reason": "length"}, "all", "length", None),
        ({"message": {"content": None}, "finish_reason": "length"}, "", "thinking", OUT_OF_TOKENS),
        ({"message": {"content": ""}, "finish_reason": "stop"}, "", "end", None),
        (
            {"message": {"content": [{"type": "text", "text": "a"}, {"type": "text", "text": "b"}]}},
            "ab",
            "end",
            None,
        ),
        (
            {"message": {"content": [{"type": "image", "text": "hm"}]}, "finish_reason": "stop"},
            "",
            "refused",
            "the server gave no text (finish_reason 'stop')",
        ),
        (
            {"message": {"content": None}, "finish_reason": "stop"},
            "",
            "refused",
            "the server gave no text (finish_reason 'stop')",
        ),
        (
            {
                "message": {"content": [{"type": "text"}, {"type": "text", "text": None}]},
                "finish_reason": "stop",
            },
            "",
            "refused",
            "the server gave no text (finish_reason 'stop')",
        ),
        (
            {"message": {"content": "", "tool_calls": [{"id": "1"}]}, "finish_reason": "tool_calls"},
            "",
            "refused",
            "the model called tools and wrote no text",
        ),
        (
            {"message": {"content": None, "tool_calls": [{"id": "1"}]}, "finish_reason": "tool_calls"},
            "",
            "refused",
            "the model called tools and wrote no text",
        ),
        (
            {"message": {"content": "Paris", "tool_calls": [{"id": "1"}]}, "finish_reason": "tool_calls"},
            "Paris",
            "end",
            None,
        ),
        (
            {"message": {"content": "We"}, "finish_reason": "content_filter"},
            "",
            "refused",
            "the server's content filter",
        ),
        (
            {"message": {"content": None, "refusal": "I won't"}, "finish_reason": "stop"},
            "",
            "refused",
            "I won't",
        ),
    ],
)
def test_how_an_answer_ended(
    server: ModelServer, choice: dict[str, Any], text: str, stopped: str, reason: str | None
) -> None:
    """By its length, by a filter, or by itself; without `usage`, nothing is known of tokens."""
    server.wrong = lambda asked: Fault(body=json.dumps({"choices": [choice]}).encode())
    [answer] = answers(engine(server), "x").values()
    assert (text, stopped, reason, 0) == (
        answer.text,
        answer.stop_reason,
        answer.reason,
        answer.prompt_tokens,
    )


def test_a_filtered_prompt_is_refused(server: ModelServer) -> None:
    """Some servers say it by an error, which is an answer all the same."""
    error = {"error": {"message": "the prompt was filtered", "code": "content_filter"}}
    server.wrong = lambda asked: Fault(status=400, body=json.dumps(error).encode())
    [answer] = answers(engine(server), "x").values()
    assert ("refused", "the prompt was filtered") == (answer.stop_reason, answer.reason)
    assert 1 == len(server.asked)


def test_any_text_can_be_asked(server: ModelServer) -> None:
    """Also what no UTF-8 can hold."""
    text = "nul \0, half of a pair \ud800, 語"
    assert text.upper() == answers(engine(server), text)[text].text
    assert "application/json" == server.asked[0].headers["Content-Type"]


def test_many_are_asked_at_once_and_come_as_they_arrive(server: ModelServer) -> None:
    """As many as `concurrency`, and a slow one holds nobody back."""
    server.wrong = lambda asked: Fault(delay=0.5 if asked.text == "0" else 0.05)
    came = list(engine(server).generate([turn(str(number)) for number in range(12)], GREEDY))
    assert 4 == server.most_at_once
    assert 0 == came[-1][0]
    assert set(range(12)) == {index for index, _ in came}


def test_closing_ends_at_once(server: ModelServer) -> None:
    """Nobody waits for answers that nobody wants any more."""
    server.wrong = lambda asked: Fault(delay=0 if asked.text == "0" else 3)
    coming = engine(server).generate([turn(str(number)) for number in range(4)], GREEDY)
    next(coming)
    started = time.monotonic()
    coming.close()  # type: ignore[attr-defined]  # of the value that is made here
    assert time.monotonic() - started < 1


def test_what_the_interface_lacks_is_refused(server: ModelServer) -> None:
    """Rather than silently left out, and before anything is asked."""
    unfinished = Prompt(content=(turn("a").content[0], Message(role="assistant", content="Sure")))
    with pytest.raises(UsageError, match="`top_k` is not part of the OpenAI interface"):
        engine(server).generate([turn("a")], replace(DRAWN, top_k=5))
    with pytest.raises(UsageError, match="in the middle of the assistant's turn"):
        engine(server).generate([unfinished], GREEDY)
    with pytest.raises(ModelError, match=r'model .served. takes no turns \(`api = "completions"`\)'):
        engine(server, api="completions").generate([turn("a")], GREEDY)
    with pytest.raises(ModelError, match="applies its chat template itself"):
        engine(server).render([Message(role="user", content="a")])
    assert [] == server.asked
    list(engine(server).generate([turn("a")], replace(GREEDY, top_k=5)))  # greedy decoding ignores it


# ---------------------------------------------------------------- what goes wrong and mends


MENDING: dict[str, Callable[[Asked], Fault]] = {
    "429 with seconds": lambda asked: status(429, Retry_After="1"),
    "429 with a date": lambda asked: status(429, Retry_After="Wed, 21 Oct 2015 07:28:00 GMT"),
    **{str(code): lambda asked, code=code: status(code) for code in (408, 500, 502, 503, 504)},
    "no JSON": lambda asked: Fault(body=b"{'oops"),
    "an empty body": lambda asked: Fault(body=b""),
    "a list": lambda asked: Fault(body=b"[]"),
    "no choices": lambda asked: Fault(body=b'{"choices": []}'),
    "an error in an answer": lambda asked: Fault(body=b'{"error": {"message": "overloaded"}}'),
    "no message": lambda asked: Fault(body=b'{"choices": [{"message": 3}]}'),
    "no text": lambda asked: Fault(body=b'{"choices": [{"message": {}}]}'),
    "brackets without end": lambda asked: Fault(body=b"[" * 5_000),
    "an error with brackets without end": lambda asked: Fault(status=503, body=b'{"error": ' + b"[" * 5_000),
    "5,000 digits": lambda asked: Fault(body=b'{"choices": ' + b"9" * 5_000 + b"}"),
    "broken off by the server": lambda asked: Fault(
        body=b'{"choices": [{"message": {"content": "I"}, "finish_reason": "error"}]}'
    ),
    "a body that breaks off": lambda asked: Fault(cut=True),
    "a closed connection": lambda asked: Fault(hang_up=True),
    "no answer in time": lambda asked: Fault(delay=0.6),
}


@pytest.mark.parametrize("what", MENDING)
def test_what_may_mend_is_tried_again(server: ModelServer, what: str) -> None:
    """Every request fails twice: none is lost, and none is asked again after its answer came."""
    server.wrong = lambda asked: MENDING[what](asked) if asked.tries < 2 else FINE
    asked = engine(server, limits=RequestLimits(concurrency=4, timeout=0.3 if "time" in what else 10))

    found = answers(asked, "a", "b", "c")

    assert {"a": "A", "b": "B", "c": "C"} == {text: answer.text for text, answer in found.items()}
    assert {"a": 3, "b": 3, "c": 3} == server.texts
    if "time" not in what:  # there the server finishes what nobody waits for
        assert [1, 1, 1] == list(server.answered.values())


def test_a_wait_that_is_asked_for(server: ModelServer) -> None:
    """Retry-After's seconds are waited, and jitter on top."""
    clock = FakeClock()
    server.wrong = lambda asked: status(429, Retry_After="17") if asked.tries == 0 else FINE
    answers(engine(server, clock=clock), "a")
    assert 17 <= sum(clock.slept) < 18


def test_a_request_that_is_never_answered_has_failed(server: ModelServer) -> None:
    """The others are answered, and the failed one says why."""
    server.wrong = lambda asked: status(503, "overloaded") if asked.text == "b" else FINE
    found = answers(engine(server, limits=RequestLimits(retries=2)), "a", "b", "c")
    assert ["end", "failed", "end"] == [found[text].stop_reason for text in "abc"]
    assert "503 overloaded (tried 3 times)" == found["b"].reason
    assert {"a": 1, "b": 3, "c": 1} == server.texts


def test_a_server_that_dies_and_comes_back(server: ModelServer) -> None:
    """Refused connections are tried again until it listens."""

    class Reviving(FakeClock):
        async def sleep(self, seconds: float) -> None:
            await super().sleep(seconds)
            if not server.is_up and len(self.slept) > 12:
                server.start()

    def dies(asked: Asked) -> Fault:
        if asked.number == 5:
            server.stop()
            return Fault(hang_up=True)
        return FINE

    server.wrong = dies
    found = answers(
        engine(server, clock=Reviving(), limits=RequestLimits(concurrency=3, retries=20)), *"abcdefgh"
    )
    assert {letter: letter.upper() for letter in "abcdefgh"} == {
        text: answer.text for text, answer in found.items()
    }
    assert {1} == set(server.answered.values())


def test_a_server_that_is_not_there(server: ModelServer) -> None:
    """Ends the work, which can be resumed, and does not make data of every question."""
    server.stop()
    with pytest.raises(EngineError, match=r"has answered none of the last \d+ requests \(no connection"):
        answers(engine(server, limits=RequestLimits(concurrency=2, retries=1)), *map(str, range(50)))


def test_brackets_without_end_are_one_failed_answer(server: ModelServer) -> None:
    """However often they come; the others are answered."""
    server.wrong = lambda asked: Fault(body=b"[" * 5_000) if asked.text == "b" else FINE
    found = answers(engine(server, limits=RequestLimits(retries=1)), "a", "b", "c")
    assert ["end", "failed", "end"] == [found[text].stop_reason for text in "abc"]
    assert "an answer that is not JSON" in str(found["b"].reason)


def test_a_reply_without_end(server: ModelServer) -> None:
    """No more than `max_reply_megabytes` of it is read; it is not asked again, and the answer has failed."""
    server.wrong = lambda asked: Fault(body=b"[" * 300_000) if asked.text == "b" else FINE
    found = answers(engine(server, limits=RequestLimits(max_reply_megabytes=0.2)), "a", "b")
    assert ["end", "failed"] == [found[text].stop_reason for text in "ab"]
    assert "an answer of more than 0.2 MB (`max_reply_megabytes`)" == found["b"].reason
    assert 1 == server.texts["b"]


def test_a_small_reply_that_grows_when_it_is_unpacked(server: ModelServer) -> None:
    """What is counted is what it takes here."""
    packed = gzip.compress(b"[" * 3_000_000)
    server.wrong = lambda asked: Fault(body=packed, headers={"Content-Encoding": "gzip"})
    [answer] = answers(engine(server, limits=RequestLimits(max_reply_megabytes=1)), "a").values()
    assert "an answer of more than 1 MB (`max_reply_megabytes`)" == answer.reason


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({"Retry_After_Ms": "2500", "Retry_After": "60"}, 2.5),
        ({"X_RateLimit_Reset_Requests": "6m0s", "X_RateLimit_Remaining_Requests": "0"}, 360),
        ({"X_RateLimit_Reset_Requests": "6m0s", "X_RateLimit_Remaining_Requests": "10"}, 360),
        (
            {
                "X_RateLimit_Reset_Requests": "6m0s",
                "X_RateLimit_Remaining_Requests": "10",
                "X_RateLimit_Reset_Tokens": "20ms",
                "X_RateLimit_Remaining_Tokens": "0",
            },
            0.02,
        ),
        ({"Retry_After": "1", "X_RateLimit_Reset_Tokens": "6m0s"}, 1),
        ({"X_RateLimit_Reset_Tokens": "soon"}, 0),
    ],
)
def test_other_waits_that_are_asked_for(server: ModelServer, headers: dict[str, str], seconds: float) -> None:
    """In milliseconds, or until a limit is free again: the one that is used up, where that is said."""
    clock = FakeClock()
    server.wrong = lambda asked: status(429, **headers) if asked.tries == 0 else FINE
    answers(engine(server, clock=clock), "a")
    assert seconds <= sum(clock.slept) <= seconds + 1


def test_limits_are_named_in_every_answer(server: ModelServer) -> None:
    """When they are free again is nothing to wait for where another error came."""
    clock = FakeClock()
    server.wrong = lambda asked: status(500, X_RateLimit_Reset_Tokens="6m0s") if asked.tries == 0 else FINE
    answers(engine(server, clock=clock), "a")
    assert sum(clock.slept) <= 1


@pytest.mark.parametrize(
    ("code", "error"),
    [
        (429, {"message": "check your plan", "code": "insufficient_quota"}),
        (429, {"message": "check your plan", "type": "insufficient_quota", "code": None}),
        (402, {"message": "check your plan"}),
    ],
)
def test_a_quota_that_is_used_up(server: ModelServer, code: int, error: dict[str, Any]) -> None:
    """It ends the work, which can be resumed, at once: no wait fills an account."""
    server.wrong = lambda asked: Fault(status=code, body=json.dumps({"error": error}).encode())
    with pytest.raises(EngineError, match=rf"nothing left to spend \({code} check your plan\)"):
        answers(engine(server), "a")
    assert 1 == len(server.asked)


# ---------------------------------------------------------------- what is refused


@pytest.mark.parametrize("code", [400, 413, 422])
def test_one_request_that_is_refused(server: ModelServer, code: int) -> None:
    """Its answer is refused with the server's words, the others are answered, and nothing is asked twice."""
    server.wrong = lambda asked: status(code, "8 tokens at most") if asked.text == "b" else FINE
    found = answers(engine(server), "a", "b", "c")
    assert ["end", "refused", "end"] == [found[text].stop_reason for text in "abc"]
    assert f"{code} 8 tokens at most" == found["b"].reason
    assert {"a": 1, "b": 1, "c": 1} == {text: server.texts[text] for text in "abc"}


@pytest.mark.parametrize("count", [1, 3, 40])
def test_all_that_is_asked_is_refused_for_what_it_says(server: ModelServer, count: int) -> None:
    """One request more, with a short text and everything else alike, shows that others would be answered.

    Its tokens are paid, and counted.
    """
    server.wrong = lambda asked: status(400, "too long") if "long" in asked.text else FINE
    prompts = [
        Prompt(content=(Message(role="system", content="Be brief."), *turn(f"long {number}").content))
        for number in range(count)
    ]
    found = dict(engine(server).generate(prompts, replace(GREEDY, stop=("\n",))))
    assert {"refused"} == {answer.stop_reason for answer in found.values()}
    assert set(range(count)) == set(found)
    assert count + 1 == len(server.asked)
    [short] = [asked.body for asked in server.asked if "long" not in asked.text]
    long = server.asked[0].body
    assert long["messages"][0] == short["messages"][0]
    assert {**long, "messages": None} == {**short, "messages": None}
    assert [(2, 2)] == [
        (answer.prompt_tokens, answer.completion_tokens) for answer in found.values() if answer.prompt_tokens
    ]


def test_a_text_to_be_continued_is_refused(server: ModelServer) -> None:
    """Alike."""
    server.wrong = lambda asked: status(400, "too long") if "long" in asked.text else FINE
    [(_, answer)] = engine(server).generate([Prompt(content="very long")], GREEDY)
    assert ("refused", "400 too long") == (answer.stop_reason, answer.reason)


def test_whatever_is_asked_is_refused(server: ModelServer) -> None:
    """A parameter that the server does not take: nothing is an answer, and soon nothing more is asked."""
    server.wrong = lambda asked: status(400, "'max_tokens' is not supported")
    found = []
    with pytest.raises(ModelError, match=r"refuses every request.*\(400 'max_tokens' is not supported\)"):
        found.extend(engine(server).generate([turn(str(number)) for number in range(100)], GREEDY))
    assert [] == found
    assert len(server.asked) < 40


def test_failed_answers_vouch_for_nothing(server: ModelServer) -> None:
    """Only an answer shows that requests are taken."""
    server.wrong = lambda asked: status(503 if asked.text == "a" else 400)
    with pytest.raises(ModelError, match="refuses every request"):
        answers(engine(server, limits=RequestLimits(retries=0)), "a", "b")


def test_a_short_text_that_is_never_answered(server: ModelServer) -> None:
    """Then it is not known whether all is refused: nothing is kept, and the work can be resumed."""
    server.wrong = lambda asked: status(400 if "long" in asked.text else 503)
    with pytest.raises(EngineError, match="did not answer: 503 not now"):
        answers(engine(server, limits=RequestLimits(retries=1)), "long")


# ---------------------------------------------------------------- what must be mended


WRONG: dict[int, str] = {
    400: "refuses every request",
    401: r"does not accept the key in the environment variable SERVED_KEY \(`key_env`\)",
    403: r"does not accept the key in the environment variable SERVED_KEY \(`key_env`\)",
    404: "knows no model 'm' there: correct `model` or `endpoint`",
    413: "refuses every request",
    422: "refuses every request",
    301: "will not answer this request",
}


@pytest.mark.parametrize("code", WRONG)
def test_a_wrong_request_is_reported(server: ModelServer, code: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without further tries: the model, the address, what to fix, the server's words, and never the key."""
    monkeypatch.setenv("SERVED_KEY", "sk-secret")
    server.wrong = lambda asked: status(code, "no use of sk-secret")
    with pytest.raises(
        ModelError, match=f"model 'served': {server.url}/chat/completions {WRONG[code]}"
    ) as reported:
        answers(engine(server, key_env="SERVED_KEY"), "a")
    assert f"({code} no use of …)" in str(reported.value)
    assert 2 == reported.value.exit_code
    assert (2 if code in (400, 413, 422) else 1) == len(server.asked)


def test_a_key_that_is_wanted(server: ModelServer) -> None:
    """Where none is configured, the key of the configuration is named."""
    server.wrong = lambda asked: status(401)
    with pytest.raises(
        ModelError, match="wants a key: name the environment variable that holds it as `key_env`"
    ):
        answers(engine(server), "a")


def test_plain_completions_that_are_missing(server: ModelServer) -> None:
    """A chat-only server is asked for a text: what to do is said."""
    server.completions = False
    with pytest.raises(
        ModelError, match=r'or ask in turns \(`api = "chat"`\), if it has no plain completions'
    ):
        list(engine(server).generate([Prompt(content="once")], GREEDY))


def test_the_key_is_sent_and_kept_nowhere(server: ModelServer, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is read when the engine opens, and is part neither of the fingerprint nor of the description."""
    without = engine(server)
    monkeypatch.setenv("SERVED_KEY", " sk-secret\n")
    keyed = engine(server, key_env="SERVED_KEY")
    answers(keyed, "a")
    assert "Bearer sk-secret" == server.asked[0].headers["Authorization"]
    assert without.info == keyed.info
    assert "secret" not in repr(keyed.info)


@pytest.mark.parametrize(
    ("value", "problem"), [(None, "is not set"), ("", "is not set"), ("schlüssel", "not a key")]
)
def test_a_key_that_is_not_there(value: str | None, problem: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Is reported before anything is asked."""
    monkeypatch.delenv("SERVED_KEY", raising=False)
    if value is not None:
        monkeypatch.setenv("SERVED_KEY", value)
    model = Model(name="served", source=Endpoint(url="http://x/v1", model="m", key_env="SERVED_KEY"))
    for use in (check_model, open_engine):
        with pytest.raises(ModelError, match=f"model 'served': .*SERVED_KEY.*{problem}"):
            use(model)


# ---------------------------------------------------------------- who it is


def test_what_identifies_a_served_model() -> None:
    """Address, name and interface, and neither key nor limits; nothing is reached to find out."""
    source = Endpoint(url="http://nobody.invalid/v1", model="m")
    same = replace(source, url="http://nobody.invalid/v1/", key_env="K", limits=RequestLimits(retries=1))
    others = [
        replace(source, url="http://x/v1"),
        replace(source, model="n"),
        replace(source, api="completions"),
    ]
    prints = {identify_endpoint(each).fingerprint for each in (source, *others)}
    assert 4 == len(prints)
    assert identify_endpoint(source) == identify_endpoint(same)
    assert SERVED_TEMPLATE == identify_model(Model(name="m", source=source)).chat_template
    assert identify_endpoint(others[2]).chat_template is None
    opened = open_engine(Model(name="m", source=source))
    assert identify_endpoint(source).fingerprint == opened.info.fingerprint


# ---------------------------------------------------------------- log-likelihoods


def test_log_likelihoods_where_the_server_echoes() -> None:
    """The sums of what the server's model thinks of the continuation's tokens."""
    pairs = [("the sky is", " blue and wide"), ("the sky is ", "green"), ("grass", " is green")]
    with ModelServer(echo=True) as server:
        asked = engine(server)
        found = dict(asked.loglikelihood(pairs))
        assert asked.can_score
        once = 1 + 2 * len(TEXTS)
        assert once + len(pairs) == len(server.asked)
        list(asked.loglikelihood([("a", " b")]))
        assert once + len(pairs) + 1 == len(server.asked), "whether it can score, and rightly, is asked once"
    for index, (context, continuation) in enumerate(pairs):
        before = context.rstrip()
        expected = []
        for token in tokens((context + continuation)[len(before) :]):
            expected.append(logprob_of(before, token))
            before += token
        assert sum(expected) == pytest.approx(found[index].logprob)
        assert all(value > -2 for value in expected) == found[index].greedy
        assert len(expected) == found[index].tokens


@pytest.mark.parametrize("completions", [True, False])
def test_a_server_that_does_not_echo(server: ModelServer, completions: bool) -> None:
    """It is asked once, and then refused with what to do."""
    server.completions = completions
    asked = engine(server)
    for _ in range(2):
        with pytest.raises(ModelError, match="does not echo the log-probabilities of a prompt"):
            asked.loglikelihood([("a", " b")])
    assert not asked.can_score
    assert 1 == len(server.asked)


def test_a_key_is_not_mistaken_for_a_missing_echo(server: ModelServer) -> None:
    """A rejected key says nothing of what the server can do."""
    server.wrong = lambda asked: status(401)
    with pytest.raises(ModelError, match="wants a key"):
        _ = engine(server).can_score


@pytest.mark.parametrize("distorted", [rounded, lambda columns: columns])
def test_an_echo_that_is_right(distorted: Callable[[Columns], Columns]) -> None:
    """Decimals that are cut and the noise of batches are no fault."""
    with ModelServer(echo=True, distorted=distorted) as server:
        [(_, found)] = engine(server).loglikelihood([("the sky is", " blue")])
    assert isinstance(found, LogLikelihood)
    assert logprob_of("the sky is", " blue") == pytest.approx(found.logprob, abs=0.06)


@pytest.mark.parametrize(
    ("distorted", "fault"),
    [
        (moved, "are shifted by one place: for '"),
        (of_the_next_place, "are shifted by one place: for '"),
        (of_another_model, "are not those of the tokens that it generates: for '"),
    ],
)
def test_an_echo_that_is_wrong(distorted: Callable[[Columns], Columns], fault: str) -> None:
    """Numbers of another place or another model are not believed, and none is asked for."""
    with ModelServer(echo=True, distorted=distorted) as server:
        asked = engine(server)
        for _ in range(2):
            with pytest.raises(
                ModelError, match=f"model 'served': .* cannot be asked for log-likelihoods: .* {fault}"
            ):
                asked.loglikelihood([("the sky is", " blue")])
        assert 1 + 2 * len(TEXTS) == len(server.asked)


def test_an_echo_that_cannot_be_checked() -> None:
    """A server that says nothing of what it generates is not believed what it echoes."""

    def dumb(asked: Asked) -> Fault:
        mute = {"choices": [{"text": " blue", "finish_reason": "stop", "logprobs": None}]}
        return FINE if "echo" in asked.body else Fault(body=json.dumps(mute).encode())

    with (
        ModelServer(echo=True, wrong=dumb) as server,
        pytest.raises(ModelError, match=r"that it echoes could not be checked: .* 0 tokens came back"),
    ):
        engine(server).loglikelihood([("the sky is", " blue")])


def test_pairs_that_are_refused() -> None:
    """One that is too long, filtered, or cannot be distinguished from its context is a refused response."""
    error = {"error": {"message": "no such talk", "code": "content_filter"}}
    faults = {"c d": status(400, "too long"), "e f": Fault(status=400, body=json.dumps(error).encode())}
    with ModelServer(echo=True, wrong=lambda asked: faults.get(asked.text, FINE)) as server:
        found = dict(engine(server).loglikelihood([("a", " b"), ("c", " d"), ("e", " f"), ("g", "h")]))
    assert isinstance(found[0], LogLikelihood)
    assert ["400 too long", "no such talk"] == [
        answer.reason for answer in (found[1], found[2]) if isinstance(answer, Response)
    ]
    assert isinstance(found[3], Response)
    assert "it is the end of a token that begins in its context" in str(found[3].reason)


def test_a_pair_that_is_never_answered_ends_the_work() -> None:
    """There is no failed log-likelihood; the others are handed out before the error is raised."""
    with ModelServer(echo=True) as server:
        server.wrong = lambda asked: status(500) if asked.text == "a b" else FINE
        found = []
        scoring = engine(server, limits=RequestLimits(concurrency=3, retries=1)).loglikelihood(
            [("a", " b"), ("c", " d"), ("e", " f")]
        )
        with pytest.raises(EngineError, match=r"did not answer: 500 not now \(tried 2 times\)"):
            found.extend(index for index, _ in scoring)
    assert {1, 2} == set(found)


def test_limits_are_kept(server: ModelServer) -> None:
    """Requests per minute, counted by the clock: 10 requests at 60 a minute take 9 seconds."""
    clock = FakeClock()
    limits = RequestLimits(concurrency=1, requests_per_minute=60)
    answers(engine(server, clock=clock, limits=limits), *map(str, range(10)))
    assert 9 == pytest.approx(sum(clock.slept))


# ---------------------------------------------------------------- answers by a schema

SCHEMA = '{"type": "object", "properties": {"verdict": {"type": "string"}}, "required": ["verdict"]}'


def test_an_answer_is_held_to_a_schema(server: ModelServer) -> None:
    """In the form of OpenAI's structured outputs; a request without one sends nothing of it."""
    held = replace(turn("hi"), schema=SCHEMA)
    list(engine(server).generate([held, turn("ho")], GREEDY))
    bodies = {asked.text: asked.body for asked in server.asked}
    assert bodies["hi"]["response_format"] == {
        "type": "json_schema",
        "json_schema": {"name": "answer", "strict": True, "schema": json.loads(SCHEMA)},
    }
    assert "response_format" not in bodies["ho"]


def test_a_refused_pair_is_no_refused_schema(server: ModelServer) -> None:
    """Where others are answered by the schema, or would be, it is the one request that is refused."""
    server.wrong = lambda asked: status(400, "too long") if "long" in asked.text else FINE
    for texts in (["a", "long", "b"], ["long"]):
        held = [replace(turn(text), schema=SCHEMA) for text in texts]
        found = dict(engine(server).generate(held, GREEDY))
        assert "refused" == found[texts.index("long")].stop_reason
    assert all("response_format" in asked.body for asked in server.asked)


@pytest.mark.parametrize("code", [400, 422, 501])
def test_a_refused_schema_is_distinguished(server: ModelServer, code: int) -> None:
    """So that the caller can ask without one; the same status without a schema is another mistake."""
    server.wrong = lambda asked: status(code, "no response_format here")
    with pytest.raises(SchemaRefused, match="no response_format here"):
        list(engine(server).generate([replace(turn("hi"), schema=SCHEMA)], GREEDY))
    with pytest.raises(ModelError) as caught:
        list(engine(server).generate([turn("hi")], GREEDY))
    assert not isinstance(caught.value, SchemaRefused)


def test_a_wrong_model_is_not_a_refused_schema(server: ModelServer) -> None:
    """A 404 would stay one without the schema."""
    server.wrong = lambda asked: status(404)
    with pytest.raises(ModelError, match="knows no model") as caught:
        list(engine(server).generate([replace(turn("hi"), schema=SCHEMA)], GREEDY))
    assert not isinstance(caught.value, SchemaRefused)


def test_which_models_can_be_held_to_a_schema() -> None:
    """Those behind a chat interface; whether they are is for their server to say."""
    chat = Endpoint(url="http://localhost:1", model="m")
    assert takes_schema(Model(name="a", source=chat))
    assert not takes_schema(Model(name="a", source=replace(chat, api="completions")))
