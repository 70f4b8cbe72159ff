"""Replicas that need no model library, so that their processes start at once, and die when they should."""

import os
import signal
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

from harness.engine.opening import identify_model
from harness.engine.replica import Replica
from harness.errors import EngineError, ModelError
from harness.protocols import EngineInfo
from harness.records.answers import LogLikelihood
from harness.records.models import Local, Model

DEADLY = "7"
"""The question that replicas die of."""


def asked_by_script(model: Model) -> Path:
    """Where every question stands that some replica was asked, as often as it was."""
    assert isinstance(model.source, Local)
    return Path(model.source.path) / "asked.txt"


class Script:
    """Answers with the number that the question is, and with how many it was given together."""

    can_score = True

    def __init__(self, model: Model) -> None:
        self._asked = asked_by_script(model)
        self.info = EngineInfo(
            fingerprint=identify_model(model).fingerprint, description={"device": "script"}
        )

    def loglikelihood(self, pairs: Any) -> Iterator[tuple[int, LogLikelihood]]:
        """One after the other, in a hundredth of a second each."""
        for place, (context, _) in enumerate(pairs):
            time.sleep(0.01)
            with self._asked.open("a") as log:
                log.write(f"{context}\n")
            yield place, LogLikelihood(logprob=-float(context), greedy=False, tokens=len(pairs))


class Scripted(Replica):
    """A replica whose engine is a script."""

    def _load(self) -> Any:
        return Script(self._model)


class Mortal(Scripted):
    """A replica that dies once it has answered what one question is among."""

    _dies = False

    def begin(self, call: Any) -> Any:
        """As a replica does, but that the last answer is not the end."""
        batch = super().begin(call)
        self._dies = any(context == DEADLY for context, _ in call.pairs)
        return replace(batch, end=None) if self._dies else batch

    def more(self) -> Any:
        """As a replica does, but after those."""
        if self._dies:
            os.kill(os.getpid(), signal.SIGKILL)
        return super().more()


class Forgetful(Scripted):
    """A replica that forgets once what it was asked, as if it had been started anew, and had more to say."""

    _forgot = False

    def begin(self, call: Any) -> Any:
        """As a replica does, but for the last answer."""
        batch = super().begin(call)
        if self._forgot:
            return batch
        self._forgot, self._answers = True, None
        return replace(batch, answers=batch.answers[:-1], end=None)


class Stubborn(Scripted):
    """A replica that dies of the question before it has answered anything."""

    def begin(self, call: Any) -> Any:
        """As a replica does, but for that question."""
        if any(context == DEADLY for context, _ in call.pairs):
            os.kill(os.getpid(), signal.SIGKILL)
        return super().begin(call)


class Strange(Scripted):
    """A replica with another model."""

    def open(self) -> Any:
        """As a replica does on a machine with other files."""
        return replace(super().open(), fingerprint="sha256:other")


class Older(Scripted):
    """A replica with another version of torch."""

    def open(self) -> Any:
        """As a replica does on a machine with other packages."""
        said = super().open()
        return replace(said, conditions={**said.conditions, "torch": "1.0"})


class Failing(Scripted):
    """A replica whose engine gives up."""

    def _load(self) -> Any:
        engine = super()._load()
        engine.loglikelihood = giving_up
        return engine


def giving_up(pairs: Any) -> Iterator[tuple[int, LogLikelihood]]:
    """One error."""
    raise EngineError("no memory for a single pair")
    yield


class Unloadable(Scripted):
    """A replica whose machine lacks the model's files."""

    def _load(self) -> Any:
        raise ModelError("/nowhere: there is no such folder")
