"""Ctrl-C and a plain `kill` at many moments of `eval` and `judge`, whose models stand behind a slow server.

    python -m tests.trials.signals --moments 100 [--busy]

Each moment is a run of its own, which begins with an empty store and is struck so long after its first
request; a fifth of them in the first 50 ms. With --busy, a thread holds the interpreter busy. Reported are
signals that were acted on late (more than 5 seconds passed until the command said that it has stopped, which
it does when all answers are kept), exits with another code than the signal's, and answers that came more than
half a second before the signal and are not in the store. The exit itself comes later, by what Python takes to
let go of its libraries: a moment, or many seconds where other work holds the cores.

It says nothing about signals before the command line is loaded, which end the process as they end any.
"""

import argparse
import json
import os
import signal
import sqlite3
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.serving import Asked, Fault, ModelServer

LATE = 5.0
"""Seconds from the signal until the command says that it has stopped."""
COMMITTED = 0.5
"""Seconds after which an answer that a server has given is kept, or is to be called lost."""
DELAY = 0.15
"""Seconds that the server takes for an answer; every eighth takes a hundred times as long."""
CODES = {signal.SIGINT: 130, signal.SIGTERM: 143}
COMMANDS = {
    "eval": ("eval", "a", "-s", "toy-ifeval"),
    "judge": ("judge", "a", "b", "--by", "c", "--prompts", "toy-ifeval"),
}
PROJECT = """
[models.a]
endpoint = "URL"
model = "m"
concurrency = 4
[models.b]
endpoint = "URL"
model = "m"
api = "completions"
concurrency = 4
[models.c]
endpoint = "OTHER"
model = "m"
concurrency = 4
[suites.toy-ifeval]
limit = 24
"""
BUSY = """
import threading
def spin():
    while True:
        pass
threading.Thread(target=spin, daemon=True).start()
"""
COMMAND = "import sys; from harness.cli import main; main(sys.argv[1:])"


@dataclass(kw_only=True)
class Found:
    """What went wrong, over all moments of one command and signal."""

    moments: int = 0
    late: int = 0
    codes: Counter[int] = field(default_factory=Counter)
    wrong: int = 0
    lost: int = 0
    silent: int = 0
    """Exits without a word."""
    slowest: float = 0.0
    slowest_exit: float = 0.0


class SlowServer(ModelServer):
    """One that remembers when each answer went out."""

    def __init__(self) -> None:
        super().__init__(wrong=self._slow)
        self.given: list[float] = []

    def _slow(self, asked: Asked) -> Fault:
        return Fault(delay=DELAY * (100 if asked.number % 8 == 7 else 1))

    @contextmanager
    def serving(self, *request: Any) -> Iterator[tuple[Asked, Fault]]:
        """Count an answer when it is out."""
        with super().serving(*request) as served:
            yield served
        self.given.append(time.monotonic())


def strike(verb: str, number: signal.Signals, after: float, *, busy: bool, found: Found) -> None:
    """Run a command, send it the signal so long after its first request, and see how it ends."""
    with tempfile.TemporaryDirectory() as name, SlowServer() as server:
        folder = Path(name)
        other = server.url.replace("127.0.0.1", "localhost")
        text = PROJECT.replace("URL", server.url).replace("OTHER", other)
        (folder / "harness.toml").write_text(text, encoding="utf-8")
        running = subprocess.Popen(
            [sys.executable, "-c", (BUSY if busy else "") + COMMAND, *COMMANDS[verb]],
            cwd=folder,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
        )
        while running.poll() is None and not server.asked:
            time.sleep(0.001)
        time.sleep(after)
        struck = time.monotonic()
        running.send_signal(number)
        killer = threading.Timer(60, running.kill)
        killer.start()
        assert running.stderr is not None
        said = any("harness: stopped" in line for line in running.stderr)
        took = time.monotonic() - struck
        code = running.wait()
        killer.cancel()
        found.slowest_exit = max(found.slowest_exit, time.monotonic() - struck)
        found.silent += not said
        found.moments += 1
        found.codes[code] += 1
        found.wrong += code != CODES[number]
        found.late += took > LATE
        found.slowest = max(found.slowest, took)
        arrived = sum(moment < struck - COMMITTED for moment in server.given)
        found.lost += max(0, arrived - kept(folder / "harness.db"))


def kept(file: Path) -> int:
    """How many answers a store holds."""
    with closing(sqlite3.connect(f"file:{file}?mode=ro", uri=True)) as connection:
        [(count,)] = connection.execute("SELECT count(*) FROM answers")
    return int(count)


def main() -> None:
    """Print one line of JSON for each command and signal."""
    arguments = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    arguments.add_argument("--moments", type=int, default=100, help="for each command and signal")
    arguments.add_argument("--over", type=float, default=3.0, help="seconds after the first request")
    arguments.add_argument("--busy", action="store_true", help="with a thread that holds the interpreter")
    given = arguments.parse_args()
    os.environ["HF_HUB_OFFLINE"] = "1"
    for verb in COMMANDS:
        for number in CODES:
            found = Found()
            for moment in range(given.moments):
                # the first fifth strikes within the first 50 ms, where an untimed wait misses it
                early = moment < given.moments / 5
                after = moment / given.moments * (0.25 if early else given.over)
                strike(verb, number, after, busy=given.busy, found=found)
            line = {"command": verb, "signal": number.name, **vars(found), "codes": dict(found.codes)}
            print(json.dumps(line), flush=True)


if __name__ == "__main__":
    main()
