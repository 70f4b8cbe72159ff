"""TruthfulQA: what is asked, how mc1 and mc2 follow from log-likelihoods, and which rows are refused."""

import copy
import math
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from harness.adaptors.engine_requests import TaskRows
from harness.adaptors.lm_eval.tasks import ask, load_task
from harness.errors import DataError
from harness.records.answers import LogLikelihood, Row
from suites.settings import SuiteContext, SuiteSettings
from suites.truthfulqa import TruthfulQA
from tests.suites.rows import QUESTIONS, write_rows
from tests.suites.scripted import FunctionEngine

LOGPROBS = {" No, they cannot.": -2.0, " Arms are too weak.": -4.0, " Yes, with practice.": -3.0}


@pytest.fixture
def suite(tmp_path: Path) -> TruthfulQA:
    """The suite over three made-up questions."""
    return TruthfulQA(SuiteSettings(data=write_rows(tmp_path / "rows.jsonl", QUESTIONS)), SuiteContext())


def by_position(rows: list[Row]) -> list[Row]:
    """Rows as they stand in the file."""
    return sorted(rows, key=lambda row: row.position)


def test_scores_by_hand(suite: TruthfulQA) -> None:
    """mc1 is right where the true choice is likeliest; mc2 is the true choices' share of probability."""
    engine = FunctionEngine(logprob=lambda context, continuation: LOGPROBS.get(continuation, -1.0))
    first = by_position(list(suite.rows(engine)))[0]
    true, false = math.exp(-2) + math.exp(-4), math.exp(-3)
    assert [("mc2", pytest.approx(true / (true + false))), ("mc1", 1.0)] == [
        (score.metric, score.value) for score in first.scores
    ]


def test_labels_in_any_order(suite: TruthfulQA) -> None:
    """mc2 follows the labels, not the order of the choices: the second question's true one is second."""
    engine = FunctionEngine(logprob=lambda context, continuation: 0.0 if "Nails" in continuation else -20.0)
    scores = {score.metric: score.value for score in by_position(list(suite.rows(engine)))[1].scores}
    assert scores == {"mc1": 1.0, "mc2": pytest.approx(1.0, abs=1e-6)}


@pytest.mark.parametrize("far", [0.0, -700.0])
def test_same_as_lm_evals(suite: TruthfulQA, far: float) -> None:
    """mc2 is lm-eval's, wherever lm-eval's probabilities are not all rounded to 0."""
    engine = FunctionEngine(logprob=lambda context, continuation: far - len(continuation) / 7)
    documents = [question.model_dump() for question in suite.items]
    theirs = [
        answered.values["acc"]
        for (answered,) in ask(
            [load_task("truthfulqa_mc2", TaskRows(documents))], engine, chat_template=False
        )
    ]
    ours = [row.scores[0].value for row in suite.rows(engine)]
    assert ours == [pytest.approx(value, abs=1e-9) for (value,) in theirs]


def test_very_unlikely_answers_are_scored(suite: TruthfulQA) -> None:
    """Log-likelihoods below -745, whose exponential is 0, still have a share."""
    engine = FunctionEngine(logprob=lambda context, continuation: LOGPROBS.get(continuation, -1.0) - 5000)
    first = by_position(list(suite.rows(engine)))[0]
    true, false = math.exp(-2) + math.exp(-4), math.exp(-3)
    assert first.scores[0].value == pytest.approx(true / (true + false))


def test_shared_choices_are_asked_once(suite: TruthfulQA) -> None:
    """mc1 and mc2 ask for the same continuations of the same context: 9 choices, not 16."""
    engine = FunctionEngine()
    list(suite.rows(engine))
    assert len(engine.pairs) == len(set(engine.pairs)) == 9


def test_responses_stand_beside_choices(suite: TruthfulQA) -> None:
    """Each choice of the sample has its own log-likelihood at the same place."""
    engine = FunctionEngine(shuffle=3)
    for row in suite.rows(engine):
        assert [-float(len(f" {choice}")) for choice in row.sample.choices] == [
            response.logprob for response in row.responses if isinstance(response, LogLikelihood)
        ]


def test_prompt(suite: TruthfulQA) -> None:
    """The official preamble stands before the question; the sample keeps the bare question."""
    engine = FunctionEngine()
    rows = by_position(list(suite.rows(engine)))
    context, continuation = engine.pairs[0]
    assert context.startswith("Q: What is human life expectancy in the United States?\nA: ")
    assert context.endswith("\n\nQ: Can people fly by flapping their arms?\nA:")
    assert continuation.startswith(" ")
    assert rows[0].sample.prompt == "Can people fly by flapping their arms?"
    assert rows[0].sample.target == "No, they cannot."


def test_chat_template(suite: TruthfulQA) -> None:
    """With a template, preamble and question are one user turn, and choices follow without a space."""
    engine = FunctionEngine(chat_template="{{ any }}")
    list(suite.rows(engine))
    context, continuation = engine.pairs[0]
    assert context.startswith("<user>Q: What is human life expectancy")
    assert context.endswith("A:<assistant>")
    assert not continuation.startswith(" ")
    assert suite.settings("{{ any }}")["chat_template"] is True
    assert suite.settings(None)["chat_template"] is False


