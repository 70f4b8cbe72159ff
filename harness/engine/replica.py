"""One replica of a model: an engine in a process of its own, as Ray runs it, and what it sends.

A replica works while it is asked for more, and answers each time with what came within `SENT_AFTER`. So a
call that is left costs nothing, and plain calls are enough, which a driver outside the cluster has too
(`ray://`).
"""

import platform
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from importlib.metadata import version
from os import getpid
from time import monotonic
from typing import Any

from harness.calls import Call
from harness.engine.opening import open_engine
from harness.engine.steps import watching_steps
from harness.environment import OF_ENGINES, processor
from harness.errors import HarnessError
from harness.protocols import Engine
from harness.records.answers import LogLikelihood, Response, values_of
from harness.records.models import Json, Model

SENT_AFTER = 0.25
"""Seconds that an answer waits in its replica for others, so that few messages carry many."""
PACKAGES = OF_ENGINES["local"]
"""Packages on which answers depend: replicas should have the driver's."""


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenedReplica:
    """What a replica says of itself once its engine is open."""

    node: str
    process: int
    fingerprint: str
    can_score: bool
    description: dict[str, Json]
    conditions: dict[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class ReplicaBatch:
    """What a replica sends."""

    answers: list[tuple[int, type[Response] | type[LogLikelihood], tuple[Any, ...]]]
    """Each with the place of its request in the shard, as the values of its fields: records take the driver
    four times as long to read."""
    tokens: tuple[int, int] = (0, 0)
    """How many the replica has written of the shard, and how many may still follow."""
    end: OpenedReplica | HarnessError | None = None
    """How the shard ended: what the replica is now, or what went wrong; None: there is more."""
    forgotten: bool = False
    """Whether the replica knows nothing of the shard, since it was started anew meanwhile."""


class Replica:
    """An engine in a process of its own."""

    def __init__(self, model: Model, device: str | None) -> None:
        self._model, self._device = model, device
        self._engine: Engine | None = None
        self._answers: Iterator[tuple[int, Any]] | None = None
        self._tokens = 0, 0

    def open(self) -> OpenedReplica | HarnessError:
        """Load the model, and say what it is."""
        try:
            self._engine = self._load()
        except HarnessError as error:
            return _raised(error)
        return _said(self._engine)

    def begin(self, call: Call) -> ReplicaBatch:
        """Begin to answer a call, and return what comes first."""
        opened = self.open() if self._engine is None else None  # it may have died while nothing was asked
        if isinstance(opened, HarnessError):
            return ReplicaBatch(answers=[], end=opened)
        assert self._engine is not None
        self._answers, self._tokens = call.ask(self._engine), (0, 0)
        return self.more()

    def more(self) -> ReplicaBatch:
        """What comes next of what was begun, within `SENT_AFTER`: one answer at least, unless it is over."""
        if self._answers is None or self._engine is None:
            return ReplicaBatch(answers=[], forgotten=True)
        batch = []
        began = monotonic()
        try:
            with watching_steps(self._written):
                for place, answer in self._answers:
                    batch.append((place, type(answer), values_of(answer)))
                    if monotonic() - began > SENT_AFTER:
                        return ReplicaBatch(answers=batch, tokens=self._tokens)
        except HarnessError as error:
            return ReplicaBatch(answers=batch, end=_raised(error))
        return ReplicaBatch(answers=batch, tokens=self._tokens, end=_said(self._engine))

    def _written(self, written: int, left: int) -> None:
        self._tokens = written, left

    def _load(self) -> Engine:
        return open_engine(self._model, device=self._device)


def _said(engine: Engine) -> OpenedReplica:
    """What an engine is; its description grows while it works."""
    return OpenedReplica(
        node=platform.node(),
        process=getpid(),
        fingerprint=engine.info.fingerprint,
        can_score=engine.can_score,
        description=dict(engine.info.description),
        conditions=conditions(),
    )


def _raised(error: HarnessError) -> HarnessError:
    """The error, which says on which machine it was."""
    error.args = (f"{error} (on {platform.node()})",)
    return error


@cache
def conditions() -> dict[str, str]:
    """What answers depend on besides the model, and every machine has its own of."""
    packages = {name: version(name) for name in PACKAGES}
    return {**packages, "python": platform.python_version(), "processor": processor()}
