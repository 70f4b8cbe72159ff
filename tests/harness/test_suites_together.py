"""Suites of a model that are asked in one plan: the same answers, in fewer calls, and never twice."""

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from harness.calls import AnswersTogether, Call, ScoringCall, WritingCall, answers_of
from harness.engine.opening import open_engine
from harness.protocols import Engine, Suite
from harness.records.answers import Metric, Prompt, Row, Sample, SamplingParameters
from harness.store import Store
from harness.verbs import project as verbs_project
from harness.verbs import suites_together
from harness.verbs.evaluating import evaluate
from harness.verbs.project import open_project
from harness.verbs.suites_together import plan_together
from tests.harness.engine.scripted import ScriptedEngine
from tests.harness.test_evaluation import Quiz
from tests.tiny_models import tiny_llama

SHORT, LONG = SamplingParameters(max_tokens=4), SamplingParameters(max_tokens=8)
METRICS = (Metric(name="right", kind="binary"),)


class Asking(Quiz):
    """Asks some calls."""

    def __init__(self, *calls: Call) -> None:
        super().__init__(METRICS)
        object.__setattr__(self, "calls", calls)

    def rows(self, engine: Engine) -> Iterator[Row]:
        found = tuple(answer for _, answer in answers_of(engine, self.calls))  # type: ignore[attr-defined]  # above
        yield Row(sample=Sample(id="a", prompt="a"), responses=found, scores=())


def writes(sampling: SamplingParameters, *texts: str) -> WritingCall:
    """A call of these prompts."""
    return WritingCall([Prompt(content=text) for text in texts], sampling)


def planned(*suites: Suite, engine: Any = None) -> list[tuple[dict[int, float], list[Call]]]:
    """What is asked together of these suites."""
    engine = engine or ScriptedEngine(likelihood=lambda context, continuation: 0.0)
    groups = plan_together(engine, suites)
    assert not engine.asked
    return [(group.shares, group.calls) for group in groups]


def test_suites_that_ask_in_one_way_are_asked_together() -> None:
    """Those that score, and those that write with the same sampling; what nothing else asks is left alone."""
    first, second = ScoringCall([("a", "b")]), ScoringCall([("c", "d"), ("e", "f"), ("g", "h")])
    short, long = writes(SHORT, "p", "q"), writes(LONG, "r")
    found = planned(Asking(first), Asking(short), Asking(second), Asking(long))
    assert found == [
        ({0: 0.25, 2: 0.75}, [ScoringCall([*first.pairs, *second.pairs])]),
        ({1: 1.0}, []),
        ({3: 1.0}, []),
    ]


def test_a_suite_that_asks_in_two_ways_joins_both() -> None:
    """The order is that of the first of each group, and of the suites within it."""
    score, short, long = ScoringCall([("a", "b")]), writes(SHORT, "p"), writes(LONG, "r")
    found = planned(Asking(long), Asking(score), Asking(short), Asking(score, short))
    assert [[*shares] for shares, _ in found] == [[0], [1, 2, 3]]
    assert {writes(SHORT, "p", "p").sampling, None} == {
        getattr(call, "sampling", None) for call in found[1][1]
    }


def test_an_engine_of_many_processes_is_given_everything() -> None:
    """So that none of them waits for the end of a suite."""

    class Many(ScriptedEngine, AnswersTogether):
        def answers(self, calls: Sequence[Call]) -> Any:
            raise AssertionError("only planned")

    [(shares, calls)] = planned(Asking(writes(SHORT, "p")), Asking(writes(LONG, "q")), engine=Many())
    assert [*shares] == [0, 1]
    assert len(calls) == 2


def test_one_suite_and_too_many_requests_are_asked_as_they_are(monkeypatch: pytest.MonkeyPatch) -> None:
    """One suite is not even asked what it would ask."""
    score = ScoringCall([("a", "b"), ("c", "d")])
    assert planned(Quiz(METRICS)) == [({0: 1.0}, [])]
    monkeypatch.setattr(suites_together, "MOST_TOGETHER", 3)
    assert planned(Asking(score), Asking(score)) == [({0: 1.0}, []), ({1: 1.0}, [])]


