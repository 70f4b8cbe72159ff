"""A configuration that has been read, as frozen dataclasses."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from harness.errors import UnknownName
from harness.records.models import Json, Mix, Model, Pipeline

PER_TOKENS = 1_000_000
"""Tokens that a price is given for."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ProjectSettings:
    """Section `[project]`. Every path is absolute."""

    file: Path
    """What was read."""
    root: Path
    """The folder that relative paths of the file, training data among them, start from."""
    store: str
    """A SQLAlchemy URL; SQLite's file is absolute."""
    output: Path
    """Where candidates go."""
    reports: Path
    seed: int
    label: str | None
    """What every report must say about the project: the toy world's says that it is a toy."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Compare:
    """Section `[compare]`: what `harness compare` does by default."""

    suites: tuple[str, ...]
    judges: tuple[str, ...]
    baseline: str | None
    """None: the first name on the command line."""
    level: float
    """The level of intervals and tests; 0.95 is 95 %."""
    resamples: int
    """The number of resamples, for the bootstrap and permutation tests."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Placement:
    """Section `[run]`: in which processes, and on which machines, local models are asked."""

    on: str | None = None
    """`ray`, or the address of a Ray cluster's head; None: this process."""
    replicas: int | None = None
    """How many processes ask each model at the same time; None: as many as there is room for."""
    gpus_per_replica: float | None = None
    """GPUs that each of them has; a fraction shares one. None: 1 where there are GPUs."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenPrice:
    """Section `[prices.MODEL]`: what a service takes for a million tokens."""

    input: float
    """The price of what it is asked."""
    output: float
    """The price of what it replies, thoughts included."""

    def of(self, prompt_tokens: int, completion_tokens: int) -> float:
        """The cost of a request, in the currency of the prices."""
        return (self.input * prompt_tokens + self.output * completion_tokens) / PER_TOKENS


@dataclass(frozen=True, slots=True, kw_only=True)
class Prices:
    """Section `[prices]`."""

    currency: str
    of: Mapping[str, TokenPrice]
    """The prices, by the model's name."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MetricRule:
    """A rule of `[gate]` about a suite: the candidate must be better on it."""

    key: str
    """Where it stands in the file."""
    suite: str
    metric: str | None = None
    """None: those that the suite is decided by."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LossRule(MetricRule):
    """A rule of `[gate]` about a suite: the candidate must not be worse on it, beyond a margin."""

    margin: float | None = None
    """The loss that is acceptable, in the metric's own unit; None: the suite's own margin."""
    proof: bool = True
    """Whether it fails where it cannot be decided."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AgreementRule:
    """The rule of `[gate]` about judges and people."""

    key: str
    coefficient: Literal["share", "kappa"]
    """The share of equal verdicts, or Cohen's kappa."""
    at_least: float
    judge: str | None = None
    """The name of a judge, or `jury`; None: all judges, or their juries."""
    proof: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Gate:
    """Section `[gate]`: what a candidate must keep to."""

    candidate: str | None = None
    baseline: str | None = None
    better: tuple[MetricRule, ...] = ()
    not_worse: tuple[LossRule, ...] = ()
    unscored: float | None = None
    """The largest share of a metric's scores that may be missing; None: any."""
    agreement: AgreementRule | None = None

    @property
    def metric_rules(self) -> tuple[MetricRule, ...]:
        """Every rule that names a suite."""
        return (*self.better, *self.not_worse)

    @property
    def is_empty(self) -> bool:
        """Whether it has no rule."""
        return not self.metric_rules and self.unscored is None and self.agreement is None


@dataclass(frozen=True, slots=True, kw_only=True)
class Registry:
    """Everything a harness.toml defines. Names are unique over models and pipelines together."""

    project: ProjectSettings
    models: Mapping[str, Model]
    pipelines: Mapping[str, Pipeline]
    suites: Mapping[str, Mapping[str, Json]]
    """The settings of every suite that has a section, whole; a suite without one has its defaults."""
    compare: Compare
    judge: Mapping[str, Json]
    """How judges are asked, whole: the settings of `[judge]`, or their defaults."""
    prices: Prices
    mixes: Mapping[str, Mix] = field(default_factory=dict)
    """What stages' data `mix:NAME` stand for."""
    run: Placement = field(default_factory=Placement)
    gate: Gate = field(default_factory=Gate)

    def candidate(self, name: str) -> Model | Pipeline:
        """The model or pipeline of this name. Raises UnknownName."""
        known: dict[str, Model | Pipeline] = {**self.models, **self.pipelines}
        if name not in known:
            raise UnknownName("model or pipeline", name, known)
        return known[name]
