"""Converts the requests of evaluation frameworks into an engine's, and its answers back.

All log-likelihoods of a call go to the engine at once, so that it can find what they share.
"""

import contextlib
import hashlib
import io
import logging
import random
from collections import defaultdict
from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar, cast

from harness.errors import EngineError, UsageError
from harness.protocols import SERVED_TEMPLATE, Engine
from harness.records.answers import LogLikelihood, Message, Prompt, Response, SamplingParameters

Request = tuple[str, str] | tuple[Prompt, SamplingParameters]
"""A context and the continuation to score, or a prompt and how to continue it."""
Answer = LogLikelihood | Response
DocumentT = TypeVar("DocumentT", bound=Hashable)
"""What names a document among those asked together."""
NameT = TypeVar("NameT", bound=Hashable)


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskMetric:
    """Something a task measures on each document by itself."""

    name: str
    higher_is_better: bool
    binary: bool


@dataclass(frozen=True, slots=True)
class TaskRows:
    """Rows in the place of a task's own documents."""

    rows: Sequence[Mapping[str, Any]]
    source: str = ""
    """What errors call them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AnsweredDocument:
    """What was asked about one document, what came back, and what that is worth."""

    index: int
    """The document's place in the task's documents, from 0."""
    requests: tuple[Request, ...]
    responses: tuple[Answer, ...]
    """One for each request."""
    values: Mapping[str, tuple[float, ...]]
    """By metric: one value, or several where the task gives a list. Empty where an answer failed."""
    failure: str | None = None


def check_can_answer(engine: Engine, wanted: Mapping[DocumentT, Iterable[Request]]) -> None:
    """Raise UsageError where documents need log-likelihoods, which this engine cannot give."""
    if any(isinstance(first, str) for requests in wanted.values() for first, _ in requests):
        check_can_score(engine)


def check_can_score(engine: Engine) -> None:
    """Raise UsageError for an engine that gives no log-likelihoods."""
    if not engine.can_score:
        about = engine.info.description
        which = f"{about['model']!r} at {about['url']}" if "url" in about else "this model's engine"
        raise UsageError(
            f"this suite needs log-likelihoods, which {which} cannot give; ask it suites that generate, or "
            "score a model that this machine loads (`path`), a server whose `/completions` echoes the "
            "log-probabilities of a prompt, or files of answers with `choices` and their `logprobs`"
        )


def answers_of(engine: Engine, requests: Iterable[Request]) -> Iterator[tuple[Request, Answer]]:
    """Every request with its answer: log-likelihoods first, then texts, all of one sampling together."""
    pairs: list[tuple[str, str]] = []
    prompts: dict[SamplingParameters, list[Prompt]] = defaultdict(list)
    for first, second in requests:
        if isinstance(first, str):
            pairs.append((first, cast(str, second)))
        else:
            prompts[cast(SamplingParameters, second)].append(first)
    if pairs:
        for index, log_likelihood in engine.loglikelihood(pairs):
            yield pairs[index], log_likelihood
    for sampling, asked in prompts.items():
        for index, response in engine.generate(asked, sampling):
            yield (asked[index], sampling), response


def all_answers(engine: Engine, requests: Iterable[Request], framework: str) -> Mapping[Request, Answer]:
    """An answer for each request, for a framework that cannot leave one unscored; equal ones are asked once.

    Raises EngineError where an answer is missing, and UsageError as `check_can_answer`.
    """
    distinct = list(dict.fromkeys(requests))
    check_can_answer(engine, {"asked": distinct})
    answers = dict(answers_of(engine, distinct))
    failure = failure_of(answers.values())
    if failure is not None:
        raise EngineError(f"{framework} cannot leave an answer unscored, and one is missing: {failure}")
    return answers


def documents_as_answered(
    engine: Engine, wanted: Mapping[DocumentT, Iterable[Request]]
) -> Iterator[tuple[DocumentT, Mapping[Request, Answer]]]:
    """Every document (by its name) as soon as all its requests are answered, with all answers so far.

    A request that several documents make is asked once.
    """
    waiting: dict[Request, list[DocumentT]] = defaultdict(list)
    missing: dict[DocumentT, int] = {}
    for index, requests in wanted.items():
        distinct = dict.fromkeys(requests)
        missing[index] = len(distinct)
        for request in distinct:
            waiting[request].append(index)
    answers: dict[Request, Answer] = {}
    for request, answer in answers_of(engine, waiting):
        answers[request] = answer
        for index in waiting[request]:
            missing[index] -= 1
            if missing[index] == 0:
                yield index, answers


def failure_of(answers: Iterable[Answer]) -> str | None:
    """Why answers cannot be scored, where one of them was refused or failed."""
    for answer in answers:
        if isinstance(answer, Response) and answer.unanswered is not None:
            return answer.unanswered
    return None


def logprobs_of(answers: Mapping[NameT, Answer]) -> dict[NameT, float]:
    """The log-likelihoods among the answers, by their names."""
    return {name: answer.logprob for name, answer in answers.items() if isinstance(answer, LogLikelihood)}


class Turns(str):
    """Turns on their way through a framework that knows texts only and hands a context on as it is."""

    messages: tuple[Message, ...]

    def __new__(cls, messages: Sequence[Message]) -> "Turns":
        """The turns, readable as text too."""
        turns = super().__new__(cls, "\n".join(f"{message.role}: {message.content}" for message in messages))
        turns.messages = tuple(messages)
        return turns


def renderer(engine: Engine) -> Callable[..., str]:
    """The engine's chat template, in the form in which evaluation frameworks call one.

    Where a service applies the template, the turns go through as they are.
    """

    def render(turns: list[dict[str, Any]], add_generation_prompt: bool = True) -> str:
        messages = [Message(role=turn["role"], content=turn["content"]) for turn in turns]
        if engine.info.chat_template == SERVED_TEMPLATE:
            return Turns(messages)
        return engine.render(messages, open_turn=add_generation_prompt)

    return render


@contextlib.contextmanager
def seeded(key: str) -> Iterator[None]:
    """`random` in a state that depends on the key alone, and afterwards as it was before."""
    before = random.getstate()
    random.seed(hashlib.sha256(key.encode()).hexdigest())
    try:
        yield
    finally:
        random.setstate(before)


@contextlib.contextmanager
def quiet(framework: str) -> Iterator[None]:
    """Without a framework's progress bars and warnings; errors are raised as ever."""
    logger = logging.getLogger(framework)
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        with contextlib.redirect_stderr(io.StringIO()):
            yield
    finally:
        logger.setLevel(level)
