"""Questions and answers: what a model is asked, what it gives back, and what that is worth."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from datetime import datetime
from operator import attrgetter
from typing import Any, Literal, cast

from harness.records.models import Json


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    """One turn of a conversation."""

    role: Literal["system", "user", "assistant"]
    content: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Prompt:
    """What a model is asked to continue."""

    content: str | tuple[Message, ...]
    """Text to be continued as it is, or turns that the engine renders with the model's chat template."""
    draw: int = 0
    """Which of several samples of the same content this is; part of the request's identity."""
    schema: str | None = None
    """A JSON schema, as JSON text, that the service holds the answer to; part of the request's identity.

    Only for models that `harness.engine.opening.takes_schema` says it of.
    """


@dataclass(frozen=True, slots=True, kw_only=True)
class SamplingParameters:
    """How an answer is drawn. Part of every answer's identity in the store."""

    max_tokens: int
    temperature: float = 0.0
    """0 is greedy decoding, and then `top_p`, `top_k` and `seed` change nothing."""
    top_p: float = 1.0
    top_k: int = 0
    """0 keeps the whole vocabulary."""
    stop: tuple[str, ...] = ()
    """An answer ends before the first of these strings, which is not part of it."""
    seed: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Response:
    """A generated answer."""

    text: str
    """The answer alone, without the thoughts before it."""
    stop_reason: Literal["end", "length", "thinking", "refused", "absent", "failed"]
    """`thinking`: its tokens ran out before the thought ended, so there is no answer. `absent`: the file that
    answers are taken from has none. `failed`: it is asked again the next time."""
    prompt_tokens: int = 0
    completion_tokens: int = 0
    seconds: float = 0.0
    truncated: int = 0
    """Tokens cut from the left of the prompt because it did not fit."""
    reason: str | None = None
    """Why there is no answer."""
    thought: str | None = None
    """What the model wrote before its answer, for people who read the report. None: it wrote none."""
    key: str = ""
    """The hash it is kept under in the store; empty where it is not kept."""

    @property
    def unanswered(self) -> str | None:
        """Why there is nothing to score, judge or rate; None where there is an answer, cut or whole."""
        if self.stop_reason in ("end", "length"):
            return None
        return f"{self.stop_reason}: {self.reason or 'no reason given'}"


@dataclass(frozen=True, slots=True, kw_only=True)
class LogLikelihood:
    """The log-likelihood of a given continuation."""

    logprob: float
    """Natural logarithm, summed over the continuation's tokens."""
    greedy: bool
    """Whether greedy decoding would have produced exactly this continuation."""
    tokens: int
    """How many tokens were scored."""
    truncated: int = 0
    key: str = ""


FIELDS = {kind: tuple(field.name for field in fields(kind)) for kind in (Response, LogLikelihood)}
_VALUES = {kind: attrgetter(*names) for kind, names in FIELDS.items()}


def values_of(answer: Response | LogLikelihood) -> tuple[Any, ...]:
    """What an answer's fields hold, in the order of `FIELDS`, of which `key` is the last."""
    values: tuple[Any, ...] = _VALUES[type(answer)](answer)
    return values


def answer_of(kind: type[Response] | type[LogLikelihood], values: Sequence[Any]) -> Response | LogLikelihood:
    """The answer with these `values_of` it."""
    return kind(**dict(zip(FIELDS[kind], values, strict=True)))


def under_key(answer: Response | LogLikelihood, key: str) -> Response | LogLikelihood:
    """The answer, as it is kept under this key."""
    return answer_of(type(answer), (*values_of(answer)[:-1], key))


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """One item of a suite."""

    id: str
    """Stable across runs, models and sources of the same data: pairing depends on it."""
    prompt: str | tuple[Message, ...]
    """What the item asks, before few-shot text or a chat template is put around it."""
    choices: tuple[str, ...] = ()
    target: str | None = None
    """What would be right, for people who read the report."""
    cluster: str | None = None
    """Samples that share a cluster are not independent. None: the sample stands alone."""
    tags: Mapping[str, Json] = field(default_factory=dict)
    """What results can be split by: category, instruction type, …

    A list says what each part of the sample's scores is, in their order; anything else is said of all of
    them, and None says nothing.
    """


