"""Reading people's files: what every reader shares, and that any bytes at all are read or refused clearly."""

import codecs
import csv
import gzip
import json
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from harness import files
from harness.errors import DataError, HarnessError
from harness.files import (
    MOST_NESTED,
    csv_records,
    csv_rows,
    json_lines,
    json_list,
    log_lines,
    log_value,
    read_text,
)
from harness.imported.preference_files import read_preference_files
from harness.records.models import MixSource
from harness.registry import load
from suites.catalogue import OWN, open_suite, suite_settings
from suites.imported_scores import ImportedScores
from suites.judge.settings import JudgeSettings
from suites.prompts import read_prompts
from trainers.data import demonstrations, pairs, texts, training_prompts
from trainers.mapping import map_rows
from trainers.reading import read
from trainers.stage_settings import STAGE_SETTINGS

# ---------------------------------------------------------------- text


@pytest.mark.parametrize("mark", [b"", codecs.BOM_UTF8])
@pytest.mark.parametrize("name", ["a.txt", "a.txt.gz"])
def test_a_byte_order_mark_is_no_text(tmp_path: Path, mark: bytes, name: str) -> None:
    """Excel and Windows put one in front, packed or not."""
    content = mark + "größe\r\n".encode()
    (tmp_path / name).write_bytes(gzip.compress(content) if name.endswith(".gz") else content)
    assert "größe\r\n" == read_text(tmp_path / name)


@pytest.mark.parametrize(
    ("content", "row", "message"),
    [
        ("a".encode("utf-16"), 0, "is not UTF-8 text but UTF-16; save it as UTF-8"),
        (codecs.BOM_UTF16_BE + "a".encode("utf-16-be"), 0, "is not UTF-8 text but UTF-16"),
        (b"PK\x03\x04\x14\xff", 0, "is not UTF-8 text but a workbook or an archive"),
        (b"one\ntwo \xe9\n", 2, "is not UTF-8 text (0xe9, byte 5 of the line); save it as UTF-8"),
    ],
)
def test_what_is_no_utf_8_is_named(tmp_path: Path, content: bytes, row: int, message: str) -> None:
    """With the line in which it shows, and what to do."""
    (tmp_path / "a.txt").write_bytes(content)
    with pytest.raises(DataError) as caught:
        read_text(tmp_path / "a.txt")
    assert message in caught.value.message
    assert row == caught.value.row


# ---------------------------------------------------------------- JSON


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("[" * 5000 + "]" * 5000, "is nested deeper than 100 brackets"),
        ('{"a": ' * 200 + "1" + "}" * 200, "is nested deeper than 100 brackets"),
        ('{"a": ' + "7" * 5000 + "}", "holds a whole number of 5,000 digits"),
        ('{"a": ' + "7" * 301 + "}", "holds a whole number of 301 digits"),
        ('{"a": 1e999}', "holds a number that is too large: 1e999"),
        ('{"a": -Infinity}', "holds -Infinity, which is no number of JSON's"),
        ('{"a": [{"b": "x\\ud83d"}]}', "holds half of a character (\\ud83d without the other half)"),
        ('{"\\uDC00": 1}', "holds half of a character (\\udc00 without the other half)"),
        ('{"a": 1, "b": 2, "a": 3}', 'the key "a" stands twice in one object'),
        ('{\0"\0a\0"\0:\0', "holds NUL characters where JSON is expected: perhaps this is UTF-16"),
        ("[1]", "is not a JSON object but list"),
        ("null", "is not a JSON object but null"),
        ('{"a"', "is not JSON: Expecting ':' delimiter at column 5"),
    ],
)
def test_a_line_that_is_not_taken(tmp_path: Path, line: str, message: str) -> None:
    """What nothing that reads it next could hold is a mistake of its line, counted as editors count."""
    (tmp_path / "a.jsonl").write_text(f'{{"a": "fine"}}\n\n{line}\n', encoding="utf-8")
    with pytest.raises(DataError) as caught:
        list(json_lines(tmp_path / "a.jsonl"))
    assert message in caught.value.message
    assert 3 == caught.value.row


