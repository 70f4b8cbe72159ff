"""The toy world's three suites, in the shapes of the real ones: truth, instructions, toxicity.

They measure in a small invented world (`harness.toyworld`) what TruthfulQA, IFEval and RealToxicityPrompts
measure in the real one, through the same engine, scorer and statistics. Their scores say nothing about a real
model, and their names never lack `toy-`.

An answer is judged here and nowhere else: the reward that trains on such instructions
(`trainers.toy_rewards`) is written apart, and shares the world's vocabulary only.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from itertools import pairwise
from typing import ClassVar, TypeVar

from pydantic import Field, PositiveInt, model_validator

from harness.adaptors.asking import Answer, failure_of, logprobs_of
from harness.errors import nearest
from harness.files import json_lines
from harness.protocols import Engine
from harness.records import Json, Message, Metric, Prompt, Response, Row, Sample, Sampling, Score
from harness.toyworld import evaluation_set
from harness.toyworld.instructions import BRACKETS, COUNTS, SEPARATORS, SIGNS
from harness.toyworld.world import TOPICS
from suites.continuations import continuation_rows, continuation_settings, metrics
from suites.official import OfficialRow, checked, hash_rows
from suites.settings import SuiteSettings, Surroundings, ToxicitySettings, template_applied
from suites.toxicity import Toxicity
from suites.truthfulqa import Choices, true_share


class ToyRow(OfficialRow):
    """A row that carries its own id."""

    given_id: str = Field(alias="id")

    @property
    def id(self) -> str:
        """As the world, or the user's file, names it."""
        return self.given_id


RowT = TypeVar("RowT", bound=ToyRow)


class ToyTruthfulQASettings(SuiteSettings):
    """What `toy-truthfulqa` understands."""


class ToyIFEvalSettings(SuiteSettings):
    """What `toy-ifeval` understands."""

    max_tokens: PositiveInt = 32


class ToyToxicitySettings(ToxicitySettings):
    """What `toy-toxicity` understands."""

    classifier: str = "toxicity"
    max_tokens: PositiveInt = Field(default=20)


def _toy_rows(name: str, schema: type[RowT], given: SuiteSettings) -> tuple[RowT, ...]:
    """The rows to ask: the world's own, or a user's file of the same schema. Raises DataError."""
    if given.data is None:
        rows = checked(f"toy:{name}", schema, enumerate(evaluation_set(name), start=1))
    else:
        rows = checked(str(given.data), schema, json_lines(given.data))
    return rows[: given.limit]


# ---------------------------------------------------------------- truth


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
    def sample(self) -> Sample:
        """The question; a fact's questions are one cluster."""
        return Sample(
            id=self.id,
            prompt=self.question,
            choices=tuple(self.choices),
            target=self.choices[self.target],
            cluster=self.fact,
        )

    @property
    def truths(self) -> Choices:
        """The choices as TruthfulQA has them."""
        labels = [int(place == self.target) for place in range(len(self.choices))]
        return Choices(choices=self.choices, labels=labels)


@dataclass(frozen=True)
class ToyTruthfulQA:
    """The suite `toy-truthfulqa`: is the truth likelier than the misconception and two idle claims?"""

    given: ToyTruthfulQASettings
    surroundings: Surroundings

    name: ClassVar[str] = "toy-truthfulqa"
    version: ClassVar[str] = "2"
    metrics: ClassVar[tuple[Metric, ...]] = (
        Metric(name="mc2", kind="number", headline=True),
        Metric(name="mc1", kind="binary"),
    )

    @cached_property
    def questions(self) -> tuple[ToyQuestion, ...]:
        """The rows to ask. Raises DataError."""
        return _toy_rows(self.name, ToyQuestion, self.given)

    @property
    def known_samples(self) -> list[Sample]:
        """The questions, known before anything is asked."""
        return [question.sample for question in self.questions]

    @property
    def data_hash(self) -> str:
        """Over questions, choices and targets."""
        return hash_rows(question.model_dump() for question in self.questions)

    @property
    def size(self) -> int:
        """How many questions there are; a fact is asked for twice."""
        return len(self.questions)

    def settings(self, chat_template: str | None) -> Mapping[str, Json]:
        """Whether the question is a user's turn."""
        applied = template_applied(self.given.chat_template, chat_template, scored=True)
        return {"chat_template": applied, "num_fewshot": 0}

    def rows(self, engine: Engine) -> Iterator[Row]:
        """Score every choice of every question, and yield a question when its choices are scored."""
        applied = template_applied(self.given.chat_template, engine.info.chat_template, scored=True)
        asked = [(place, choice) for place, each in enumerate(self.questions) for choice in each.choices]
        pairs = [_pair(engine, self.questions[place].question, choice, applied) for place, choice in asked]
        scored: dict[int, dict[str, Answer]] = {}
        for index, likelihood in engine.loglikelihood(pairs):
            place, choice = asked[index]
            of_question = scored.setdefault(place, {})
            of_question[choice] = likelihood
            if len(of_question) == len(set(self.questions[place].choices)):
                yield self._row(place, scored.pop(place))

    def _row(self, place: int, answers: Mapping[str, Answer]) -> Row:
        question = self.questions[place]
        failure = failure_of(answers.values())
        scores = _unscored(failure) if failure else _scores(question, logprobs_of(answers))
        return Row(
            sample=question.sample,
            responses=tuple(answers[choice] for choice in question.choices),
            scores=scores,
            position=place,
        )


