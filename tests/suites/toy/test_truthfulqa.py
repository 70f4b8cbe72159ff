"""`toy-truthfulqa`: what is asked, and scores by hand."""

import pytest

from harness.records.answers import Row
from suites.settings import SuiteContext, SuiteSettings
from suites.toy.truthfulqa import ToyTruthfulQA
from tests.suites.scripted import FunctionEngine


def values(row: Row) -> list[tuple[str, float | None]]:
    """A row's scores."""
    return [(score.metric, score.value) for score in row.scores]


def test_truth_scores() -> None:
    """mc1 is 1 where the truth is likeliest, mc2 its share of probability; a fact is a cluster."""
    suite = ToyTruthfulQA(SuiteSettings(), SuiteContext())
    truths = {each.question: each.choices[each.target] for each in suite.items}
    engine = FunctionEngine(
        logprob=lambda context, choice: 0.0 if choice.strip() == truths[context] else -30.0, shuffle=1
    )
    rows = list(suite.rows(engine))
    assert all(values(row) == [("mc2", pytest.approx(1.0)), ("mc1", 1.0)] for row in rows)
    assert (208, 104) == (len(rows), len({row.sample.cluster for row in rows}))


def test_choices_begin_the_assistants_turn() -> None:
    """With a template the choice follows the open turn as it is; without one, the question and a space."""
    suite = ToyTruthfulQA(SuiteSettings(limit=1), SuiteContext())
    with_template, without = FunctionEngine(chat_template="any"), FunctionEngine()
    list(suite.rows(with_template))
    list(suite.rows(without))
    question, choice = suite.items[0].question, suite.items[0].choices[0]
    assert (f"<user>{question}<assistant>", choice) == with_template.pairs[0]
    assert (question, f" {choice}") == without.pairs[0]
