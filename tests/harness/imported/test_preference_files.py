"""Other tools' files of preferences: what a row of each means, what is said of it, and what is refused."""

import json
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from pyarrow import parquet

from harness.errors import DataError
from harness.imported.preference_files import ForeignPreferences, read_preference_files
from harness.preferences.analysis import analyse
from harness.preferences.named import BOTH_BAD
from harness.preferences.results import RaterWinRate
from harness.stats.plan import AnalysisPlan

Rows = Sequence[Mapping[str, Any]]

ALPACA: Mapping[str, Any] = {
    "instruction": "Name a fruit.",
    "output_1": "apple",
    "generator_1": "sft",
    "output_2": "An apple.",
    "generator_2": "dpo",
    "annotator": "gpt4",
    "preference": 1.75,
}
ARENA: Mapping[str, Any] = {"uid": "q1", "judge": "gpt-4.1", "model": "dpo", "baseline": "sft"}
PAIR: Mapping[str, Any] = {
    "question_id": 81,
    "model_1": "sft",
    "model_2": "dpo",
    "judge": ["gpt-4", "pair-v2"],
    "turn": 1,
}
PANDA: Mapping[str, Any] = {
    "idx": 0,
    "cmp_key": "sft_dpo",
    "instruction": "Name a fruit.",
    "input": None,
    "response1": "apple",
    "response2": "An apple.",
    "annotator1": 1,
    "annotator2": 0,
}
VOTE: Mapping[str, Any] = {"question_id": "q", "model_a": "sft", "model_b": "dpo", "judge": "ana"}


def games(*scores: str | None) -> dict[str, Any]:
    """The games of an Arena-Hard row."""
    return {"games": [{"score": score, "judgment": {"answer": "…"}, "prompt": []} for score in scores]}


def winners(first: str, second: str) -> dict[str, Any]:
    """Those of both orders of an MT-Bench row."""
    return {"g1_winner": first, "g2_winner": second}


def written(folder: Path, rows: Rows, name: str = "rows.jsonl") -> Path:
    """A file of these rows: a list if it is JSON, lines otherwise."""
    file = folder / name
    lines = "".join(f"{json.dumps(row)}\n" for row in rows)
    file.write_text(json.dumps(rows) if name.endswith(".json") else lines, encoding="utf-8")
    return file


def read(folder: Path, rows: Rows, **options: Any) -> ForeignPreferences:
    """What they say."""
    return read_preference_files([written(folder, rows)], **options)


def result_of(folder: Path, rows: Rows) -> RaterWinRate:
    """The only win rate that they come to."""
    [result] = analyse(read(folder, rows).preferences, AnalysisPlan(resamples=50)).win_rates
    return result


# ---------------------------------------------------------------- what rows mean


def test_a_preference_is_a_share(tmp_path: Path) -> None:
    """AlpacaEval: 1 is the first output's, 2 the second's; 0 and 1.5 are draws; null and -1 say nothing."""
    given = [1, 2, 1.75, 1.5, 0, None, -1]
    rows = [{**ALPACA, "instruction": str(i), "preference": each} for i, each in enumerate(given)]

    found = read(tmp_path, rows).preferences

    assert [0, 1, 0.75, 0.5, 0.5, None, None] == [each.share for each in found]
    assert {("sft", "dpo", "gpt4", "judge", 5, 9)} == {
        (each.left, each.right, each.rater, each.kind, each.left_length, each.right_length) for each in found
    }


def test_an_instruction_with_an_input(tmp_path: Path) -> None:
    """AlpacaEval: one instruction with two inputs is two items."""
    found = read(tmp_path, [{**ALPACA, "input": text} for text in ("", "red", "green")]).preferences
    assert ["Name a fruit.", "Name a fruit.\n\nred", "Name a fruit.\n\ngreen"] == [
        each.item for each in found
    ]


def test_equal_outputs_count_as_ties(tmp_path: Path) -> None:
    """AlpacaEval asks nobody about them and counts them; so does the win rate here, and says it."""
    rows = [ALPACA, {**ALPACA, "instruction": "Say hi.", "output_2": "apple", "preference": 1.5}]
    result = result_of(tmp_path, rows)
    assert result.win_rate is not None
    assert (0.625, 0) == (result.win_rate.value, result.identical)
    [note] = read(tmp_path, rows).notes
    assert note.startswith("ties of equal outputs (1)")


