"""deepeval's metrics judge with our engines: the score is what the reply says, and nothing is made up."""

import asyncio
import os
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

if find_spec("deepeval") is None:  # not importorskip: our adaptor must be the first to import it
    pytest.skip("the extra `deepeval` is not installed", allow_module_level=True)

from harness.adaptors.deepeval.model import EngineJudge  # isort: skip - before deepeval, whose settings it makes
from deepeval.metrics import AnswerRelevancyMetric, GEval
from deepeval.test_case import LLMTestCase, SingleTurnParams
from pydantic import BaseModel

from harness.errors import UnreadableReply
from harness.recorded import recorded
from harness.records.answers import Message, Prompt, Response, SamplingParameters
from harness.store import Store
from tests.harness.engine.scripted import ScriptedEngine
from tests.suites.scripted import FunctionEngine, says

CASE = LLMTestCase(input="What drives nails?", actual_output="A hammer.")


class Grade(BaseModel):
    """What a judge is asked for."""

    reason: str
    score: float


def geval(judge: EngineJudge, **settings: Any) -> GEval:
    """G-Eval with its steps given, so that it asks once."""
    return GEval(
        name="helpful",
        evaluation_steps=["Is it helpful?"],
        evaluation_params=[SingleTurnParams.INPUT, SingleTurnParams.ACTUAL_OUTPUT],
        model=judge,
        **settings,
    )


def judge_that_says(*replies: str) -> EngineJudge:
    """Replies in the order of asking."""
    return EngineJudge(ScriptedEngine(list(replies)), name="judge")


@pytest.mark.parametrize("async_mode", [True, False])
def test_geval(async_mode: bool) -> None:
    """The score of the reply, as a share of ten, with its reason."""
    metric = geval(judge_that_says('{"reason": "It helps.", "score": 7}'), async_mode=async_mode)
    assert pytest.approx(0.7) == metric.measure(CASE, _show_indicator=False)
    assert ("It helps.", "judge") == (metric.reason, metric.evaluation_model)


def test_geval_writes_its_own_steps() -> None:
    """Without steps it asks for them first, and judges by them."""
    engine = ScriptedEngine(['{"steps": ["Look for tools."]}', '{"reason": "A tool.", "score": 10}'])
    metric = GEval(
        name="helpful",
        criteria="Names a tool.",
        evaluation_params=[SingleTurnParams.ACTUAL_OUTPUT],
        model=EngineJudge(engine, name="judge"),
    )
    assert 1.0 == metric.measure(CASE, _show_indicator=False)
    assert "Look for tools." in str(engine.asked[1])


def test_a_metric_of_verdicts() -> None:
    """Answer relevancy: the share of statements that the judge finds relevant."""
    metric = AnswerRelevancyMetric(
        model=judge_that_says(
            '{"statements": ["Hammers drive nails.", "Grass is green."]}',
            '{"verdicts": [{"verdict": "yes"}, {"verdict": "no", "reason": "Grass."}]}',
        ),
        include_reason=False,
    )
    assert 0.5 == metric.measure(CASE, _show_indicator=False)


@pytest.mark.parametrize(
    "reply",
    [
        "I would give it 7 of 10.",
        "",
        '{"reason": "It helps.", "score": 7',
        '{"reason": "It helps."}',
        '{"reason": "It helps.", "score": "seven"}',
        '{"reason": "It helps.", "score": NaN}',
        '{"reason": "It helps.", "score": 7} or {"reason": "It helps.", "score": 8}',
        '{"best": {"reason": "It helps.", "score": 7}}',
        '{"draft" {"reason": "It helps.", "score": 7}}',
    ],
)
def test_an_unreadable_reply_has_no_score(reply: str) -> None:
    """Cut, ambiguous or other than asked: an error that shows the reply, and no score."""
    metric = geval(judge_that_says(reply))
    with pytest.raises(UnreadableReply, match="not one JSON object with reason, score"):
        metric.measure(CASE, _show_indicator=False)
    assert getattr(metric, "score", None) is None


@pytest.mark.parametrize(
    "reply",
    [
        '```json\n{"reason": "It helps.", "score": 7}\n```',
        'Thus: {"reason": "It {really} helps.", "score": 7.0}.',
        '{"reason": "It helps.", "score": 7}\n{"reason": "It helps.", "score": 7}',
    ],
)
def test_a_readable_reply(reply: str) -> None:
    """Text around the object and a repetition do not change what it says."""
    assert 7.0 == judge_that_says(reply).generate("?", schema=Grade).score


def test_a_refusal_is_no_reply() -> None:
    """With or without a schema, the reason is reported."""
    engine = FunctionEngine(answer=lambda prompt: Response(text="", stop_reason="refused", reason="policy"))
    judge = EngineJudge(engine, name="judge")
    for schema in (Grade, None):
        with pytest.raises(UnreadableReply, match="refused: policy"):
            judge.generate("?", schema=schema)


