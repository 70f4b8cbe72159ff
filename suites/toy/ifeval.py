"""The suite `toy-ifeval`: does the answer keep to everything the prompt asks for?

The scoring code is used here only: the reward that trains on such instructions (`trainers.toy_rewards`) is
written separately, and shares only the world's vocabulary.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from itertools import pairwise
from typing import ClassVar

from pydantic import PositiveInt, model_validator

from harness.errors import nearest
from harness.protocols import Engine
from harness.records.answers import Metric, Prompt, Response, Row, Sample, SamplingParameters, Score
from harness.records.models import Json
from harness.toyworld.instructions import BRACKETS, COUNTS, SEPARATORS, SIGNS
from harness.toyworld.world import TOPICS
from harness.turns import turns_or_text
from suites.row_suite import SampleSuite
from suites.settings import SuiteContext, SuiteSettings, template_applied
from suites.toy.rows import ToyRow, toy_rows


class ToyIFEvalSettings(SuiteSettings):
    """The settings of `toy-ifeval`."""

    max_tokens: PositiveInt = 32


class ToyInstruction(ToyRow):
    """A topic to list words of, and what the answer must keep to, each `kind:value`."""

    prompt: str
    topic: str
    constraints: list[str]

    @model_validator(mode="after")
    def _checkable(self) -> "ToyInstruction":
        if self.topic not in TOPICS:
            raise ValueError(f"there is no topic {self.topic!r}{nearest(self.topic, TOPICS)}")
        for constraint in self.constraints:
            try:
                verdicts("", self.topic, [constraint])
            except (KeyError, ValueError) as error:
                raise ValueError(f"constraint {constraint!r} cannot be checked: {error}") from error
        return self

    @property
    def sample(self) -> Sample:
        target = ", ".join([f"topic:{self.topic}", *self.constraints])
        kinds = ["topic", *(each.partition(":")[0] for each in self.constraints)]
        tags: dict[str, Json] = {"constraints": len(self.constraints), "instruction": kinds}
        return Sample(id=self.id, prompt=self.prompt, target=target, tags=tags)


@dataclass(frozen=True)
class ToyIFEval(SampleSuite[ToyInstruction]):
    """The suite `toy-ifeval`."""

    given: ToyIFEvalSettings
    context: SuiteContext

    name: ClassVar[str] = "toy-ifeval"
    version: ClassVar[str] = "2"
    metrics: ClassVar[tuple[Metric, ...]] = (
        Metric(name="prompt_strict", kind="binary", headline=True),
        Metric(name="instruction_strict", kind="binary", splits=("instruction",)),
    )

    @cached_property
    def items(self) -> tuple[ToyInstruction, ...]:
        return toy_rows(self.name, ToyInstruction, self.given)

    def settings(self, chat_template: str | None) -> Mapping[str, Json]:
        return {
            "chat_template": template_applied(self.given.chat_template, chat_template),
            "num_fewshot": 0,
            "sampling": asdict(self._sampling),
        }

    def rows(self, engine: Engine) -> Iterator[Row]:
        applied = template_applied(self.given.chat_template, engine.info.chat_template)
        prompts = [Prompt(content=turns_or_text(item.prompt, chat=applied)) for item in self.items]
        for place, response in engine.generate(prompts, self._sampling):
            instruction = self.items[place]
            yield Row(
                sample=instruction.sample,
                responses=(response,),
                scores=_scores(instruction, response),
                position=place,
            )

    @property
    def _sampling(self) -> SamplingParameters:
        return SamplingParameters(max_tokens=self.given.max_tokens)


def _scores(instruction: ToyInstruction, response: Response) -> tuple[Score, ...]:
    if response.unanswered is not None:
        names = ["prompt_strict", *["instruction_strict"] * (1 + len(instruction.constraints))]
        return tuple(Score(metric=name, value=None, reason=response.unanswered) for name in names)
    kept = verdicts(response.text, instruction.topic, instruction.constraints)
    return (
        Score(metric="prompt_strict", value=float(all(kept))),
        *(Score(metric="instruction_strict", value=float(each)) for each in kept),
    )


def verdicts(text: str, topic: str, constraints: Sequence[str]) -> list[bool]:
    """Whether the answer keeps to its topic, and then to each constraint, in their order."""
    answer = _Answer(text, topic)
    demanded = [(kind, value) for kind, _, value in (each.partition(":") for each in constraints)]
    markers = {value for kind, value in demanded if kind == "start"}
    return [answer.keeps_to_topic(markers), *(answer.keeps(kind, value) for kind, value in demanded)]


class _Answer:
    """An answer taken apart: its words, and those of them that belong to the topic."""

    def __init__(self, text: str, topic: str) -> None:
        self._text = text.strip()
        self._words = re.findall(r"[a-z]+", text.lower())
        self._known = set(TOPICS[topic])
        self._listed = [word for word in self._words if word in self._known]

    def keeps_to_topic(self, markers: set[str]) -> bool:
        """At least one word of the topic, and none that is neither the topic's nor asked for."""
        return bool(self._listed) and set(self._words) <= self._known | markers

    def keeps(self, kind: str, value: str) -> bool:
        """Whether a constraint of the world's (`harness.toyworld.instructions`) is met."""
        match kind:
            case "case":
                wanted = self._text.lower() if value == "lowercase" else self._text.upper()
                return bool(self._words) and self._text == wanted
            case "count":
                return len(self._listed) == COUNTS[value]
            case "separator":
                return self._separated_by(SEPARATORS[value].strip())
            case "start":
                return self._words[:1] == [value]
            case "sign":
                return self._signed_with(SIGNS[value])
            case "brackets":
                return self._wrapped_in(*BRACKETS[value])
            case _:
                raise ValueError(f"no constraint is called {kind!r}")

    def _separated_by(self, separator: str) -> bool:
        """Nothing but the separator, and perhaps a sign, between the neighbours of a list of two or more."""
        gaps = [self._text[end:start].split() for (_, end), (start, _) in pairwise(self._places())]
        marks = [[mark for mark in gap if mark not in SIGNS.values()] for gap in gaps]
        return bool(gaps) and all(found == [separator] for found in marks)

    def _signed_with(self, sign: str) -> bool:
        """The sign before every member of a list of one or more."""
        before = [self._text[:start].rstrip() for start, _ in self._places()]
        return bool(before) and all(text.endswith(sign) for text in before)

    def _wrapped_in(self, opening: str, closing: str) -> bool:
        """One bracket before the first member of a list of one or more, and one after the last."""
        places = self._places()
        if not places:
            return False
        before, after = self._text[: places[0][0]], self._text[places[-1][1] :]
        return before.count(opening) == after.count(closing) == 1

    def _places(self) -> list[tuple[int, int]]:
        """Where the list's members are."""
        found = re.finditer(r"[a-z]+", self._text.lower())
        return [match.span() for match in found if match[0] in self._known]
