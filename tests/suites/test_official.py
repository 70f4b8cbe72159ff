"""Reading official data: every mistake names the file and the row, and equal rows have equal hashes."""

import json
from pathlib import Path

import pytest

from harness.errors import DataError, DownloadNeeded, UsageError
from harness.protocols import SERVED_TEMPLATE
from suites.official import OfficialDataset, official_rows
from suites.row_suite import hash_rows
from suites.settings import SuiteContext, SuiteSettings, template_applied
from suites.truthfulqa import MultipleChoiceQuestion
from tests.suites.rows import QUESTIONS, write_rows

ORIGIN = OfficialDataset(
    file="truthfulqa/rows.jsonl", hub="nobody/nothing-of-this-name", config=None, split="train"
)


def read(settings: SuiteSettings, root: Path | None = None) -> tuple[MultipleChoiceQuestion, ...]:
    """The rows of these settings."""
    return official_rows(ORIGIN, MultipleChoiceQuestion, settings, SuiteContext(data_root=root))


def test_reads_from_the_data_root(tmp_path: Path) -> None:
    """Without a file of the user's, the folder of official data is read."""
    write_rows(tmp_path / ORIGIN.file, QUESTIONS)
    assert [row["question"] for row in QUESTIONS] == [row.question for row in read(SuiteSettings(), tmp_path)]


def test_users_file_comes_first(tmp_path: Path) -> None:
    """`data` replaces the folder's file."""
    write_rows(tmp_path / ORIGIN.file, QUESTIONS)
    own = write_rows(tmp_path / "own.jsonl", QUESTIONS[:1])
    assert len(read(SuiteSettings(data=own), tmp_path)) == 1


def test_limit_takes_the_first_rows(tmp_path: Path) -> None:
    """`limit` keeps the order of the source."""
    write_rows(tmp_path / ORIGIN.file, QUESTIONS)
    assert [QUESTIONS[0]["question"]] == [row.question for row in read(SuiteSettings(limit=1), tmp_path)]


def test_hub_without_network() -> None:
    """Where only the hub is left and cannot be reached, the message says what to set."""
    with pytest.raises(
        DownloadNeeded, match=r"set HARNESS_DATA to a folder that holds truthfulqa/rows\.jsonl"
    ):
        read(SuiteSettings())


@pytest.mark.parametrize(
    ("line", "problem"),
    [
        ('{"question": "Why?"', "is not JSON"),
        ('["a list"]', "is not a JSON object but list"),
        ('{"question": "Why?"}', "mc1_targets: field required"),
        ('{"question": 5}', "question: input should be a valid string"),
    ],
)
def test_bad_row_is_named(tmp_path: Path, line: str, problem: str) -> None:
    """A malformed row, or one that lacks a field, is named by its line."""
    first, second, third = (json.dumps(row) for row in QUESTIONS)
    file = tmp_path / "own.jsonl"
    file.write_text("\n".join([first, second, line, third]))
    with pytest.raises(DataError, match=problem) as caught:
        read(SuiteSettings(data=file, limit=1))
    assert caught.value.row == 3
    assert caught.value.file == str(file)


@pytest.mark.parametrize("content", [b"", b"\n"])
def test_empty_file(tmp_path: Path, content: bytes) -> None:
    """A file without rows is no data set."""
    (tmp_path / "own.jsonl").write_bytes(content)
    with pytest.raises(DataError, match="holds no rows"):
        read(SuiteSettings(data=tmp_path / "own.jsonl"))


def test_missing_file(tmp_path: Path) -> None:
    """A folder of official data without the file is an error: the hub is not asked instead."""
    with pytest.raises(DataError, match="no such file in the folder that HARNESS_DATA names"):
        read(SuiteSettings(), tmp_path)


def test_file_that_is_not_text(tmp_path: Path) -> None:
    """Bytes that are not UTF-8 are named as such, with their line."""
    (tmp_path / "own.jsonl").write_bytes(json.dumps(QUESTIONS[0]).encode() + b"\n\xe9")
    with pytest.raises(DataError, match="row 2: is not UTF-8"):
        read(SuiteSettings(data=tmp_path / "own.jsonl"))


def test_numbers_of_rows_are_an_editors(tmp_path: Path) -> None:
    """An empty line is no row, and is counted."""
    file = tmp_path / "own.jsonl"
    file.write_text(f"{json.dumps(QUESTIONS[0])}\n\n{{}}\n")
    with pytest.raises(DataError, match="row 3: question: field required"):
        read(SuiteSettings(data=file))


def test_repeated_row(tmp_path: Path) -> None:
    """Two rows of one id could not be distinguished when runs are paired."""
    file = write_rows(tmp_path / "own.jsonl", [*QUESTIONS, QUESTIONS[0]])
    with pytest.raises(DataError, match="row 4: repeats row 1"):
        read(SuiteSettings(data=file))


def test_hash_ignores_order() -> None:
    """The same rows in another order, with their fields in another order, have the same hash; others not."""
    rows = [{"a": 1, "b": "é"}, {"a": 2, "b": "x"}]
    assert hash_rows(rows) == hash_rows([{"b": "x", "a": 2}, {"b": "é", "a": 1}])
    assert hash_rows(rows) != hash_rows(rows[:1])
    assert hash_rows(rows).startswith("sha256:")


@pytest.mark.parametrize(
    ("setting", "template", "applied"),
    [
        (None, None, False),
        (None, "{{ x }}", True),
        (False, "{{ x }}", False),
        (True, "{{ x }}", True),
        (None, SERVED_TEMPLATE, True),
    ],
)
def test_template_default(setting: bool | None, template: str | None, applied: bool) -> None:
    """A template is applied where the model has one, unless the settings say otherwise."""
    assert applied == template_applied(setting, template)


def test_template_of_a_server_and_log_likelihoods() -> None:
    """A server applies its template to generate only: texts are scored without; to insist is refused."""
    assert not template_applied(None, SERVED_TEMPLATE, scored=True)
    assert not template_applied(False, SERVED_TEMPLATE, scored=True)
    assert template_applied(None, "{{ x }}", scored=True)
    with pytest.raises(UsageError, match="the model's server applies its template itself"):
        template_applied(True, SERVED_TEMPLATE, scored=True)


def test_template_that_is_not_there() -> None:
    """To ask for a template of a model without one is a mistake, not a silent raw prompt."""
    with pytest.raises(UsageError, match="the model has none"):
        template_applied(True, None)
