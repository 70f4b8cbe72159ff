"""The samples of a HELM run: what was answered to each, and its scores."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from harness.engine.given_answers import STOP_REASONS
from harness.imported.fields import (
    as_list,
    as_number,
    as_object,
    as_objects,
    as_prompt,
    as_text,
    in_one_line,
)
from harness.imported.helm_files import HelmKey, HelmRun, State, suffix
from harness.records.answers import LogLikelihood, Response, Row, Sample, Score


def rows_of(run: HelmRun, metrics: Sequence[str]) -> Iterator[Row]:
    """A row of each sample, with its scores of these metrics: those of its split and perturbation."""
    for position, (key, states) in enumerate(run.states.items()):
        instance = as_object(states[0]["instance"])
        of = suffix(instance.get("split"), instance.get("perturbation"))
        failed = {state["train_trial_index"]: why for state in states if (why := failure(state)) is not None}
        yield Row(
            sample=_sample(key, instance),
            responses=tuple(responses_of(states)),
            scores=tuple(
                _score(metric, means.get(metric), failed.get(trial))
                for metric in metrics
                if metric == metric.partition(" (")[0] + of
                for trial, means in run.stats.get(key) or [(0, {})]
            ),
            position=position,
        )


def _sample(key: HelmKey, instance: Mapping[str, Any]) -> Sample:
    given, references = as_object(instance.get("input")), as_objects(instance.get("references")) or []
    right = [_text(each) for each in references if "correct" in as_list(each.get("tags"))]
    return Sample(
        id=f"{key.instance} {key.perturbation}".strip(),
        prompt=as_prompt(given.get("messages") or given.get("text", "")),
        choices=tuple(map(_text, references)) if len(references) > len(right) else (),
        target=" | ".join(right) or None,
        cluster=key.instance,
    )


def _text(reference: Mapping[str, Any]) -> str:
    return str(as_object(reference.get("output")).get("text", ""))


def _score(metric: str, value: float | None, failed: str | None) -> Score:
    if failed is not None:
        return Score(metric=metric, value=None, reason=failed)
    return Score(metric=metric, value=value, reason="HELM gave none" if value is None else None)


def failure(state: State) -> str | None:
    """Why a request has no answer; None where it has."""
    result = as_object(state.get("result"))
    if result.get("success") is not False:
        return None if result else "the request was not made"
    return in_one_line(result.get("error") or "an error, of which HELM says nothing")


def responses_of(states: Sequence[State]) -> Iterator[Response | LogLikelihood]:
    """The texts, or the log-likelihoods of choices, in the order of the requests."""
    for state in states:
        completions = as_objects(as_object(state.get("result")).get("completions")) or []
        if state.get("request_mode") == "calibration":
            continue
        if state.get("reference_index") is None:
            yield from (_response(state, each) for each in completions)
        elif completions:
            yield from _likelihood(state, as_objects(completions[0].get("tokens")) or [])


def _response(state: State, completion: Mapping[str, Any]) -> Response:
    failed = failure(state)
    ended = STOP_REASONS.get(str(as_object(completion.get("finish_reason")).get("reason")), "end")
    return Response(
        text=str(completion.get("text", "")),
        stop_reason="failed" if failed else "length" if ended == "length" else "end",
        completion_tokens=len(as_list(completion.get("tokens"))),
        seconds=as_number(as_object(state["result"]).get("request_time")) or 0.0,
        thought=as_text(as_object(completion.get("thinking")).get("text")),
        reason=failed,
    )


def _likelihood(state: State, tokens: Sequence[Mapping[str, Any]]) -> Iterator[LogLikelihood]:
    """Of the reference, with which the echoed prompt ends: of the last tokens that have its length."""
    left, own = len(_text(state["instance"]["references"][state["reference_index"]])), []
    for token in reversed(tokens):
        if left <= 0:
            break
        own.append(as_number(token.get("logprob")))
        left -= len(str(token.get("text", "")))
    if own and None not in own:
        yield LogLikelihood(logprob=sum(filter(None, own)), greedy=False, tokens=len(own))