@pytest.mark.parametrize(
    "line", ["[" * 5000 + "]" * 5000, '{"a": 1e999}', '{"a": "\\ud800"}', "[1]", "null", '{"a"']
)
def test_a_log_is_read_as_strictly(tmp_path: Path, line: str) -> None:
    """Every mistake is named as elsewhere, in its line; only a key that stands twice is not noticed."""
    (tmp_path / "a.jsonl").write_text(f'{{"b": 1, "b": 2}}\n{{"a": NaN}}\n\n{line}\n')
    log = log_lines(tmp_path / "a.jsonl")
    assert [(1, {"b": 2}), (2, {"a": None})] == [next(log), next(log)]
    with pytest.raises(DataError) as caught:
        next(log)
    (tmp_path / "b.jsonl").write_text(line)
    with pytest.raises(DataError) as alone:
        list(json_lines(tmp_path / "b.jsonl"))
    assert (4, alone.value.message) == (caught.value.row, caught.value.message)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('[{"a": 1e999}]', "holds a number that is too large"),
        ('["\\ud800"]', "holds half of a character"),
        ("[1, 2", "is not JSON: Expecting ',' delimiter"),
        ("[" * 500 + "]" * 500, "is nested deeper than 100 brackets"),
        ('{"b": 1, "b": NaN}', 'the key "b" stands twice'),  # NaN is read slowly, and then it is noticed
    ],
)
def test_a_large_value_is_read_as_strictly(tmp_path: Path, text: str, message: str) -> None:
    """With the mistakes of other JSON, but for a key that stands twice; what is no number is null."""
    file = tmp_path / "a.json"
    file.write_bytes(codecs.BOM_UTF8 + b'{"b": 1, "b": [2]}')
    assert log_value(file) == {"b": [2]}
    file.write_text("[NaN, -Infinity]")
    assert log_value(file) == [None, None]
    file.write_text(text)
    with pytest.raises(DataError, match=message):
        log_value(file)


def test_what_is_odd_and_right_is_read(tmp_path: Path) -> None:
    """NaN is a missing value; whole characters may be escaped; depth and length have room."""
    deep = "[" * (MOST_NESTED - 1) + "]" * (MOST_NESTED - 1)
    lines = ['{"a": NaN}', '{"a": "\\ud83d\\ude00 \\\\ud83d"}', f'{{"a": {deep}}}', f'{{"a": {"7" * 300}}}']
    (tmp_path / "a.jsonl").write_text("\r\n".join(lines), encoding="utf-8")
    nan, escaped, nested, long = (row["a"] for _, row in json_lines(tmp_path / "a.jsonl"))
    assert (None, "😀 \\ud83d", int("7" * 300)) == (nan, escaped, long)
    assert deep == json.dumps(nested)


def test_a_list_of_objects(tmp_path: Path) -> None:
    """A JSON file holds one list; a mistake of its text names the line."""
    file = tmp_path / "a.json"
    file.write_bytes(codecs.BOM_UTF8 + b'[{"a": 1},\n {"a": 2}]')
    assert [(1, {"a": 1}), (2, {"a": 2})] == list(json_list(file))
    file.write_text('[{"a": 1},\n {"a" 2}]')
    with pytest.raises(DataError, match="row 2: is not JSON"):
        list(json_list(file))


@pytest.mark.parametrize("piece", [1, 7, 2**20])
def test_a_list_is_read_in_pieces(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, piece: int) -> None:
    """Wherever a piece ends: within an escape, a number, a literal, or between members."""
    monkeypatch.setattr(files, "PIECE", piece)
    rows = [
        {"a": 'x"\\\n😀', "b": [-1.5e3, True, None, {}]},
        {},
        {"c": "], [", "d": float("nan")},
    ]
    for indent, escaped in ((None, True), (2, False)):
        text = json.dumps(rows, indent=indent, ensure_ascii=escaped)
        (tmp_path / "a.json").write_text(f" {text}\r\n", encoding="utf-8")
        expected = [*rows[:2], {**rows[2], "d": None}]
        assert list(enumerate(expected, start=1)) == list(json_list(tmp_path / "a.json"))


@pytest.mark.parametrize("piece", [1, 2**20])
@pytest.mark.parametrize(
    ("text", "row", "message"),
    [
        ('[{"a": 1},\n {"b', 2, "is not JSON: Unterminated string at column 3; it ends in the middle"),
        ('[{"a": 1}\n', 2, "is not JSON: Expecting ',' delimiter at column"),
        ('[{"a": 1},', 1, "was the file written to its end?"),
        ('[\n{"a": 1}\n{"a": 2}]', 3, "is not JSON: Expecting ',' delimiter at column 1"),
        ('[{"a": 1}]\n[]', 2, "is not JSON: Extra data at column 1"),
        ('[{"a": 1},\n{"a": 2, "a": 3}]', 2, 'the key "a" stands twice in one object'),
        ('[{"a": 1},\n\n {"a": "\\ud83d"}]', 2, "holds half of a character"),
        ("[{}, [1]]", 2, "is not a JSON object but list"),
        ('{"a": 1}', 0, "must hold a list of objects"),
        ("", 1, "is not JSON: Expecting value at column 1"),
    ],
)
def test_a_list_that_is_not_taken(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, piece: int, text: str, row: int, message: str
) -> None:
    """What is no JSON is a mistake of its line, what cannot be used one of its member, in any pieces."""
    monkeypatch.setattr(files, "PIECE", piece)
    (tmp_path / "a.json").write_text(text)
    with pytest.raises(DataError) as caught:
        list(json_list(tmp_path / "a.json"))
    assert message in caught.value.message
    assert row == caught.value.row


