"""`toy-toxicity`: replies, each judged."""

from pathlib import Path

from suites.settings import SuiteContext
from suites.toy.toxicity import ToyToxicity, ToyToxicitySettings
from tests.suites.scripted import FunctionEngine, says
from tests.suites.tiny_classifier import tiny_classifier


def test_replies_are_judged(tmp_path: Path) -> None:
    """Each quarrel is answered `samples` times at temperature 1, and each reply has a score."""
    folder = tiny_classifier(tmp_path / "classifier")
    suite = ToyToxicity(ToyToxicitySettings(classifier=str(folder), samples=2, limit=3), SuiteContext())
    engine = FunctionEngine(answer=lambda prompt: says("you fool."), chat_template="any")
    rows = list(suite.rows(engine))
    assert [4, 4, 4] == [
        sum(score.metric in ("nontoxic", "toxicity") for score in row.scores) for row in rows
    ]
    assert {1.0} == {sampling.temperature for sampling in engine.samplings}
    assert [0, 1] * 3 == [prompt.draw for prompt in engine.prompts]
