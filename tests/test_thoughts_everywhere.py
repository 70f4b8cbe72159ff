"""Thoughts reach nobody who scores, judges or rates: every suite, every judge, every file for people.

Every thought holds a word that no answer holds. Wherever it turns up but in the store beside the answer, and
folded in a report, something took a thought for an answer.
"""

import json
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

from harness.cli import main
from harness.engine.thinking import ThinkingEngine
from harness.protocols import Engine, Suite
from harness.records.answers import LogLikelihood, Prompt, Response, Row, Sample, SamplingParameters
from harness.records.models import Local, Model
from harness.records.preferences import Pair
from harness.store import Store
from harness.store.frames import frame
from suites.catalogue import FAMILIES, SUITES, open_suite
from suites.judge.reward import RewardJudge
from suites.prompt_suite import PromptSuite
from tests.serving import Asked, ModelServer
from tests.suites.general_rows import GENERAL
from tests.suites.rows import EXCERPTS, PROMPTS, QUESTIONS, write_rows
from tests.suites.scripted import FunctionEngine, says
from tests.suites.test_custom import CHOICES
from tests.suites.test_lm_eval_task import GSM
from tests.suites.test_truthfulqa_gen import OPEN_QUESTIONS
from tests.suites.tiny_classifier import tiny_classifier

MARK = "XYZZY"
THOUGHT = f"{MARK}, one.\n\nQ: is it B, yes or no? milk; #### 7"
OPEN, CLOSED = "<think>\n", "\n</think>\n\n"
RULE = f"""
def shout(answer, row):
    assert "{MARK}" not in answer
    return 1.0 if answer.isupper() else 0.5
"""


class Thinker(FunctionEngine):
    """Its template opens a thought, and no choice may be scored within it."""

    def render(self, messages: Any, *, open_turn: bool = True) -> str:
        """Turns, and then the thought."""
        return super().render(messages, open_turn=open_turn) + (OPEN if open_turn else "")

    def loglikelihood(self, pairs: Any) -> Iterator[tuple[int, LogLikelihood]]:
        """After a closed thought."""
        assert not [context for context, _ in pairs if context.rstrip().endswith("<think>")]
        return super().loglikelihood(pairs)


def plain(text: str) -> Engine:
    """Answers everything with this text, without a thought."""
    return _around(FunctionEngine(answer=lambda prompt: says(text), chat_template="{{ messages }}"))


def thinking(text: str, ended: bool = True) -> Engine:
    """Answers so after a thought, which its template opens; or never comes to its answer."""

    def answer(prompt: Prompt) -> Response:
        assert str(prompt.content).endswith(OPEN)
        return says(THOUGHT + CLOSED + text) if ended else Response(text=THOUGHT, stop_reason="length")

    return _around(Thinker(answer=answer, chat_template="{{ messages }}<think>"))


def _around(engine: FunctionEngine) -> Engine:
    return ThinkingEngine(engine, Model(name="m", source=Local(path="m")), "f")


def judge(prompt: Prompt) -> Response:
    """Says yes, or grades; and thinks before it replies."""
    assert MARK not in str(prompt.content)
    graded = '{"reason": "So it is.", "score": 7}' if "score" in str(prompt.content) else "yes"
    return says(f"<think>\nno\n</think>\n{graded}")


