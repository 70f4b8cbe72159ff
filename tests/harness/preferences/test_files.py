"""Preferences in rows: what is read, and what is refused."""

import csv
import json
import re
from dataclasses import asdict
from pathlib import Path

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pyarrow import parquet

from harness.errors import DataError
from harness.imported.preference_files import read_preference_files
from harness.preferences.named import BOTH_BAD, IDENTICAL, NamedPreference

HEAD = "item,rater,left,right,winner"

texts = st.text(st.characters(codec="utf-8", exclude_characters="\0"), min_size=1).map(str.strip).filter(bool)


def written(folder: Path, *lines: str) -> Path:
    """A file of these lines."""
    file = folder / "votes.csv"
    file.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
    return file


def read_preferences(file: Path) -> list[NamedPreference]:
    """What a file of rows says."""
    return list(read_preference_files([file]).preferences)


def test_the_smallest_form(tmp_path: Path) -> None:
    """Five columns: winners by side, by name, a tie, and none; a rater is human by default."""
    file = written(
        tmp_path, HEAD, "q1,ana,sft,dpo,right", "q2,ana,sft,dpo,sft", "q3,ana,dpo,sft,tie", "q4,ana,sft,dpo,"
    )

    found = read_preferences(file)

    assert ["right", "left", "tie", None] == [each.winner for each in found]
    assert (
        NamedPreference(item="q1", rater="ana", left="sft", right="dpo", winner="right", kind="human")
        == found[0]
    )


def test_everything_that_may_be_said(tmp_path: Path) -> None:
    """Lengths are counted from texts where none is given, and an order may be given by a model's name."""
    head = f"{HEAD},kind,shown_first,share,left_length,left_text,right_text,cluster,seconds,reason"
    file = written(tmp_path, head, 'q1,gpt,sft,dpo,,judge,dpo,0.75,9,"one, two",three,c1,1.5,because')

    assert [
        NamedPreference(
            item="q1",
            rater="gpt",
            left="sft",
            right="dpo",
            winner="right",
            kind="judge",
            cluster="c1",
            shown_first="right",
            share=0.75,
            reason="because",
            left_length=9,
            right_length=5,
            seconds=1.5,
        )
    ] == read_preferences(file)


def test_an_answer_may_be_empty(tmp_path: Path) -> None:
    """Beside a text an empty cell is an answer without characters; else its length is not known."""
    head = f"{HEAD},left_text"
    both = written(tmp_path, f"{head},right_text", "q1,ana,a,b,left,one,", "q2,ana,a,b,left,,")
    lengths = [(each.left_length, each.right_length) for each in read_preferences(both)]
    alone = written(tmp_path, head, "q1,ana,a,b,left,one")

    [preference] = read_preferences(alone)

    assert [(3, 0), (None, None)] == lengths
    assert (3, None) == (preference.left_length, preference.right_length)


def test_an_answer_may_be_long(tmp_path: Path) -> None:
    """Answers longer than csv's own limit for a cell are read."""
    file = written(tmp_path, f"{HEAD},left_text,right_text", f"q1,ana,a,b,left,{'x' * 200_000},y")

    [preference] = read_preferences(file)

    assert (200_000, 1) == (preference.left_length, preference.right_length)