@pytest.mark.parametrize(
    ("scores", "expected"),
    [
        (("A>B", "B>A"), ("left", "left")),
        (("B>>A", "A>>B"), ("right", "right")),
        (("A<B", "B<<A"), ("right", "right")),
        (("A=B", "B=A"), ("tie", "tie")),
        (("A>B", "A>B"), ("left", "right")),
        ((None, "A>B"), (None, "right")),
    ],
)
def test_the_games_are_both_orders(
    tmp_path: Path, scores: tuple[str | None, str], expected: tuple[str | None, str]
) -> None:
    """Arena-Hard: the baseline is A in the first game, the model in the second; no score is no winner."""
    found = read(tmp_path, [{**ARENA, **games(*scores)}]).preferences
    assert expected == tuple(each.winner for each in found)
    assert ("left", "right") == tuple(each.shown_first for each in found)
    assert {("sft", "dpo")} == {(each.left, each.right) for each in found}


def test_games_become_what_both_orders_become(tmp_path: Path) -> None:
    """One pair is a choice, a tie where its orders disagree, and none where one of them says nothing."""
    scores = [("B>A", "A>B"), ("B>A", "B>A"), ("A>>B", "B>A"), (None, "A>B"), ("A=B", "A=B")]
    rows = [{**ARENA, "uid": str(i), **games(*each)} for i, each in enumerate(scores)]
    rows.append({**ARENA, "uid": "lost", "games": [None, {"score": "A=B"}]})

    result = result_of(tmp_path, rows)

    assert result.win_rate is not None
    assert result.consistency is not None
    assert (1, 2, 1) == (result.win_rate.won, result.win_rate.tied, result.win_rate.lost)
    assert {"failed: the judge gave no answer": 1, "unreadable: no verdict": 1} == result.unreadable
    assert (3, 4) == (result.consistency.share.count, result.consistency.share.of)
    assert (2 / 6, 4 / 6) == result.bounds
    assert "strong verdicts (A>>B, B>>A: 1 of 10) count once here" in " ".join(read(tmp_path, rows).notes)


def test_a_baseline_that_is_not_named(tmp_path: Path) -> None:
    """Arena-Hard's v0.1 has none: it is assumed, and said; `baseline` names it, unless it is the model."""
    row = {"question_id": "q1", "model": "dpo", "judge": "gpt-4", **games("A>B", "B>A")}

    for name, models, said in [
        (None, {"gpt-4-0314", "dpo"}, "taken to be gpt-4-0314; --baseline gives it another name"),
        ("sft", {"sft", "dpo"}, "taken to be sft, as you say"),
        ("dpo", {"gpt-4-0314", "dpo"}, "taken to be gpt-4-0314; --baseline gives it another name"),
    ]:
        found = read(tmp_path, [row], baseline=name)
        assert models == {model for each in found.preferences for model in (each.left, each.right)}
        assert said in found.notes[0]


def test_two_baselines(tmp_path: Path) -> None:
    """Arena-Hard's v2 has one for each category: the model is the candidate beside each of them."""
    rows = [
        {"uid": "1", "category": "hard_prompt", "judge": "j", "model": "dpo", **games("A>B", "B>A")},
        {"uid": "2", "category": "creative_writing", "judge": "j", "model": "dpo", **games("A>B", "B>A")},
    ]
    found = read(tmp_path, rows)
    pairs = [
        (each.baseline, each.candidate)
        for each in analyse(
            found.preferences, AnalysisPlan(resamples=50), baselines=found.baselines
        ).win_rates
    ]
    assert [("o3-mini-2025-01-31", "dpo"), ("gemini-2.0-flash-001", "dpo")] == pairs


def test_both_turns_are_one_question(tmp_path: Path) -> None:
    """MT-Bench: two winners by model, both orders; `error` is none; the turns are items of one cluster."""
    rows = [
        {**PAIR, **winners("model_2", "model_2"), "tstamp": 1.0},
        {**PAIR, **winners("model_1", "error"), "judge": ["gpt-4", "pair-v2-multi-turn"], "turn": 2},
    ]
    found = read(tmp_path, rows)
    assert [("81/turn 1", "right", "left"), ("81/turn 1", "right", "right")] == [
        (each.item, each.winner, each.shown_first) for each in found.preferences[:2]
    ]
    assert ["left", None] == [each.winner for each in found.preferences[2:]]
    assert {("81", "gpt-4", "judge")} == {(each.unit, each.rater, each.kind) for each in found.preferences}


