"""Suite scores for processes that cannot run suites: they ask the process that has launched them.

FOLDER/asked.pickle    the candidate, and the settings by which it may be selected
FOLDER/score.pickle    its score
"""

import pickle
from pathlib import Path
from time import sleep

from harness.records.models import Model
from trainers.job import SuiteScore, SuiteScorer
from trainers.settings import CheckpointSelection

ASKED, SCORE = "asked.pickle", "score.pickle"
POLL_SECONDS = 0.1
"""Seconds between checks whether the score is there."""


def asking(folder: Path) -> SuiteScorer:
    """Scores candidates by asking for their scores in this folder."""

    def score(candidate: Model, select: CheckpointSelection) -> SuiteScore:
        _write(folder / ASKED, (candidate, select))
        while not (folder / SCORE).exists():
            sleep(POLL_SECONDS)
        given: SuiteScore = pickle.loads((folder / SCORE).read_bytes())
        (folder / SCORE).unlink()
        return given

    return score


def answer(folder: Path, score: SuiteScorer) -> None:
    """Score what is asked for in this folder, if anything is. Raises as `score` does."""
    if not (folder / ASKED).exists():
        return
    given = score(*pickle.loads((folder / ASKED).read_bytes()))
    (folder / ASKED).unlink()
    _write(folder / SCORE, given)


def _write(file: Path, value: object) -> None:
    """The file is there once all of it is."""
    new = file.with_suffix(".new")
    new.write_bytes(pickle.dumps(value))
    new.replace(file)
