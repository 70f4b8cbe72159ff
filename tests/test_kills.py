"""`kill -9` at random moments of an evaluation: it resumes, and the store ends as if nothing had happened."""

import os
import random
import sqlite3
from contextlib import chdir
from pathlib import Path

import pytest

from harness.cli import main
from tests.processes import command
from tests.tiny_models import tiny_llama

KILLS = int(os.environ.get("HARNESS_TEST_KILLS", "1"))
"""The README's figure was made with 10."""

PROJECT = """
[models.one]
path = "./one"

[suites.toy-truthfulqa]
limit = 30

[suites.toy-ifeval]
limit = 80

[compare]
suites = ["toy-truthfulqa", "toy-ifeval"]
"""

COMMAND = ["eval", "one"]

ANSWERS = """
SELECT key, content, draw, text, stopped, prompt_tokens, completion_tokens, greedy, tokens, more
FROM answers JOIN requests ON requests.number = request ORDER BY key
"""
LIKELIHOODS = "SELECT logprob FROM answers ORDER BY key"
ROWS = """
SELECT run, sample, position, sample_hash, group_concat(hex(answers.key))
FROM rows, json_each(rows.answers) JOIN answers ON answers.number = value
GROUP BY run, sample ORDER BY run, position
"""
SCORES = "SELECT run, sample, metrics, reasons FROM scores ORDER BY run, sample"
VALUES = (
    "SELECT atom FROM scores, json_tree(numbers) WHERE type <> 'array' ORDER BY run, sample, json_tree.id"
)
RUNS = "SELECT id, suite, size, finished IS NOT NULL FROM runs ORDER BY id"


def test_a_killed_evaluation_resumes_to_the_same_store(tmp_path: Path) -> None:
    """Killed at random moments and started again, an evaluation ends with the uninterrupted one's store.

    Answers, rows, scores and counts are equal; log-likelihoods to within the noise of another batch.
    """
    whole, killed = _project(tmp_path / "whole"), _project(tmp_path / "killed")
    with chdir(whole), pytest.raises(SystemExit, match="0"):
        main(COMMAND)
    [(total,)] = _read(whole, "SELECT count(*) FROM answers")

    survived = [_kill_when(killed, random.Random(moment).randrange(total)) for moment in range(KILLS)]
    assert 0 == command(COMMAND, killed).wait()

    assert sorted(survived) == survived, "a later start had fewer answers than an earlier one"
    for query in (ANSWERS, ROWS, SCORES, RUNS):
        assert _read(whole, query) == _read(killed, query)
    for query in (LIKELIHOODS, VALUES):
        for (expected,), (found,) in zip(_read(whole, query), _read(killed, query), strict=True):
            assert expected == (found if found is None else pytest.approx(found, abs=1e-4))


def _project(folder: Path) -> Path:
    tiny_llama(folder / "one", seed=1)
    (folder / "harness.toml").write_text(PROJECT)
    return folder


def _kill_when(project: Path, answers: int) -> int:
    """Start the evaluation, kill it once that many answers are kept, and return how many are."""
    command(COMMAND, project).kill_when(lambda: _kept(project) > answers)
    return _kept(project)


def _kept(project: Path) -> int:
    try:
        [(count,)] = _read(project, "SELECT count(*) FROM answers")
    except sqlite3.OperationalError:  # the store is not there yet
        return 0
    return int(count)


def _read(project: Path, query: str) -> list[tuple[object, ...]]:
    connection = sqlite3.connect(f"file:{project / 'harness.db'}?mode=ro", uri=True, timeout=30)
    try:
        return connection.execute(query).fetchall()
    finally:
        connection.close()
