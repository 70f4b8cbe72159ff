"""Progress that another process shows: every report is sent as the name of a method, and what it is given."""

from collections.abc import Callable, Sequence
from time import monotonic
from typing import Any

from harness.verbs.progress import Progress
from trainers.checkpoints import Stopped
from trainers.doctor.findings import Examination
from trainers.forecast import StageForecast
from trainers.job import StageProgress

SENT_EVERY = 0.2
"""Seconds between two reports of answers or tokens, which come thousands of times a second."""


class RelayedProgress(Progress):
    """`send` is given a method of Progress and its arguments."""

    def __init__(self, send: Callable[[str, tuple[Any, ...]], None]) -> None:
        self._to_send = send
        self._sent = 0.0

    def planned(self, stages: Sequence[StageForecast]) -> None:
        self._send("planned", list(stages))

    def resuming(self, pipeline: str, stage: str, stopped: Stopped) -> None:
        self._send("resuming", pipeline, stage, stopped)

    def training(self, progress: StageProgress) -> None:
        self._send("training", progress)

    def examined(self, examination: Examination) -> None:
        self._send("examined", examination)

    def loading(self, model: str) -> None:
        self._send("loading", model)

    def writing(self, written: int, left: int) -> None:
        if self._is_due or not left:
            self._send("writing", written, left)

    def asking(self, model: str, suite: str, done: int, total: int) -> None:
        if self._is_due or done == total:
            self._send("asking", model, suite, done, total)

    @property
    def _is_due(self) -> bool:
        return monotonic() - self._sent >= SENT_EVERY

    def _send(self, method: str, *arguments: Any) -> None:
        self._sent = monotonic()
        self._to_send(method, arguments)
