"""Answers in files: every usual form is read as what it says, and what contradicts itself is named."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from harness.engine.given_answers import GivenAnswers, answer_files
from harness.errors import DataError
from harness.records.answers import Message, Response


def lines(file: Path, *rows: Any) -> Path:
    """A JSONL file."""
    file.write_text("\n".join(map(json.dumps, rows)) + "\n")
    return file


def read(*files: Path, generator: str | None = None) -> GivenAnswers:
    """What is in these files."""
    return GivenAnswers(answer_files([str(file) for file in files]), generator)


def texts(found: Any) -> list[str | None]:
    """Of a row's draws."""
    assert found is not None
    return [each and each.text for _, each in sorted(found.responses.items())]


TURNS = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Say a."}]
SPOKEN = (Message(role="system", content="Be brief."), Message(role="user", content="Say a."))


@pytest.mark.parametrize(
    ("row", "asked", "said"),
    [
        ({"prompt": "Say a.", "response": "a"}, "Say a.", ["a"]),
        ({"question": "Say a.", "answers": ["a", "A"]}, "Say a.", ["a", "A"]),
        ({"instruction": "Say a.", "output": "a", "generator": "gpt4"}, "Say a.", ["a"]),
        ({"instruction": "Say", "input": "a.", "output": "a"}, "Say\n\na.", ["a"]),
        ({"prompt": {"text": "Say"}, "generations": [{"text": " a"}, {"text": " b"}]}, "Say", [" a", " b"]),
        ({"prompt": TURNS, "completion": "a"}, SPOKEN, ["a"]),
        ({"messages": [*TURNS, {"role": "assistant", "content": "a"}]}, SPOKEN, ["a"]),
        (
            {
                "uid": "x",
                "messages": [TURNS[1], {"role": "assistant", "content": {"answer": "a"}}],
                "metadata": {"token_len": 1},
            },
            "Say a.",
            ["a"],
        ),
        ({"prompt": "Say a.", "response": None}, "Say a.", [None]),
        ({"prompt": [TURNS[1]], "response": "a"}, "Say a.", ["a"]),
    ],
)
def test_forms(tmp_path: Path, row: Any, asked: Any, said: Sequence[str | None]) -> None:
    """As they are written by others; a user's turn alone is the same as its text."""
    found = read(lines(tmp_path / "answers.jsonl", row))
    assert texts(found.by_prompt(asked)) == said
    assert found.by_prompt("Say b.") is None


def test_mt_bench_and_arena_hard_as_they_are(tmp_path: Path) -> None:
    """The first turn's answer, by the question's id."""
    row = {"question_id": 81, "model_id": "dpo", "choices": [{"index": 0, "turns": ["one", "two"]}]}
    assert texts(read(lines(tmp_path / "dpo.jsonl", row)).by_id("81")) == ["one"]


def test_what_else_a_row_may_say(tmp_path: Path) -> None:
    """Thought, end and counts; other tools' words for them too."""
    found = read(
        lines(
            tmp_path / "answers.jsonl",
            {"id": "1", "output": "a", "reasoning": "hm", "finish_reason": "length", "completion_tokens": 7},
            {"id": 2, "output": None, "stop_reason": "content_filter"},
            {"key": 3, "response": "", "prompt_tokens": "5"},
        )
    )
    first, second, third = (found.by_id(name) for name in ("1", "2", "3"))
    assert first is not None
    assert second is not None
    assert third is not None
    assert first.responses[0] == Response(text="a", stop_reason="length", thought="hm", completion_tokens=7)
    assert second.responses[0] == Response(text="", stop_reason="refused", reason="the file says so")
    assert third.responses[0] == Response(text="", stop_reason="end", prompt_tokens=5)


def test_draws_may_have_rows_of_their_own(tmp_path: Path) -> None:
    """In any order."""
    rows = [{"prompt": "p", "continuation": str(draw), "draw": draw} for draw in (1, 0, 2)]
    assert texts(read(lines(tmp_path / "a.jsonl", *rows)).by_prompt("p")) == ["0", "1", "2"]


def test_log_likelihoods_of_choices(tmp_path: Path) -> None:
    """By the choice's text without the blanks around it."""
    row = {"prompt": "p", "choices": [" yes", "no"], "logprobs": [-1.5, -2], "greedy": [True, False]}
    found = read(lines(tmp_path / "a.jsonl", row)).by_prompt("p")
    assert found is not None
    assert {name: (each.logprob, each.greedy) for name, each in found.likelihoods.items()} == {
        "yes": (-1.5, True),
        "no": (-2.0, False),
    }
    assert not found.responses


