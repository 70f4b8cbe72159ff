"""The engine whose answers are written down."""

import pytest

from harness.errors import EngineError, ModelError
from harness.protocols import Engine
from harness.records.answers import Message, Prompt, Response, SamplingParameters
from tests.harness.engine.scripted import ScriptedEngine

SAMPLING = SamplingParameters(max_tokens=10)


def _texts(engine: Engine, *prompts: str, sampling: SamplingParameters = SAMPLING) -> list[str]:
    answers = dict(engine.generate([Prompt(content=prompt) for prompt in prompts], sampling))
    return [answers[index].text for index in range(len(prompts))]


def test_a_list_is_handed_out_in_order() -> None:
    """Answers come in the order of asking, over several calls, and running out is an error."""
    engine = ScriptedEngine(["one", "two", "three"])

    assert ["one", "two"] == _texts(engine, "a", "b")
    assert ["three"] == _texts(engine, "c")
    with pytest.raises(EngineError, match="all 3 scripted answers"):
        _texts(engine, "d")


def test_a_mapping_answers_by_prompt() -> None:
    """Texts are looked up as they are, turns as they are rendered."""
    engine = ScriptedEngine({"a": "1", "user: hello\nassistant:": "hi"}, chat_template="lines")
    turns = Prompt(content=(Message(role="user", content="hello"),))

    assert ["1"] == _texts(engine, "a")
    assert "hi" == dict(engine.generate([turns], SAMPLING))[0].text
    with pytest.raises(EngineError, match="nothing is scripted"):
        _texts(engine, "b")


def test_a_function_gets_the_prompt() -> None:
    """Draws of the same content can be distinguished."""
    engine = ScriptedEngine(lambda prompt: f"draw {prompt.draw}")
    prompts = [Prompt(content="x", draw=draw) for draw in range(2)]

    assert ["draw 0", "draw 1"] == [answer.text for _, answer in engine.generate(prompts, SAMPLING)]


def test_stop_and_length_are_honoured() -> None:
    """An answer ends before a stop string, and after `max_tokens` words."""
    engine = ScriptedEngine(lambda _: "one two three. four")

    assert ["one two three"] == _texts(engine, "a", sampling=SamplingParameters(max_tokens=10, stop=(".",)))
    answer = dict(engine.generate([Prompt(content="a")], SamplingParameters(max_tokens=2)))[0]
    assert Response(text="one two", stop_reason="length", completion_tokens=2) == answer


def test_scoring_needs_a_likelihood() -> None:
    """With a function it scores, without one it says that it cannot."""
    scoring = ScriptedEngine(likelihood=lambda context, continuation: -float(len(continuation)))

    assert scoring.can_score
    assert -3.0 == dict(scoring.loglikelihood([("a", "bcd")]))[0].logprob
    assert not ScriptedEngine().can_score
    with pytest.raises(EngineError, match="cannot score"):
        list(ScriptedEngine().loglikelihood([("a", "b")]))


def test_what_was_asked_is_remembered() -> None:
    """Prompts and pairs, in the order of asking."""
    engine = ScriptedEngine(["x"], likelihood=lambda *_: 0.0)
    _texts(engine, "a")
    list(engine.loglikelihood([("b", "c")]))

    assert [Prompt(content="a"), ("b", "c")] == engine.asked


def test_the_fingerprint_is_the_names_and_the_templates() -> None:
    """Equal names answer for the same model, other names or templates for another."""
    fingerprints = [
        ScriptedEngine(name="a").info.fingerprint,
        ScriptedEngine(name="a").info.fingerprint,
        ScriptedEngine(name="b").info.fingerprint,
        ScriptedEngine(name="a", chat_template="t").info.fingerprint,
    ]

    assert fingerprints[0] == fingerprints[1]
    assert 3 == len(set(fingerprints))


def test_turns_need_a_template() -> None:
    """Without a chat template turns are refused; with one they end with an open turn or the last message."""
    turns = [Message(role="user", content="hello"), Message(role="assistant", content="well")]
    engine = ScriptedEngine(chat_template="lines")

    assert "user: hello\nassistant: well" == engine.render(turns, open_turn=False)
    with pytest.raises(ModelError, match="no chat template"):
        ScriptedEngine().render(turns)
