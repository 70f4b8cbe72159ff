"""Progress bars with estimates, on standard error, for training and asking.

Where nobody watches (a pipe, a log file) it says one line per finished piece instead; a piece that is asked
in many rounds, as judges are until it is decided, is one. It does not know what the work is.
"""

import time
from dataclasses import dataclass
from types import TracebackType

from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TaskID,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)

from harness.cli.terminal import errors, print_findings
from trainers.doctor.findings import Examination
from trainers.stage import StageProgress


class ProgressBars:
    """A Watcher (see `harness.verbs`) that draws; a context manager, so that the terminal is left clean."""

    def __init__(self) -> None:
        self._progress = Progress(
            TextColumn("{task.description}", markup=False),
            BarColumn(bar_width=24),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            TimeRemainingColumn(compact=True),
            TextColumn("{task.fields[detail]}", markup=False, style="dim"),
            console=errors,
            disable=not errors.is_terminal,
        )
        self._tasks: dict[str, TaskID] = {}
        self._begun: dict[str, float] = {}
        self._loading: TaskID | None = None
        self._shown = ""
        self._finished: _Finished | None = None

    def __enter__(self) -> "ProgressBars":
        self._progress.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._progress.stop()
        self._tell()

    def training(self, progress: StageProgress) -> None:
        """Show a stage's steps and its last loss."""
        detail = "" if progress.loss is None else f"loss {progress.loss:.3f}"
        self._show(f"train {progress.pipeline} · {progress.stage}", progress.step, progress.total, detail)

    def examined(self, examination: Examination) -> None:
        """Say what would make a training's outcome false; notes are for `harness doctor`."""
        grave = [finding for finding in examination.findings if finding.severity != "note"]
        if grave:
            errors.print(f"{examination.name}, before it is trained:", markup=False)
            print_findings(errors, grave)

    def loading(self, model: str) -> None:
        """Show that something happens before the first answer comes."""
        self._loading = self._progress.add_task(f"load {model}", total=None, detail="")

    def asking(self, model: str, suite: str, done: int, total: int) -> None:
        """Show how many of a request's answers are there."""
        if self._loading is not None:
            self._progress.remove_task(self._loading)
            self._loading = None
        self._show(f"ask {model} · {suite}", done, total, "answers")

    def _show(self, what: str, done: int, total: int, detail: str) -> None:
        if what not in self._tasks:
            self._tasks[what] = self._progress.add_task(what, total=total, detail=detail)
        if what != self._shown:  # a judge is asked after each model: what lies between is not its time
            self._begun[what] = time.monotonic()
        self._progress.update(self._tasks[what], completed=done, total=total, detail=detail)
        if what != self._shown:
            self._tell()
        self._shown = what
        if done == total:
            before = self._finished.count if self._finished else 0
            seconds = time.monotonic() - self._begun[what]
            self._finished = _Finished(what, before + total, seconds)

    def _tell(self) -> None:
        """Say what was finished last, now that nothing more of it comes."""
        if self._finished is not None and not errors.is_terminal:
            each = self._finished
            errors.print(f"{each.what}: {each.count} in {each.seconds:.1f} s", markup=False)
        self._finished = None


@dataclass(frozen=True, slots=True)
class _Finished:
    """A piece of work, all rounds of it so far."""

    what: str
    count: int
    seconds: float