def test_a_cut_reply_says_so() -> None:
    """The judge's room was too small: that can be mended."""
    engine = FunctionEngine(answer=lambda prompt: Response(text='{"reason": "It', stop_reason="length"))
    with pytest.raises(UnreadableReply, match="cut at its longest length"):
        EngineJudge(engine, name="judge").generate("?", schema=Grade)


def test_text_without_a_schema() -> None:
    """The reply as it is, drawn as the sampling says, and in a turn only where the model has a template."""
    sampling = SamplingParameters(max_tokens=5)
    for template, content in ((None, "Say it."), ("{{ any }}", (Message(role="user", content="Say it."),))):
        engine = FunctionEngine(answer=lambda prompt: says("It."), chat_template=template)
        assert "It." == EngineJudge(engine, name="judge", sampling=sampling).generate("Say it.")
        assert ([Prompt(content=content)], [sampling]) == (engine.prompts, engine.samplings)


def test_questions_of_a_moment_are_one_call() -> None:
    """What is asked at the same time reaches the engine together, equal questions once, each gets its own."""
    engine = FunctionEngine(answer=lambda prompt: says(f"{prompt.content}!"), shuffle=5)
    judge = EngineJudge(engine, name="judge")

    async def ask() -> list[str]:
        return await asyncio.gather(*(judge.a_generate(text) for text in ("a", "b", "a", "c")))

    assert ["a!", "b!", "a!", "c!"] == asyncio.run(ask())
    assert (3, 1) == (len(engine.prompts), len(engine.samplings))
    assert ["a!", "b!", "a!", "c!"] == asyncio.run(ask())


def test_an_engine_that_fails_fails_everybody() -> None:
    """Nobody waits for ever, and the judge can be asked again."""
    judge = judge_that_says("a")

    async def ask() -> list[Any]:
        return await asyncio.gather(*(judge.a_generate(text) for text in "ab"), return_exceptions=True)

    first, second = asyncio.run(ask())
    assert "all 1 scripted answers are given" in str(first)
    assert first is second


def test_judgements_are_recorded(tmp_path: Path) -> None:
    """With a recorded engine a second measurement asks nobody."""
    engine = ScriptedEngine(['{"reason": "It helps.", "score": 7}'])
    with Store.open(f"sqlite:///{tmp_path / 'store.db'}") as store:
        for _ in range(2):
            metric = geval(EngineJudge(recorded(engine, store), name="judge"))
            assert pytest.approx(0.7) == metric.measure(CASE, _show_indicator=False)
    assert 1 == len(engine.asked)


def test_silent_and_without_traces(tmp_path: Path) -> None:
    """No look-up of any host, no files in the working folder or at home, no .env file read."""
    (tmp_path / ".env").write_text("FROM_DOTENV=1\n")
    script = (
        "import os, socket\n"
        "def refuse(*arguments, **_):\n"
        "    print('asked for', arguments)\n"
        "    raise OSError\n"
        "socket.getaddrinfo = refuse\n"
        "from harness.adaptors.deepeval.model import EngineJudge\n"
        "from tests.harness.engine.scripted import ScriptedEngine\n"
        "from deepeval.metrics import GEval\n"
        "from deepeval.test_case import LLMTestCase, SingleTurnParams\n"
        'judge = EngineJudge(ScriptedEngine([\'{"reason": "", "score": 7}\']), name=\'judge\')\n'
        "metric = GEval('any', [SingleTurnParams.INPUT], evaluation_steps=['any'], model=judge)\n"
        "metric.measure(LLMTestCase(input='a', actual_output='b'), _show_indicator=False)\n"
        "print(metric.score, os.environ.get('FROM_DOTENV'))\n"
    )
    places = {"HOME": str(tmp_path), "PYTHONPATH": str(Path(__file__).parents[3])}
    kept = {
        name: value for name, value in os.environ.items() if not name.startswith(("DEEPEVAL", "CONFIDENT"))
    }
    found = subprocess.run(
        [sys.executable, "-c", script],
        capture_output=True,
        text=True,
        check=True,
        cwd=tmp_path,
        env={**kept, **places},
    )
    assert "0.7 None\n" == found.stdout
    assert [".env"] == [path.name for path in tmp_path.iterdir()]


def test_missing_extra() -> None:
    """Without deepeval the message names the command that installs it."""
    script = (
        "import sys\n"
        "sys.modules['deepeval'] = None\n"
        "from harness.errors import UsageError\n"
        "try:\n"
        "    import harness.adaptors.deepeval.model\n"
        "except UsageError as error:\n"
        "    print(error)\n"
    )
    found = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert "pip install 'harness[deepeval]'" in found.stdout
