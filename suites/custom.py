"""A user's own suite: prompts from a file, and a rule that scores the answers, declared in harness.toml.

    [suites.capitals]
    prompts = "capitals.jsonl"
    rule = "exact"

It is stored, paired, split and reported as the official suites are. Its conditions (the rule, for a Python
function the hash of its module, sampling, the rows) are part of every run.

It does not know who will be asked.
"""

from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from functools import cached_property
from typing import ClassVar

from harness.adaptors.asking import Answer, failure_of, logprobs_of
from harness.errors import UsageError
from harness.protocols import Engine, Suite
from harness.records import Json, Message, Metric, Prompt, Response, Row, Sample, Sampling, Score
from harness.time_limit import TookTooLong, time_limit
from suites.custom_rows import CustomRow, CustomSettings, read_rows
from suites.official import hash_rows
from suites.rules import CHOICE, TEXTUAL, FunctionRule, TextRule, load_function
from suites.settings import Surroundings, template_applied

PATIENCE = 1.0
"""Seconds of the processor that a rule may take on one answer: a regular expression can take years."""


def open_custom(name: str, given: CustomSettings, surroundings: Surroundings) -> Suite:
    """The suite of this section. Raises UsageError for a rule that cannot be loaded."""
    if given.rule == CHOICE:
        return ChoiceSuite(name, given)
    if given.rule not in TEXTUAL:
        return GeneratedSuite(name, given, load_function(given.rule, surroundings.root))
    rule = TextRule(
        name=given.rule,
        extract=given.extract,
        ignore_case=given.ignore_case,
        ignore_punctuation=given.ignore_punctuation,
        ignore_whitespace=given.ignore_whitespace,
    )
    return GeneratedSuite(name, given, rule)


@dataclass(frozen=True)
class _Custom:
    """What all of a user's suites share: their rows."""

    name: str
    given: CustomSettings

    version: ClassVar[str] = "2"

    @cached_property
    def items(self) -> tuple[CustomRow, ...]:
        """The rows to ask. Raises DataError."""
        return read_rows(self.given)

    @property
    def known_samples(self) -> list[Sample]:
        """The rows, known before a rule is loaded or anything is asked."""
        return [self._sample(item) for item in self.items]

    @cached_property
    def data_hash(self) -> str:
        """Over the rows as the file has them, every field of them."""
        return hash_rows(item.written for item in self.items)

    @property
    def size(self) -> int:
        """How many rows there are."""
        return len(self.items)

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

    def _sample(self, item: CustomRow) -> Sample:
        return Sample(
            id=item.id,
            prompt=item.prompt,
            choices=item.choices,
            target=" | ".join(item.targets) or None,
            tags=item.tags,
        )


# ---------------------------------------------------------------- generated answers


@dataclass(frozen=True)
class GeneratedSuite(_Custom):
    """A suite whose answers are generated and then scored."""

    rule: TextRule | FunctionRule

    @property
    def metrics(self) -> tuple[Metric, ...]:
        """One, named like the rule or the function."""
        is_function = isinstance(self.rule, FunctionRule)
        return (
            Metric(
                name=self._metric,
                kind="number" if is_function else "binary",
                headline=True,
                splits=self.given.splits,
            ),
        )

    @property
    def _metric(self) -> str:
        return self.rule.metric if isinstance(self.rule, FunctionRule) else self.rule.name

    @property
    def sampling(self) -> Sampling:
        """As the section says; greedy unless it says otherwise."""
        given = self.given
        return Sampling(
            max_tokens=given.max_tokens,
            temperature=given.temperature,
            top_p=given.top_p,
            stop=given.stop,
            seed=given.seed,
        )

    def settings(self, chat_template: str | None) -> Mapping[str, Json]:
        """Sampling and the rule."""
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
            Prompt(content=_content(item, applied), draw=draw) for item in self.items for draw in range(draws)
        ]
        answered: dict[int, dict[int, Response]] = {}
        for index, response in engine.generate(prompts, self.sampling):
            place, draw = divmod(index, draws)
            of_item = answered.setdefault(place, {})
            of_item[draw] = response
            if len(of_item) == draws:
                yield self._row(place, [of_item[draw] for draw in range(draws)])
                del answered[place]

    def _row(self, place: int, responses: list[Response]) -> Row:
        item = self.items[place]
        return Row(
            sample=self._sample(item),
            responses=tuple(responses),
            scores=tuple(self._score(item, response) for response in responses),
            position=place,
        )

    def _score(self, item: CustomRow, response: Response) -> Score:
        if response.unanswered is not None:
            return Score(metric=self._metric, value=None, reason=response.unanswered)
        if isinstance(self.rule, FunctionRule):
            return self.rule.score(response.text, item.written, item.where)
        try:
            with time_limit(PATIENCE):
                value = float(self.rule.holds(response.text, item.targets))
        except TookTooLong:
            reason = f"the regular expression took longer than {PATIENCE:g} s on this answer, and was ended"
            return Score(metric=self._metric, value=None, reason=reason)
        return Score(metric=self._metric, value=value)


