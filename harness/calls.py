"""What an engine is given together: prompts to continue, or continuations to score.

Several calls can be given at the same time, and their requests are then counted on from one to the next. An
engine of several processes works on all of them at once; any other, on one after the other.
"""

from abc import ABC, abstractmethod
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import accumulate, groupby

from harness.protocols import Engine
from harness.records.answers import LogLikelihood, Prompt, Response, SamplingParameters

Answered = Iterator[tuple[int, Response | LogLikelihood]]
"""Answers as they are ready, each with the index of its request."""


@dataclass(frozen=True, slots=True)
class WritingCall:
    """Prompts that are continued with the same sampling."""

    prompts: Sequence[Prompt]
    sampling: SamplingParameters

    def __len__(self) -> int:
        return len(self.prompts)

    def part(self, indices: Sequence[int]) -> "WritingCall":
        """The call of these requests only."""
        return WritingCall([self.prompts[index] for index in indices], self.sampling)

    def ask(self, engine: Engine) -> Answered:
        """Let an engine answer."""
        return engine.generate(self.prompts, self.sampling)


@dataclass(frozen=True, slots=True)
class ScoringCall:
    """Pairs of a context and a continuation."""

    pairs: Sequence[tuple[str, str]]

    def __len__(self) -> int:
        return len(self.pairs)

    def part(self, indices: Sequence[int]) -> "ScoringCall":
        """The call of these requests only."""
        return ScoringCall([self.pairs[index] for index in indices])

    def ask(self, engine: Engine) -> Answered:
        """Let an engine answer."""
        return engine.loglikelihood(self.pairs)


Call = WritingCall | ScoringCall


class AnswersTogether(ABC):
    """What an engine inherits from that works on several calls at the same time."""

    __slots__ = ()

    @abstractmethod
    def answers(self, calls: Sequence[Call]) -> Answered:
        """Answers of any of these calls as they come; indices count on from one call to the next."""


def answers_of(engine: Engine, calls: Sequence[Call]) -> Answered:
    """The engine's answers to these calls; indices count on from one call to the next."""
    if isinstance(engine, AnswersTogether):
        yield from engine.answers(calls)
        return
    for start, call in zip(starts(calls), calls, strict=True):
        for index, answer in call.ask(engine):
            yield start + index, answer


def starts(calls: Sequence[Call]) -> list[int]:
    """The index of each call's first request."""
    return [*accumulate(map(len, calls[:-1]), initial=0)] if calls else []


def parts_of(calls: Sequence[Call], indices: Sequence[int]) -> list[Call]:
    """The calls of these requests only, which come in their order. Empty ones are left out."""
    begun = starts(calls)
    grouped = groupby(indices, key=lambda index: bisect_right(begun, index) - 1)
    return [calls[place].part([index - begun[place] for index in some]) for place, some in grouped]


def merged(calls: Sequence[Call]) -> list[Call]:
    """The same requests in as few calls: one of all pairs, and one of prompts for each sampling."""
    prompts: dict[SamplingParameters, list[Prompt]] = {}
    pairs: list[tuple[str, str]] = []
    for call in calls:
        if isinstance(call, ScoringCall):
            pairs += call.pairs
        else:
            prompts.setdefault(call.sampling, []).extend(call.prompts)
    writing: list[Call] = [WritingCall(some, sampling) for sampling, some in prompts.items()]
    return [*writing, ScoringCall(pairs)] if pairs else writing
