"""Several calls given at the same time: every request keeps its index, whatever part of them is asked."""

from collections.abc import Iterator, Sequence

from hypothesis import given
from hypothesis import strategies as st

from harness.calls import AnswersTogether, Call, ScoringCall, WritingCall, answers_of, merged, parts_of
from harness.records.answers import LogLikelihood, Prompt, Response, SamplingParameters
from tests.harness.engine.scripted import ScriptedEngine

SAMPLINGS = [SamplingParameters(max_tokens=9), SamplingParameters(max_tokens=9, temperature=1.0)]
texts = st.text("ab", min_size=1, max_size=3)
writing = st.builds(
    WritingCall, st.lists(st.builds(lambda text: Prompt(content=text), texts)), st.sampled_from(SAMPLINGS)
)
scoring = st.builds(ScoringCall, st.lists(st.tuples(texts, texts)))
calls_of_any_kind = st.lists(st.one_of(writing, scoring), max_size=5)


def flat(calls: Sequence[Call]) -> list[object]:
    """Every request, in order."""
    return [
        each
        for call in calls
        for each in (
            call.pairs
            if isinstance(call, ScoringCall)
            else [(prompt.content, call.sampling) for prompt in call.prompts]
        )
    ]


def echo() -> ScriptedEngine:
    """Answers with the question."""
    return ScriptedEngine(
        lambda prompt: str(prompt.content),
        likelihood=lambda context, continuation: -float(f"{len(context)}{len(continuation)}"),
    )


@given(calls_of_any_kind)
def test_indices_count_on(calls: list[Call]) -> None:
    """One engine answers one call after the other."""
    asked = flat(calls)
    found = dict(answers_of(echo(), calls))
    assert found.keys() == set(range(len(asked)))
    for index, answer in found.items():
        first, second = asked[index]  # type: ignore[misc]  # both kinds are pairs
        if isinstance(answer, Response):
            assert answer.text == first
        else:
            assert answer.logprob == -float(f"{len(first)}{len(second)}")


@given(calls_of_any_kind, st.data())
def test_a_part_has_its_requests_in_their_order(calls: list[Call], data: st.DataObject) -> None:
    """No call of it is empty, so that an engine is not asked for nothing."""
    asked = flat(calls)
    indices = sorted(data.draw(st.sets(st.sampled_from(range(len(asked)))))) if asked else []
    parts = parts_of(calls, indices)
    assert [asked[index] for index in indices] == flat(parts)
    assert all(map(len, parts))


@given(calls_of_any_kind)
def test_what_is_merged_is_one_call_of_each_kind(calls: list[Call]) -> None:
    """The same requests, as often."""
    found = merged(calls)
    assert sorted(map(repr, flat(calls))) == sorted(map(repr, flat(found)))
    kinds = [None if isinstance(call, ScoringCall) else call.sampling for call in found]
    assert len(kinds) == len(set(kinds))


def test_an_engine_that_can_is_given_all_at_once() -> None:
    """Others are not asked for what they do not have."""

    class Both(ScriptedEngine, AnswersTogether):
        def answers(self, calls: Sequence[Call]) -> Iterator[tuple[int, LogLikelihood]]:
            yield len(calls), LogLikelihood(logprob=0.0, greedy=True, tokens=1)

    [(number, _)] = answers_of(Both(), [ScoringCall([("a", "b")]), ScoringCall([("c", "d")])])
    assert number == 2
