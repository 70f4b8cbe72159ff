"""Prompts come from every usual form of file, each row under a stable name."""

import gzip
import json
from pathlib import Path

import pytest

from harness.errors import DataError
from harness.records.answers import Message
from suites.prompts import read_prompts


def written(file: Path, *rows: object) -> Path:
    """A JSONL file of these rows."""
    file.write_text("".join(f"{json.dumps(row)}\n" for row in rows), encoding="utf-8")
    return file


@pytest.mark.parametrize(
    ("row", "name", "prompt"),
    [
        ({"id": 7, "prompt": "Hi"}, "7", "Hi"),
        ({"question_id": 81, "turns": ["First.", "Second."]}, "81", "First."),
        ({"id": "a", "question": "Why?"}, "a", "Why?"),
        ({"id": "b", "instruction": "Sum up.", "input": "A text."}, "b", "Sum up.\n\nA text."),
        ({"id": "c", "instruction": "Sum up.", "input": ""}, "c", "Sum up."),
        (
            {"id": "d", "instruction": "Sum up.", "instances": [{"input": "A text.", "output": "A."}]},
            "d",
            "Sum up.\n\nA text.",
        ),
    ],
)
def test_a_row_asks_in_any_usual_form(tmp_path: Path, row: object, name: str, prompt: str) -> None:
    """What is asked and its name are found under the fields that the field's data sets use."""
    [sample] = read_prompts(written(tmp_path / "prompts.jsonl", row))

    assert (name, prompt) == (sample.id, sample.prompt)


def test_a_conversation_is_asked_up_to_the_first_answer(tmp_path: Path) -> None:
    """Later turns would be other models' words."""
    turns = [
        {"role": "system", "content": "Be kind."},
        {"role": "user", "content": "Hi"},
        {"role": "assistant", "content": "Hello."},
        {"role": "user", "content": "Bye"},
    ]
    [sample] = read_prompts(written(tmp_path / "prompts.jsonl", {"messages": turns}))

    expected = (Message(role="system", content="Be kind."), Message(role="user", content="Hi"))
    assert expected == sample.prompt


def test_a_conversation_in_any_form(tmp_path: Path) -> None:
    """ShareGPT's names, parts, a developer; and whatever a later answer calls is not asked."""
    turns = [
        {"from": "developer", "value": "Be kind."},
        {"from": "human", "value": [{"type": "text", "text": "Hi"}]},
        {"from": "gpt", "value": None, "tool_calls": [{}]},
        {"from": "tool", "value": "4"},
    ]
    [sample] = read_prompts(written(tmp_path / "prompts.jsonl", {"conversations": turns, "prompt": None}))

    expected = (Message(role="system", content="Be kind."), Message(role="user", content="Hi"))
    assert expected == sample.prompt


def test_a_row_without_a_name_is_named_by_what_it_asks(tmp_path: Path) -> None:
    """Its place in the file does not matter."""
    alone = read_prompts(written(tmp_path / "one.jsonl", {"prompt": "B"}))
    second = read_prompts(written(tmp_path / "two.jsonl", {"prompt": "A"}, {"prompt": "B"}))

    assert alone[0].id == second[1].id != second[0].id


@pytest.mark.parametrize("ending", ["json", "txt", "jsonl.gz"])
def test_other_kinds_of_files_hold_the_same(tmp_path: Path, ending: str) -> None:
    """A JSON list, a line each, and a gzipped file."""
    texts = {
        "json": json.dumps([{"prompt": "A"}, {"prompt": "B"}]),
        "txt": "A\n\nB\n",
        "jsonl.gz": '{"prompt": "A"}\n{"prompt": "B"}\n',
    }
    content = texts[ending].encode()
    file = tmp_path / f"prompts.{ending}"
    file.write_bytes(gzip.compress(content) if ending.endswith("gz") else content)

    assert ["A", "B"] == [sample.prompt for sample in read_prompts(file)]


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        (b"", "holds no prompts"),
        (b'{"text": "A"}\n', "row 1: asks nothing"),
        (b'{"prompt": "A"}\nnot JSON\n', "row 2: is not JSON"),
        (b'{"id": 1, "prompt": "A"}\n{"id": 1, "prompt": "B"}\n', "row 2: repeats an earlier row"),
        (b'{"messages": [{"role": "assistant", "content": "A"}]}\n', "no user's turn"),
        (b'{"prompt": [1]}\n', 'a turn such as {"role"'),
        (b"\xff\xfe", "is not UTF-8"),
    ],
)
def test_what_is_wrong_with_a_file_is_reported(tmp_path: Path, content: bytes, complaint: str) -> None:
    """With the file and the row."""
    file = tmp_path / "prompts.jsonl"
    file.write_bytes(content)

    with pytest.raises(DataError) as raised:
        read_prompts(file)
    assert complaint in str(raised.value)
    assert str(file) in str(raised.value)


def test_a_damaged_archive_is_reported(tmp_path: Path) -> None:
    """A .gz that is none."""
    file = tmp_path / "prompts.jsonl.gz"
    file.write_bytes(b"not gzip")

    with pytest.raises(DataError, match="cannot be read"):
        read_prompts(file)
