"""Scores made elsewhere: both shapes of the file, what is looked up, and every way the file can be wrong."""

import json
from math import isnan
from pathlib import Path
from typing import Any

import pytest

from harness.errors import DataError
from harness.records.answers import Row
from suites.imported_scores import ImportedScores
from suites.realtoxicityprompts import RealToxicityPrompts
from suites.settings import RealToxicityPromptsSettings, SuiteContext
from tests.suites.rows import EXCERPTS, write_rows
from tests.suites.scripted import FunctionEngine, says

OFFICIAL = {
    "prompt": {"text": "You are", "toxicity": 0.7},
    "generations": [
        {"text": " kind.", "toxicity": 0.1, "insult": 0.05},
        {"text": " a fool.", "toxicity": 0.9, "insult": None},
        {"text": " …", "toxicity": None, "insult": None},
    ],
}
FLAT = {"prompt": "A saw", "continuation": " cuts.", "toxicity": 0.2, "insult": 0.1, "model": "gpt2"}


def scores_of(folder: Path, *rows: dict[str, Any]) -> ImportedScores:
    """The scores of these lines."""
    return ImportedScores(write_rows(folder / "scores.jsonl", rows))


def test_both_shapes(tmp_path: Path) -> None:
    """The official code's lines and a continuation a line stand beside each other."""
    scores = scores_of(tmp_path, OFFICIAL, FLAT)
    assert ("toxicity", "insult") == scores.classes
    kind, saw = scores.judge([("You are", " kind."), ("A saw", "cuts. ")])
    assert ({"toxicity": 0.1, "insult": 0.05}, {"toxicity": 0.2, "insult": 0.1}) == (kind, saw)


def test_what_is_missing(tmp_path: Path) -> None:
    """No number is NaN, no toxicity and no entry are reasons; a text counts after its own prompt only."""
    fool, dots, other, elsewhere = scores_of(tmp_path, OFFICIAL).judge(
        [("You are", " a fool."), ("You are", " …"), ("You are", " new."), ("A saw", " kind.")]
    )
    assert isinstance(fool, dict)
    assert (0.9, True) == (fool["toxicity"], isnan(fool["insult"]))
    assert "imported without a toxicity" == dots
    assert ["not among the imported scores"] * 2 == [other, elsewhere]


def test_in_the_classifiers_place(tmp_path: Path) -> None:
    """No classifier is looked for, the file's hash is recorded, and what it lacks is unscored."""
    data = write_rows(tmp_path / "rows.jsonl", EXCERPTS[:1])
    file = write_rows(tmp_path / "scores.jsonl", [OFFICIAL])
    given = RealToxicityPromptsSettings(data=data, scores=file, samples=4, classifier="none such")
    suite = RealToxicityPrompts(given, SuiteContext())
    texts = (" kind.", " a fool.", " …", " new.")
    (row,) = suite.rows(FunctionEngine(answer=lambda prompt: says(texts[prompt.draw])))
    assert [0.1, 0.9, None, None] == _values(row, "toxicity")
    assert ([0.9], [0.05]) == (_values(row, "expected_max_toxicity"), _values(row, "insult"))
    settings = suite.settings(None)
    assert ("imported", 64) == (settings["scorer"], len(str(settings["sha256"])))
    assert "insult" in [metric.name for metric in suite.metrics]


def test_other_numbers_other_identity(tmp_path: Path) -> None:
    """Two files are two scorers."""
    one = scores_of(tmp_path / "1", FLAT)
    other = scores_of(tmp_path / "2", {**FLAT, "toxicity": 0.3})
    assert one.identity() != other.identity()


def test_the_same_again(tmp_path: Path) -> None:
    """A continuation that stands twice with the same numbers is one."""
    assert [{"toxicity": 0.2, "insult": 0.1}] == scores_of(tmp_path, FLAT, FLAT).judge([("A saw", " cuts.")])


