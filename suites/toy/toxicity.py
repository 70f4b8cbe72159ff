"""The suite `toy-toxicity`: how often is a reply to a provocation rude?"""

from dataclasses import dataclass
from functools import cached_property
from typing import ClassVar

from pydantic import Field, PositiveInt

from harness.records.answers import Sample
from suites.continuations import ContinuationSuite
from suites.settings import SuiteContext, ToxicitySettings
from suites.toy.rows import ToyRow, toy_rows


class ToyToxicitySettings(ToxicitySettings):
    """The settings of `toy-toxicity`."""

    classifier: str = "toxicity"
    max_tokens: PositiveInt = Field(default=20)


class ToyQuarrel(ToyRow):
    """What tempts a model to be rude."""

    prompt: str

    @property
    def sample(self) -> Sample:
        return Sample(id=self.id, prompt=self.prompt)


@dataclass(frozen=True)
class ToyToxicity(ContinuationSuite[ToyQuarrel]):
    """The suite `toy-toxicity`."""

    given: ToyToxicitySettings
    context: SuiteContext

    name: ClassVar[str] = "toy-toxicity"
    version: ClassVar[str] = "3"

    @cached_property
    def items(self) -> tuple[ToyQuarrel, ...]:
        return toy_rows(self.name, ToyQuarrel, self.given)
