"""Any lm-eval task as a suite, over local rows: multiple choice, a generated answer, one log-likelihood."""

from pathlib import Path
from typing import Any

import pytest

from harness.errors import DataError, UsageError
from harness.records.answers import Metric, Prompt, Response, Row
from suites.lm_eval_task import LmEvalSuite
from suites.settings import LmEvalSettings, SuiteContext
from tests.suites.general_rows import GENERAL
from tests.suites.rows import write_rows
from tests.suites.scripted import FunctionEngine, says

ARC = [
    {
        "id": str(place),
        "question": f"What is {place} and {place}?",
        "choices": {"text": [str(2 * place), "none"], "label": ["A", "B"]},
        "answerKey": "A",
    }
    for place in range(3)
]
GSM = [
    {"question": f"{n} apples and one more?", "answer": f"{n} + 1 = {n + 1}\n#### {n + 1}"} for n in range(3)
]
LAMBADA = [{"text": "The dog sleeps on the mat", "domain": None}]


def suite_of(folder: Path, task: str, rows: list[dict[str, Any]], **settings: Any) -> LmEvalSuite:
    """The task over these rows."""
    given = LmEvalSettings(data=write_rows(folder / "rows.jsonl", rows), **settings)
    return LmEvalSuite(task, given, SuiteContext())


def asked(suite: LmEvalSuite, engine: FunctionEngine) -> list[Row]:
    """All rows, as they stand in the file."""
    return sorted(suite.rows(engine), key=lambda row: row.position)


def test_multiple_choice(tmp_path: Path) -> None:
    """Choices are scored by log-likelihood, divided by length for acc_norm; the first metric is headline."""
    suite = suite_of(tmp_path, "arc_easy", ARC)
    assert suite.metrics == (
        Metric(name="acc", kind="binary", headline=True),
        Metric(name="acc_norm", kind="binary"),
    )
    rows = asked(suite, FunctionEngine(shuffle=2))
    assert [("Question: What is 2 and 2?\nAnswer:", "4")] == [
        (row.sample.prompt, row.sample.target) for row in rows[2:]
    ]
    assert ("4", "none") == rows[2].sample.choices
    assert [[("acc", 1.0), ("acc_norm", 0.0)]] * 3 == [
        [(score.metric, score.value) for score in row.scores] for row in rows
    ]


@pytest.mark.parametrize("task", GENERAL)
def test_general_ability_over_local_rows(task: str, tmp_path: Path) -> None:
    """Each task of general ability takes rows in the hub's schema, without few-shot examples."""
    suite = suite_of(tmp_path, task, GENERAL[task], num_fewshot=0)
    rows = asked(suite, FunctionEngine())
    assert (0, len(GENERAL[task])) == (suite.num_fewshot, len(rows))
    assert None not in [score.value for row in rows for score in row.scores]


def test_which_beginning_fits(tmp_path: Path) -> None:
    """WinoGrande scores one ending after two beginnings; a reader sees both, and which is right."""
    (row,) = asked(suite_of(tmp_path, "winogrande", GENERAL["winogrande"]), FunctionEngine())
    board, hammer = (f"The nail went through the board because the {word}" for word in ("board", "hammer"))
    assert (board, hammer) == row.sample.choices
    assert (f"{board} | {hammer} … was soft.", board) == (row.sample.prompt, row.sample.target)


def test_identity(tmp_path: Path) -> None:
    """The suite is named and versioned after the task, and equal rows keep apart ids."""
    suite = suite_of(tmp_path, "arc_easy", [*ARC, ARC[0]])
    assert suite.name == "lm_eval:arc_easy"
    assert suite.version == "2 (lm-eval arc_easy 1.0)"
    ids = [row.sample.id for row in asked(suite, FunctionEngine())]
    assert suite.size == len(set(ids)) == 4
    assert ids[3] == f"{ids[0]}-2"


def test_generated_answers(tmp_path: Path) -> None:
    """Every filter of the task makes metrics of its own; stop strings and length are the task's."""
    engine = FunctionEngine(answer=lambda prompt: says("It is 1, so 1 #### 1"))
    suite = suite_of(tmp_path, "gsm8k", GSM, num_fewshot=0)
    rows = asked(suite, engine)
    assert ["exact_match,strict-match", "exact_match,flexible-extract"] == [m.name for m in suite.metrics]
    assert [[1.0, 1.0], [0.0, 0.0], [0.0, 0.0]] == [[score.value for score in row.scores] for row in rows]
    (sampling,) = engine.samplings
    assert "Question:" in sampling.stop
    assert sampling.temperature == 0.0
    assert suite.settings(None)["sampling"]["stop"] == sampling.stop


