"""`deepeval:NAME`: what is asked and judged, that scores are in range, and what has none."""

import json
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

if find_spec("deepeval") is None:
    pytest.skip("the extra `deepeval` is not installed", allow_module_level=True)

from harness.errors import DataError, UsageError
from harness.records.answers import Message, Prompt, Response, Row
from suites.deepeval_criterion import DeepEvalSuite
from suites.settings import DeepEvalSettings, SuiteContext
from tests.suites.rows import write_rows
from tests.suites.scripted import FunctionEngine, says

PROMPTS: list[dict[str, Any]] = [
    {"prompt": "Name a tool."},
    {"turns": ["Write a poem.", "Make it shorter."], "category": "writing", "question_id": 81},
    {"instruction": "Shorten it.", "instances": [{"input": "A long text.", "output": "A text."}], "id": "u"},
    {"instruction": "Say hello.", "instances": [{"input": "", "output": "Hello."}]},
]
TEXTS = ["Name a tool.", "Write a poem.", "Shorten it.\n\nA long text.", "Say hello."]


def text_of(prompt: Prompt) -> str:
    """What was asked."""
    return prompt.content if isinstance(prompt.content, str) else prompt.content[0].content


def judge_with(score: Any, **others: Any) -> FunctionEngine:
    """Makes steps where it is asked for them, and gives everything this score."""

    def reply(prompt: Prompt) -> Response:
        asks_for_steps = "score" not in text_of(prompt)
        made = {"steps": ["Is it good?"]} if asks_for_steps else {"reason": "So it is.", "score": score}
        return says(json.dumps(made))

    return FunctionEngine(answer=reply, **others)


def suite_over(
    folder: Path, judge: FunctionEngine, rows: list[dict[str, Any]] = PROMPTS, **settings: Any
) -> DeepEvalSuite:
    """The suite over these rows; steps are given, so that each answer is judged by one reply."""
    settings = {"judge": "judge", "evaluation_steps": ["Is it helpful?"], **settings}
    given = DeepEvalSettings(data=write_rows(folder / "rows.jsonl", rows), **settings)
    return DeepEvalSuite("helpfulness", given, SuiteContext(judge={"judge": judge}.__getitem__))


def scores_of(row: Row) -> dict[str, float | None]:
    """By metric."""
    return {score.metric: score.value for score in row.scores}


def candidate(**others: Any) -> FunctionEngine:
    """Answers everything."""
    return FunctionEngine(answer=lambda prompt: says(f"On {text_of(prompt)}"), **others)


@pytest.mark.parametrize(
    ("given", "score", "passed"), [(0, 0.0, 0.0), (7, 0.7, 1.0), (4.9, 0.49, 0.0), (10, 1.0, 1.0)]
)
def test_scores(tmp_path: Path, given: float, score: float, passed: float) -> None:
    """A tenth of what the judge gives, with its reason; passed from the threshold on."""
    rows = list(suite_over(tmp_path, judge_with(given)).rows(candidate(shuffle=3)))
    assert TEXTS == [row.sample.prompt for row in rows]
    for row in rows:
        assert {"score": pytest.approx(score), "passed": passed} == scores_of(row)
        assert "So it is." == row.scores[0].reason
        answer, reply = row.responses
        assert isinstance(answer, Response)
        assert f"On {row.sample.prompt}" == answer.text
        assert isinstance(reply, Response)
        assert "So it is." in reply.text
    assert "writing" == rows[1].sample.tags["category"]


def test_threshold(tmp_path: Path) -> None:
    """Passed is from the threshold on."""
    for threshold, passed in ((0.7, 1.0), (0.71, 0.0)):
        rows = suite_over(tmp_path, judge_with(7), threshold=threshold).rows(candidate())
        assert {passed} == {scores_of(row)["passed"] for row in rows}


@pytest.mark.parametrize("given", [-1, 11, 85])
def test_a_score_out_of_range(tmp_path: Path, given: float) -> None:
    """The judge was asked for 0 to 10: what lies outside is no score, and the reason says what it was."""
    for row in suite_over(tmp_path, judge_with(given)).rows(candidate()):
        assert {"score": None, "passed": None} == scores_of(row)
        assert f"the judge's score is not from 0 to 10: {given}" == row.scores[0].reason


@pytest.mark.parametrize(
    ("reply", "reason"),
    [
        (says("Seven of ten."), "not one JSON object"),
        (Response(text="", stop_reason="refused", reason="policy"), "refused: policy"),
        (
            Response(text="", stop_reason="failed", reason="maximum context length exceeded"),
            "context length exceeded",
        ),
    ],
)
def test_no_judgement(tmp_path: Path, reply: Response, reason: str) -> None:
    """A reply that gives no score leaves it empty, with the reason, and stands beside the answer."""
    judge = FunctionEngine(answer=lambda prompt: reply)
    for row in suite_over(tmp_path, judge).rows(candidate()):
        assert {"score": None, "passed": None} == scores_of(row)
        assert all(reason in str(score.reason) for score in row.scores)
        assert reply == row.responses[1]


