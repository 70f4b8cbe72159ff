"""lighteval's tasks as suites, over local rows: which open, what is asked, and how answers are scored."""

import math
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from harness.errors import DataError, DownloadNeeded, UnknownName, UsageError
from harness.records.answers import Metric, Prompt, Response, Row
from suites.lighteval_task import LightevalSuite
from suites.settings import LightevalSettings, SuiteContext
from tests.suites.general_rows import GENERAL
from tests.suites.rows import QUESTIONS, write_rows
from tests.suites.scripted import FunctionEngine, says

pytest.importorskip("lighteval", reason="the extra `lighteval` is not installed")

LOGPROBS = {" No, they cannot.": -2.0, " Arms are too weak.": -4.0, " Yes, with practice.": -3.0}
TRIVIA = [
    {"question": "What drives nails", "answer": "A hammer"},
    {"question": "What cuts wood", "answer": "A saw"},
]


def suite_of(folder: Path, task: str, rows: list[dict[str, Any]], **settings: Any) -> LightevalSuite:
    """The task over these rows."""
    given = LightevalSettings(data=write_rows(folder / "rows.jsonl", rows), **settings)
    return LightevalSuite(task, given, SuiteContext())


def opened(task: str) -> LightevalSuite:
    """The task over its own rows; what is wrong with it shows when its version is asked for."""
    return LightevalSuite(task, LightevalSettings(), SuiteContext())


def asked(suite: LightevalSuite, engine: FunctionEngine) -> list[Row]:
    """All rows, as they stand in the file."""
    return sorted(suite.rows(engine), key=lambda row: row.position)


def test_truthfulqa(tmp_path: Path) -> None:
    """mc1 and mc2 by hand, from lighteval's own prompt; the first metric is the headline."""
    suite = suite_of(tmp_path, "truthfulqa:mc", QUESTIONS)
    assert suite.metrics == (
        Metric(name="truthfulqa_mc1", kind="binary", headline=True),
        Metric(name="truthfulqa_mc2", kind="number"),
    )
    engine = FunctionEngine(logprob=lambda context, choice: LOGPROBS.get(choice, -1.0), shuffle=2)
    first = asked(suite, engine)[0]
    true, false = math.exp(-2) + math.exp(-4), math.exp(-3)
    assert [("truthfulqa_mc1", 1.0), ("truthfulqa_mc2", pytest.approx(true / (true + false)))] == [
        (score.metric, score.value) for score in first.scores
    ]
    assert {context for context, choice in engine.pairs if choice in LOGPROBS} == {first.sample.prompt}


@pytest.mark.parametrize(
    ("task", "rows", "metric"),
    [
        ("hellaswag", "hellaswag", "em"),
        ("arc:easy", "arc_easy", "acc"),
        ("piqa", "piqa", "em"),
        ("winogrande", "winogrande", "acc"),
    ],
)
def test_general_ability_over_local_rows(task: str, rows: str, metric: str, tmp_path: Path) -> None:
    """lighteval's tasks of general ability take rows in the hub's schema; two of them ask for a letter."""
    suite = suite_of(tmp_path, task, GENERAL[rows], num_fewshot=0)
    scores = [score for row in asked(suite, FunctionEngine()) for score in row.scores]
    assert [(metric, True)] * len(GENERAL[rows]) == [
        (score.metric, score.value is not None) for score in scores
    ]


def test_shared_choices_are_asked_once(tmp_path: Path) -> None:
    """mc1 and mc2 ask for the same continuations of the same context: 9 choices, not 16."""
    engine = FunctionEngine()
    asked(suite_of(tmp_path, "truthfulqa:mc", QUESTIONS), engine)
    assert len(engine.pairs) == len(set(engine.pairs)) == 9


def test_identity(tmp_path: Path) -> None:
    """Named and versioned after the task; equal rows keep apart ids; columns nobody reads change nothing."""
    suite = suite_of(tmp_path, "truthfulqa:mc", [*QUESTIONS, QUESTIONS[0]])
    assert (suite.name, suite.version) == ("lighteval:truthfulqa:mc", "2 (lighteval truthfulqa:mc 0)")
    ids = [row.sample.id for row in asked(suite, FunctionEngine())]
    assert suite.size == len(set(ids)) == 4
    assert ids[3] == f"{ids[0]}-2"
    wider = suite_of(tmp_path / "wider", "truthfulqa:mc", [{**row, "category": "any"} for row in QUESTIONS])
    plain = suite_of(tmp_path / "plain", "truthfulqa:mc", QUESTIONS)
    assert plain.data_hash == wider.data_hash != suite.data_hash


def test_limit(tmp_path: Path) -> None:
    """The first rows of the file, with the ids they have in the whole of it."""
    whole, part = (suite_of(tmp_path, "truthfulqa:mc", QUESTIONS, limit=limit) for limit in (None, 2))
    ids = [[row.sample.id for row in asked(suite, FunctionEngine())] for suite in (whole, part)]
    assert ids[0][:2] == ids[1]


