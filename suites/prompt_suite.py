"""A suite of prompts without scores, whose answers can be preferred to one another.

It has no metrics, and its answers are a run like any other: kept, resumed, and never asked twice. Every
prompt is asked as a user's turn where the model has a chat template, and as bare text otherwise. Of prompts
that are conversations, the turns up to the first answer are asked.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import ClassVar

from harness.protocols import Engine
from harness.records.answers import Metric, Prompt, Row, Sample, SamplingParameters
from harness.records.models import Json
from harness.turns import prompt_as_json, turns_or_text
from suites.row_suite import RowSuite

FAMILY = "prompts"
"""`prompts:NAME` is how runs, reports and comparisons call such answers."""


@dataclass(frozen=True)
class PromptSuite(RowSuite[Sample]):
    """The answers to these prompts, drawn in one way."""

    label: str
    """Where the prompts come from: a file's stem, or a data set's name."""
    samples: Sequence[Sample]
    sampling: SamplingParameters

    version: ClassVar[str] = "2"
    metrics: ClassVar[tuple[Metric, ...]] = ()

    @property
    def name(self) -> str:
        return f"{FAMILY}:{self.label}"

    @property
    def items(self) -> Sequence[Sample]:
        return self.samples

    def content(self, item: Sample) -> Mapping[str, Json]:
        return {"id": item.id, "prompt": prompt_as_json(item.prompt)}

    def settings(self, chat_template: str | None) -> Mapping[str, Json]:
        return {"chat_template": chat_template is not None, "sampling": asdict(self.sampling)}

    def rows(self, engine: Engine) -> Iterator[Row]:
        chat = engine.info.chat_template is not None
        prompts = [Prompt(content=turns_or_text(sample.prompt, chat=chat)) for sample in self.samples]
        for place, response in engine.generate(prompts, self.sampling):
            yield Row(sample=self.samples[place], responses=(response,), scores=(), position=place)