def test_kinds_of_files_and_folders(tmp_path: Path) -> None:
    """JSON, CSV and Parquet say what JSONL says; a folder's files are read together."""
    rows = [{"prompt": f"Say {number}, please.", "response": f"{number}"} for number in range(4)]
    folder = tmp_path / "answers"
    folder.mkdir()
    lines(folder / "a.jsonl", rows[0])
    (folder / "b.json").write_text(json.dumps([rows[1]]))
    pd.DataFrame([rows[2]]).to_csv(folder / "c.csv", index=False)
    pd.DataFrame([rows[3]]).to_parquet(folder / "d.parquet")
    (folder / "notes.txt").write_text("not read")
    found = read(folder)
    assert [texts(found.by_prompt(row["prompt"])) for row in rows] == [["0"], ["1"], ["2"], ["3"]]
    pd.DataFrame([{"prompt": "p", "responses": ["a", "b"]}]).to_parquet(tmp_path / "several.parquet")
    assert texts(read(tmp_path / "several.parquet").by_prompt("p")) == ["a", "b"]


def test_blanks_around_a_prompt(tmp_path: Path) -> None:
    """Only where it is asked so; where two differ in nothing else, neither is meant."""
    found = read(
        lines(
            tmp_path / "a.jsonl",
            {"prompt": "one\n", "response": "1"},
            {"prompt": "two", "response": "2"},
            {"prompt": " two", "response": "3"},
        )
    )
    assert found.by_prompt("one") is None
    assert texts(found.by_trimmed_prompt("  one")) == ["1"]
    assert texts(found.by_prompt("two")) == ["2"]
    assert found.by_trimmed_prompt("two ") is None


def test_rows_of_several_models(tmp_path: Path) -> None:
    """One is named, or there is one only."""
    rows = [{"instruction": "p", "output": name, "generator": name} for name in ("gpt4", "claude")]
    file = lines(tmp_path / "model_outputs.jsonl", *rows)
    assert texts(read(file, generator="claude").by_prompt("p")) == ["claude"]
    with pytest.raises(DataError, match=r"of 'gpt3'.*gpt4"):
        read(file, generator="gpt3")
    with pytest.raises(
        DataError, match=r"row 2.*'claude', and model_outputs.jsonl, row 1 of 'gpt4'.*generator"
    ):
        read(file)


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ([{"response": "a"}], "row 1: says not what it answers"),
        ([{"prompt": "p"}], "row 1: answers nothing: one of response"),
        ([{"prompt": "p", "response": 5}], "response: a text was expected, and not int"),
        (
            [
                {"prompt": "p", "response": "a"},
                {"prompt": "q", "response": "b"},
                {"prompt": "p", "response": "c"},
            ],
            "row 3: answers what a.jsonl, row 1 answers, and otherwise",
        ),
        ([{"id": 1, "response": "a"}, {"id": "1", "response": "b"}], "row 2: answers what a.jsonl, row 1"),
        ([{"id": 1, "response": "a", "stop_reason": "tired"}], "stop_reason: one of stop"),
        ([{"id": 1, "response": "a", "draw": -1}], "draw: a whole number"),
        ([{"id": 1, "choices": ["a"], "logprobs": [-1, -2]}], "logprobs: a list with a number for each"),
        ([{"id": 1, "choices": ["a"], "logprobs": ["-1"]}], "logprobs: natural logarithms"),
        ([{"id": 1, "choices": ["a"], "logprobs": [0.5]}], "none of them above 0"),
        ([{"messages": TURNS}], "answers nothing"),
        ([{"id": 1, "response": "a", "finish_reason": ["stop"]}], "stop_reason: one of stop"),
        ([{"id": 1, "choices": [{"turns": []}]}], "choices: each needs `turns`"),
        ([{"id": 1, "choices": [{"turns": ["x"]}, {"index": 1}]}], "choices: each needs `turns`"),
        ([{"id": 1, "choices": ["a"], "logprobs": [-1], "greedy": True}], "greedy: a list"),
        ([{"id": 1, "response": "a", "prompt_tokens": 10**30}], "prompt_tokens: a whole number"),
        ([{"id": 1, "response": "a", "draw": 0.9}], "draw: a whole number"),
        ([{"id": [1], "response": "a"}], "id: a text or a whole number"),
        (
            [{"id": 1, "prompt": "p", "response": "a"}, {"id": 1, "prompt": "q", "response": "a"}],
            "row 2: has the id of a.jsonl, row 1, '1', and another prompt",
        ),
        (
            [{"prompt": "p", "choices": ["a"], "logprobs": [-each]} for each in (1, 2)],
            "row 2: answers what a.jsonl, row 1 answers, and otherwise",
        ),
    ],
)
def test_what_cannot_be_read_is_named(tmp_path: Path, rows: Sequence[Any], message: str) -> None:
    """With the file, the row and the key."""
    with pytest.raises(DataError, match=message):
        read(lines(tmp_path / "a.jsonl", *rows))