def test_generated_answers(tmp_path: Path) -> None:
    """Greedy, with the task's length and stop strings; scored by the task's metric."""
    engine = FunctionEngine(answer=lambda prompt: says(" A hammer" if "nails" in str(prompt) else ""))
    suite = suite_of(tmp_path, "jeopardy", TRIVIA)
    rows = asked(suite, engine)
    assert [[("em", 1.0)], [("em", 0.0)]] == [[(s.metric, s.value) for s in row.scores] for row in rows]
    (sampling,) = engine.samplings
    assert (250, 0.0, ("\n", "Question:", "question:")) == (
        sampling.max_tokens,
        sampling.temperature,
        sampling.stop,
    )
    assert suite.settings(None)["sampling"]["stop"] == sampling.stop


def test_chat_template(tmp_path: Path) -> None:
    """The question is a user turn, and stop strings of plain text do not cut a chat answer."""
    engine = FunctionEngine(chat_template="{{ any }}")
    suite = suite_of(tmp_path, "jeopardy", TRIVIA, max_tokens=9)
    asked(suite, engine)
    assert all(str(prompt.content).startswith("<user>Question: ") for prompt in engine.prompts)
    assert all(str(prompt.content).endswith("<assistant>") for prompt in engine.prompts)
    assert [(9, ())] == [(sampling.max_tokens, sampling.stop) for sampling in engine.samplings]
    assert (True, False) == tuple(suite.settings(t)["chat_template"] for t in ("{{ any }}", None))


def test_failed_answer_is_unscored(tmp_path: Path) -> None:
    """A failure has no value in any metric, and its neighbours keep theirs."""

    def answer(prompt: Prompt) -> Response:
        if "nails" in str(prompt.content):
            return Response(text="", stop_reason="refused", reason="policy")
        return says(" A saw")

    rows = asked(suite_of(tmp_path, "jeopardy", TRIVIA), FunctionEngine(answer=answer))
    assert [(None, "refused: policy"), (1.0, None)] == [
        (score.value, score.reason) for row in rows for score in row.scores
    ]


def test_a_document_that_cannot_be_scored(tmp_path: Path) -> None:
    """lighteval's mc2 needs a true choice; a question without one is unscored, with the reason, never 0."""
    odd = {
        "question": "Why?",
        "mc1_targets": {"choices": ["a", "b"], "labels": [1, 0]},
        "mc2_targets": {"choices": ["c"], "labels": [0]},
    }
    row = asked(suite_of(tmp_path, "truthfulqa:mc", [odd]), FunctionEngine())[0]
    assert {None} == {score.value for score in row.scores}
    assert all("cannot score this document" in str(score.reason) for score in row.scores)


def test_a_row_in_another_schema(tmp_path: Path) -> None:
    """The row is named."""
    with pytest.raises(DataError, match=r"rows.jsonl, row 2: .*cannot use this row: TypeError"):
        suite_of(tmp_path, "truthfulqa:mc", [QUESTIONS[0], {**QUESTIONS[1], "mc1_targets": 3}]).size  # noqa: B018 - it raises


@pytest.mark.parametrize(
    ("task", "reason"),
    [
        ("real_toxicity_prompts", "use the suite 'realtoxicityprompts'"),
        ("truthfulqa:gen", "use the suite 'truthfulqa'"),
        ("tiny:gsm8k", "downloads a pickle"),
        ("truthfulqa", "a family of lighteval's tasks; name its members: truthfulqa:gen, truthfulqa:mc"),
        ("wmt14:de-en", "has no metric that is a mean over documents"),
        ("lcb:codegeneration_release_v1", "no running code"),
    ],
)
def test_refused_tasks(task: str, reason: str, tmp_path: Path) -> None:
    """What would mislead, harm or cannot be paired is refused by name with the reason."""
    with pytest.raises(UsageError, match=reason):
        suite_of(tmp_path, task, [{"page": "A text.", "text": "A text."}]).version  # noqa: B018 - it raises


def test_unknown_task() -> None:
    """The nearest task is proposed."""
    with pytest.raises(UnknownName, match="did you mean 'truthfulqa:mc'"):
        opened("truthfullqa:mc").version  # noqa: B018 - it raises


def test_hub_without_network() -> None:
    """A task without documents says how to give them."""
    with pytest.raises(DownloadNeeded, match="set `data` to a JSONL file"):
        opened("truthfulqa:mc").version  # noqa: B018 - it raises


def test_examples_from_the_rows_asked(tmp_path: Path) -> None:
    """Examples that would come from the very rows that are asked are refused."""
    with pytest.raises(UsageError, match="set num_fewshot = 0"):
        suite_of(tmp_path, "jeopardy", TRIVIA, num_fewshot=2).version  # noqa: B018 - it raises


def test_length_that_nobody_gives(tmp_path: Path) -> None:
    """An answer as long as the model's window would differ between models: it must be set."""
    suite = suite_of(tmp_path, "webqs", [{"question": "Who?", "answers": ["Ann"]}])
    with pytest.raises(UsageError, match="set max_tokens"):
        suite.settings(None)


def test_missing_extra() -> None:
    """Without lighteval the message names the command that installs it, and nothing else fails."""
    script = (
        "import sys\n"
        "sys.modules['lighteval'] = None\n"
        "from harness.errors import UsageError\n"
        "from suites.catalogue import open_suite\n"
        "suite = open_suite('lighteval:truthfulqa:mc', {}, data_root=None, resolve=lambda name: None)\n"
        "try:\n"
        "    suite.version\n"
        "except UsageError as error:\n"
        "    print(error)\n"
    )
    found = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert "pip install 'harness[lighteval]'" in found.stdout
