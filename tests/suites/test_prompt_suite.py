"""A suite of prompts that nothing scores: each is asked in the way the model is used to."""

from collections.abc import Sequence

from harness.records.answers import Message, Sample, SamplingParameters
from harness.turns import turns_or_text
from suites.prompt_suite import PromptSuite
from tests.suites.scripted import FunctionEngine, says

TURNS = (Message(role="system", content="Be brief."), Message(role="user", content="Why?"))
SAMPLES = (Sample(id="a", prompt="Hi"), Sample(id="b", prompt=TURNS))
SAMPLING = SamplingParameters(max_tokens=8)


def answers(samples: Sequence[Sample] = SAMPLES, sampling: SamplingParameters = SAMPLING) -> PromptSuite:
    """The suite over these prompts."""
    return PromptSuite("mine", samples, sampling)


def test_turns_for_a_model_that_takes_turns() -> None:
    """A text is a user's turn; turns stay as they are. Each row has its sample, its place and the answer."""
    engine = FunctionEngine(
        answer=lambda prompt: says(str(len(prompt.content))), chat_template="x", shuffle=3
    )
    rows = sorted(answers().rows(engine), key=lambda row: row.position)
    assert [(Message(role="user", content="Hi"),), TURNS] == [prompt.content for prompt in engine.prompts]
    assert [SAMPLING] == engine.samplings
    assert [("a", 0, says("1")), ("b", 1, says("2"))] == [
        (row.sample.id, row.position, row.responses[0]) for row in rows
    ]
    assert all(row.scores == () for row in rows)


def test_text_for_a_model_that_has_no_template() -> None:
    """Turns become their texts, one under the other."""
    engine = FunctionEngine(answer=lambda prompt: says(""))
    list(answers().rows(engine))
    assert ["Hi", "Be brief.\n\nWhy?"] == [prompt.content for prompt in engine.prompts]
    assert "Hi" == turns_or_text("Hi", chat=False)


def test_what_makes_it_another_run() -> None:
    """Prompts, their names and their order count, and how answers are drawn; what tags them does not."""
    usual = answers()
    assert "prompts:mine" == usual.name
    assert usual.size == 2
    assert usual.data_hash != answers(SAMPLES[:1]).data_hash
    assert usual.data_hash != answers((SAMPLES[0], Sample(id="c", prompt=TURNS))).data_hash
    tagged = Sample(id="a", prompt="Hi", tags={"category": "greeting"})
    assert usual.data_hash == answers((tagged, SAMPLES[1])).data_hash
    assert usual.settings("x") != answers(sampling=SamplingParameters(max_tokens=9)).settings("x")
    assert usual.settings("x") != usual.settings(None)
