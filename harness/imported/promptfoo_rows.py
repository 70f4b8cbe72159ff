"""What a provider answered to promptfoo's tests, and what it scored.

`success` and `score` are of every test; the scores that assertions name, of the tests that have them; and an
assertion without a name is a metric where it stands in the same place of every test, with another one beside
it. Tests that ended in an error, and those whose grader failed, are written with the score 0; here they are
unscored.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from harness.engine.given_answers import STOP_REASONS
from harness.imported.fields import as_number, as_object, as_prompt, canonical, digest, in_one_line
from harness.imported.promptfoo_evaluation import PromptfooEvaluation, PromptfooTest, Result, variables
from harness.records.answers import Response, Row, Sample, Score

FAILED = 2
"""The `failureReason` of a test that ended in an error, and not by an assertion."""


def metric_names(tests: Sequence[PromptfooTest]) -> list[str]:
    """The metrics of these tests, `success` first."""
    named = sorted({name for test in tests for name in test.named} - {"success", "score"})
    in_all = range(min(len(test.asserts) for test in tests))
    several = any(len(test.asserts) > 1 for test in tests)
    shared = [
        _assertion(place, tests[0])
        for place in in_all
        if several
        and len({_assertion(place, test) for test in tests}) == 1
        and not any(test.asserts[place].get("metric") for test in tests)
    ]
    return ["success", "score", *named, *shared]


def _assertion(place: int, test: PromptfooTest) -> str:
    return f"assertion {place + 1} ({test.asserts[place].get('type')})"


def rows_of(evaluation: PromptfooEvaluation, provider: str, metrics: Sequence[str]) -> Iterator[Row]:
    """A row of each of a provider's tests; where tests were repeated, its draws."""
    named = {name for test in evaluation.tests.values() for name in test.named}
    for position, (key, draws) in enumerate(evaluation.results[provider].items()):
        test = evaluation.tests[key]
        yield Row(
            sample=_sample(test, draws[0]),
            responses=tuple(map(_response, draws)),
            scores=tuple(
                _score(metric, result, test)
                for metric in metrics
                if metric in test.named or metric not in named
                for result in draws
            ),
            position=position,
        )


def _sample(test: PromptfooTest, result: Result) -> Sample:
    metadata = as_object(as_object(result.get("testCase")).get("metadata"))
    tags = {name: value for name, value in metadata.items() if isinstance(value, str)}
    return Sample(
        id=test.id,
        prompt=as_prompt(as_object(result.get("prompt")).get("raw", test.template)),
        target="; ".join(map(_expected, test.asserts)) or None,
        cluster=digest(variables(result))[:16],
        tags={**tags, "prompt": test.template},
    )


def _expected(assertion: Mapping[str, Any]) -> str:
    kind, value = assertion.get("type"), assertion.get("value")
    return f"{kind} {value}" if isinstance(value, str | int | float) else str(kind)


def _response(result: Result) -> Response:
    answer, tokens = as_object(result.get("response")), as_object(result.get("tokenUsage"))
    output, failed = answer.get("output"), _unanswered(result)
    ended = STOP_REASONS.get(str(answer.get("finishReason")), "end")
    return Response(
        text=output if isinstance(output, str) else "" if output is None else canonical(output),
        stop_reason="failed" if failed else "length" if ended == "length" else "end",
        prompt_tokens=int(as_number(tokens.get("prompt")) or 0),
        completion_tokens=int(as_number(tokens.get("completion")) or 0),
        seconds=(as_number(result.get("latencyMs")) or 0.0) / 1000,
        reason=failed,
    )


def _unanswered(result: Result) -> str | None:
    """Why a test ended in an error; None where it did not."""
    if result.get("failureReason") != FAILED:
        return None
    return in_one_line(result.get("error") or "an error, of which promptfoo says nothing")


def _unscored(result: Result) -> str | None:
    """Why a result's score is none; None where it is one."""
    for component in _components(result):
        if as_object(component.get("metadata")).get("graderError") is True:
            return f"the grader failed: {in_one_line(component.get('reason'))}"
    return _unanswered(result)


def _components(result: Result) -> list[Mapping[str, Any]]:
    """What became of each assertion, without the sums of sets."""
    found = as_object(result.get("gradingResult")).get("componentResults") or ()
    return [each for each in found if "assertionSet" not in as_object(each.get("metadata"))]


def _score(metric: str, result: Result, test: PromptfooTest) -> Score:
    reason, value = _unscored(result), as_number(_value(metric, result, test))
    if reason is None and value is None:
        reason = "promptfoo gave no number"
    return Score(metric=metric, value=None if reason else value, reason=reason)


def _value(metric: str, result: Result, test: PromptfooTest) -> object:
    if metric in ("success", "score"):
        return result[metric]
    if metric in test.named:
        return as_object(result.get("namedScores")).get(metric)
    for place, component in enumerate(_components(result)[: len(test.asserts)]):
        kind = as_object(component.get("assertion")).get("type")
        if _assertion(place, test) == metric and kind == test.asserts[place].get("type"):
            return component.get("score")
    return None