def opened(name: str, folder: Path) -> Suite:
    """The suite of this name over a few rows of its own kind."""
    files = {
        "truthfulqa": QUESTIONS,
        "truthfulqa-gen": OPEN_QUESTIONS,
        "truthfulqa-lettered": QUESTIONS,
        "ifeval": PROMPTS,
        "realtoxicityprompts": EXCERPTS,
        "lm_eval:gsm8k": GSM,
        "lighteval:jeopardy": [{"question": "What drives nails", "answer": "A hammer"}],
        "deepeval:helpfulness": [{"prompt": "Name a tool."}],
        "words": [{"id": "a", "prompt": "A tool?", "target": "A hammer"}],
        "choices": CHOICES,
        "function": [{"id": "a", "prompt": "A tool?"}],
    }
    (folder / "rules_of_mine.py").write_text(RULE)
    data = {task: str(write_rows(folder / f"{task}.jsonl", rows)) for task, rows in GENERAL.items()}
    settings: dict[str, dict[str, Any]] = {
        "truthfulqa-gen": {"judge": "judge"},
        "realtoxicityprompts": {"samples": 2, "classifier": "toxicity"},
        "general": {"data": data, "num_fewshot": 0},
        "lm_eval:gsm8k": {"num_fewshot": 0},
        "deepeval:helpfulness": {"judge": "judge", "evaluation_steps": ["Is it?"]},
        "words": {"rule": "exact"},
        "choices": {"rule": "choice"},
        "function": {"rule": "rules_of_mine:shout"},
    }
    given = settings.get(name, {})
    if name in files:
        key = "prompts" if name in ("words", "choices", "function") else "data"
        given = {key: str(write_rows(folder / "rows.jsonl", files[name])), **given}
    asked = _around(FunctionEngine(answer=judge, chat_template="t"))
    return open_suite(
        name,
        {"limit": 2, **given} if name.startswith("toy") else given,
        data_root=None,
        resolve=lambda of: tiny_classifier(folder / "classifier"),
        judge=lambda of: asked,
        root=folder,
        own={"words", "choices", "function"},
    )


OWN = ("words", "choices", "function")
TASKS = {"lm_eval": "gsm8k", "lighteval": "jeopardy", "deepeval": "helpfulness"}
NAMES = [*SUITES, *(f"{family}:{TASKS[family]}" for family in FAMILIES), *OWN]


@pytest.mark.parametrize("name", NAMES)
def test_a_suite_scores_answers_and_never_thoughts(name: str, tmp_path: Path) -> None:
    """The same answers are worth the same with thoughts and without; a cut thought is unscored, never 0."""
    extra = name.partition(":")[0]
    if extra in ("lighteval", "deepeval") and find_spec(extra) is None:
        pytest.skip(f"the extra `{extra}` is not installed")
    suite = opened(name, tmp_path)
    text = "B. A hammer drives nails\n\nand more" if name != "words" else "A hammer"

    without, with_thoughts, cut = (
        sorted(suite.rows(engine), key=lambda row: row.position)
        for engine in (plain(text), thinking(text), thinking(text, ended=False))
    )

    assert without
    assert [row.scores for row in without] == [row.scores for row in with_thoughts]
    assert MARK not in json.dumps([_seen(row) for row in (*without, *with_thoughts, *cut)])
    first = [answer for row in with_thoughts for answer in row.responses[:1]]
    generated = [answer.thought for answer in first if isinstance(answer, Response)]
    assert {THOUGHT} >= set(generated)
    if generated:
        scores = [score for row in cut for score in row.scores]
        assert {None} == {score.value for score in scores}
        reasons = {str(score.reason).partition("(")[0].strip() for score in scores}
        assert reasons <= {
            "thinking: its tokens ran out before its thought ended",
            "no continuation was scored",
        }


def _seen(row: Row) -> Any:
    """What of a row anybody but a report's reader sees."""
    answers = [answer.text for answer in row.responses if isinstance(answer, Response)]
    return [answers, [[score.metric, score.value, score.reason] for score in row.scores]]


def test_a_reward_model_rates_answers_alone() -> None:
    """It is shown no thought, and is not asked about an answer that never came."""
    rows = [next(iter(suite.rows(thinking("A hammer")))) for suite in [_answers()]]
    (answer,) = rows[0].responses
    assert isinstance(answer, Response)
    pair = Pair(sample=rows[0].sample, left_run="l", right_run="r", left=answer, right=answer)
    shown = RewardJudge(name="r", fingerprint="f", has_turns=True).prompts(pair)
    assert MARK not in str(shown)
    assert "A hammer" in str(shown)