def _content(item: CustomRow, chat_template: bool) -> str | tuple[Message, ...]:
    return _turns(item) if chat_template else _text(item)


def _turns(item: CustomRow) -> tuple[Message, ...]:
    return (Message(role="user", content=item.prompt),) if isinstance(item.prompt, str) else item.prompt


def _text(item: CustomRow) -> str:
    """The prompt without a chat template: a text, or the one turn it consists of."""
    return item.prompt if isinstance(item.prompt, str) else item.prompt[0].content


# ---------------------------------------------------------------- choices


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
        """The rule."""
        return {
            "chat_template": self._applied(chat_template, scored=True),
            "num_fewshot": 0,
            "rule": {"name": CHOICE},
        }

    def rows(self, engine: Engine) -> Iterator[Row]:
        """Score every choice, and yield a row when its choices are scored."""
        if not engine.can_score:
            raise UsageError(
                f"suite {self.name!r} needs log-likelihoods, which this model's engine cannot give; give the "
                "suite another rule, or ask a model that this machine loads"
            )
        applied = self._applied(engine.info.chat_template, scored=True)
        asked = [(place, choice) for place, item in enumerate(self.items) for choice in item.choices]
        pairs = [_pair(engine, self.items[place], choice, applied) for place, choice in asked]
        scored: dict[int, dict[str, Answer]] = {}
        for index, likelihood in engine.loglikelihood(pairs):
            place, choice = asked[index]
            of_item = scored.setdefault(place, {})
            of_item[choice] = likelihood
            if len(of_item) == len(self.items[place].choices):
                yield self._row(place, scored.pop(place))

    def _row(self, place: int, answers: Mapping[str, Answer]) -> Row:
        item = self.items[place]
        return Row(
            sample=self._sample(item),
            responses=tuple(answers[choice] for choice in item.choices),
            scores=_chosen(item, answers),
            position=place,
        )


def _chosen(item: CustomRow, answers: Mapping[str, Answer]) -> tuple[Score, ...]:
    """Whether the likeliest choice is right; no values where one of the choices could not be scored."""
    failure = failure_of(answers.values())
    if failure is not None:
        return tuple(
            Score(metric=name, value=None, reason=failure) for name in ("choice", "choice_per_character")
        )
    logprobs = logprobs_of(answers)
    likeliest = max(item.choices, key=lambda choice: logprobs[choice])
    per_character = max(item.choices, key=lambda choice: logprobs[choice] / len(choice))
    return (
        Score(metric="choice", value=float(likeliest in item.targets)),
        Score(metric="choice_per_character", value=float(per_character in item.targets)),
    )


def _pair(engine: Engine, item: CustomRow, choice: str, chat_template: bool) -> tuple[str, str]:
    """Context and continuation: the choice begins the assistant's turn, or follows the text after a space."""
    if chat_template:
        turns = _turns(item)
        return engine.render(turns, open_turn=turns[-1].role != "assistant"), choice
    text = _text(item)
    return text, choice if text[-1:].isspace() else f" {choice}"