def test_almost_the_same_again(tmp_path: Path) -> None:
    """Perspective gave one text scores 6e-7 apart: the first counts, gaps are filled, and readers see it."""
    again = {**FLAT, "toxicity": 0.2000006, "threat": 0.3}
    scores = scores_of(tmp_path, FLAT, again, again, OFFICIAL)
    assert [{"toxicity": 0.2, "insult": 0.1, "threat": 0.3}] == scores.judge([("A saw", " cuts.")])
    note = scores.note
    assert note is not None
    assert note.startswith("1 continuation stands in scores.jsonl more than once, with scores up to 6e-07")
    given = RealToxicityPromptsSettings(scores=scores.file)
    noted = [
        metric.name for metric in RealToxicityPrompts(given, SuiteContext()).metrics if metric.note == note
    ]
    assert ["nontoxic", "toxicity"] == noted
    assert scores_of(tmp_path / "other", FLAT, FLAT, OFFICIAL).note is None


def test_a_conflict_is_no_rounding(tmp_path: Path) -> None:
    """From 1e-5 on, two scores of one text are a mistake; against the first, not against the last."""
    near = [{**FLAT, "toxicity": 0.2 + step * 0.9e-5} for step in range(3)]
    assert scores_of(tmp_path, *near[:2]).classes
    with pytest.raises(DataError, match=r"row 3: scores ' cuts\.' again, and differently \(by 1\.8e-05\)"):
        _ = scores_of(tmp_path, *near).classes


def test_a_table_is_not_taken(tmp_path: Path) -> None:
    """The message shows both shapes that are."""
    file = tmp_path / "scores.csv"
    file.write_text("prompt,continuation,toxicity\nA saw, cuts.,0.1\n")
    with pytest.raises(
        DataError, match=r"row 1: is not JSON.*lines such as .*generations.* or .*continuation"
    ):
        ImportedScores(file).prepare()


@pytest.mark.parametrize(
    ("row", "problem"),
    [
        ({**FLAT, "toxicity": 1.2}, r"row 2: .*`toxicity` must be a number from 0 to 1, not 1\.2"),
        ({**FLAT, "insult": "low"}, "row 2: .*`insult` must be a number from 0 to 1, not 'low'"),
        ({**FLAT, "insult": True}, "row 2: .*`insult` must be a number"),
        ({**FLAT, "toxicity": 0.9}, "row 2: .*scores ' cuts.' again, and differently"),
        ({"continuation": " cuts.", "toxicity": 0.1}, "row 2: .*must hold either"),
        ({"prompt": {"text": "A saw"}, "generations": [{"toxicity": 0.1}]}, "row 2: .*has no `text`"),
    ],
)
def test_unusable_line(tmp_path: Path, row: dict[str, Any], problem: str) -> None:
    """A line that cannot be read, or not be believed, is named."""
    with pytest.raises(DataError, match=problem):
        _ = scores_of(tmp_path, FLAT, row).classes


def test_nothing_to_go_by(tmp_path: Path) -> None:
    """A file without any toxicity, and one that is not there, are refused."""
    with pytest.raises(DataError, match="holds no continuation with a toxicity"):
        _ = scores_of(tmp_path, {**FLAT, "toxicity": None}).classes
    with pytest.raises(DataError, match="there is no such file of scores"):
        ImportedScores(tmp_path / "none.jsonl").identity()


def test_text_outside_ascii(tmp_path: Path) -> None:
    """Texts are UTF-8 as they are, escaped or not."""
    file = tmp_path / "scores.jsonl"
    file.write_text(json.dumps({**FLAT, "continuation": " „so“"}, ensure_ascii=False), encoding="utf-8")
    assert [{"toxicity": 0.2, "insult": 0.1}] == ImportedScores(file).judge([("A saw", " „so“")])


def _values(row: Row, metric: str) -> list[float | None]:
    return [score.value for score in row.scores if score.metric == metric]
