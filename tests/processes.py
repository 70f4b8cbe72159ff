"""Commands in processes of their own that begin at once: forked from one that has imported everything.

A new interpreter needs some ten seconds for torch, transformers and trl, and tests that kill and interrupt
commands start many. What a process inherits is imported modules; folder, environment, standard streams and
the handling of Ctrl-C are its own.
"""

import os
import signal
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from multiprocessing import get_context
from pathlib import Path
from typing import Any

from harness.cli import main

_FORKING = get_context("forkserver")
_FORKING.set_forkserver_preload(["tests.preloaded"])


class Started:
    """A function that runs in a process of its own, in a folder, whose standard error is kept."""

    def __init__(self, function: Callable[..., object], *arguments: object, folder: Path) -> None:
        """Start it. What it needs must be picklable."""
        handle, self._errors = tempfile.mkstemp(suffix=".stderr")
        os.close(handle)
        given: tuple[Any, ...] = (function, arguments, folder, dict(os.environ), self._errors)
        self._process = _FORKING.Process(target=_run, args=given, daemon=True)
        self._process.start()

    def poll(self) -> int | None:
        """Its exit code, negative for the signal that ended it; None while it runs."""
        return self._process.exitcode

    def wait(self, seconds: float | None = None) -> int | None:
        """Its exit code once it has ended; None where it still runs after so long."""
        self._process.join(seconds)
        return self._process.exitcode

    def send_signal(self, number: signal.Signals) -> None:
        """Send it a signal."""
        assert self._process.pid is not None
        os.kill(self._process.pid, number)

    def kill(self) -> None:
        """End it as `kill -9` does, and wait for its end."""
        self._process.kill()
        self._process.join()

    def kill_when(self, true: Callable[[], bool]) -> None:
        """Kill it once something is true, or let it end before."""
        while self.poll() is None and not true():
            time.sleep(0.002)
        self.kill()

    def errors(self) -> str:
        """What it has written to its standard error."""
        return Path(self._errors).read_text("utf-8")


def command(arguments: Sequence[str], folder: Path) -> Started:
    """A command of `harness` in a process of its own."""
    return Started(main, list(arguments), folder=folder)


def _run(
    function: Callable[..., object],
    arguments: Sequence[object],
    folder: Path,
    environment: Mapping[str, str],
    errors: str,
) -> None:
    os.environ.clear()
    os.environ.update(environment)
    os.chdir(folder)
    # the shell that started the tests may ignore it, and so does the process that forks
    signal.signal(signal.SIGINT, signal.default_int_handler)
    for descriptor, path in ((1, os.devnull), (2, errors)):
        with open(path, "wb") as file:
            os.dup2(file.fileno(), descriptor)
    function(*arguments)
