"""G-Eval over many answers: criteria in words, judged by any engine, from 0 to 1.

Paper: Liu et al., "G-Eval: NLG Evaluation using GPT-4 with Better Human Alignment" (EMNLP 2023),
https://arxiv.org/abs/2303.16634. Prompts and steps are deepeval's; the paper's weighting of scores by token
probabilities is left out, since an engine gives texts.

All answers are judged at once, so that a local judge sees them in batches. A reply that cannot be read, and a
score that is none of the ten, give no score.
"""

import asyncio
from collections.abc import Coroutine, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, TypeVar

from deepeval.errors import ContextWindowExceededError
from deepeval.metrics import GEval
from deepeval.models import DeepEvalBaseLLM
from deepeval.test_case import LLMTestCase, SingleTurnParams
from pydantic import BaseModel

from harness.adaptors.deepeval.model import EngineJudge, read
from harness.errors import UnreadableReply
from harness.protocols import Engine
from harness.records.answers import Response, SamplingParameters

ResultT = TypeVar("ResultT")
SchemaT = TypeVar("SchemaT", bound=BaseModel)


@dataclass(frozen=True, slots=True, kw_only=True)
class Criterion:
    """What answers are judged by."""

    name: str
    criteria: str | None
    steps: tuple[str, ...] = ()
    """The steps of judging. Without them, the judge first makes steps of the criteria."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CriterionScore:
    """What a judge found."""

    score: float | None
    """The score, from 0 to 1."""
    reason: str
    """The judge's reason, or why there is no score."""
    replies: tuple[Response, ...]
    """All that the judge said about this answer."""


def judge_all(
    engine: Engine,
    name: str,
    criterion: Criterion,
    cases: Sequence[tuple[str, str]],
    sampling: SamplingParameters,
) -> list[CriterionScore]:
    """The judgement on every (prompt, answer), in their order. An answer must not be empty.

    `engine` judges, and `name` is what it is called.
    """
    judge = EngineJudge(engine, name=name, sampling=sampling)

    async def all_of_them() -> list[CriterionScore]:
        return await asyncio.gather(*(_judge(judge, criterion, *case) for case in cases))

    return _run(all_of_them())


class _RecordingJudge(DeepEvalBaseLLM):  # type: ignore[misc]  # deepeval is an extra, checked as untyped
    """The judge as one answer's metric sees it: what it says is kept beside what is read from it."""

    def __init__(self, judge: EngineJudge) -> None:
        self._judge = judge
        self.replies: list[Response] = []
        super().__init__(judge.get_model_name())

    def load_model(self) -> "_RecordingJudge":
        return self

    def get_model_name(self) -> str:
        return self._judge.get_model_name()

    def supports_log_probs(self) -> bool:
        return False

    def generate(self, prompt: str, schema: type[SchemaT] | None = None) -> str | SchemaT:
        raise NotImplementedError("answers are judged together: `a_generate`")

    async def a_generate(self, prompt: str, schema: type[SchemaT] | None = None) -> str | SchemaT:
        reply = await self._judge.a_response(prompt)
        self.replies.append(reply)
        return read(reply, schema)


async def _judge(judge: EngineJudge, criterion: Criterion, prompt: str, answer: str) -> CriterionScore:
    recording = _RecordingJudge(judge)
    metric = GEval(
        name=criterion.name,
        criteria=criterion.criteria,
        evaluation_steps=list(criterion.steps) or None,
        evaluation_params=[SingleTurnParams.INPUT, SingleTurnParams.ACTUAL_OUTPUT],
        model=recording,
    )
    score = None
    try:
        await metric.a_measure(LLMTestCase(input=prompt, actual_output=answer), _show_indicator=False)
        score, reason = float(metric.score), str(metric.reason)
    except UnreadableReply as error:
        reason = str(error)
    except ContextWindowExceededError as error:  # deepeval's word for any error that speaks of one
        reason = str(error.__cause__)
    if score is not None and not 0 <= score <= 1:
        reason = f"the judge's score is not from 0 to 10: {score * 10:g}"
        score = None
    return CriterionScore(score=score, reason=reason, replies=tuple(recording.replies))


def _run(work: Coroutine[Any, Any, ResultT]) -> ResultT:
    """The result, also where a notebook's loop runs in this thread."""
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return _run_here(work)
    with ThreadPoolExecutor(max_workers=1) as pool:
        return pool.submit(_run_here, work).result()


def _run_here(work: Coroutine[Any, Any, ResultT]) -> ResultT:
    """As `asyncio.run`, which would hold Ctrl-C back until the engine has answered everything."""
    loop = asyncio.new_event_loop()
    try:
        return loop.run_until_complete(work)
    finally:
        loop.run_until_complete(_end(asyncio.all_tasks(loop)))
        loop.close()


async def _end(left: Iterable[asyncio.Task[Any]]) -> None:
    """Let go of what an interruption left waiting, which would complain when it is thrown away."""
    for task in left:
        task.cancel()
    await asyncio.gather(*left, return_exceptions=True)
