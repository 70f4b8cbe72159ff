"""Engines that cost money, asked within a budget.

A round holds as many requests as certainly fit into what is left, each at the most it can cost; once their
real cost is known the next round is planned. So the budget is never exceeded. Where a service does not say
what an answer took, the budget is charged with the most it can be.
"""

from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from typing import cast

from harness.calls import Call, ScoringCall, WritingCall
from harness.errors import BudgetReached, UsageError
from harness.protocols import Engine, EngineInfo
from harness.records.answers import LogLikelihood, Message, Prompt, Response, SamplingParameters
from harness.records.models import AnswerFiles, Local, Model
from harness.registry import Registry, TokenPrice
from suites.judge.costs import Budget, cost_of, most_costs


def check_prices(registry: Registry, models: Iterable[Model]) -> None:
    """Raise UsageError for a model of a service that has no price: a budget cannot hold it."""
    for model in models:
        if not isinstance(model.source, Local | AnswerFiles) and model.name not in registry.prices.of:
            raise UsageError(
                f"a budget needs the price of {model.name!r}: give it in [prices.{model.name}] of "
                f"{registry.project.file}, `input` and `output` per million tokens (0 if it is free)"
            )


class PaidEngine:
    """An engine whose answers are paid for. Matches `harness.protocols.Engine`.

    Raises BudgetReached where another request might cost more than what is left; all that were answered are
    yielded before.
    """

    def __init__(self, engine: Engine, name: str, price: TokenPrice, budget: Budget) -> None:
        self._engine, self._name = engine, name
        self._price, self._budget = price, budget

    @property
    def info(self) -> EngineInfo:
        return self._engine.info

    @property
    def can_score(self) -> bool:
        return self._engine.can_score

    def render(self, messages: Sequence[Message], *, open_turn: bool = True) -> str:
        return self._engine.render(messages, open_turn=open_turn)

    def close(self) -> None:
        """Free what the engine holds."""
        self._engine.close()

    def generate(
        self, prompts: Sequence[Prompt], sampling: SamplingParameters
    ) -> Iterator[tuple[int, Response]]:
        return cast("Iterator[tuple[int, Response]]", self._in_rounds(WritingCall(prompts, sampling)))

    def loglikelihood(
        self, pairs: Sequence[tuple[str, str]]
    ) -> Iterator[tuple[int, LogLikelihood | Response]]:
        return self._in_rounds(ScoringCall(pairs))

    def _in_rounds(self, call: Call) -> Iterator[tuple[int, LogLikelihood | Response]]:
        most = most_costs(call, self._price)
        waiting = deque(range(len(call)))
        while waiting:
            part = self._round(waiting, most)
            for place, answer in call.part(part).ask(self._engine):
                cost = cost_of(answer, self._price) if isinstance(answer, Response) else None
                self._budget.spent += most[part[place]] if cost is None else cost
                yield part[place], answer

    def _round(self, waiting: deque[int], most: Sequence[float]) -> list[int]:
        part: list[int] = []
        planned = 0.0
        while waiting and self._budget.allows(planned + most[waiting[0]]):
            planned += most[waiting[0]]
            part.append(waiting.popleft())
        if not part:
            raise BudgetReached(
                f"the budget of {self._budget.limit:g} does not hold another request of {self._name!r} "
                f"({self._budget.spent:.4g} are spent); what was answered is kept, and the same command with "
                "a larger budget goes on from there"
            )
        return part