def test_a_judge_that_saw_no_order(tmp_path: Path) -> None:
    """MT-Bench: answers graded alone have one winner, written twice."""
    row = {**PAIR, **winners("model_1", "model_1"), "m1_score": 8, "m2_score": 5}
    [preference] = read(tmp_path, [row]).preferences
    assert ("left", None) == (preference.winner, preference.shown_first)


def test_the_baseline_of_many_pairs(tmp_path: Path) -> None:
    """MT-Bench: the model that all pairs share; of one pair the first; of all against all nobody is."""
    tie = winners("tie", "tie")
    one, other = {**PAIR, **tie}, {**PAIR, **tie, "model_1": "rl"}
    assert ("dpo",) == read(tmp_path, [one, other]).baselines
    assert ("sft",) == read(tmp_path, [one]).baselines
    third = {**PAIR, **tie, "model_1": "rl", "model_2": "sft"}
    assert () == read(tmp_path, [one, other, third]).baselines


def test_people_of_a_test_set(tmp_path: Path) -> None:
    """PandaLM: each annotator's 1, 2 or 0; rows of one instruction are one cluster."""
    rows = [PANDA, {**PANDA, "idx": 1, "cmp_key": "rl_dpo", "annotator1": 2}]
    found = read(tmp_path, rows).preferences
    assert [("0", "left"), ("0", "tie"), ("1", "right"), ("1", "tie")] == [
        (each.item, each.winner) for each in found
    ]
    assert {("Name a fruit.", "human")} == {(each.unit, each.kind) for each in found}


def test_votes_of_an_arena(tmp_path: Path) -> None:
    """Their names for columns and winners; what was answered until the turn that was judged has a length."""
    talk = [
        {"role": role, "content": text}
        for role, text in (("user", "hi"), ("assistant", "abc"), ("user", "and?"), ("assistant", "defg"))
    ]
    said = ["model_a", "model_b", "tie", "tie (bothbad)", "both_bad", "tie (inconsistent)"]
    rows = [
        {**VOTE, "question_id": i, "winner": each, "conversation_a": talk, "turn": 1}
        for i, each in enumerate(said)
    ]
    parquet.write_table(pa.Table.from_pylist(rows), tmp_path / "votes.parquet")

    for file in (written(tmp_path, rows), written(tmp_path, rows, "a.json"), tmp_path / "votes.parquet"):
        found = read_preference_files([file]).preferences
        assert ["left", "right", "tie", "tie", "tie", "tie"] == [each.winner for each in found]
        assert [BOTH_BAD, BOTH_BAD] == [each.reason for each in found if each.reason]
        assert {("ana", "human", 3)} == {(each.rater, each.kind, each.left_length) for each in found}
        assert ("0/turn 1", "0") == (found[0].item, found[0].unit)


def test_people_and_a_judge_meet_on_their_items(tmp_path: Path) -> None:
    """MT-Bench: human votes and a judge's file are about the same items, a turn of a question each."""
    votes = [{**VOTE, "question_id": 81, "winner": "model_b", "turn": turn} for turn in (1, 2)]
    judge = written(tmp_path, [{**PAIR, **winners("model_2", "model_2")}], "gpt-4_pair.jsonl")

    found = read_preference_files([written(tmp_path, votes), judge])

    assert {"ana": ["81/turn 1", "81/turn 2"], "gpt-4": ["81/turn 1", "81/turn 1"]} == {
        rater: [each.item for each in found.preferences if each.rater == rater] for rater in ("ana", "gpt-4")
    }
    named = {**VOTE, "question_id": 82, "winner": "tie", "judge": ["gpt-4", "pair-v2"]}
    assert "judge" == read(tmp_path, [named]).preferences[0].kind


def test_the_latest_of_a_raters_repeats_counts(tmp_path: Path) -> None:
    """The one that was made last, or where none says when, the one that stands last; how many is said."""
    rows = [
        {**VOTE, "winner": each, "tstamp": at} for each, at in (("tie", 1), ("model_a", 3), ("model_b", 2))
    ]
    found = read(tmp_path, rows)
    assert ["left"] == [each.winner for each in found.preferences]
    assert "2 preferences given again by the same rater" in found.notes[0]

    undated = [{**row, "tstamp": None} for row in rows]
    assert ["right"] == [each.winner for each in read(tmp_path, undated).preferences]