def test_columns_of_others_are_left_alone(tmp_path: Path) -> None:
    """What is not like any known column is nobody's mistake."""
    file = written(tmp_path, f"{HEAD},annotator_age", "q1,ana,sft,dpo,tie,40")

    assert ["tie"] == [each.winner for each in read_preferences(file)]


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        ([], "row 1: there is no column 'item'"),
        ([HEAD], "holds no preferences"),
        (["item,rater,left,right"], "row 1: there is no column 'winner'; found: item, rater, left, right"),
        ([f"{HEAD},shown_frist"], "row 1: column 'shown_frist': is not known; did you mean 'shown_first'?"),
        ([f"{HEAD},item"], "row 1: column 'item': stands there twice"),
        ([HEAD, "q1,ana,a,b,left,more"], "row 2: has 6 cells, and the header 5"),
        ([HEAD, "q1,ana,a,b,left", ",ana,a,b,left"], "row 3: column 'item': is empty"),
        (
            [HEAD, "q1,ana,a,b,c"],
            "row 2: column 'winner': left, right, tie, a or b was expected, and not 'c'",
        ),
        ([HEAD, "q1,ana,b,left,left"], "is a side and a model's name; rename the model"),
        ([HEAD, 'q1,"ana,a,b,left'], "row 2: is not CSV"),
        (
            [f"{HEAD},kind", "q1,ana,a,b,left,robot"],
            "column 'kind': judge or human was expected, and not 'robot'",
        ),
        (
            [f"{HEAD},kind", "q1,ana,a,b,left,human", "q2,ana,a,b,left,judge"],
            "row 3: column 'kind': 'ana' is a human in an earlier row, and here a judge",
        ),
        (
            [f"{HEAD},left_text", "q1,ana,a,b,left,one", "q1,bia,a,b,left,two"],
            "row 3: column 'left_text': 'a' answers 'q1' otherwise than in row 2; two prompts need two items",
        ),
        ([f"{HEAD},tstamp", "q1,ana,a,b,left,soon"], "column 'tstamp': seconds or a date was expected"),
        (
            [f"{HEAD},share", "q1,ana,a,b,,1.5"],
            "column 'share': a number from 0 to 1 was expected, and not '1.5'",
        ),
        (
            [f"{HEAD},share", "q1,ana,a,b,,nan"],
            "column 'share': a number from 0 to 1 was expected, and not 'nan'",
        ),
        ([f"{HEAD},share", "q1,ana,a,b,left,0.9"], "column 'share': 0.9 of the win for the right one makes"),
        ([f"{HEAD},seconds", "q1,ana,a,b,left,-1"], "column 'seconds': a number from 0 up was expected"),
        (
            [f"{HEAD},left_length", "q1,ana,a,b,left,1.5"],
            "column 'left_length': a whole number from 0 up was expected",
        ),
        (
            [f"{HEAD},shown_first", "q1,ana,a,b,left,tie"],
            "column 'shown_first': left, right, a or b was expected",
        ),
    ],
)
def test_mistakes_are_told_with_row_and_column(tmp_path: Path, lines: list[str], message: str) -> None:
    """One message says the file, the row as an editor counts, the column, and what was expected."""
    file = written(tmp_path, *lines)

    with pytest.raises(DataError, match=re.escape(message)) as found:
        read_preferences(file)

    assert str(found.value).startswith(str(file))


def test_rows_are_counted_as_an_editor_does(tmp_path: Path) -> None:
    """A cell of several lines moves the number of the next row."""
    file = written(tmp_path, f"{HEAD},left_text", 'q1,ana,a,b,left,"one', 'two"', "q2,ana,a,b,c,x")

    with pytest.raises(DataError, match="row 4: column 'winner'"):
        read_preferences(file)


@pytest.mark.parametrize("content", [b"\xff\xfe", HEAD.encode() + b"\nq1,\xe9,a,b,left\n"])
def test_other_encodings_are_refused(tmp_path: Path, content: bytes) -> None:
    """Text that is not UTF-8 is not guessed at."""
    file = tmp_path / "votes.csv"
    file.write_bytes(content)

    with pytest.raises(DataError, match="is not UTF-8 text"):
        read_preferences(file)


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    """It is one message, not a traceback."""
    with pytest.raises(DataError, match="cannot be read: No such file"):
        read_preferences(tmp_path / "none.csv")


@given(
    st.builds(
        NamedPreference,
        item=texts,
        left=st.just("one"),
        right=st.just("two"),
        rater=texts,
        winner=st.sampled_from(["left", "right", "tie", None]),
        kind=st.sampled_from(["judge", "human"]),
        cluster=texts,
        shown_first=st.sampled_from(["left", "right", None]),
        reason=texts,
        left_length=st.none() | st.integers(0, 10**6),
        right_length=st.none() | st.integers(0, 10**6),
        seconds=st.none() | st.floats(0, 1e6),
    )
)
def test_every_field_is_read(tmp_path_factory: pytest.TempPathFactory, preference: NamedPreference) -> None:
    """Whatever the texts hold."""
    file = tmp_path_factory.mktemp("written") / "votes.csv"
    with file.open("w", encoding="utf-8", newline="") as opened:
        writer = csv.DictWriter(opened, asdict(preference))
        writer.writeheader()
        writer.writerow(asdict(preference))

    assert [preference] == read_preferences(file)


