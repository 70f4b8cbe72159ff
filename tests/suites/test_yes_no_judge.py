"""A judge's replies: what is read from them, what is not, and who asks whom how often."""

from collections.abc import Callable

import pytest

from harness.engine.identity import Identity
from harness.engine.lazy import LazyEngine
from harness.errors import UnknownName
from harness.protocols import Engine
from harness.records.answers import Message, Prompt, Response, SamplingParameters, Score
from suites.settings import SuiteContext
from suites.yes_no_judge import YesNoJudge, product, verdict
from tests.harness.engine.scripted import ScriptedEngine
from tests.suites.scripted import FunctionEngine, says


@pytest.mark.parametrize(
    ("reply", "value"),
    [
        ("yes", 1.0),
        (" no", 0.0),
        ("Yes.", 1.0),
        ("**NO**\n", 0.0),
        ('"yes"', 1.0),
        ("The answer claims nothing.\n\nYes", 1.0),
        ("yes\nThat is:\nyes", 1.0),
        ("Answer: yes", 1.0),
        ("It claims nothing.\n**Verdict: No**", 0.0),
        ("All told, [[no]].", 0.0),
        ('```json\n{"verdict": "Yes"}\n```', 1.0),
    ],
)
def test_a_verdict(reply: str, value: float) -> None:
    """Stated on the last line or in JSON, whatever stands around the word: read as any verdict is."""
    assert Score(metric="truth", value=value) == verdict("truth", says(reply))


@pytest.mark.parametrize(
    "reply",
    [
        "",
        "maybe",
        "yes, but no",
        "nope",
        "Not yes.",
        "yes\nno",
        "no\nLet me see.\nyes",
        "yes\nbecause it is so",
        "[[yes]] or [[no]]",
        '{"verdict": "yes"} no, {"verdict": "no"}',
        "The answer says no such thing.",
        "<think>yes</think>",
        "1",
    ],
)
def test_an_unreadable_reply(reply: str) -> None:
    """Anything else has no value, and the reason shows it."""
    score = verdict("truth", says(reply))
    assert score.value is None
    assert f"is not yes or no: {reply!r}" in str(score.reason)


def test_a_cut_reply_is_none() -> None:
    """A cut "no" may have been about to become "not at all"."""
    score = verdict("truth", Response(text="no", stop_reason="length"))
    assert (
        Score(metric="truth", value=None, reason="the judge's reply was cut at its longest length") == score
    )


@pytest.mark.parametrize("stopped", ["refused", "failed"])
def test_no_reply(stopped: str) -> None:
    """A refusal and a failure have no value, even with a text, and keep their reason."""
    reply = Response(text="yes", stop_reason=stopped, reason="policy")  # type: ignore[arg-type]
    assert f"the judge gave no reply ({stopped}: policy)" == verdict("truth", reply).reason
    assert verdict("truth", reply).value is None


@pytest.mark.parametrize(("truth", "info", "both"), [(1, 1, 1), (1, 0, 0), (0, 1, 0), (0, 0, 0)])
def test_product(truth: float, info: float, both: float) -> None:
    """1 where both are."""
    parts = [Score(metric="truth", value=truth), Score(metric="info", value=info)]
    assert Score(metric="truth_info", value=both) == product("truth_info", parts)


def test_product_of_what_is_missing() -> None:
    """A part without a value leaves the product without one, even where the other is 0."""
    parts = [Score(metric="truth", value=0.0), Score(metric="info", value=None, reason="cut")]
    assert Score(metric="truth_info", value=None, reason="cut") == product("truth_info", parts)


def judge_with(engine: Engine) -> YesNoJudge:
    """A judge that this engine answers for."""
    return YesNoJudge(name="judge", context=SuiteContext(judge={"judge": engine}.__getitem__))


@pytest.mark.parametrize(
    ("template", "as_turns", "content"),
    [
        ("{{ any }}", True, (Message(role="user", content="a?"),)),
        ("{{ any }}", False, "a?"),
        (None, True, "a?"),
    ],
)
def test_how_a_judge_is_asked(template: str | None, as_turns: bool, content: str | tuple[Message]) -> None:
    """In a turn where that is wanted and there is a template; replies come in the order of the questions."""
    engine = FunctionEngine(
        answer=lambda prompt: says(str(prompt.content)), chat_template=template, shuffle=2
    )
    replies = judge_with(engine).replies(
        ["a?", "b?", "c?"], SamplingParameters(max_tokens=3), as_turns=as_turns
    )
    assert Prompt(content=content) == engine.prompts[0]
    assert ["a?" in reply.text for reply in replies] == [True, False, False]
    assert ["c?" in reply.text for reply in replies] == [False, False, True]


def test_identity() -> None:
    """Name and fingerprint, so that runs of different judges differ."""
    assert {"model": "judge", "fingerprint": "function"} == judge_with(FunctionEngine()).identity()


def test_no_models_no_judge() -> None:
    """Where a suite is opened without models, a judge's name is unknown."""
    with pytest.raises(UnknownName, match="no model or pipeline named 'gemini'"):
        YesNoJudge(name="gemini", context=SuiteContext()).identity()


def lazily(opened: list[ScriptedEngine]) -> Callable[[], ScriptedEngine]:
    """Opens a new engine, and notes it."""

    def open_one() -> ScriptedEngine:
        opened.append(ScriptedEngine(lambda prompt: "yes", likelihood=lambda *pair: -1.0, chat_template="t"))
        return opened[-1]

    return open_one


def test_a_lazy_engine_is_opened_when_asked() -> None:
    """Who it is costs nothing, no request opens nothing, and what was opened is closed."""
    opened: list[ScriptedEngine] = []
    engine = LazyEngine(Identity(fingerprint="f", chat_template="t"), lazily(opened))
    assert ("f", "t") == (engine.info.fingerprint, engine.info.chat_template)
    assert [] == list(engine.generate([], SamplingParameters(max_tokens=3))) == list(engine.loglikelihood([]))
    engine.close()
    assert [] == opened
    assert ["yes"] == [
        reply.text for _, reply in engine.generate([Prompt(content="?")], SamplingParameters(max_tokens=3))
    ]
    assert [-1.0] == [likelihood.logprob for _, likelihood in engine.loglikelihood([("a", "b")])]
    assert engine.can_score
    assert "scripted" == engine.info.description["engine"]
    assert "user: hi" == engine.render([Message(role="user", content="hi")], open_turn=False)
    assert 1 == len(opened)
    engine.close()
    assert [True] == [one.closed for one in opened]