@dataclass(frozen=True, slots=True, kw_only=True)
class Score:
    """One number about one sample, or the reason why there is none.

    `value` None means unscored: it is counted and shown, and never averaged in, never 0, never NaN.
    A row may hold several scores of one metric (instructions of a prompt, draws of a continuation);
    their order in the row is their `part`, and they pair by it.
    """

    metric: str
    value: float | None
    reason: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """A sample, what a model answered, and what that is worth: what a suite yields and the store keeps."""

    sample: Sample
    responses: tuple[Response | LogLikelihood, ...]
    scores: tuple[Score, ...]
    position: int = 0
    """The sample's place in the suite; rows come in any order."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Metric:
    """Something a suite measures. The kind picks the test."""

    name: str
    kind: Literal["binary", "number"]
    higher_is_better: bool = True
    headline: bool = False
    """Whether the verdict and the leaderboard's mean rest on it. A headline lies within 0 and 1."""
    splits: tuple[str, ...] = ()
    """The samples' tags by which reports show it group by group."""
    note: str | None = None
    """What a reader of its numbers must know."""
    margin: float | None = None
    """How much of it may be lost, in its own unit: a comparison then also decides whether less than that was.

    How results are read, and no part of a run: it can change afterwards, and nothing is asked again.
    """
    excerpt: bool = False
    """Whether it is of excerpts, cut at a length that belongs to the protocol. Of all other metrics, reports
    count the answers that were cut. No part of a run either."""


REQUEST = "asked"
"""The key of a run's environment under which its EvaluationRequest stands."""
SECONDS_BEFORE = "seconds_before"
"""The key of a run's environment under which the seconds stand that its answers took before it began."""


@dataclass(frozen=True, slots=True, kw_only=True)
class EvaluationRequest:
    """The settings with which an evaluation last asked for a run."""

    at: str
    """ISO 8601, UTC."""
    settings: Mapping[str, Json]
    """The suite's settings in the configuration, defaults included."""
    rows: int | None = None
    """The number of rows that the suite has, if only the first were asked."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """One suite asked of one model: everything needed to answer "were the conditions the same?"."""

    id: str
    """The hash of what makes it this run: see `plan_run` in `harness.evaluation`."""
    model: str
    """The model's or pipeline's name."""
    fingerprint: str
    """The engine's fingerprint: weights, tokenizer, chat template, adapter, dtype."""
    suite: str
    suite_version: str
    metrics: tuple[Metric, ...]
    data_hash: str
    settings: Mapping[str, Json]
    """What answers and scores depend on besides model and data: sampling, few-shot, template, scorer."""
    seed: int
    environment: Mapping[str, Json]
    """Package versions, hardware, device, and its EvaluationRequest. Not part of the identity."""
    size: int
    """The number of samples that the run has when it is complete."""
    started: str
    """ISO 8601, UTC."""
    finished: str | None = None
    """None: not complete yet."""

    @property
    def seconds(self) -> float | None:
        """What asking and scoring took, as far as it was done the last time; None: not complete yet.

        Where several suites were asked together, the run has its part of that by the number of its requests.
        """
        if self.finished is None:
            return None
        whole = datetime.fromisoformat(self.finished) - datetime.fromisoformat(self.started)
        return whole.total_seconds() + cast(float, self.environment.get(SECONDS_BEFORE, 0.0))

    @property
    def request(self) -> EvaluationRequest | None:
        """The last evaluation request; None for a run from before requests were recorded."""
        kept = self.environment.get(REQUEST)
        return EvaluationRequest(**cast(Any, kept)) if isinstance(kept, Mapping) else None


@dataclass(frozen=True, slots=True, kw_only=True)
class Observation:
    """One stored score with what pairing and clustering need."""

    sample: str
    part: int
    cluster: str
    """The sample's cluster, or its id."""
    value: float | None
