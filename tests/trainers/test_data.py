"""Sources and shapes of training rows."""

import gzip
import json
from pathlib import Path
from typing import Any

import pyarrow
import pytest
from pyarrow import parquet

import trainers.reading
from harness.errors import DataError, DownloadNeeded, UnknownName
from harness.toyworld import training_set
from trainers.data import demonstrations, pairs, texts, training_prompts
from trainers.reading import read, rows_hash

ROWS = [{"prompt": "Hi", "completion": "Hello"}, {"prompt": "Bye", "completion": "See you"}]
USER = {"role": "user", "content": "Hi"}
ANSWER = {"role": "assistant", "content": "Hello"}


def write(folder: Path, name: str) -> None:
    """The same two rows in each kind of file."""
    lines = "".join(f"{json.dumps(row)}\n" for row in ROWS)
    table = "prompt,completion\nHi,Hello\nBye,See you\n"
    contents = {
        "a.jsonl": lines.encode(),
        "a.jsonl.gz": gzip.compress(lines.encode()),
        "a.json": json.dumps(ROWS).encode(),
        "a.csv": table.encode(),
        "a.csv.gz": gzip.compress(table.encode()),
    }
    if name == "a.parquet":
        parquet.write_table(pyarrow.Table.from_pylist(ROWS), folder / name)
    else:
        (folder / name).write_bytes(contents[name])


@pytest.mark.parametrize("name", ["a.jsonl", "a.jsonl.gz", "a.json", "a.csv", "a.csv.gz", "a.parquet"])
def test_equal_rows_are_equal_data_in_every_kind_of_file(tmp_path: Path, name: str) -> None:
    """A source is identified by what its rows say, not by the file they stand in."""
    write(tmp_path, name)
    write(tmp_path, "a.jsonl")
    assert ROWS == [dict(row) for row in read(name, tmp_path).rows]
    assert read("a.jsonl", tmp_path).hash == read(name, tmp_path).hash


def test_the_hash_depends_on_content_and_order(tmp_path: Path) -> None:
    """Rows in another order make another training, and so another source."""
    (tmp_path / "a.json").write_text(json.dumps(ROWS))
    (tmp_path / "b.json").write_text(json.dumps(ROWS[::-1]))
    assert read("a.json", tmp_path).hash != read("b.json", tmp_path).hash


def test_toy_sets_are_read_by_name(tmp_path: Path) -> None:
    """`toy:NAME` is the embedded world's set, and an unknown name proposes the nearest."""
    assert "text" in read("toy:corpus", tmp_path).rows[0]
    with pytest.raises(UnknownName, match="did you mean 'corpus'"):
        read("toy:korpus", tmp_path)


@pytest.mark.parametrize(
    ("name", "content", "row", "message"),
    [
        ("a.jsonl", b'{"a": 1}\n{"a": \n', 2, "is not JSON"),
        ("a.jsonl", b'{"a": 1}\n\n[1]\n', 3, "is not a JSON object but list"),
        ("a.jsonl", b"", 0, "there are no rows"),
        ("a.json", b'{"a": 1}', 0, "must hold a list"),
        ("a.json", b'[{"a": 1},\n 3]', 2, "is not a JSON object but int"),
        ("a.jsonl.gz", b"no gzip", 0, "cannot be read"),
        ("a.parquet", b"no parquet", 0, "is not a Parquet file"),
        ("a.jsonl", b"\xff\xfe", 0, "is not UTF-8 text but UTF-16"),
        ("a.csv", b"a,b\n1,2\n1,2,3\n", 3, "more cells than the first line has columns"),
    ],
)
def test_a_malformed_file_is_named_with_its_row(
    tmp_path: Path, name: str, content: bytes, row: int, message: str
) -> None:
    """Every fault of a file is a DataError that says where it is."""
    (tmp_path / name).write_bytes(content)
    with pytest.raises(DataError, match=message) as caught:
        read(name, tmp_path)
    assert row == caught.value.row


def test_a_missing_file_is_a_data_error(tmp_path: Path) -> None:
    """What looks like a file is never looked for on the hub."""
    with pytest.raises(DataError, match="no such file"):
        read("missing.jsonl", tmp_path)