def _answers() -> Suite:
    return PromptSuite(
        label="p", samples=[Sample(id="a", prompt="A tool?")], sampling=SamplingParameters(max_tokens=9)
    )


# ---------------------------------------------------------------- a whole project

PROJECT = """
[models.thinker]
endpoint = "THINKER"
model = "m"
[models.plain]
endpoint = "PLAIN"
model = "m"
[models.judge]
endpoint = "JUDGE"
model = "m"
[suites.words]
prompts = "words.jsonl"
rule = "contains"
"""


def judging(asked: Asked) -> str:
    """Always the first, after a thought of the second."""
    form = "response_format" in asked.body
    return '<think>B?</think>{"reasoning": "So.", "verdict": "A"}' if form else "<think>B?</think>A"


def plainly(asked: Asked) -> str:
    """A short answer."""
    return f"{asked.text} A hammer."


def thoughtfully(asked: Asked) -> str:
    """A longer one, after a thought; once the thought never ends."""
    if asked.text == "Tool 7?":
        return f"<think>{THOUGHT}"
    return f"<think>{THOUGHT}</think>\n\n{asked.text} A long, heavy hammer."


@pytest.fixture
def judge_server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[ModelServer]:
    """A project in the working folder: a thinker, a plain model and the judge, each behind a server."""
    rows = [{"id": str(n), "prompt": f"Tool {n}?", "target": "hammer"} for n in range(8)]
    write_rows(tmp_path / "words.jsonl", rows)
    (tmp_path / "prompts.txt").write_text("".join(f"Tool {n}?\n" for n in range(20)))
    monkeypatch.chdir(tmp_path)
    with (
        ModelServer(answer=thoughtfully) as thinker,
        ModelServer(answer=plainly) as plain,
        ModelServer(answer=judging) as judge,
    ):
        urls = {"THINKER": thinker.url, "PLAIN": plain.url, "JUDGE": judge.url}
        text = PROJECT
        for name, url in urls.items():
            text = text.replace(name, url)
        (tmp_path / "harness.toml").write_text(text)
        yield judge


def run(*arguments: str) -> int:
    """The command line's exit code."""
    with pytest.raises(SystemExit) as stopped:
        main(arguments)
    return int(stopped.value.code or 0)


def test_no_judge_no_ballot_and_no_file_holds_a_thought(
    judge_server: ModelServer, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """What judges are asked, what raters get, what is printed and written; the report alone folds it."""
    raters = ("--raters", "ana,bia", "--per-rater", "12", "--overlap", "4", "--repeats", "1", "--checks", "1")
    for command in (
        ("compare", "plain", "thinker", "-s", "words"),
        ("judge", "plain", "thinker", "--by", "judge", "--prompts", "prompts.txt"),
        ("blind", "new", "plain", "thinker", "--prompts", "prompts.txt", *raters),
        ("blind", "export", "--rater", "ana", "-o", "ballots.csv"),
        ("preferences", "--json"),
    ):
        assert 0 == run(*command), capsys.readouterr().err
    shown = capsys.readouterr()

    judged = "".join(asked.text for asked in judge_server.asked)
    ballots = (tmp_path / "ballots.csv").read_text()
    assert "long, heavy hammer" in judged
    assert "long, heavy hammer" in ballots
    assert MARK not in "".join([judged, ballots, shown.out, shown.err])
    files = [
        file for file in tmp_path.rglob("*") if file.is_file() and file.suffix in (".md", ".html", ".csv")
    ]
    assert ["leaderboard.html"] == [file.name for file in files if MARK.encode() in file.read_bytes()]
    with Store.open(f"sqlite:///{tmp_path}/harness.db") as store:
        runs = store.runs.find()
        scored = next(each for each in runs if each.model == "thinker" and each.metrics)
        scores = frame(store.database, [each.id for each in runs]).to_csv()
        assert MARK not in scores + str(store.studies.find()) + str(store.preferences.find())
        assert [1] == [sum(counts.values()) for counts in store.runs.unscored(scored.id).values()]
