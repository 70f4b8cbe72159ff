"""The progress of things that are done one after the other: in bars on a terminal, and in lines elsewhere.

A line comes whenever a piece is finished, and at least one in LINE_EVERY seconds. The time between two events
is attributed to the later one, so that all times add up to the whole.
"""

import threading
from collections.abc import Callable, Sequence

from rich.progress import Progress as Bars
from rich.progress import TaskID

from harness.cli.pace import Pace, Piece, duration
from harness.cli.plan_pace import PlanPace
from harness.cli.terminal import errors, print_findings
from harness.pluralize import pluralize
from harness.verbs.progress import Progress
from trainers.checkpoints import Stopped, stopped
from trainers.doctor.findings import Examination
from trainers.forecast import StageForecast
from trainers.job import StageProgress

LINE_EVERY = 25.0
"""Seconds between two lines in a log: with LOOK_EVERY less than 30, on a busy machine too."""
SETTLED = 1.0
"""Seconds after which a finished piece is reported: until then another round may follow at once."""
LONG = 600.0
"""Seconds: where the rest takes longer, a line says how to shorten it."""
KNOWN_AFTER = 20.0
"""Seconds of work on which that rests, at least."""
STEPS = "steps"
"""What is counted in training."""


class Timeline(Progress):
    """What one process does. `bars` and `lock` are those of the whole command."""

    def __init__(
        self, bars: Bars, lock: threading.RLock, *, shorten: str, clock: Callable[[], float]
    ) -> None:
        self._bars, self._lock = bars, lock
        self._shorten = shorten
        self._clock = clock
        self._tasks: dict[str, TaskID] = {}
        self._pieces: dict[str, Piece] = {}
        self._current: Piece | None = None
        self._loaded = False
        """Whether the model that is being loaded has begun to write."""
        self._unreported = False
        """Whether the current piece was finished and no line has said so."""
        self._hinted: set[str] = set()
        self._plan = PlanPace()
        self._trained: StageProgress | None = None
        """The last that was reported of a training."""
        self._is_over = False
        self._counted_until = self._last_line = self._began = clock()

    def end(self, *, interrupted: bool = False) -> None:
        """Say what was finished last; or how far it was, where it was interrupted."""
        with self._lock:
            if self._is_over:
                return
            self._is_over = True
            self._report_finished()
            if interrupted and self._current is not None:
                self._say_where_it_stopped(self._current)
            elif not interrupted:
                self._let_go_of_loading()

    def _say_where_it_stopped(self, piece: Piece) -> None:
        folder = self._trained.folder if self._trained and piece.unit == STEPS else None
        if folder is not None and folder.is_dir():
            self._line(f"{piece.what}: stopped {stopped(folder)}", on_terminal=True)
        elif piece.total and not piece.finished:
            self._line(f"{piece.what}: stopped at {piece.done} of {piece.total} {piece.unit}")

    def planned(self, stages: Sequence[StageForecast]) -> None:
        """Know what is still to come after the stage in training."""
        self._plan.add(stages)

    def resuming(self, pipeline: str, stage: str, stopped: Stopped) -> None:
        """Say which steps are done again."""
        with self._lock:
            self._report_finished()
            self._line(f"{_title(pipeline, stage)}: interrupted {stopped}", on_terminal=True)

    def training(self, progress: StageProgress) -> None:
        """Show a stage's steps, its last loss, its pace, and when all that is planned is done.

        Steps without signal are shown where there are some: they gave it nothing to learn from.
        """
        self._trained = progress
        details = [] if progress.loss is None else [f"loss {progress.loss:.3f}"]
        if progress.without_signal:
            details.append(f"{pluralize(progress.without_signal, 'step')} without signal")
        with self._lock:
            what = _title(progress.pipeline, progress.stage)
            self._advance(what, STEPS, progress.step, progress.total, ", ".join(details), progress)

    def examined(self, examination: Examination) -> None:
        """Say what would make a training's outcome false; notes are for `harness doctor`."""
        grave = [finding for finding in examination.findings if finding.severity != "note"]
        if grave:
            with self._lock:
                self._report_finished()
                errors.print(f"{examination.name}, before it is trained:", markup=False)
                print_findings(errors, grave)

    def loading(self, model: str) -> None:
        """Show that something happens before the first answer comes."""
        with self._lock:
            self._turn_to(f"load {model}", "")

    def asking(self, model: str, suite: str, done: int, total: int) -> None:
        """Show how many of a request's answers are there."""
        with self._lock:
            self._advance(f"ask {model} · {suite}", "answers", done, total, "")

    def copying(self, kind: str, done: int, total: int) -> None:
        """Show how much of a store was copied."""
        with self._lock:
            self._advance(f"copy {kind}", "rows", done, total, "")

    def look(self) -> None:
        """Write the line that is due, if there is one: nothing else may happen for a long time."""
        if self._is_over:
            return
        with self._lock:
            now, piece = self._clock(), self._current
            is_due = now - self._last_line >= LINE_EVERY
            if self._unreported and piece is not None:
                if is_due or (not piece.before and now - piece.last >= SETTLED):
                    self._report_finished()
            elif is_due and (piece is None or piece.finished):
                self._line(f"still working, {duration(now - self._began)} so far")
            elif is_due and piece is not None:
                self._line(piece.status(now))
            self._hint(now)

    def writing(self, written: int, left: int) -> None:
        """Record that a local model has written so many tokens, and writes at most `left` more."""
        with self._lock:
            piece, now = self._current, self._clock()
            if piece is None:
                return
            if piece.total is None and not self._loaded:
                self._loaded, self._counted_until = True, now
            piece.write(now, written, left)
            self.look()

    def _advance(
        self, what: str, unit: str, done: int, total: int, detail: str, trained: StageProgress | None = None
    ) -> None:
        """Record that something of a piece was done."""
        now, before = self._clock(), self._current
        piece = self._turn_to(what, unit)
        if before is None or before.total is not None or self._loaded:  # else it was being loaded until now
            piece.seconds += now - self._counted_until
        if before is not None and before.total is None:
            piece.writing, self._loaded = before.writing, False
            if before.what in self._hinted:
                self._hinted.add(what)
        self._counted_until = now
        piece.advance(now, done, total)
        piece.detail = detail
        if trained is not None and trained.tokens is not None and trained.folder is not None:
            piece.read(now, trained.tokens)
            pace = piece.pace.per_second(now)
            piece.later = self._plan.seconds_after(trained.folder.stem, total, pace)
        self._unreported = piece.finished
        remaining = piece.remaining(now)
        self._bars.update(
            self._tasks[what],
            completed=done,
            total=total,
            detail=", ".join([detail or unit, *piece.tokens_read, *piece.whole_plan(now)]),
            seconds=piece.seconds,
            remaining=None if remaining is None else remaining.seconds,
            now=now,
            finished=piece.finished,
        )
        self.look()

    def _turn_to(self, what: str, unit: str) -> Piece:
        """Turn to the piece that is worked on from here."""
        if self._current is None or self._current.what != what:
            self._report_finished()
            self._let_go_of_loading()
        if what not in self._pieces:
            now = self._clock()
            self._pieces[what] = Piece(what=what, unit=unit, pace=Pace(now), last=now)
            self._tasks[what] = self._bars.add_task(
                what, total=None, detail="", seconds=0.0, remaining=None, now=now, finished=False
            )
        self._current = self._pieces[what]
        return self._current

    def _let_go_of_loading(self) -> None:
        """Nothing is loaded any more: from here on the next piece is shown."""
        if self._current is not None and self._current.total is None:
            self._bars.remove_task(self._tasks.pop(self._current.what))
            del self._pieces[self._current.what]

    def _report_finished(self) -> None:
        """Say what was finished last."""
        if self._unreported and self._current is not None:
            self._line(self._current.summary())
        self._unreported = False

    def _hint(self, now: float) -> None:
        """Say once, in a long evaluation, how long it takes, and what would shorten it."""
        piece = self._current
        if piece is None or piece.unit == STEPS or piece.what in self._hinted or not self._shorten:
            return
        begun = (piece.writing or piece).pace.begun
        remaining = piece.remaining(now)
        if remaining is not None and remaining.seconds > LONG and now - begun >= KNOWN_AFTER:
            self._hinted.add(piece.what)
            self._line(
                f"{piece.title}: {remaining} left at this pace; finished answers are kept; {self._shorten}",
                on_terminal=True,
            )

    def _line(self, text: str, *, on_terminal: bool = False) -> None:
        if on_terminal or not errors.is_terminal:
            errors.print(text, markup=False, soft_wrap=True)
            self._last_line = self._clock()


def _title(pipeline: str, stage: str) -> str:
    return f"train {pipeline} · {stage}"
