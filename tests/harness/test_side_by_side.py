"""Tasks in processes of their own: what is begun when, what comes back, and what becomes of failures."""

import os
import signal
import subprocess
import sys
from functools import partial
from pathlib import Path
from typing import Any

import psutil
import pytest

from harness.errors import ConfigError, WorkFailed
from harness.verbs.progress import Progress
from harness.verbs.side_by_side import ParallelTask, side_by_side
from tests.harness.side_by_side_work import defect, failure, killed, long, mistake, note, say


class Seen(Progress):
    """Remembers what was reported."""

    def __init__(self, seen: list[Any]) -> None:
        self.seen = seen

    def beside(self) -> "Seen":
        """Everything is remembered in one place."""
        return Seen(self.seen)

    def asking(self, model: str, suite: str, done: int, total: int) -> None:
        """An answer."""
        self.seen.append((model, suite, done, total))

    def writing(self, written: int, left: int) -> None:
        """Tokens."""
        self.seen.append((written, left))

    def end(self) -> None:
        """It is over."""
        self.seen.append("end")


def test_results_and_progress_come_back() -> None:
    """Each task's by its name; what a process reports is shown in the one that began it."""
    seen: list[Any] = []
    tasks = [ParallelTask(name=word, work=partial(say, word)) for word in ("a", "b")]
    assert {"a": "a", "b": "b"} == side_by_side(tasks, Seen(seen), slots=2)
    assert {("a", "suite", 1, 1), ("b", "suite", 1, 1), (1, 0), "end"} == set(seen)
    assert {} == side_by_side([], Progress(), slots=2)


def times(file: Path) -> dict[str, tuple[float, float]]:
    """When each began, and when it ended."""
    lines = (line.split() for line in file.read_text().splitlines())
    return {word: (float(began), float(ended)) for word, began, ended in lines}


def test_what_is_begun_when(tmp_path: Path) -> None:
    """After what it builds on, the largest first, and within the room, or alone where that is too small."""
    file, asked = tmp_path / "times", []

    def size(value: float) -> float:
        asked.append(value)
        return value

    tasks = [
        ParallelTask(name="small", work=partial(note, file, "small"), first=partial(size, 1.0)),
        ParallelTask(name="large", work=partial(note, file, "large"), first=partial(size, 2.0), slots=2),
        ParallelTask(name="base", work=partial(note, file, "base"), slots=9),
        ParallelTask(name="next", work=partial(note, file, "next"), after={"base"}),
    ]
    side_by_side(tasks, Progress(), slots=2)
    assert [1.0, 2.0] == sorted(asked), "each is asked once, however often there is news"
    found = times(file)
    base = found.pop("base")
    assert found["large"][1] <= found["small"][0]
    assert base[1] <= found["next"][0]
    assert all(base[1] <= began or ended <= base[0] for began, ended in found.values())


def test_what_fails_does_not_stop_the_others() -> None:
    """One error is raised as it is, once the others are done; what builds on it is not begun."""
    seen: list[Any] = []
    tasks = [
        ParallelTask(name="wrong", work=mistake),
        ParallelTask(name="next", work=partial(say, "next"), after={"wrong"}),
        ParallelTask(name="right", work=partial(say, "right")),
    ]
    with pytest.raises(ConfigError, match=r"^harness.toml: models.a: is wrong$") as raised:
        side_by_side(tasks, Seen(seen), slots=1)
    assert "models.a" == raised.value.key
    assert ("right", "suite", 1, 1) in seen
    assert ("next", "suite", 1, 1) not in seen


def test_several_failures_are_one_error() -> None:
    """With what each of them was; a process that was killed says so."""
    tasks = [
        ParallelTask(name="a", work=failure),
        ParallelTask(name="b", work=killed),
        ParallelTask(name="c", work=partial(say, "c")),
    ]
    with pytest.raises(WorkFailed) as raised:
        side_by_side(tasks, Progress(), slots=3)
    ended = "its process was ended (signal 9); what was done is kept, and the same command goes on"
    message = str(raised.value)
    assert message.startswith("2 of 3 were not done, and the others are kept: ")
    assert "a: out of memory" in message
    assert f"b: {ended}" in message


def test_a_defect_is_no_error_of_ours() -> None:
    """It is raised with the traceback of its process, whatever else failed."""
    with pytest.raises(RuntimeError, match="nobody caught this"):
        side_by_side(
            [ParallelTask(name="a", work=failure), ParallelTask(name="b", work=defect)], Progress(), slots=2
        )


class Interrupted(Seen):
    """Ctrl-C, once a process is at work."""

    def beside(self) -> "Interrupted":
        """The same."""
        return self

    def loading(self, model: str) -> None:
        """A process says which it is."""
        self.seen.append(int(model))
        raise KeyboardInterrupt


def test_an_interrupt_ends_all_processes(tmp_path: Path) -> None:
    """Each has a moment to keep what it has."""
    seen: list[int] = []
    with pytest.raises(KeyboardInterrupt):
        side_by_side(
            [ParallelTask(name="a", work=partial(long, tmp_path / "kept"))], Interrupted(seen), slots=1
        )
    assert not psutil.pid_exists(seen[0])
    assert (tmp_path / "kept").exists()


BEGINS = """
import sys
from functools import partial
from pathlib import Path
from harness.verbs.progress import Progress
from harness.verbs.side_by_side import ParallelTask, side_by_side
from tests.harness.side_by_side_work import long

class Told(Progress):
    def loading(self, model):
        print(model, flush=True)

if __name__ == "__main__":
    side_by_side([ParallelTask(name="a", work=partial(long, Path(sys.argv[1])))], Told(), slots=1)
"""


def test_a_process_ends_with_the_one_that_began_it(tmp_path: Path) -> None:
    """Also where that was killed, and could end nothing."""
    script = tmp_path / "begins.py"
    script.write_text(BEGINS)
    with subprocess.Popen(
        [sys.executable, str(script), str(tmp_path / "kept")],
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
    ) as parent:
        assert parent.stdout is not None
        process = psutil.Process(int(parent.stdout.readline()))
        parent.send_signal(signal.SIGKILL)
        _, alive = psutil.wait_procs([process], timeout=30)
    assert [] == alive