def test_identical_answers_are_read_as_such(tmp_path: Path) -> None:
    """The reason of a tie tells that nobody decided it."""
    file = written(tmp_path, f"{HEAD},reason", f"q1,ana,a,b,tie,{IDENTICAL}", "q2,ana,a,b,tie,both bad")

    assert [True, False] == [each.identical for each in read_preferences(file)]


def test_a_file_without_columns_or_rows(tmp_path: Path) -> None:
    """The message ends where there is nothing more to say, and names no row where none is at fault."""
    for lines, message in (([], ", row 1: there is no column 'item'"), ([HEAD], ": holds no preferences")):
        file = written(tmp_path, *lines)
        with pytest.raises(DataError) as found:
            read_preferences(file)
        assert f"{file}{message}" == str(found.value)


def test_two_orders_are_two_preferences(tmp_path: Path) -> None:
    """Who was read first tells them apart, by model and not by side."""
    file = written(
        tmp_path, f"{HEAD},shown_first", "q1,ana,a,b,left,left", "q1,ana,a,b,left,right", "q1,ana,b,a,left,"
    )
    assert ["left", "right", None] == [each.shown_first for each in read_preferences(file)]

    for again in ("q1,ana,b,a,left,right", "q1,ana,a,b,tie,left"):
        file = written(tmp_path, f"{HEAD},shown_first", "q1,ana,a,b,left,left", again)
        assert [again.split(",")[4]] == [each.winner for each in read_preferences(file)]


@pytest.mark.parametrize(
    ("moments", "latest"),
    [(("", "", ""), 2), (("2", "3", "1"), 1), (("2026-11-30", "2026-12-01T10:00", "2026-12-01"), 1)],
)
def test_of_repeats_the_latest_counts(tmp_path: Path, moments: tuple[str, ...], latest: int) -> None:
    """The latest by the time that rows say, in seconds or as a date; without one the last row."""
    said = ["left", "right", "tie"]
    lines = [f"q1,ana,a,b,{each},{at}" for each, at in zip(said, moments, strict=True)]
    file = written(tmp_path, f"{HEAD},tstamp", *lines)
    assert [said[latest]] == [each.winner for each in read_preferences(file)]


def test_names_of_others(tmp_path: Path) -> None:
    """Columns and winners as Chatbot Arena calls them; our own name goes first where both are there."""
    file = written(
        tmp_path, "question_id,judge,model_a,model_b,winner", "q1,ana,a,b,model_b", "q2,ana,a,b,both_bad"
    )
    assert [("q1", "right", None), ("q2", "tie", BOTH_BAD)] == [
        (each.item, each.winner, each.reason) for each in read_preferences(file)
    ]
    both = written(tmp_path, f"id,{HEAD}", "7,q1,ana,a,b,model_a")
    assert ["q1"] == [each.item for each in read_preferences(both)]
    named = written(tmp_path, HEAD, "q1,ana,model_b,model_a,model_a")
    with pytest.raises(DataError, match="'model_a' is a side and a model's name; rename the model"):
        read_preferences(named)


@pytest.mark.parametrize("name", ["votes.json", "votes.jsonl", "votes.parquet"])
def test_rows_of_json_and_parquet(tmp_path: Path, name: str) -> None:
    """Numbers are names where names belong, null and NaN are empty cells; a mistake names the row."""
    rows = [
        {"item": 1.0, "rater": 7, "left": "a", "right": "b", "winner": None, "share": 0.75, "seconds": 1.5},
        {"item": 2.0, "rater": 7, "left": "a", "right": "b", "winner": "a", "share": None, "seconds": 2.0},
    ]
    file = tmp_path / name
    if name.endswith("parquet"):
        parquet.write_table(pa.Table.from_pylist(rows), file)
    else:
        file.write_text(json.dumps(rows) if name.endswith("json") else "\n".join(map(json.dumps, rows)))

    found = read_preferences(file)

    assert [("1", "7", "right", 0.75, 1.5), ("2", "7", "left", None, 2.0)] == [
        (each.item, each.rater, each.winner, each.share, each.seconds) for each in found
    ]
