"""IFEval: the four numbers from known answers, that scoring repeats itself, and which rows are refused."""

import copy
import random
import string
from pathlib import Path
from typing import Any

import nltk
import pytest

from harness.errors import DataError, DownloadNeeded
from harness.records import Prompt, Response, Row
from suites.ifeval import IFEval
from suites.settings import IFEvalSettings, Surroundings
from tests.suites.rows import PROMPTS, write_rows
from tests.suites.scripted import FunctionEngine, says

ANSWERS = {
    PROMPTS[0]["prompt"]: "Sure, here it is:\nA saw cuts wood well.",
    PROMPTS[1]["prompt"]: "all lowercase here, as it should be",
    PROMPTS[2]["prompt"]: "Das ist ein deutscher Satz und hier ist er zu Ende: done",
}


@pytest.fixture(autouse=True)
def sentence_data(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A folder in punkt_tab's place, so that nothing is downloaded: made-up rows cut no sentences."""
    if "official" not in request.keywords:
        (tmp_path / "nltk" / "tokenizers" / "punkt_tab").mkdir(parents=True)
        monkeypatch.setattr(nltk.data, "path", [str(tmp_path / "nltk")])


def suite_of(folder: Path, rows: list[dict[str, Any]], **settings: Any) -> IFEval:
    """The suite over these rows."""
    return IFEval(IFEvalSettings(data=write_rows(folder / "rows.jsonl", rows), **settings), Surroundings())


def asked(suite: IFEval, engine: FunctionEngine) -> list[Row]:
    """All rows, as they stand in the file."""
    return sorted(suite.rows(engine), key=lambda row: row.position)


def values(row: Row, metric: str) -> list[float | None]:
    """A metric's scores in the row, by part."""
    return [score.value for score in row.scores if score.metric == metric]


def answer(prompt: Prompt) -> Response:
    """The scripted answer."""
    assert isinstance(prompt.content, str)
    return says(ANSWERS[prompt.content])


def test_four_numbers(tmp_path: Path) -> None:
    """Loosely, the first line with its comma may be dropped; strictly it may not. Instructions are parts."""
    rows = asked(suite_of(tmp_path, PROMPTS), FunctionEngine(answer=answer))
    assert [["1"], ["2"], ["3"]] == [[row.sample.id] for row in rows]
    assert [[0.0], [1.0], [1.0]] == [values(row, "prompt_strict") for row in rows]
    assert [[1.0], [1.0], [1.0]] == [values(row, "prompt_loose") for row in rows]
    assert [[0.0, 1.0], [1.0], [1.0, 1.0]] == [values(row, "instruction_strict") for row in rows]
    assert [[1.0, 1.0], [1.0], [1.0, 1.0]] == [values(row, "instruction_loose") for row in rows]


def test_empty_answer_is_wrong(tmp_path: Path) -> None:
    """No answer follows no instruction, as in the official code: scored 0, not left out."""
    rows = asked(suite_of(tmp_path, PROMPTS), FunctionEngine())
    assert {0.0} == {score.value for row in rows for score in row.scores}


def test_failed_answer_is_unscored(tmp_path: Path) -> None:
    """A failure is no answer: every score, in every part, is missing with its reason."""
    failed = Response(text="", stopped="failed", reason="server gone")
    first = asked(suite_of(tmp_path, PROMPTS), FunctionEngine(answer=lambda prompt: failed))[0]
    assert len(first.scores) == 2 + 2 * 2
    assert {(None, "failed: server gone")} == {(score.value, score.reason) for score in first.scores}


def test_generation(tmp_path: Path) -> None:
    """Greedy, without stop strings, as long as lm-eval lets an answer be or as long as was set."""
    for settings, length in (({}, 1280), ({"max_tokens": 7}, 7)):
        engine = FunctionEngine()
        suite = suite_of(tmp_path, PROMPTS, **settings)
        asked(suite, engine)
        assert [suite.sampling] == engine.samplings
        assert (length, 0.0, ()) == (
            suite.sampling.max_tokens,
            suite.sampling.temperature,
            suite.sampling.stop,
        )


def test_chat_template(tmp_path: Path) -> None:
    """A prompt is one user turn."""
    engine = FunctionEngine(chat_template="{{ any }}")
    asked(suite_of(tmp_path, PROMPTS), engine)
    assert f"<user>{PROMPTS[0]['prompt']}<assistant>" in [prompt.content for prompt in engine.prompts]


def test_scoring_repeats_itself(tmp_path: Path) -> None:
    """Undecided language and the letter drawn for `#` come out the same, and `random` is as it was."""
    drawn = {
        "key": 1122,
        "prompt": "Use the letter # at least 4 times.",
        "instruction_id_list": ["keywords:letter_frequency", "language:response_language"],
        "kwargs": [
            {"letter": "#", "let_frequency": 4, "let_relation": "at least"},
            {"language": "it"},
        ],
    }
    suite = suite_of(tmp_path, [{**drawn, "key": key} for key in range(12)])
    engine = FunctionEngine(answer=lambda prompt: says(string.ascii_lowercase[:13] * 4 + " no si la de"))
    outcomes = []
    for seed in range(4):
        random.seed(seed)
        before = random.getstate()
        outcomes.append([row.scores for row in asked(suite, engine)])
        assert before == random.getstate()
    assert all(outcomes[0] == other for other in outcomes)
    assert {0.0, 1.0} == {values(row, "instruction_strict")[0] for row in asked(suite, engine)}


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        ({"kwargs": [{"no_such": 1}]}, r"cannot be checked \(change_case:english_lowercase\)"),
        ({"instruction_id_list": ["change_case:shouting"]}, "change_case:shouting"),
        (
            {
                "instruction_id_list": ["length_constraints:number_words"],
                "kwargs": [{"relation": "around", "num_words": 3}],
            },
            "around",
        ),
        (
            {
                "instruction_id_list": ["length_constraints:number_words"],
                "kwargs": [{"relation": "at least", "num_words": "three"}],
            },
            "has a field of another type",
        ),
        ({"kwargs": []}, "1 instructions have 0 kwargs"),
        ({"instruction_id_list": [], "kwargs": []}, "instruction_id_list is empty"),
        ({"key": "two"}, "key: input should be a valid integer"),
    ],
)
def test_unusable_row(tmp_path: Path, change: dict[str, Any], problem: str) -> None:
    """Arguments that an instruction does not take are found before the model is asked; the row is named."""
    rows = copy.deepcopy(PROMPTS)
    rows[1] |= change
    engine = FunctionEngine()
    with pytest.raises(DataError, match=f"row 2: .*{problem}"):
        asked(suite_of(tmp_path, rows), engine)
    assert engine.prompts == []