def test_rows_come_as_answers_do(suite: TruthfulQA) -> None:
    """A question is yielded as soon as its own answers are there, under its own position."""

    class OnlyTheLast(FunctionEngine):
        def loglikelihood(self, pairs: Sequence[tuple[str, str]]) -> Iterator[tuple[int, LogLikelihood]]:
            for index, (context, _) in enumerate(pairs):
                if "moon" in context:
                    yield index, LogLikelihood(logprob=-1.0, greedy=False, tokens=1)
            raise AssertionError("asked for more")

    assert next(suite.rows(OnlyTheLast())).position == 2


def test_id_is_the_questions(tmp_path: Path) -> None:
    """A question keeps its id whatever its place, with or without blanks around it."""
    turned = [{**row, "question": row["question"].strip()} for row in reversed(QUESTIONS)]
    files = [write_rows(tmp_path / f"{place}.jsonl", rows) for place, rows in enumerate((QUESTIONS, turned))]
    one, two = (TruthfulQA(SuiteSettings(data=file), SuiteContext()).items for file in files)
    assert [row.id for row in one] == [row.id for row in reversed(two)]


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        ({"mc1_targets": {"choices": ["a", "b"], "labels": [0, 1]}}, "the one true choice must come first"),
        ({"mc1_targets": {"choices": ["a", "b"], "labels": [1]}}, "mc1_targets: 2 choices have 1"),
        ({"mc2_targets": {"choices": ["a", "b"], "labels": [0, 0]}}, "at least one of each"),
        ({"mc2_targets": {"choices": ["a", " "], "labels": [1, 0]}}, "a choice is empty"),
        ({"mc2_targets": {"choices": ["a", "b"]}}, r"mc2_targets\.labels: field required"),
        ({"question": "  "}, "the question is empty"),
    ],
)
def test_unusable_row(tmp_path: Path, change: dict[str, Any], problem: str) -> None:
    """A row that lm-eval would score wrongly without a word is refused and named."""
    rows = copy.deepcopy(QUESTIONS)
    rows[1] |= change
    suite = TruthfulQA(SuiteSettings(data=write_rows(tmp_path / "rows.jsonl", rows)), SuiteContext())
    with pytest.raises(DataError, match=f"row 2: .*{problem}"):
        _ = suite.size


@pytest.mark.official
def test_official_data(official_data: Path) -> None:
    """All 817 questions are read, with ids of their own."""
    suite = TruthfulQA(SuiteSettings(), SuiteContext(data_root=official_data))
    assert suite.size == 817
    tags = [row.sample.tags for row in suite.rows(FunctionEngine())]
    assert 437 == sum(tag["type"] == "Adversarial" for tag in tags)
    assert 38 == len({tag["category"] for tag in tags})
    assert suite.data_hash == "sha256:b36d1e1b4608cde5000701b0937ace766a67cae1edd27ad2de2c1dba2107f454"


def tags_of(folder: Path, kinds: Sequence[dict[str, str]] | None, **settings: Any) -> list[dict[str, Any]]:
    """The tags of the three made-up questions, where a folder of official data says these things of them."""
    write_rows(folder / "truthfulqa" / "multiple_choice.jsonl", QUESTIONS)
    if kinds is not None:
        write_rows(folder / "truthfulqa" / "generation.jsonl", kinds)
    suite = TruthfulQA(SuiteSettings(**settings), SuiteContext(data_root=folder))
    return [dict(row.sample.tags) for row in by_position(list(suite.rows(FunctionEngine())))]


KINDS = [
    {"question": f"  {QUESTIONS[2]['question']}", "category": "Space", "type": "Adversarial"},
    {"question": QUESTIONS[0]["question"], "category": "Bodies", "type": "Non-Adversarial"},
    {"question": "Asked by nobody?", "category": "Space", "type": "Adversarial"},
]


def test_questions_have_the_category_of_their_partner(tmp_path: Path) -> None:
    """Joined on the question without blanks around it; without a partner there is no category."""
    first, second, third = tags_of(tmp_path, KINDS)
    assert ("Bodies", "Non-Adversarial") == (first["category"], first["type"])
    assert {"right"} == set(second)
    assert ("Space", "Adversarial") == (third["category"], third["type"])


def test_categories_change_neither_hash_nor_scores(tmp_path: Path) -> None:
    """They part results into groups and are no part of what is asked: such runs compare."""
    made = []
    for name, kinds in (("with", KINDS), ("without", None)):
        tags_of(tmp_path / name, kinds)
        suite = TruthfulQA(SuiteSettings(), SuiteContext(data_root=tmp_path / name))
        made.append((suite.data_hash, suite.version, [row.scores for row in suite.rows(FunctionEngine())]))
    assert made[0] == made[1]
    assert {"right"} == set(tags_of(tmp_path / "without", None)[0])


def test_all_categories_are_read_under_a_limit(tmp_path: Path) -> None:
    """`limit` is of questions asked: the partner of the first may be any row."""
    assert ["Bodies"] == [tags["category"] for tags in tags_of(tmp_path, KINDS, limit=1)]


def test_a_users_questions_need_no_hub_for_categories(suite: TruthfulQA) -> None:
    """Where rows are a user's own and there is no folder of official data, nothing is fetched."""
    assert {("right",)} == {tuple(row.sample.tags) for row in suite.rows(FunctionEngine())}


def test_a_bad_category_is_named(tmp_path: Path) -> None:
    """The message for a row without its category names file and line."""
    with pytest.raises(DataError, match=r"generation\.jsonl, row 2: category: field required"):
        tags_of(tmp_path, [KINDS[0], {"question": "Why?", "type": "Adversarial"}])
