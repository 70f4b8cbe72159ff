"""What is read of an `inspect_ai` log: the header, and a sample in one epoch, checked.

Read against 0.3.285 (`inspect_ai/log/_log.py`, format version 2). Other fields are left out.
"""

from collections.abc import Iterator, Mapping
from typing import Any, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from harness.engine.given_answers import MOST_COUNTED
from harness.errors import DataError
from harness.files import MOST_NESTED, TOO_DEEP, first_problem, nested_deeper
from harness.imported.fields import as_prompt, in_one_line
from harness.records.answers import Message

VERSION = 2
MOST_EPOCHS = 10_000
ATTACHMENT = "attachment://"
"""How a text begins that stands elsewhere in the sample."""


class _Logged(BaseModel):
    model_config = ConfigDict(extra="ignore", frozen=True, strict=True)


RecordT = TypeVar("RecordT", bound=BaseModel)


# ---------------------------------------------------------------- samples


class InspectMessage(_Logged):
    """A turn of the model."""

    content: str | list[dict[str, Any]] = ""

    @property
    def thoughts(self) -> Iterator[str]:
        """What it thought, as far as its provider says it: all of it, or in place of that a summary."""
        for part in self.content if isinstance(self.content, list) else ():
            if part.get("type") == "reasoning":
                yield str((not part.get("redacted") and part.get("reasoning")) or part.get("summary") or "")


class InspectChoice(_Logged):
    """One answer of a call."""

    message: InspectMessage
    stop_reason: str = "unknown"


class InspectUsage(_Logged):
    """Tokens of the last call."""

    input_tokens: int = 0
    output_tokens: int = 0
    input_tokens_cache_read: int | None = None
    input_tokens_cache_write: int | None = None

    @property
    def prompt_tokens(self) -> int:
        """All that were read: inspect's `input_tokens` are those that no cache had."""
        cached = (self.input_tokens_cache_read or 0) + (self.input_tokens_cache_write or 0)
        return _countable(self.input_tokens + cached)

    @property
    def completion_tokens(self) -> int:
        """All that were written."""
        return _countable(self.output_tokens)


def _countable(tokens: int) -> int:
    """A number of tokens, as far as a store can keep it."""
    return min(max(tokens, 0), MOST_COUNTED)


class InspectOutput(_Logged):
    """The last call's."""

    choices: list[InspectChoice] = []
    completion: str = ""
    usage: InspectUsage | None = None
    time: float | None = None
    """Seconds."""


class InspectScore(_Logged):
    """What a scorer gave; a value that is null, as NaN is, is none."""

    value: Any = None
    reason: str | None = None
    explanation: str | None = None


class InspectError(_Logged):
    """Why a sample or a run ended."""

    message: str = ""

    @property
    def in_short(self) -> str:
        """In one line: it can be a page."""
        return in_one_line(self.message) or "no reason given"


class InspectLimit(_Logged):
    """Which limit ended a sample: of messages, tokens, time, …"""

    type: str
    limit: float | None = None


class InspectSample(_Logged):
    """A sample in one epoch."""

    id: int | str
    epoch: int = Field(ge=1, le=MOST_EPOCHS)
    input: str | list[dict[str, Any]]
    choices: list[str] | None = None
    target: str | list[str] = ""
    output: InspectOutput = InspectOutput()
    scores: dict[str, InspectScore] | None = None
    metadata: dict[str, Any] = {}
    error: InspectError | None = None
    limit: InspectLimit | None = None
    invalidation: dict[str, Any] | None = None
    attachments: dict[str, str] = {}

    @field_validator("input")
    @classmethod
    def _is_shallow(cls, given: str | list[dict[str, Any]]) -> str | list[dict[str, Any]]:
        if nested_deeper(given, MOST_NESTED):
            raise ValueError(TOO_DEEP)
        return given

    @property
    def prompt(self) -> str | tuple[Message, ...]:
        """What is asked, without the ids that each run gives its messages."""
        if isinstance(self.input, str):
            return self.attached(self.input)
        kept = ("role", "content", "tool_calls", "function")
        return as_prompt([{key: turn[key] for key in kept if key in turn} for turn in self.input])

    @property
    def answer(self) -> str:
        """The text that was scored."""
        return self.attached(self.output.completion)

    def attached(self, text: str) -> str:
        """A text, from where it stands."""
        return self.attachments.get(text.removeprefix(ATTACHMENT), text)

    @property
    def unscored(self) -> str | None:
        """Why its scores, if it has any, are none: inspect scores some of such samples; None: they count."""
        if self.error is not None:
            return f"error: {self.error.in_short}"
        if self.limit is not None:
            return f"limit: {self.limit.type}"
        return "invalidated" if self.invalidation is not None else None


SAMPLE_FIELDS = frozenset(InspectSample.model_fields)


# ---------------------------------------------------------------- header


class InspectNamed(_Logged):
    """A scorer, or what else has a name and options."""

    name: str
    options: dict[str, Any] | None = None


class InspectStep(_Logged):
    """A solver."""

    solver: str
    params: dict[str, Any] = {}


class InspectPlan(_Logged):
    """The solvers, and how the model was asked to generate."""

    steps: list[InspectStep] = []
    config: dict[str, Any] = {}


class InspectDataset(_Logged):
    """What was to be asked: `sample_ids` after `--limit`, and `samples` before it."""

    samples: int | None = Field(None, ge=0, le=MOST_COUNTED)
    sample_ids: list[int | str] | None = None


class InspectHeadline(_Logged):
    """The score that the task itself puts first."""

    scorer: str | None = None
    score: str | None = None


class InspectSpec(_Logged):
    """The task, the model and the settings."""

    created: str = ""
    task: str
    task_version: int | str = 0
    task_args: dict[str, Any] = {}
    dataset: InspectDataset
    model: str
    model_args: dict[str, Any] = {}
    model_generate_config: dict[str, Any] = {}
    model_roles: dict[str, Any] | None = None
    config: dict[str, Any] = {}
    packages: dict[str, str] = {}
    scorers: list[InspectNamed] | None = None
    headline_metric: InspectHeadline | None = None


class InspectFigure(_Logged):
    """A figure of the whole."""

    name: str
    value: float | int | None = None


class InspectFigures(_Logged):
    """The figures of one score: of a scorer, or of one key of what it gives."""

    name: str
    scorer: str
    reducer: str | None = None
    metrics: dict[str, InspectFigure] = {}


class InspectResults(_Logged):
    """The figures of all scores; a run that did not end has none."""

    scores: list[InspectFigures] = []


class InspectHeader(_Logged):
    """Everything of a log but its samples."""

    version: int
    status: str = "started"
    eval: InspectSpec
    plan: InspectPlan = InspectPlan()
    results: InspectResults | None = None
    error: InspectError | None = None


def read_record(schema: type[RecordT], source: str, given: Mapping[str, Any]) -> RecordT:
    """An object as a schema sees it. Raises DataError, which names `source` and the field."""
    try:
        return schema.model_validate(given)
    except ValidationError as error:
        field, problem = first_problem(error)
        raise DataError(source, 0, f"is not what inspect_ai writes: {field}: {problem}") from error
