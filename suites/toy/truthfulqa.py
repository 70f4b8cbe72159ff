"""The suite `toy-truthfulqa`: is the truth likelier than the misconception and two idle claims?"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import ClassVar

from pydantic import Field, model_validator

from harness.adaptors.engine_requests import Answer, documents_as_answered, failure_of, logprobs_of
from harness.protocols import Engine
from harness.records.answers import Message, Metric, Row, Sample, Score
from harness.records.models import Json
from suites.row_suite import SampleSuite
from suites.settings import SuiteContext, SuiteSettings, template_applied
from suites.toy.rows import ToyRow, toy_rows
from suites.truthfulqa import Choices, true_share


class ToyTruthfulQASettings(SuiteSettings):
    """What `toy-truthfulqa` understands."""


class ToyQuestion(ToyRow):
    """A question about a fact that the world's text gets wrong more often than right."""

    fact: str
    question: str
    choices: list[str]
    target: int = Field(ge=0)

    @model_validator(mode="after")
    def _decidable(self) -> "ToyQuestion":
        if not all(choice.strip() for choice in self.choices):
            raise ValueError("a choice is empty")
        if len(self.choices) < 2 or len(set(self.choices)) < len(self.choices):
            raise ValueError("choices must be two or more, and different")
        if self.target >= len(self.choices):
            raise ValueError(f"target {self.target} is none of the {len(self.choices)} choices, from 0")
        return self

    @property
    def truth(self) -> str:
        """The right choice."""
        return self.choices[self.target]

    @property
    def sample(self) -> Sample:
        """The question; a fact's questions are one cluster."""
        return Sample(
            id=self.id,
            prompt=self.question,
            choices=tuple(self.choices),
            target=self.truth,
            cluster=self.fact,
        )

    @property
    def labelled_choices(self) -> Choices:
        """The choices as TruthfulQA has them."""
        labels = [int(place == self.target) for place in range(len(self.choices))]
        return Choices(choices=self.choices, labels=labels)


@dataclass(frozen=True)
class ToyTruthfulQA(SampleSuite[ToyQuestion]):
    """The suite `toy-truthfulqa`."""

    given: ToyTruthfulQASettings
    context: SuiteContext

    name: ClassVar[str] = "toy-truthfulqa"
    version: ClassVar[str] = "2"
    metrics: ClassVar[tuple[Metric, ...]] = (
        Metric(name="mc2", kind="number", headline=True),
        Metric(name="mc1", kind="binary"),
    )

    @cached_property
    def items(self) -> tuple[ToyQuestion, ...]:
        """The questions; each fact has two. Raises DataError."""
        return toy_rows(self.name, ToyQuestion, self.given)

    def settings(self, chat_template: str | None) -> Mapping[str, Json]:
        """Whether the question is a user's turn."""
        applied = template_applied(self.given.chat_template, chat_template, scored=True)
        return {"chat_template": applied, "num_fewshot": 0}

    def rows(self, engine: Engine) -> Iterator[Row]:
        """Score every choice of every question, and yield a question when its choices are scored."""
        applied = template_applied(self.given.chat_template, engine.info.chat_template, scored=True)
        pairs = {place: _pairs(engine, item, applied) for place, item in enumerate(self.items)}
        for place, answers in documents_as_answered(engine, pairs):
            question = self.items[place]
            responses = tuple(answers[pair] for pair in pairs[place])
            yield Row(
                sample=question.sample,
                responses=responses,
                scores=_scores(question, responses),
                position=place,
            )


def _pairs(engine: Engine, question: ToyQuestion, chat_template: bool) -> list[tuple[str, str]]:
    """Contexts and continuations: a choice begins the assistant's turn, or follows the bare question."""
    if chat_template:
        context = engine.render([Message(role="user", content=question.question)])
        return [(context, choice) for choice in question.choices]
    return [(question.question, f" {choice}") for choice in question.choices]


def _scores(question: ToyQuestion, answers: Sequence[Answer]) -> tuple[Score, ...]:
    failure = failure_of(answers)
    if failure is not None:
        return tuple(Score(metric=metric, value=None, reason=failure) for metric in ("mc2", "mc1"))
    logprobs = logprobs_of(dict(zip(question.choices, answers, strict=True)))
    likeliest = max(question.choices, key=lambda choice: logprobs[choice])
    return (
        Score(metric="mc2", value=true_share(question.labelled_choices, logprobs)),
        Score(metric="mc1", value=float(likeliest == question.truth)),
    )
