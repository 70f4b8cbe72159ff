"""The suite `toy-truthfulqa`: is the truth likelier than the misconception and two idle claims?"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import ClassVar

from pydantic import Field, model_validator

from harness.protocols import Engine
from harness.records.answers import Metric, Row, Sample
from harness.records.models import Json
from suites.choices import choice_rows
from suites.row_suite import SampleSuite
from suites.settings import SuiteContext, SuiteSettings, template_applied
from suites.toy.rows import ToyRow, toy_rows
from suites.truthfulqa import Choices, true_share


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
        return self.choices[self.target]

    @property
    def sample(self) -> Sample:
        """The question; a fact's questions are one cluster."""
        choices = tuple(self.choices)
        return Sample(id=self.id, prompt=self.question, choices=choices, target=self.truth, cluster=self.fact)

    @property
    def labelled_choices(self) -> Choices:
        """The choices as TruthfulQA has them."""
        labels = [int(place == self.target) for place in range(len(self.choices))]
        return Choices(choices=self.choices, labels=labels)


@dataclass(frozen=True)
class ToyTruthfulQA(SampleSuite[ToyQuestion]):
    """The suite `toy-truthfulqa`."""

    given: SuiteSettings
    context: SuiteContext

    name: ClassVar[str] = "toy-truthfulqa"
    version: ClassVar[str] = "2"
    metrics: ClassVar[tuple[Metric, ...]] = (
        Metric(name="mc2", kind="number", headline=True),
        Metric(name="mc1", kind="binary"),
    )

    @cached_property
    def items(self) -> tuple[ToyQuestion, ...]:
        return toy_rows(self.name, ToyQuestion, self.given)

    def settings(self, chat_template: str | None) -> Mapping[str, Json]:
        applied = template_applied(self.given.chat_template, chat_template, scored=True)
        return {"chat_template": applied, "num_fewshot": 0}

    def rows(self, engine: Engine) -> Iterator[Row]:
        chat = template_applied(self.given.chat_template, engine.info.chat_template, scored=True)
        return choice_rows(engine, self.known_samples, self.metrics, self._values, chat=chat)

    def _values(self, place: int, logprobs: Mapping[str, float]) -> tuple[float, float]:
        """mc2 and mc1."""
        question = self.items[place]
        likeliest = max(question.choices, key=lambda choice: logprobs[choice])
        return true_share(question.labelled_choices, logprobs), float(likeliest == question.truth)
