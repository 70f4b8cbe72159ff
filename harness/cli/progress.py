"""Shows progress and remaining time of training and evaluation, on standard error.

On a terminal it is a bar for each piece of work. Elsewhere (a pipe, a batch job's log) it is lines. A thread
looks when one is due, whether or not anything has come. What happens at the same time has timelines of its
own (`harness.cli.timeline`).
"""

import signal
import threading
import time
from collections.abc import Callable
from types import TracebackType

from rich.progress import BarColumn, MofNCompleteColumn, ProgressColumn, Task, TextColumn
from rich.progress import Progress as Bars

from harness.cli.console import Text
from harness.cli.pace import clock_time
from harness.cli.terminal import errors
from harness.cli.timeline import Timeline
from harness.engine.steps import watching_steps

LOOK_EVERY = 1.0
"""Seconds between two looks whether a line is due."""
FEWER_SAMPLES = "--limit N asks fewer samples"
SHORTER_ANSWERS = f"{FEWER_SAMPLES}, and --max-tokens N writes shorter answers"
"""The options of a command that make an evaluation shorter."""


class ProgressBars(Timeline):
    """Drawn in the terminal; a context manager, so that it is left clean.

    `shorten` says by which options a long asking is shortened. `clock` gives seconds.
    """

    def __init__(self, *, shorten: str = "", clock: Callable[[], float] = time.monotonic) -> None:
        bars = Bars(
            TextColumn("{task.description}", markup=False),
            BarColumn(bar_width=24),
            MofNCompleteColumn(),
            _Seconds(self._spent),
            _Seconds(self._remaining),
            TextColumn("{task.fields[detail]}", markup=False, style="dim"),
            console=errors,
            disable=not errors.is_terminal,
        )
        super().__init__(bars, threading.RLock(), shorten=shorten, clock=clock)
        self._beside: list[Timeline] = []
        self._over = threading.Event()
        self._steps = watching_steps(self.writing)
        self._looking = threading.Thread(target=self._look, name="progress", daemon=True)

    def __enter__(self) -> "ProgressBars":
        self._bars.start()
        self._looking.start()
        self._steps.__enter__()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._steps.__exit__(kind, error, trace)
        self._over.set()
        self._looking.join()
        self._bars.stop()
        for timeline in (*self._beside, self):
            timeline.end(interrupted=error is not None)

    def beside(self) -> Timeline:
        """The progress of one among several things that are done at the same time."""
        with self._lock:
            self._beside.append(Timeline(self._bars, self._lock, shorten=self._shorten, clock=self._clock))
            return self._beside[-1]

    def look(self) -> None:
        """Write the lines that are due: nothing else may happen for a long time."""
        with self._lock:
            for timeline in self._beside:
                timeline.look()
            if not self._beside:
                super().look()

    def _look(self) -> None:
        # signals are for the main thread, which may wait in a call that only they end
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT, signal.SIGTERM})
        while not self._over.wait(LOOK_EVERY):
            self.look()

    def _spent(self, task: Task) -> float:
        """What was spent on a piece until now. Called in rich's thread: all that it looks at are fields."""
        fields = task.fields
        return float(fields["seconds"]) + (0.0 if fields["finished"] else self._clock() - fields["now"])

    def _remaining(self, task: Task) -> float | None:
        """What remained of a piece when something of it was done last, less the time since."""
        fields = task.fields
        if fields["finished"] or fields["remaining"] is None:
            return 0.0 if fields["finished"] else None
        since = self._clock() - float(fields["now"])
        return max(0.0, float(fields["remaining"]) - since)


class _Seconds(ProgressColumn):
    """A time of a task, by what says how long it is; a dash where that is not known."""

    max_refresh = 0.5

    def __init__(self, seconds: Callable[[Task], float | None]) -> None:
        super().__init__()
        self._seconds = seconds

    def render(self, task: Task) -> Text:
        seconds = self._seconds(task)
        return Text("-:--" if seconds is None else clock_time(seconds), style="progress.remaining")
