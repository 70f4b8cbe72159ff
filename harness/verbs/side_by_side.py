"""Does several things at the same time, each in a process of its own on this machine.

A process asks Ray for what it needs (replicas of a model, a training) and waits where there is no room, keeps
answers and scores them. What fails does not stop the others; what builds on it is not begun. A process ends
with the one that began it, and what Ray runs for it ends with it.
"""

import os
import signal
import sys
import threading
import traceback
import warnings
from collections.abc import Callable, Mapping, Sequence, Set
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from multiprocessing import get_context, parent_process
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from time import monotonic
from typing import Any, cast

from harness.engine.steps import watching_steps
from harness.errors import HarnessError, WorkFailed
from harness.verbs.progress import Progress
from harness.verbs.relayed_progress import RelayedProgress
from trainers.launcher import ENDED

GRACE = 10.0
"""Seconds that processes have to keep what they have, once they are to end."""
LOOKING = 0.5
"""Seconds between two looks at whether a signal has come."""
Work = Callable[[Progress], Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class ParallelTask:
    """Something to be done in a process of its own."""

    name: str
    work: Work
    """A function of a module, or `functools.partial` of one: a process can be sent it."""
    after: Set[str] = frozenset()
    """The names of tasks that it builds on."""
    slots: int = 1
    """How much of the room it takes."""
    first: Callable[[], float] = lambda: 0.0
    """Of those that can be begun, the one with most of this is. Asked once what it builds on is there."""


def side_by_side(tasks: Sequence[ParallelTask], progress: Progress, *, slots: int) -> dict[str, Any]:
    """What every task gave, by name. Tasks that take more than all slots are done alone.

    Raises what one of them raised once all others are done; WorkFailed where several did.
    """
    waiting, running = list(tasks), dict[Connection, _Running]()
    done, failed = dict[str, Any](), dict[str, Exception]()
    ranks = dict[str, float]()
    try:
        while waiting or running:
            for task in _startable(waiting, done, failed, ranks):
                if running and sum(each.task.slots for each in running.values()) + task.slots > slots:
                    continue
                waiting.remove(task)
                each = _begin(task, progress.beside())
                running[each.connection] = each
            for connection in wait(list(running), LOOKING):
                assert isinstance(connection, Connection)
                running[connection].receive(done, failed)
                if running[connection].is_over:
                    running.pop(connection).end()
    finally:
        _end_all(list(running.values()))
    if failed:
        raise _together(failed, len(tasks))
    return done


def _startable(
    waiting: list[ParallelTask],
    done: Mapping[str, Any],
    failed: dict[str, Exception],
    ranks: dict[str, float],
) -> list[ParallelTask]:
    """The tasks that can be begun, first things first. Those that build on what failed have failed, too.

    `ranks` remembers what was found out for the order: this is called with every report of progress.
    """
    for task in list(waiting):
        if missing := task.after & failed.keys():
            waiting.remove(task)
            failed[task.name] = _NotBegun(f"not begun without {', '.join(sorted(missing))}")
    found = [task for task in waiting if task.after <= done.keys()]
    for task in found if len(found) > 1 else ():
        if task.name not in ranks:
            ranks[task.name] = task.first()
    return sorted(found, key=lambda task: -ranks.get(task.name, 0.0))


class _NotBegun(WorkFailed):
    """What it builds on has failed, and says why."""


def _together(failed: Mapping[str, Exception], tasks: int) -> Exception:
    """One error for all that failed."""
    own = {name: error for name, error in failed.items() if not isinstance(error, _NotBegun)}
    defects = [error for error in own.values() if not isinstance(error, HarnessError)]
    if defects or len(own) == 1:
        return [*defects, *own.values()][0]
    each = "; ".join(f"{name}: {error}" for name, error in own.items())
    return WorkFailed(f"{len(failed)} of {tasks} were not done, and the others are kept: {each}")


class _Running:
    """A task in its process."""

    def __init__(
        self, task: ParallelTask, process: BaseProcess, connection: Connection, progress: Progress
    ) -> None:
        self.task, self.connection = task, connection
        self._process, self._progress = process, progress
        self.is_over = False

    def receive(self, done: dict[str, Any], failed: dict[str, Exception]) -> None:
        """Take in what the process has sent."""
        try:
            kind, content = self.connection.recv()
        except (EOFError, ConnectionResetError):
            self._process.join(GRACE)
            self.is_over = True
            failed[self.task.name] = WorkFailed(
                f"{self.task.name}: its process was ended ({_ending(self._process.exitcode)}); what was done "
                "is kept, and the same command goes on"
            )
            return
        if kind == "progress":
            method, arguments = content
            getattr(self._progress, method)(*arguments)
            return
        self.is_over = True
        (done if kind == "done" else failed)[self.task.name] = content

    def end(self) -> None:
        """The process ends by itself."""
        self._progress.end()
        self._process.join()
        self.connection.close()

    def terminate(self) -> None:
        """Tell the process to end."""
        self._process.terminate()

    def ended(self, seconds: float) -> None:
        """Wait so long, and end the process."""
        self._process.join(max(0.0, seconds))
        self._process.kill()
        self._process.join()
        self.connection.close()


def _end_all(running: Sequence[_Running]) -> None:
    began = monotonic()
    for each in running:
        each.terminate()
    for each in running:
        each.ended(GRACE - (monotonic() - began))


def _ending(code: int | None) -> str:
    return f"signal {-code}" if code is not None and code < 0 else f"exit code {code}"


def _begin(task: ParallelTask, progress: Progress) -> _Running:
    # not forked: a process with threads, and one with a connection to Ray, cannot be
    context = get_context("spawn")
    here, there = context.Pipe()
    process = context.Process(target=_do, args=(there, task.work, list(warnings.filters)), name=task.name)
    process.start()
    there.close()
    return _Running(task, process, here, progress)


def _do(connection: Connection, work: Work, filters: Sequence[Any]) -> None:
    """What a process does."""
    cast(list[Any], warnings.filters)[:] = filters
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches all; the one that began this ends it
    signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(ENDED))
    threading.Thread(target=_end_with_parent, daemon=True).start()
    progress = RelayedProgress(partial(_send, connection))
    try:
        with watching_steps(progress.writing):
            found = "done", work(progress)
    except HarnessError as error:
        found = "failed", error
    except Exception:  # noqa: BLE001  # a defect, which is reported where the command is
        found = "failed", RuntimeError(f"in a process of its own:\n{traceback.format_exc()}")
    connection.send(found)


def _send(connection: Connection, method: str, arguments: tuple[Any, ...]) -> None:
    with suppress(BrokenPipeError):  # nobody looks any more, and this process is about to end
        connection.send(("progress", (method, arguments)))


def _end_with_parent() -> None:
    parent = parent_process()
    assert parent is not None
    parent.join()
    os._exit(ENDED)