# ---------------------------------------------------------------- what is refused


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ([], ": holds no preferences"),
        ([{"a": 1}], "row 1: is no preference of a known format: AlpacaEval's annotations"),
        (
            [{"instruction": "i", "output": "o", "generator": "g"}],
            "row 1: holds answers, and no preferences",
        ),
        (
            [{"question_id": 1, "model": "m", "judge": ["g"], "score": 8, "turn": 1}],
            "grades one answer alone",
        ),
        (
            [ALPACA, {**ARENA, **games("A>B", "B>A")}],
            "row 2: is of Arena-Hard's judgments, and the first row of AlpacaEval's annotations",
        ),
        ([{**ALPACA, "preference": 7}], "row 1: preference: a number from 1 to 2 was expected, and not 7"),
        ([{**ALPACA, "annotator": " "}], "row 1: key 'annotator': is empty"),
        (
            [ALPACA, {k: v for k, v in ALPACA.items() if k != "annotator"}],
            "row 2: lacks annotator, which AlpacaEval's annotations have",
        ),
        (
            [ALPACA, {**ALPACA, "annotator": "other", "output_2": "pear"}],
            "row 2: key 'output_2': 'dpo' answers 'Name a fruit.' otherwise than in row 1",
        ),
        ([{**ARENA, **games("A>B", "C")}], "row 1: games[1].score: A>>B, A>B, A=B, B>A or B>>A was expected"),
        ([{**ARENA, "games": []}], "row 1: games: a list of two was expected"),
        ([{**ARENA, "games": [{}]}], "row 1: games[0]: an object with a score was expected"),
        (
            [{"uid": "1", "judge": "j", "model": "m", "category": "poems", **games("A>B")}],
            "lacks baseline, and 'poems' is no category of which it is known",
        ),
        ([{**PAIR, **winners("A", "tie")}], "g1_winner: model_1, model_2, tie or error was expected"),
        ([{**PAIR, "g1_winner": "tie"}], "lacks g2_winner, which MT-Bench's pairwise judgments have"),
        ([{**PANDA, "cmp_key": "a_b_c"}], "cmp_key: two models' names with one _ between them"),
        ([{**PANDA, "annotator2": 3}], "annotator2: 0, 1 or 2 was expected, and not 3"),
        ([PANDA, {**PANDA, "instruction": "Else."}], "row 2: idx: 0 is another instruction or pair"),
        ([{"idx": 0, "gpt_result": "1"}], "idx: 0 stands in no annotations that were read"),
        ([{**VOTE, "winner": "tie"}, VOTE], "row 2: key 'winner': is not there; found: question_id, model_a"),
        ([{**VOTE, "winner": ["x"]}], "key 'winner': left, right, tie, sft or dpo was expected"),
        ([{**VOTE, "judge": None, "winner": "tie"}], "row 1: key 'judge': is empty"),
        ([{**VOTE, "judge": 1.5, "winner": "tie"}], "row 1: key 'judge': a text was expected, and not 1.5"),
        ([{**VOTE, "winner": "tie", "tstamp": "soon"}], "key 'tstamp': seconds or a date was expected"),
    ],
)
def test_mistakes_are_named_with_their_row(tmp_path: Path, rows: Rows, message: str) -> None:
    """One sentence: the file, the row, what it says, and what was expected; by the file's own names."""
    with pytest.raises(DataError, match=re.escape(message)) as found:
        read(tmp_path, rows)
    assert str(found.value).startswith(str(tmp_path / "rows.jsonl"))


def test_a_file_that_was_not_written_to_its_end(tmp_path: Path) -> None:
    """Neither as a list nor as lines: nothing of it is taken."""
    for name in ("rows.json", "rows.jsonl"):
        file = written(tmp_path, [ALPACA, ALPACA], name)
        file.write_text(file.read_text()[:-20])
        with pytest.raises(DataError, match="it ends in the middle: was the file written to its end"):
            read_preference_files([file])


def test_a_rater_is_of_one_kind_in_all_files(tmp_path: Path) -> None:
    """A judge's name is no person's in another file."""
    votes = written(tmp_path, [{**VOTE, "judge": "gpt4", "winner": "tie"}], "votes.jsonl")
    with pytest.raises(DataError, match="'gpt4' is a judge in an earlier row, and here a human"):
        read_preference_files([written(tmp_path, [ALPACA]), votes])