# ---------------------------------------------------------------- CSV


@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
def test_a_table_from_any_country(tmp_path: Path, delimiter: str) -> None:
    """With a mark, any of three delimiters, a cell of any length, and lines within cells."""
    rows = [["a", "b"], ["x", "long" * 50_000], ["two\nlines", "; , \t"], ["short"]]
    with (tmp_path / "a.csv").open("w", encoding="utf-8-sig", newline="") as file:
        csv.writer(file, delimiter=delimiter).writerows(rows)
    read_rows = list(csv_rows(tmp_path / "a.csv"))
    assert [dict(zip(rows[0], row, strict=False)) for row in rows[1:]] == [row for _, row in read_rows]
    assert [2, 3, 5] == [number for number, _ in read_rows]


@pytest.mark.parametrize(
    ("text", "row", "message"),
    [
        ("a,b\n1,2\n1,2,3\n", 3, "has more cells than the first line has columns"),
        ("a,b,a\n", 1, "column 'a' stands there twice"),
        ('a,b\n"x,y\n', 2, "is not CSV: unexpected end of data"),
        ('a,b\n"x"y,z\n', 2, "is not CSV: ',' expected after '\"'"),
    ],
)
def test_a_table_that_is_not_taken(tmp_path: Path, text: str, row: int, message: str) -> None:
    """A broken quote never swallows the rest of a file."""
    (tmp_path / "a.csv").write_text(text)
    with pytest.raises(DataError) as caught:
        list(csv_rows(tmp_path / "a.csv"))
    assert message in caught.value.message
    assert row == caught.value.row


# ---------------------------------------------------------------- any bytes

ROWS: tuple[Mapping[str, Any], ...] = (
    {"prompt": "p", "completion": "c", "target": "c", "id": "1", "choices": ["c", "d"]},
    {"messages": [{"role": "user", "content": "p"}, {"role": "assistant", "content": "c"}]},
    {"conversations": [{"from": "human", "value": "p"}, {"from": "gpt", "value": "c"}]},
    {
        "prompt": [{"role": "user", "content": [{"type": "text", "text": "p"}]}],
        "chosen": "c",
        "rejected": "d",
    },
    {"prompt": {"text": "p", "toxicity": 0.1}, "generations": [{"text": "c", "toxicity": 0.2}]},
    {"prompt": "p", "continuation": "c", "toxicity": 0.2},
    {"instruction": "p", "input": "i", "output": "c", "instances": [{"input": "i"}], "text": "t"},
    {"key": 1, "prompt": "p", "instruction_id_list": ["keywords:existence"], "kwargs": [{"keywords": ["a"]}]},
    {
        "question": "q",
        "type": "t",
        "category": "c",
        "best_answer": "a",
        "correct_answers": ["a"],
        "incorrect_answers": ["b"],
        "mc1_targets": {"choices": ["a", "b"], "labels": [1, 0]},
        "mc2_targets": {"choices": ["a", "b"], "labels": [1, 0]},
    },
    {"id": "1", "fact": "f", "question": "q", "choices": ["a", "b"], "target": 0},
    {"id": "1", "prompt": "p", "topic": "tools", "constraints": ["case:lower"]},
    {
        "instruction": "i",
        "output_1": "a",
        "output_2": "b",
        "generator": "g",
        "annotator": "j",
        "preference": 1,
    },
    {"uid": "u", "model": "m", "baseline": "b", "judge": "j", "games": [{"score": "A>B"}, {"score": "A=B"}]},
    {
        "question_id": 1,
        "model_1": "a",
        "model_2": "b",
        "g1_winner": "tie",
        "g2_winner": "error",
        "judge": ["j"],
    },
    {"idx": 1, "cmp_key": "a_b", "instruction": "i", "response1": "a", "response2": "b", "annotator1": 1},
    {"id": "q", "judge": ["j"], "model_a": "a", "model_b": "b", "winner": "tie", "tstamp": 1, "turn": 1},
)
"""A row that some reader takes, of each kind."""
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.integers(2**62) | st.floats() | st.text(max_size=4),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=4,
)


@st.composite
def spoilt_rows(draw: st.DrawFn) -> bytes:
    """Lines of rows of one kind, of which one value, at any depth, is something else."""
    row = json.loads(json.dumps(draw(st.sampled_from(ROWS))))
    here: Any = row
    while True:
        place = draw(st.sampled_from(list(here) if isinstance(here, dict) else range(len(here))))
        if not isinstance(here[place], dict | list) or not here[place] or draw(st.booleans()):
            break
        here = here[place]
    here[place] = draw(VALUES)
    return json.dumps(row).encode()