def test_a_file_is_looked_for_in_each_folder(tmp_path: Path) -> None:
    """The project's own file comes first; one that is nowhere is missed in each."""
    own, official = tmp_path / "own", tmp_path / "official"
    for folder, text in ((own, "mine"), (official, "theirs")):
        folder.mkdir()
        (folder / "both.jsonl").write_text(json.dumps({"text": text}))
    (official / "one.jsonl").write_text(json.dumps({"text": "only here"}))

    assert [{"text": "mine"}] == read("both.jsonl", own, official).rows
    assert [{"text": "only here"}] == read("one.jsonl", own, official).rows
    with pytest.raises(DataError, match=r"own/none.jsonl.*no such file, and no .*official/none.jsonl"):
        read("none.jsonl", own, official)


def test_a_hub_id_without_a_network_says_so(tmp_path: Path) -> None:
    """A hub id that is not cached cannot be had offline."""
    with pytest.raises(DownloadNeeded, match="nobody/no-such-data"):
        read("nobody/no-such-data", tmp_path)


@pytest.mark.parametrize(
    ("name", "asked"),
    [
        ("owner/name", (("owner/name",), "train")),
        ("owner/name:test[:10]", (("owner/name",), "test[:10]")),
        ("owner/name:en:test[:10]", (("owner/name", "en"), "test[:10]")),
    ],
)
def test_a_hub_id_can_name_configuration_and_split(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, name: str, asked: tuple[tuple[str, ...], str]
) -> None:
    """`ID`, `ID:SPLIT` and `ID:CONFIGURATION:SPLIT`; a slice of a split is a split."""
    seen = []

    def load_dataset(*names: str, split: str) -> list[dict[str, str]]:
        seen.append((names, split))
        return ROWS

    monkeypatch.setattr("datasets.load_dataset", load_dataset)
    assert ROWS == read(name, tmp_path).rows
    assert [asked] == seen


@pytest.mark.parametrize(
    "row",
    [
        {"prompt": "Hi", "completion": "Hello"},
        {"prompt": [USER], "completion": [ANSWER]},
        {"messages": [USER, ANSWER]},
        {"instruction": "Hi", "input": "", "output": "Hello"},
        {"conversations": [{"from": "human", "value": "Hi"}, {"from": "gpt", "value": "Hello"}]},
        {"conversations": [USER, ANSWER]},
        {"messages": [USER, {**ANSWER, "name": "bot", "weight": 1, "tool_calls": None}]},
        {"messages": [{"role": "user", "content": [{"type": "text", "text": "Hi"}]}, ANSWER]},
        {"messages": None, "prompt": "Hi", "completion": "Hello", "conversations": None, "output": None},
    ],
)
def test_demonstrations_are_read_from_every_common_schema(row: dict[str, Any]) -> None:
    """The common schemas say the same thing in their ways."""
    assert [([USER], "Hello")] == demonstrations("rows", [row])


def test_an_input_follows_its_instruction() -> None:
    """`instruction` and `input` make one user turn."""
    (row,) = demonstrations("rows", [{"instruction": "Shout", "input": "hi", "output": "HI"}])
    assert "Shout\n\nhi" == row.prompt[0]["content"]


@pytest.mark.parametrize(
    "row",
    [
        {"prompt": "Hi", "chosen": "Hello", "rejected": "No"},
        {"prompt": "Hi", "chosen": [USER, ANSWER], "rejected": [USER, {**ANSWER, "content": "No"}]},
        {"chosen": [USER, ANSWER], "rejected": [USER, {**ANSWER, "content": "No"}]},
        {"chosen": "\n\nHuman: Hi\n\nAssistant: Hello", "rejected": "\n\nHuman: Hi\n\nAssistant: No"},
        {"instruction": "Hi", "chosen": "Hello", "rejected": "No"},
        {
            "conversations": [USER],
            "chosen": {"from": "gpt", "value": "Hello"},
            "rejected": "No",
            "prompt": None,
        },
    ],
)
def test_pairs_are_read_from_every_common_schema(row: dict[str, Any]) -> None:
    """The common schemas say the same thing in their ways."""
    assert [([USER], "Hello", "No")] == pairs("rows", [row])


def test_transcripts_keep_every_turn() -> None:
    """A transcript of several turns is a conversation of as many messages."""
    text = "\n\nHuman: Hi\n\nAssistant: Hello\n\nHuman: Why?\n\nAssistant:"
    (row,) = pairs("rows", [{"chosen": f"{text} Yes", "rejected": f"{text} No"}])
    assert [USER, ANSWER, {"role": "user", "content": "Why?"}] == row.prompt
    assert ("Yes", "No") == (row.chosen, row.rejected)