def test_files_that_are_not_there(tmp_path: Path) -> None:
    """Nor of a kind that is read, nor readable, nor with anything in them."""
    with pytest.raises(DataError, match="no such file or folder"):
        read(tmp_path / "none.jsonl")
    with pytest.raises(DataError, match=r"no file of answers \(\.jsonl"):
        read(tmp_path)
    (tmp_path / "a.txt").write_text("a")
    with pytest.raises(DataError, match="is no file of answers"):
        read(tmp_path / "a.txt")
    (tmp_path / "a.parquet").write_text("a")
    with pytest.raises(DataError, match="is not Parquet"):
        read(tmp_path / "a.parquet")
    (tmp_path / "a.jsonl").write_text("")
    with pytest.raises(DataError, match="holds no answers"):
        read(tmp_path / "a.jsonl")
    (tmp_path / "half.jsonl").write_text('{"prompt": "p", "response": "a"}\n{"prompt": "q", "resp')
    with pytest.raises(DataError, match="row 2"):
        read(tmp_path / "half.jsonl")


def test_the_same_answer_twice_is_one(tmp_path: Path) -> None:
    """And two ids may have one prompt: only where they are answered differently does the id decide."""
    same = {"prompt": "p", "response": "a"}
    assert len(read(lines(tmp_path / "a.jsonl", same, same)).rows) == 1
    found = read(
        lines(
            tmp_path / "b.jsonl",
            {"id": 1, "prompt": "p", "response": "a"},
            {"id": 2, "prompt": "p", "response": "b"},
            {"id": 3, "prompt": "q", "response": "c"},
            {"id": 4, "prompt": "q", "response": "c"},
        )
    )
    assert found.by_prompt("p") is None
    assert texts(found.by_id("2")) == ["b"]
    assert texts(found.by_prompt("q")) == ["c"]


def test_what_rows_say_of_one_prompt_is_put_together(tmp_path: Path) -> None:
    """A choice a row, an answer beside log-likelihoods, and draws with ids of their own."""
    found = read(
        lines(
            tmp_path / "a.jsonl",
            {"prompt": "p", "choices": ["a"], "logprobs": [-1]},
            {"prompt": "p", "choices": ["b"], "logprobs": [-2]},
            {"prompt": "p", "response": "c", "logprobs": [{"token": "c", "logprob": -0.5}]},
            {"id": "x", "prompt": "q", "response": "d", "draw": 0},
            {"id": "y", "prompt": "q", "response": "e", "draw": 1},
        )
    )
    first = found.by_prompt("p")
    assert first is not None
    assert {"a", "b"} == first.likelihoods.keys()
    assert texts(first) == ["c"]
    assert texts(found.by_prompt("q")) == texts(found.by_id("y")) == ["d", "e"]


def test_turns_after_an_answer_are_asked_too(tmp_path: Path) -> None:
    """Examples before the last question are a part of what was asked, in every tool's words for turns."""
    turns = [
        {"from": "human", "value": "one"},
        {"from": "gpt", "value": "1"},
        {"from": "human", "value": "two"},
        {"from": "gpt", "value": "2"},
    ]
    found = read(lines(tmp_path / "a.jsonl", {"conversations": turns}))
    assert found.by_prompt("one") is None
    asked = tuple(
        Message(role=role, content=content)  # type: ignore[arg-type]  # roles
        for role, content in (("user", "one"), ("assistant", "1"), ("user", "two"))
    )
    assert texts(found.by_prompt(asked)) == ["2"]


def test_what_else_lies_in_a_folder_is_left_alone(tmp_path: Path) -> None:
    """Hidden files, and folders whatever they are called."""
    lines(tmp_path / "a.jsonl", {"prompt": "p", "response": "a"})
    (tmp_path / ".hidden.jsonl").write_text("junk")
    (tmp_path / "sub.jsonl").mkdir()
    assert [file.name for file in answer_files([str(tmp_path)])] == ["a.jsonl"]