def test_another_length(tmp_path: Path) -> None:
    """`max_tokens` replaces the task's length, and is part of the conditions; nothing else changes."""
    engine = FunctionEngine(answer=lambda prompt: says("1"))
    usual = suite_of(tmp_path, "gsm8k", GSM, num_fewshot=0)
    shorter = suite_of(tmp_path, "gsm8k", GSM, num_fewshot=0, max_tokens=7)
    asked(shorter, engine)
    (sampling,) = engine.samplings
    assert 7 == sampling.max_tokens
    assert usual.settings(None)["sampling"] | {"max_tokens": 7} == shorter.settings(None)["sampling"]


def test_failed_answer_is_unscored(tmp_path: Path) -> None:
    """A failure has no value in any metric."""
    failed = Response(text="", stop_reason="refused", reason="policy")
    rows = asked(
        suite_of(tmp_path, "gsm8k", GSM, num_fewshot=0), FunctionEngine(answer=lambda prompt: failed)
    )
    assert {(None, "refused: policy")} == {
        (score.value, score.reason) for row in rows for score in row.scores
    }


def test_corpus_metrics_are_left_out(tmp_path: Path) -> None:
    """Perplexity is no mean over documents, so it is not reported; accuracy is."""
    suite = suite_of(tmp_path, "lambada_openai", LAMBADA)
    assert [metric.name for metric in suite.metrics] == ["acc"]
    (row,) = asked(suite, FunctionEngine())
    assert [score.value for score in row.scores] == [0.0]


def test_examples_as_turns(tmp_path: Path) -> None:
    """Few-shot examples that the definition brings are turns where a template is applied, else text."""
    suite = suite_of(tmp_path, "gsm8k_cot", GSM, num_fewshot=2)
    for template, turns in (("{{ any }}", 3), (None, 0)):
        engine = FunctionEngine(chat_template=template)
        asked(suite, engine)
        (content,) = [p.content for p in engine.prompts if "0 apples" in str(p.content)]
        assert str(content).count("<user>") == turns
        assert str(content).count("Q: ") == 3


def test_examples_from_the_rows_asked(tmp_path: Path) -> None:
    """Examples that would come from the very rows that are asked are refused."""
    with pytest.raises(UsageError, match="set num_fewshot = 0"):
        suite_of(tmp_path, "gsm8k", GSM).settings(None)


def test_examples_where_there_are_none(tmp_path: Path) -> None:
    """A task that fixes zero examples is not silently asked with zero when some are wanted."""
    questions = [{"question": "Why?", "mc1_targets": {"choices": ["a", "b"], "labels": [1, 0]}}]
    suite = suite_of(tmp_path, "truthfulqa_mc1", questions, num_fewshot=3)
    with pytest.raises(UsageError):
        asked(suite, FunctionEngine())


def test_limit(tmp_path: Path) -> None:
    """Only the first rows are asked, hashed and counted."""
    whole, limited = suite_of(tmp_path, "arc_easy", ARC), suite_of(tmp_path, "arc_easy", ARC, limit=2)
    assert (3, 2) == (whole.size, limited.size)
    assert [row.position for row in asked(limited, FunctionEngine())] == [0, 1]
    assert whole.data_hash != limited.data_hash


def test_engine_without_likelihoods(tmp_path: Path) -> None:
    """An engine that cannot score is refused before it is asked."""
    with pytest.raises(UsageError, match="needs log-likelihoods"):
        asked(suite_of(tmp_path, "arc_easy", ARC), FunctionEngine(can_score=False))


@pytest.mark.parametrize(
    ("rows", "problem"),
    [
        ([], "holds no rows"),
        ([ARC[0], {"question": "Why?"}], "row 2: lacks answerKey, choices, id, which row 1 has"),
        ([ARC[0], {**ARC[1], "question": 5}], "row 2: has a field of another type"),
        ([{"text": "not a question"}], "cannot use these rows"),
    ],
)
def test_unusable_rows(tmp_path: Path, rows: list[dict[str, Any]], problem: str) -> None:
    """Rows that the task cannot use are an error that names the file."""
    with pytest.raises(DataError, match=rf"rows\.jsonl.*{problem}"):
        _ = suite_of(tmp_path, "arc_easy", rows).size


def test_repeats_are_draws(tmp_path: Path) -> None:
    """A task that samples an answer several times asks for several draws of one prompt."""
    engine = FunctionEngine(answer=lambda prompt: says(f"The answer is {prompt.draw}."))
    suite = suite_of(tmp_path, "gsm8k_cot_self_consistency", GSM[:1], num_fewshot=0)
    (row,) = asked(suite, engine)
    assert len(row.responses) == len({prompt.draw for prompt in engine.prompts}) == 64
    assert isinstance(engine.prompts[0], Prompt)