def test_conversations_that_differ_earlier_are_no_pair() -> None:
    """Answers to different prompts cannot be compared, and are left out."""
    other = [{"role": "user", "content": "Ho"}, ANSWER]
    assert [] == pairs("rows", [{"chosen": [USER, ANSWER], "rejected": other}])


def test_questions_keep_the_other_columns() -> None:
    """What a row knows besides its prompt is for the reward functions."""
    row: dict[str, Any] = {"messages": [USER, ANSWER], "topic": {"name": "greeting"}}
    assert [([USER], {"topic": {"name": "greeting"}}, 1)] == training_prompts("rows", [row])


def test_turns_of_tools_and_developers_are_kept_in_their_places() -> None:
    """A developer speaks as the system does; what a tool answered is part of the prompt."""
    turns = [
        {"role": "developer", "content": "Be brief."},
        USER,
        {"role": "tool", "content": "4", "tool_call_id": "1"},
        ANSWER,
    ]
    (row,) = demonstrations("rows", [{"messages": turns}])
    assert ["system", "user", "tool"] == [turn["role"] for turn in row.prompt]
    assert [{"role", "content"}] * 3 == [set(turn) for turn in row.prompt]


def test_questions_have_no_conversation_among_their_columns() -> None:
    """Null columns stay, since a reward function may want their name."""
    row = {"conversations": [{"from": "human", "value": "Hi"}], "prompt": None, "answer": None}
    assert [([USER], {"answer": None}, 1)] == training_prompts("rows", [row])


@pytest.mark.parametrize(
    ("read_rows", "row", "message"),
    [
        (texts, {"txt": "a"}, "needs `text`; its columns are txt"),
        (texts, {"text": 3}, "column `text` must be text, not int"),
        (demonstrations, {"prompt": "Hi"}, "needs `messages`, `conversations`, `prompt` and `completion`"),
        (demonstrations, {"messages": [USER]}, "must end with the assistant's answer"),
        (demonstrations, {"messages": []}, "a list of messages"),
        (demonstrations, {"messages": [{"role": "bot", "content": "a"}, ANSWER]}, "a turn needs a `role`"),
        (demonstrations, {"messages": [USER, {**ANSWER, "weight": 0}]}, "the last answer has `weight` 0"),
        (demonstrations, {"prompt": "a", "completion": [{**ANSWER, "weight": 0.0}]}, "`weight` 0"),
        (texts, {"text": None, "id": 1}, "needs `text`; its columns are id"),
        (pairs, {"chosen": "a"}, "needs `chosen` and `rejected`"),
        (pairs, {"chosen": "a", "rejected": None}, "needs `chosen` and `rejected`; its columns are chosen"),
        (pairs, {"chosen": "a", "rejected": "b"}, "needs `prompt`"),
        (training_prompts, {"text": "a"}, "needs `prompt`"),
        (training_prompts, {"messages": [ANSWER]}, "no turn before the answer"),
    ],
)
def test_a_row_that_does_not_fit_is_named(read_rows: Any, row: dict[str, Any], message: str) -> None:
    """A missing or malformed column names source, row and what was needed."""
    with pytest.raises(DataError, match=message) as caught:
        read_rows("some.jsonl", [row])
    assert ("some.jsonl", 1) == (caught.value.file, caught.value.row)


@pytest.mark.official
def test_the_real_preference_data_are_read(official_data: Path) -> None:
    """Transcripts and instruction pairs as published, but for five that differ before their last turns."""
    source = read("preference/instruction-data-with-preference.json", official_data)
    assert 1100 == len(pairs(source.name, source.rows))
    harmless = read("preference/hh_rlhf_harmless_test.jsonl.gz", official_data)
    assert 2307 == len(pairs(harmless.name, harmless.rows))


def test_a_toy_set_is_not_made_for_its_hash_alone(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Its hash is remembered from one process to the next, and the rows are made when asked for."""
    made = rows_hash(training_set("reward"))
    trainers.reading._toy_source.cache_clear()
    assert made == read("toy:reward", tmp_path).hash

    trainers.reading._toy_source.cache_clear()
    trainers.reading._toy_rows.cache_clear()
    monkeypatch.setattr(trainers.reading, "training_set", None)
    again = read("toy:reward", tmp_path)

    assert made == again.hash
    monkeypatch.undo()
    assert training_set("reward") == again.rows
    trainers.reading._toy_source.cache_clear()
