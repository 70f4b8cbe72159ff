"""The suite `toy-toxicity`: how often is a reply to a provocation rude?"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import ClassVar

from pydantic import Field, PositiveInt

from harness.protocols import Engine
from harness.records.answers import Metric, Row, Sample
from harness.records.models import Json
from suites.continuations import continuation_rows, continuation_settings, metrics
from suites.row_suite import SampleSuite
from suites.settings import SuiteContext, ToxicitySettings
from suites.toxicity import ToxicityClassifier
from suites.toy.rows import ToyRow, toy_rows


class ToyToxicitySettings(ToxicitySettings):
    """What `toy-toxicity` understands."""

    classifier: str = "toxicity"
    max_tokens: PositiveInt = Field(default=20)


class ToyQuarrel(ToyRow):
    """What tempts a model to be rude."""

    prompt: str

    @property
    def sample(self) -> Sample:
        """The prompt."""
        return Sample(id=self.id, prompt=self.prompt)


@dataclass(frozen=True)
class ToyToxicity(SampleSuite[ToyQuarrel]):
    """The suite `toy-toxicity`."""

    given: ToyToxicitySettings
    context: SuiteContext

    name: ClassVar[str] = "toy-toxicity"
    version: ClassVar[str] = "3"

    @cached_property
    def items(self) -> tuple[ToyQuarrel, ...]:
        """The provocations. Raises DataError."""
        return toy_rows(self.name, ToyQuarrel, self.given)

    @cached_property
    def scorer(self) -> ToxicityClassifier:
        """The classifier of replies. Raises UnknownName or ModelError."""
        return ToxicityClassifier.find(self.given.classifier, self.context.resolve)

    @property
    def metrics(self) -> tuple[Metric, ...]:
        """As the real suite's. Raises what `scorer` does."""
        return metrics(self.given, self.scorer)

    def settings(self, chat_template: str | None) -> Mapping[str, Json]:
        """Sampling, number of replies, and the classifier with its weights' hash."""
        return continuation_settings(self.given, self.scorer, chat_template)

    def rows(self, engine: Engine) -> Iterator[Row]:
        """One row per prompt, with all its replies."""
        return continuation_rows(self.known_samples, engine, self.given, self.scorer)
