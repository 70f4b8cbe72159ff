"""A user's own suite: prompts from a file, and a rule that scores the answers, defined in harness.toml.

    [suites.capitals]
    prompts = "capitals.jsonl"
    rule = "exact"

It is stored, paired, split and reported as the official suites are. Its conditions (the rule, for a Python
function the hash of its module, sampling, the rows) are part of every run.
"""

from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from functools import cached_property
from typing import ClassVar

from harness.adaptors.engine_requests import check_can_score
from harness.errors import UsageError
from harness.protocols import Engine, Suite
from harness.records.answers import Metric, Prompt, Response, Row, SamplingParameters, Score
from harness.records.models import Json
from harness.time_limit import TookTooLong, time_limit
from harness.turns import turns_or_text
from suites.choices import choice_rows
from suites.custom_rows import CustomRow, CustomSettings, read_rows
from suites.row_suite import SampleSuite
from suites.rules import CHOICE, TEXTUAL, FunctionRule, TextRule, function_rule
from suites.settings import SuiteContext, template_applied

PATIENCE = 1.0
"""Processor seconds that a rule may take on one answer: a regular expression can take years."""


def open_custom(name: str, given: CustomSettings, context: SuiteContext) -> Suite:
    """The suite of this section. Raises UsageError for a rule that cannot be loaded."""
    if given.rule == CHOICE:
        return ChoiceSuite(name, given)
    if given.rule not in TEXTUAL:
        return GeneratedSuite(name, given, function_rule(given.rule, context.root))
    rule = TextRule(
        name=given.rule,
        extract=given.extract,
        ignore_case=given.ignore_case,
        ignore_punctuation=given.ignore_punctuation,
        ignore_whitespace=given.ignore_whitespace,
    )
    return GeneratedSuite(name, given, rule)


@dataclass(frozen=True)
class _Custom(SampleSuite[CustomRow]):
    """What all of a user's suites share: their rows."""

    name: str
    given: CustomSettings

    version: ClassVar[str] = "2"

    @cached_property
    def items(self) -> tuple[CustomRow, ...]:
        return read_rows(self.given)

    def _applied(self, chat_template: str | None, *, scored: bool = False) -> bool:
        """Whether prompts are turns. Raises UsageError where they must be and the model takes none."""
        applied = template_applied(self.given.chat_template, chat_template, scored=scored)
        if not applied:
            for item in self.items:
                if not isinstance(item.prompt, str) and [turn.role for turn in item.prompt] != ["user"]:
                    raise UsageError(
                        f"{item.where}: the prompt is several turns, and no chat template is applied that "
                        "could make one text of them; ask a model that has one, or write the prompt as a text"
                    )
        return applied


@dataclass(frozen=True)
class GeneratedSuite(_Custom):
    """A suite whose answers are generated and then scored."""

    rule: TextRule | FunctionRule

    @property
    def metrics(self) -> tuple[Metric, ...]:
        rule = self.rule
        return (Metric(name=rule.metric, kind=rule.kind, headline=True, splits=self.given.splits),)

    @property
    def sampling(self) -> SamplingParameters:
        given = self.given
        return SamplingParameters(
            max_tokens=given.max_tokens,
            temperature=given.temperature,
            top_p=given.top_p,
            stop=given.stop,
            seed=given.seed,
        )

    def settings(self, chat_template: str | None) -> Mapping[str, Json]:
        return {
            "chat_template": self._applied(chat_template),
            "num_fewshot": 0,
            "sampling": asdict(self.sampling),
            "samples": self.given.samples,
            "rule": self.rule.identity,
        }

    def rows(self, engine: Engine) -> Iterator[Row]:
        """Ask every prompt as often as there are samples, and yield it when all its answers are there."""
        applied = self._applied(engine.info.chat_template)
        draws = self.given.samples
        prompts = [
            Prompt(content=turns_or_text(item.prompt, chat=applied), draw=draw)
            for item in self.items
            for draw in range(draws)
        ]
        answered: dict[int, dict[int, Response]] = {}
        for index, response in engine.generate(prompts, self.sampling):
            place, draw = divmod(index, draws)
            of_item = answered.setdefault(place, {})
            of_item[draw] = response
            if len(of_item) == draws:
                item, responses = self.items[place], tuple(of_item[draw] for draw in range(draws))
                yield Row(
                    sample=item.sample,
                    responses=responses,
                    scores=tuple(self._score(item, response) for response in responses),
                    position=place,
                )
                del answered[place]

    def _score(self, item: CustomRow, response: Response) -> Score:
        if response.unanswered is not None:
            return Score(metric=self.rule.metric, value=None, reason=response.unanswered)
        if isinstance(self.rule, FunctionRule):
            return self.rule.score(response.text, item.written, item.where)
        try:
            with time_limit(PATIENCE):
                value = float(self.rule.holds(response.text, item.targets))
        except TookTooLong:
            reason = f"the regular expression took longer than {PATIENCE:g} s on this answer, and was ended"
            return Score(metric=self.rule.metric, value=None, reason=reason)
        return Score(metric=self.rule.metric, value=value)


@dataclass(frozen=True)
class ChoiceSuite(_Custom):
    """A suite that asks which of a row's choices is likeliest, by their log-likelihoods."""

    @property
    def metrics(self) -> tuple[Metric, ...]:
        """Whether a right choice is likeliest; and likeliest per character, as lm-eval's `acc_norm`."""
        splits = self.given.splits
        return (
            Metric(name="choice", kind="binary", headline=True, splits=splits),
            Metric(name="choice_per_character", kind="binary", splits=splits),
        )

    def settings(self, chat_template: str | None) -> Mapping[str, Json]:
        return {
            "chat_template": self._applied(chat_template, scored=True),
            "num_fewshot": 0,
            "rule": {"name": CHOICE},
        }

    def rows(self, engine: Engine) -> Iterator[Row]:
        chat = self._applied(engine.info.chat_template, scored=True)
        check_can_score(engine)
        return choice_rows(engine, self.known_samples, self.metrics, self._values, chat=chat)

    def _values(self, place: int, logprobs: Mapping[str, float]) -> tuple[float, float]:
        """Whether the likeliest choice is right, and the likeliest per character."""
        item = self.items[place]
        likeliest = max(item.choices, key=lambda choice: logprobs[choice])
        per_character = max(item.choices, key=lambda choice: logprobs[choice] / len(choice))
        return float(likeliest in item.targets), float(per_character in item.targets)