def test_one_unreadable_reply_among_many(tmp_path: Path) -> None:
    """The others keep their scores."""
    good = judge_with(5)
    judge = FunctionEngine(
        answer=lambda prompt: says("No.") if "poem" in text_of(prompt) else good.answer(prompt), shuffle=1
    )
    rows = list(suite_over(tmp_path, judge).rows(candidate()))
    assert [0.5, None, 0.5, 0.5] == [scores_of(row)["score"] for row in rows]


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (says(" "), "the answer is empty"),
        (Response(text="", stop_reason="failed", reason="gone"), "failed: gone"),
    ],
)
def test_nothing_to_judge(tmp_path: Path, answer: Response, reason: str) -> None:
    """The judge is not asked, and the score is empty."""
    judge = judge_with(7)
    for row in suite_over(tmp_path, judge).rows(FunctionEngine(answer=lambda prompt: answer)):
        assert [(None, reason)] * 2 == [(score.value, score.reason) for score in row.scores]
    assert [] == judge.prompts


def test_criteria_become_steps_once(tmp_path: Path) -> None:
    """The judge makes steps of the criteria, asked once for all answers, and judges by them, all at once."""
    judge = judge_with(7)
    suite = suite_over(tmp_path, judge, criteria="Be kind.", evaluation_steps=())
    assert {0.7} == {scores_of(row)["score"] for row in suite.rows(candidate())}
    assert 1 + len(TEXTS) == len(judge.prompts)
    assert "Be kind." in text_of(judge.prompts[0])
    assert all("Is it good?" in text_of(prompt) for prompt in judge.prompts[1:])
    assert 2 == len(judge.samplings)


def test_what_the_judge_sees(tmp_path: Path) -> None:
    """The prompt, the answer and the steps, in a turn where there is a template."""
    judge = judge_with(7, chat_template="{{ any }}")
    list(suite_over(tmp_path, judge).rows(candidate(chat_template="{{ any }}")))
    first = text_of(judge.prompts[0])
    assert isinstance(judge.prompts[0].content[0], Message)
    assert all(part in first for part in ("Name a tool.", "On Name a tool.", "Is it helpful?"))


def test_settings(tmp_path: Path) -> None:
    """Steps, criteria, threshold and judge: by what, and by whom, answers are judged."""
    changes: list[dict[str, Any]] = [
        {},
        {"evaluation_steps": ["Is it kind?"]},
        {"evaluation_steps": (), "criteria": "Be kind."},
        {"threshold": 0.6},
        {"judge_max_tokens": 9},
    ]
    seen = [str(suite_over(tmp_path, judge_with(7), **change).settings(None)) for change in changes]
    assert len(changes) == len(set(seen))
    judge = suite_over(tmp_path, judge_with(7)).settings(None)["judge"]
    assert {"model": "judge", "fingerprint": "function"} == judge


@pytest.mark.parametrize(
    ("row", "problem"),
    [
        ({"text": "Name a tool."}, "has no `prompt`, no `turns`"),
        ({"prompt": " "}, "the prompt is empty"),
        ({"prompt": 7}, "prompt: input should be a valid string"),
        ({"turns": []}, "has no `prompt`, no `turns`"),
        ({"turns": [7]}, "prompt: input should be a valid string"),
        ({"instruction": "Do.", "instances": [{}]}, "has no .* no `instruction` with an `input`"),
        ({"prompt": "Name a tool."}, "repeats row 1"),
    ],
)
def test_unusable_row(tmp_path: Path, row: dict[str, Any], problem: str) -> None:
    """It is named, with what is wrong with it."""
    with pytest.raises(DataError, match=f"row 2: {problem}"):
        _ = suite_over(tmp_path, judge_with(7), [PROMPTS[0], row]).data_hash


def test_missing_extra(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without deepeval the message names the command that installs it, before anything is asked."""
    monkeypatch.setattr("harness.adaptors.extras.find_spec", lambda name: None)
    suite = suite_over(tmp_path, judge_with(7))
    for ask in (lambda: suite.version, lambda: suite.data_hash):
        with pytest.raises(UsageError, match=r"pip install 'harness\[deepeval\]'"):
            ask()


@pytest.mark.official
@pytest.mark.parametrize(
    ("prompts", "size"), [("mt_bench/question.jsonl", 80), ("sft/user_oriented_instructions.jsonl", 252)]
)
def test_official_data(official_data: Path, prompts: str, size: int) -> None:
    """MT-Bench's questions and the user-oriented instructions are read whole, and every score is in range."""
    judge = judge_with(7)
    given = DeepEvalSettings(judge="judge", evaluation_steps=("Is it helpful?",), prompts=prompts)
    context = SuiteContext(data_root=official_data, judge={"judge": judge}.__getitem__)
    rows = list(DeepEvalSuite("helpfulness", given, context).rows(candidate()))
    assert size == len(rows)
    assert {0.7} == {scores_of(row)["score"] for row in rows}