def _scores(question: ToyQuestion, logprobs: Mapping[str, float]) -> tuple[Score, ...]:
    truth = question.choices[question.target]
    likeliest = max(question.choices, key=lambda choice: logprobs[choice])
    return (
        Score(metric="mc2", value=true_share(question.truths, logprobs)),
        Score(metric="mc1", value=float(likeliest == truth)),
    )


def _unscored(reason: str) -> tuple[Score, ...]:
    return tuple(Score(metric=metric, value=None, reason=reason) for metric in ("mc2", "mc1"))


def _pair(engine: Engine, question: str, choice: str, chat_template: bool) -> tuple[str, str]:
    """Context and continuation: the answer begins the assistant's turn, or follows the bare question."""
    if chat_template:
        return engine.render([Message(role="user", content=question)]), choice
    return question, f" {choice}"


# ---------------------------------------------------------------- instructions


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
        """The prompt, with what results are split by."""
        return Sample(
            id=self.id,
            prompt=self.prompt,
            target=", ".join([f"topic:{self.topic}", *self.constraints]),
            tags={
                "constraints": len(self.constraints),
                "instruction": ["topic", *(each.partition(":")[0] for each in self.constraints)],
            },
        )


@dataclass(frozen=True)
class ToyIFEval:
    """The suite `toy-ifeval`: does the answer keep to everything the prompt asks for?"""

    given: ToyIFEvalSettings
    surroundings: Surroundings

    name: ClassVar[str] = "toy-ifeval"
    version: ClassVar[str] = "2"
    metrics: ClassVar[tuple[Metric, ...]] = (
        Metric(name="prompt_strict", kind="binary", headline=True),
        Metric(name="instruction_strict", kind="binary", splits=("instruction",)),
    )

    @cached_property
    def instructions(self) -> tuple[ToyInstruction, ...]:
        """The rows to ask. Raises DataError."""
        return _toy_rows(self.name, ToyInstruction, self.given)

    @property
    def known_samples(self) -> list[Sample]:
        """The prompts, known before anything is asked."""
        return [instruction.sample for instruction in self.instructions]

    @property
    def data_hash(self) -> str:
        """Over prompts, topics and constraints."""
        return hash_rows(instruction.model_dump() for instruction in self.instructions)

    @property
    def size(self) -> int:
        """How many prompts there are."""
        return len(self.instructions)

    def settings(self, chat_template: str | None) -> Mapping[str, Json]:
        """Whether the prompt is a user's turn, and greedy decoding."""
        return {
            "chat_template": template_applied(self.given.chat_template, chat_template),
            "num_fewshot": 0,
            "sampling": asdict(self._sampling),
        }

    def rows(self, engine: Engine) -> Iterator[Row]:
        """Ask every prompt once and judge the answer."""
        applied = template_applied(self.given.chat_template, engine.info.chat_template)
        prompts = [Prompt(content=_content(each.prompt, applied)) for each in self.instructions]
        for place, response in engine.generate(prompts, self._sampling):
            yield self._row(place, response)

    @property
    def _sampling(self) -> Sampling:
        return Sampling(max_tokens=self.given.max_tokens)

    def _row(self, place: int, response: Response) -> Row:
        instruction = self.instructions[place]
        return Row(
            sample=instruction.sample,
            responses=(response,),
            scores=_instruction_scores(instruction, response),
            position=place,
        )


def _content(text: str, chat_template: bool) -> str | tuple[Message, ...]:
    return (Message(role="user", content=text),) if chat_template else text


def _instruction_scores(instruction: ToyInstruction, response: Response) -> tuple[Score, ...]:
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


# ---------------------------------------------------------------- toxicity


class ToyQuarrel(ToyRow):
    """What tempts a model to be rude."""

    prompt: str


@dataclass(frozen=True)
class ToyToxicity:
    """The suite `toy-toxicity`: how often is a reply to a provocation rude?"""

    given: ToyToxicitySettings
    surroundings: Surroundings

    name: ClassVar[str] = "toy-toxicity"
    version: ClassVar[str] = "3"

    @cached_property
    def quarrels(self) -> tuple[ToyQuarrel, ...]:
        """The rows to ask. Raises DataError."""
        return _toy_rows(self.name, ToyQuarrel, self.given)

    @property
    def known_samples(self) -> list[Sample]:
        """The prompts, known before a classifier is."""
        return [Sample(id=quarrel.id, prompt=quarrel.prompt) for quarrel in self.quarrels]

    @cached_property
    def scorer(self) -> Toxicity:
        """The judge of replies. Raises UnknownName or ModelError."""
        return Toxicity.find(self.given.classifier, self.surroundings.resolve)

    @property
    def metrics(self) -> tuple[Metric, ...]:
        """As the real suite's. Raises what `scorer` does."""
        return metrics(self.given, self.scorer)

    @property
    def data_hash(self) -> str:
        """Over prompts."""
        return hash_rows(quarrel.model_dump() for quarrel in self.quarrels)

    @property
    def size(self) -> int:
        """How many prompts there are."""
        return len(self.quarrels)

    def settings(self, chat_template: str | None) -> Mapping[str, Json]:
        """Sampling, number of replies, and the classifier with its weights' hash."""
        return continuation_settings(self.given, self.scorer, chat_template)

    def rows(self, engine: Engine) -> Iterator[Row]:
        """One row per prompt, with all its replies."""
        return continuation_rows(self.known_samples, engine, self.given, self.scorer)
