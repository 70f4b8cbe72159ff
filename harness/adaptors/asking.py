"""What foreign frameworks ask, in the terms of an engine, and the engine's answers to it.

All log-likelihoods of a call are asked of the engine at once, so that it can find what they share.

It does not know any framework.
"""

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from typing import Any, cast

from harness.errors import UsageError
from harness.protocols import Engine
from harness.records import Likelihood, Message, Prompt, Response, Sampling

Request = tuple[str, str] | tuple[Prompt, Sampling]
"""A context and the continuation to score, or a prompt and how to continue it."""
Answer = Likelihood | Response


def answers_of(engine: Engine, requests: Iterable[Request]) -> Iterator[tuple[Request, Answer]]:
    """Every request with its answer: log-likelihoods first, then texts, all of one sampling together."""
    pairs: list[tuple[str, str]] = []
    prompts: dict[Sampling, list[Prompt]] = defaultdict(list)
    for first, second in requests:
        if isinstance(first, str):
            pairs.append((first, cast(str, second)))
        else:
            prompts[cast(Sampling, second)].append(first)
    if pairs and not engine.can_score:
        raise UsageError("this suite needs log-likelihoods, which this model's engine cannot give")
    if pairs:
        for index, likelihood in engine.loglikelihood(pairs):
            yield pairs[index], likelihood
    for sampling, asked in prompts.items():
        for index, response in engine.generate(asked, sampling):
            yield (asked[index], sampling), response


def failure_of(answers: Iterable[Answer]) -> str | None:
    """Why answers cannot be scored, where one of them was refused or failed."""
    for answer in answers:
        if isinstance(answer, Response) and answer.stopped in ("refused", "failed"):
            return f"{answer.stopped}: {answer.reason or 'no reason given'}"
    return None


def renderer(engine: Engine) -> Callable[..., str]:
    """The engine's chat template, in the form in which foreign frameworks call one."""

    def render(turns: list[dict[str, Any]], add_generation_prompt: bool = True) -> str:
        messages = [Message(role=turn["role"], content=turn["content"]) for turn in turns]
        return engine.render(messages, open_turn=add_generation_prompt)

    return render
