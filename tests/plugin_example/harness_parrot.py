"""An example of a plug-in package: the suite `parrot` asks a model to repeat words, `brevity` rates answers.

A suite is a class that matches `harness.protocols.Suite`, and an `Entry` that says how it is set and opened.
"""

from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from hashlib import sha256
from typing import Any, ClassVar

from pydantic import PositiveInt

from harness.protocols import Engine
from harness.records.answers import Message, Metric, Prompt, Response, Row, Sample, SamplingParameters, Score
from harness.records.models import Json
from suites.catalogue import Entry
from suites.settings import SuiteContext, SuiteSettings, template_applied

WORDS = ("Paris", "hammer", "seven", "quick", "lazy")


class ParrotSettings(SuiteSettings):
    """What `[suites.parrot]` understands, besides what every suite does."""

    max_tokens: PositiveInt = 16


@dataclass(frozen=True)
class Parrot:
    """Does the answer hold the word that the prompt asks to repeat?"""

    given: ParrotSettings
    context: SuiteContext

    name: ClassVar[str] = "parrot"
    version: ClassVar[str] = "1"
    metrics: ClassVar[tuple[Metric, ...]] = (
        Metric(name="repeated", kind="binary", headline=True, splits=("length",)),
    )

    @property
    def words(self) -> tuple[str, ...]:
        """What is to be repeated."""
        return WORDS[: self.given.limit]

    @property
    def data_hash(self) -> str:
        """Over the words."""
        return "sha256:" + sha256(" ".join(self.words).encode()).hexdigest()

    @property
    def size(self) -> int:
        """One row per word."""
        return len(self.words)

    @property
    def sampling(self) -> SamplingParameters:
        """Greedy."""
        return SamplingParameters(max_tokens=self.given.max_tokens)

    def settings(self, chat_template: str | None) -> Mapping[str, Json]:
        """What answers and scores depend on besides model and data."""
        applied = template_applied(self.given.chat_template, chat_template)
        return {"chat_template": applied, "num_fewshot": 0, "sampling": asdict(self.sampling)}

    def rows(self, engine: Engine) -> Iterator[Row]:
        """Ask every word once; answers come in any order."""
        applied = template_applied(self.given.chat_template, engine.info.chat_template)
        questions = [f"Repeat this word: {word}" for word in self.words]
        prompts = [Prompt(content=_turn(text) if applied else text) for text in questions]
        for place, response in engine.generate(prompts, self.sampling):
            word = self.words[place]
            yield Row(
                sample=Sample(id=word, prompt=questions[place], target=word, tags={"length": len(word)}),
                responses=(response,),
                scores=(_score(word, response),),
                position=place,
            )


def _turn(text: str) -> tuple[Message, ...]:
    return (Message(role="user", content=text),)


def _score(word: str, response: Response) -> Score:
    if response.stop_reason in ("refused", "failed"):  # no answer is no wrong answer
        return Score(metric="repeated", value=None, reason=response.reason or response.stop_reason)
    return Score(metric="repeated", value=float(word.lower() in response.text.lower()))


PARROT = Entry(ParrotSettings, Parrot)


def brevity(answer: str, row: Mapping[str, Any]) -> float:
    """A rule: 1 for an answer of one word, less the longer it is; a row's `words` sets what is fair."""
    return min(1.0, row.get("words", 1) / max(1, len(answer.split())))
