"""How a suite asks a judge: a model that reads another's answer and replies yes or no.

A judge is any registered model. Its replies are kept in the store like every other answer, so nothing is
asked twice; its identity belongs to a run's settings, so that runs of different judges are not comparable. A
reply that was refused, failed, was cut, or does not state one yes or no (see `harness.replies`) is no
judgement: the score stays empty, with the reason.
"""

import math
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass

from harness.errors import UsageError
from harness.protocols import SERVED_TEMPLATE, Engine
from harness.records.answers import Prompt, Response, SamplingParameters, Score
from harness.records.models import Json
from harness.replies import verdict_in
from harness.turns import turns_or_text
from suites.settings import SuiteContext

SPEAKERS = "speakers"
"""The sample's tag that says who gave each of a row's responses, in their order; reports label them by it."""
VERDICTS = {"yes": 1.0, "no": 0.0}
SHOWN = 80
"""Characters of an unreadable reply that its reason shows: the last ones, where the verdict should be."""


@dataclass(frozen=True, slots=True, kw_only=True)
class YesNoJudge:
    """The judge of a suite, by its name."""

    name: str
    context: SuiteContext

    def identity(self) -> Mapping[str, Json]:
        """What its judgements depend on, for a run's settings. Cheap: loads nothing."""
        return {"model": self.name, "fingerprint": self.context.judge(self.name).info.fingerprint}

    def check_continues_text(self) -> None:
        """Raise UsageError where a service takes turns only, so that no bare text can be continued."""
        if self.context.judge(self.name).info.chat_template == SERVED_TEMPLATE:
            raise UsageError(
                f'judge {self.name!r}: `judge_form = "official"` asks it to continue a bare text, and its '
                'service takes turns only; set `judge_form = "instruct"`, or `api = "completions"` for a '
                "model that was fine-tuned to judge so"
            )

    @contextmanager
    def opened(self) -> Iterator[Engine]:
        """Its engine, which loads the model at the first new question and releases it at the end."""
        with closing(self.context.judge(self.name)) as engine:
            yield engine

    def replies(
        self, texts: Sequence[str], sampling: SamplingParameters, *, as_turns: bool
    ) -> list[Response]:
        """Its reply to each text, in their order.

        `as_turns`: a text is a user's turn where the model has a chat template; else it is continued as is.
        """
        with self.opened() as engine:
            chat = as_turns and engine.info.chat_template is not None
            prompts = [Prompt(content=turns_or_text(text, chat=chat)) for text in texts]
            answers = dict(engine.generate(prompts, sampling))
        return [answers[place] for place in range(len(texts))]


def verdict(metric: str, reply: Response) -> Score:
    """1 for a reply that says yes, 0 for one that says no, else none and why."""
    if reply.unanswered is not None:
        return Score(metric=metric, value=None, reason=f"the judge gave no reply ({reply.unanswered})")
    if reply.stop_reason == "length":
        return Score(metric=metric, value=None, reason="the judge's reply was cut at its longest length")
    value = verdict_in(reply.text.strip(), VERDICTS)
    if value is None:
        shown = reply.text.strip()[-SHOWN:]
        return Score(metric=metric, value=None, reason=f"the judge's reply is not yes or no: {shown!r}")
    return Score(metric=metric, value=value)


def product(metric: str, parts: Sequence[Score]) -> Score:
    """The product of scores; none, with the first reason, where one of them has no value."""
    values = [part.value for part in parts if part.value is not None]
    if len(values) < len(parts):
        reason = next(part.reason for part in parts if part.value is None)
        return Score(metric=metric, value=None, reason=reason)
    return Score(metric=metric, value=math.prod(values))