# ---------------------------------------------------------------- in a project


PROJECT = """
[project]
store = "sqlite:///{store}"

[models.one]
path = "./one"

[suites.first]
prompts = "first.jsonl"
rule = "contains"
max_tokens = 6

[suites.second]
prompts = "second.jsonl"
rule = "contains"
max_tokens = 6

[suites.choices]
prompts = "choices.jsonl"
rule = "choice"

[suites.more]
prompts = "more.jsonl"
rule = "choice"
"""
NAMES = ("first", "choices", "second", "more")


class Watched:
    """An engine, and how many requests each of its calls had."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self.calls: list[int] = []

    def __getattr__(self, name: str) -> Any:
        return getattr(self._engine, name)

    def generate(self, prompts: Any, sampling: Any) -> Any:
        """As the engine does."""
        self.calls.append(len(prompts))
        return self._engine.generate(prompts, sampling)

    def loglikelihood(self, pairs: Any) -> Any:
        """As the engine does."""
        self.calls.append(len(pairs))
        return self._engine.loglikelihood(pairs)


@pytest.fixture
def watched(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[Watched]:
    """The engines that are opened in a project of one tiny model and four suites, in the working folder."""
    tiny_llama(tmp_path / "one", seed=1)
    for place, name in enumerate(NAMES):
        choices = {"choices": ["yes", "no", "perhaps"]} if name in ("choices", "more") else {}
        rows = [
            {"prompt": f"Question {number} of {name}?", "target": "yes", **choices}
            for number in range(3 + place)
        ]
        (tmp_path / f"{name}.jsonl").write_text("\n".join(map(json.dumps, rows)))
    monkeypatch.chdir(tmp_path)
    opened: list[Watched] = []

    def opening(*given: Any, **named: Any) -> Watched:
        opened.append(Watched(open_engine(*given, **named)))
        return opened[-1]

    monkeypatch.setattr(verbs_project, "open_engine", opening)
    return opened


def asked(folder: Path, store: str, calls: Sequence[Sequence[str]]) -> dict[str, Any]:
    """What a new store holds of each suite, and how long each run took, after it was asked so."""
    (folder / "harness.toml").write_text(PROJECT.format(store=store))
    project = open_project()
    for suites in calls:
        evaluate(project, ["one"], suites=suites)
    with Store.open(f"sqlite:///{store}") as opened:
        runs = [run for run in opened.runs.find() if run.finished]
        return {
            run.suite: (
                [
                    [getattr(each, "text", None) or round(each.logprob, 3) for each in row.responses]  # type: ignore[union-attr]  # has one
                    for row in opened.runs.rows(run.id)
                ],
                run.seconds,
            )
            for run in runs
        }


def test_the_answers_are_those_of_one_suite_after_the_other(watched: list[Watched], tmp_path: Path) -> None:
    """Two calls instead of four, each request in one of them, and every run has its part of the time."""
    together = asked(tmp_path, "together.db", [NAMES])
    alone = asked(tmp_path, "alone.db", [[name] for name in NAMES])
    assert [each.calls for each in watched] == [[3 + 5, 3 * (4 + 6)], [3], [12], [5], [18]]
    assert {name: rows for name, (rows, _) in together.items()} == {
        name: rows for name, (rows, _) in alone.items()
    }
    assert set(NAMES) == together.keys()
    assert all(seconds > 0.001 for _, seconds in together.values())


def test_what_is_known_is_not_asked_together_again(watched: list[Watched], tmp_path: Path) -> None:
    """A suite that was asked before, and one whose answers are there, cost nothing."""
    asked(tmp_path, "results.db", [["first"], NAMES])
    assert [each.calls for each in watched] == [[3], [30, 5]]
