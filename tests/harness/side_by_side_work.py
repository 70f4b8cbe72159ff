"""What processes are given to do in tests; they can be sent only what a module has."""

import os
import signal
import time
from pathlib import Path

from harness.engine.steps import Steps, watching_steps
from harness.errors import ConfigError, EngineError
from harness.verbs.progress import Progress


def say(word: str, progress: Progress) -> str:
    """Report an answer and tokens, and return the word."""
    progress.asking(word, "suite", 1, 1)
    with watching_steps(progress.writing):
        Steps(3).taken(1, 2)
    return word


def note(file: Path, word: str, progress: Progress) -> None:
    """Write when it began and when it ended."""
    began = time.time()
    time.sleep(0.3)
    with file.open("a") as lines:
        lines.write(f"{word} {began} {time.time()}\n")


def mistake(progress: Progress) -> None:
    """Raise an error that is made from arguments of its own."""
    raise ConfigError("harness.toml", "models.a", "is wrong")


def failure(progress: Progress) -> None:
    """Raise an error that a later command may not have."""
    raise EngineError("out of memory")


def defect(progress: Progress) -> None:
    """Raise what nobody expects."""
    raise KeyError("nobody caught this")


def killed(progress: Progress) -> None:
    """End as the system ends what takes too much memory."""
    os.kill(os.getpid(), signal.SIGKILL)


def long(file: Path, progress: Progress) -> None:
    """Say which process this is, and do not end by itself; clean up when told to."""
    try:
        progress.loading(str(os.getpid()))
        time.sleep(600)
    finally:
        file.touch()
