"""A project's folder for tests that give commands: what they print, and what the store then holds."""

import json
import sqlite3
from collections.abc import Mapping
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from harness.cli import main
from harness.records.answers import Row
from harness.store import Store

ANSWERS = "SELECT key, text, stopped, seconds, logprob, greedy, tokens, more FROM answers"
"""All that is kept of answers, and what it is kept under."""


class Working:
    """A project's folder, which is the working folder, in which commands are run."""

    def __init__(self, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
        self.folder = folder
        self._capsys = capsys

    def write(self, name: str, *rows: Mapping[str, Any] | str) -> None:
        """A file of these lines; what is no text is written as JSON."""
        lines = [row if isinstance(row, str) else json.dumps(row) for row in rows]
        (self.folder / name).write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")

    def run(self, *arguments: str) -> tuple[int, str, str]:
        """Exit code, standard output and standard error of a command in this process."""
        with pytest.raises(SystemExit) as stopped:
            main(arguments)
        shown = self._capsys.readouterr()
        return int(stopped.value.code or 0), shown.out, shown.err

    def complaint(self, code: int, *arguments: str) -> str:
        """What a command complains of that must end with this code."""
        found, _, err = self.run(*arguments)
        assert code == found, err
        assert "Traceback" not in err
        [line] = [line for line in err.splitlines() if line.startswith("harness: ")]
        return line.removeprefix("harness: ").replace(str(self.folder), "HERE")

    def answers(self) -> list[tuple[object, ...]]:
        """Every kept answer with its key."""
        with closing(sqlite3.connect(self.folder / "harness.db")) as connection:
            return sorted(connection.execute(ANSWERS))

    def runs(self) -> list[tuple[str, str, bool]]:
        """Suite, version and wholeness of every run, oldest first."""
        with Store.open(f"sqlite:///{self.folder}/harness.db") as store:
            return [(run.suite, run.suite_version, run.finished is not None) for run in store.runs.find()]

    def rows(self, model: str, suite: str) -> list[Row]:
        """The rows of a model's newest run of a suite."""
        with Store.open(f"sqlite:///{self.folder}/harness.db") as store:
            run = store.runs.latest(model, suite)
            assert run is not None
            return list(store.runs.rows(run.id))