def test_hub_and_file_rows_hash_alike(tmp_path: Path) -> None:
    """The hub's rows list every argument, most of them null; that changes neither hash nor scores."""
    wide = [
        {**row, "kwargs": [{"language": None, "num_words": None, **each} for each in row["kwargs"]]}
        for row in PROMPTS
    ]
    one, two = suite_of(tmp_path / "a", PROMPTS), suite_of(tmp_path / "b", wide)
    assert one.data_hash == two.data_hash
    engine = FunctionEngine(answer=answer)
    assert asked(one, engine) == asked(two, engine)


def test_sentence_data_missing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without punkt_tab and without a network, the message says what to set."""
    monkeypatch.setattr(nltk.data, "path", [])
    monkeypatch.setattr(nltk, "download", lambda *_, **__: False)
    with pytest.raises(DownloadNeeded, match="set NLTK_DATA to a folder"):
        asked(suite_of(tmp_path, PROMPTS), FunctionEngine())


def test_sentence_data_beside_official_data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The folder of official data may hold nltk's; it is used where NLTK_DATA names nothing."""
    monkeypatch.delenv("NLTK_DATA", raising=False)
    monkeypatch.setattr(nltk.data, "path", [])
    (tmp_path / "root" / "nltk_data" / "tokenizers" / "punkt_tab").mkdir(parents=True)
    file = write_rows(tmp_path / "rows.jsonl", PROMPTS)
    suite = IFEval(IFEvalSettings(data=file), Surroundings(data_root=tmp_path / "root"))
    assert len(asked(suite, FunctionEngine())) == 3


@pytest.mark.official
def test_official_data(official_data: Path) -> None:
    """541 prompts with 834 instructions, every one of which can be checked."""
    suite = IFEval(IFEvalSettings(), Surroundings(data_root=official_data))
    rows = list(suite.rows(FunctionEngine()))
    assert len(rows) == suite.size == 541
    assert sum(len(values(row, "instruction_strict")) for row in rows) == 834
    assert suite.data_hash == "sha256:51ff4c9aee762d70184ad1eb013cbd3ae66821a7a397453d6afa7c9e5fb48e47"