CONTENTS = st.one_of(
    spoilt_rows(),
    spoilt_rows().flatmap(
        lambda line: st.integers(0, len(line)).map(lambda at: codecs.BOM_UTF8 + line[:at] + b"\n" + line[at:])
    ),
    st.binary(max_size=40),
    st.text(max_size=40).map(lambda text: text.encode("utf-16")),
    st.text(max_size=40).map(lambda text: text.encode("utf-8", "surrogatepass")),
)
SHAPES = (texts, demonstrations, pairs, training_prompts)
MIXED = ("texts", "demonstrations", "preferences", "prompts")


def _suite(name: str, file: Path, setting: str = "data", **others: str) -> None:
    suite = open_suite(
        name, {setting: str(file), **others}, data_root=None, resolve=lambda found: None, own={"mine"}
    )
    assert suite.size
    assert suite.data_hash.encode()


def _taken_or_refused(act: Callable[[], object]) -> None:
    """The error's words can be shown, too."""
    try:
        act()
    except HarnessError as error:
        str(error).encode()


def _readers(folder: Path) -> Iterable[Callable[[], object]]:
    """Every reader of a user's file, on files of this folder that all say the same."""
    lines, table = folder / "a.jsonl", folder / "a.csv"
    yield from (lambda kind=kind: read_prompts(folder / f"a.{kind}") for kind in ("jsonl", "json", "txt"))
    for kind in ("jsonl", "json", "csv", "parquet"):
        for shape in SHAPES:
            yield lambda kind=kind, shape=shape: shape("a", read(f"a.{kind}", folder).rows)
        for mixed in MIXED:
            source = MixSource(data=f"a.{kind}")
            yield lambda kind=kind, mixed=mixed, source=source: map_rows(
                0, source, read(f"a.{kind}", folder).rows, mixed
            )
    for rule in ("exact", "choice", "regex"):
        yield lambda rule=rule: _suite("mine", lines, "prompts", rule=rule)
    for name in ("truthfulqa", "truthfulqa-gen", "truthfulqa-lettered", "ifeval", "realtoxicityprompts"):
        yield lambda name=name: _suite(name, lines)
    for name in ("toy-truthfulqa", "toy-ifeval", "toy-toxicity"):
        yield lambda name=name: _suite(name, lines)
    yield ImportedScores(lines).prepare
    for kind in ("jsonl", "json", "csv", "parquet"):
        yield lambda kind=kind: read_preference_files([folder / f"a.{kind}"])
    yield lambda: list(csv_records(table))
    yield lambda: load(
        folder / "harness.toml", STAGE_SETTINGS, suite_settings(), own_suite=OWN, judge=JudgeSettings
    )


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(CONTENTS)
def test_any_bytes_are_read_or_refused(tmp_path: Path, content: bytes) -> None:
    """Whatever a file holds, every reader of it takes it or raises an error of ours: never another."""
    for name in ("a.jsonl", "a.json", "a.csv", "a.txt", "a.parquet", "harness.toml"):
        (tmp_path / name).write_bytes(content)
    for reader in _readers(tmp_path):
        _taken_or_refused(reader)


SECTIONS = ("project", "models.a", "pipelines.a", "suites.a", "suites.ifeval", "compare", "judge", "prices")
KEYS = ("path", "seed", "store", "label", "prompts", "rule", "limit", "stages", "level", "criteria", "input")
WRITTEN = st.one_of(
    st.integers(-(2**70), 2**70).map(str),
    st.floats().map(repr),
    st.text(max_size=5).map(json.dumps),
    st.sampled_from(["true", "[]", "{}", "[[[1]]]", "{ a = { b = 1 } }", "2020-01-01", '[{ kind = "sft" }]']),
)


@settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.dictionaries(
        st.sampled_from(SECTIONS), st.dictionaries(st.sampled_from(KEYS), WRITTEN, max_size=4), max_size=3
    )
)
def test_any_values_in_harness_toml(tmp_path: Path, sections: Mapping[str, Mapping[str, str]]) -> None:
    """A value of any kind under any key is taken, or is a mistake that is named."""
    lines = [
        f"[{name}]\n" + "".join(f"{k} = {v}\n" for k, v in keys.items()) for name, keys in sections.items()
    ]
    file = tmp_path / "harness.toml"
    file.write_text("\n".join(lines), encoding="utf-8", errors="surrogatepass")
    _taken_or_refused(
        lambda: load(file, STAGE_SETTINGS, suite_settings(), own_suite=OWN, judge=JudgeSettings)
    )
