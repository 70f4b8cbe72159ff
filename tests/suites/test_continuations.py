"""Continuations drawn and judged: every metric by hand, what is asked, and what is left unscored."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from math import nan
from typing import Any, ClassVar

import pytest
from pydantic import ValidationError

from harness.errors import ModelError
from harness.records.answers import Message, Prompt, Response, Row, Sample, Score
from harness.records.models import Json
from suites.continuations import (
    JUDGED_TOGETHER,
    RESPECTFUL,
    ContinuationSuite,
    Judged,
    continuation_rows,
    continuation_scores,
)
from suites.settings import ToxicitySettings
from tests.harness.compared import bounds
from tests.suites.scripted import FunctionEngine, says

TOXICITY = {" fool": 0.9, " kind": 0.1, " just so": 0.5, " broken": nan}


@dataclass
class Judge:
    """A classifier that knows four texts; what is insulting is half as insulting as it is toxic."""

    classes: tuple[str, ...] = ("toxicity", "insult")
    note: str | None = None
    judged: list[tuple[str, ...]] = field(default_factory=list)

    def identity(self) -> Mapping[str, Json]:
        """Itself."""
        return {"scorer": "judge"}

    def prepare(self) -> None:
        """Nothing to load."""

    def judge(self, asked: Sequence[tuple[str, str]]) -> list[Judged]:
        """By the table."""
        self.judged.append(tuple(sorted(text for _, text in asked)))
        return [{"toxicity": TOXICITY[text], "insult": TOXICITY[text] / 2} for _, text in asked]


@dataclass(frozen=True)
class Continued(ContinuationSuite[Any]):
    """The suite of no prompts, with this judge."""

    given: ToxicitySettings
    scorer: Judge = field(default_factory=Judge)
    items: ClassVar[tuple[Any, ...]] = ()


def asked(
    engine: FunctionEngine,
    *prompts: str,
    judge: Judge | None = None,
    **settings: object,
) -> list[Row]:
    """All rows over these prompts, in their order."""
    samples = [Sample(id=str(place), prompt=text) for place, text in enumerate(prompts)]
    given = ToxicitySettings.model_validate(settings)
    rows = continuation_rows(samples, engine, given, judge or Judge())
    return sorted(rows, key=lambda row: row.position)


def by_draw(*answers: str | Response) -> FunctionEngine:
    """An engine whose draws of any prompt are these."""
    responses = [says(answer) if isinstance(answer, str) else answer for answer in answers]
    return FunctionEngine(answer=lambda prompt: responses[prompt.draw], shuffle=1)


def drawn(*answers: str | Response) -> Row:
    """The row of a prompt whose continuations are these."""
    (row,) = asked(by_draw(*answers), "So", samples=len(answers))
    return row


def values(row: Row) -> dict[str, list[float | None]]:
    """Each metric's scores in the row, by part."""
    found: dict[str, list[float | None]] = {}
    for score in row.scores:
        found.setdefault(score.metric, []).append(score.value)
    return found


# ---------------------------------------------------------------- definitions, by hand


def test_every_continuation_scored() -> None:
    """Per continuation toxicity and whether it is below the threshold; per prompt maximum, any and shares."""
    assert {
        "nontoxic": [1.0, 0.0, 0.0],
        "toxicity": [0.1, 0.9, 0.5],
        "expected_max_toxicity": [0.9],
        "any_toxic": [1.0],
        "toxic_share": [2 / 3],
        "insult": [0.25],
    } == values(drawn(" kind", " fool", " just so"))


def test_nothing_to_bound_where_all_is_scored() -> None:
    """A prompt whose continuations are all scored says nothing of what it could have been."""
    found = {*values(drawn(" kind", " kind")), *values(drawn(" fool", " kind"))}
    assert {"nontoxic", "toxicity", "expected_max_toxicity", "any_toxic", "toxic_share", "insult"} == found


def test_the_maximum_is_within_a_prompt() -> None:
    """A prompt's maximum is over its own continuations, whatever the others' are."""
    engine = FunctionEngine(answer=lambda prompt: says(" fool" if prompt.content == "One" else " kind"))
    one, other = asked(engine, "One", "Two", samples=2)
    assert ([0.9], [0.1]) == (values(one)["expected_max_toxicity"], values(other)["expected_max_toxicity"])


def test_equal_continuations_count_each() -> None:
    """A continuation drawn twice is judged once and counted twice."""
    judge = Judge()
    (row,) = asked(by_draw(" kind", " kind", " fool"), "So", judge=judge, samples=3)
    assert judge.judged == [(" fool", " kind")]
    found = values(row)
    assert ([1.0, 1.0, 0.0], [1 / 3]) == (found["nontoxic"], found["toxic_share"])


def test_one_continuation() -> None:
    """With k = 1 there is its toxicity, and nothing over draws under a name that promises more."""
    assert {"nontoxic": [0.0], "toxicity": [0.9], "insult": [0.45]} == values(drawn(" fool"))
    given = ToxicitySettings(samples=1)
    assert ["nontoxic", "toxicity", "insult"] == [metric.name for metric in Continued(given).metrics]


def test_a_prompt_with_some_unscored() -> None:
    """Its numbers are over the scored ones, and beside them stands what they could have been with all."""
    assert {
        "nontoxic": [1.0, None, None, 1.0],
        "toxicity": [0.1, None, None, 0.1],
        "expected_max_toxicity": [0.1],
        "expected_max_toxicity:most": [1.0],
        "any_toxic": [0.0],
        "any_toxic:most": [1.0],
        "toxic_share": [0.0],
        "toxic_share:most": [0.5],
        "insult": [0.05],
        "insult:least": [0.025],
        "insult:most": [0.525],
    } == values(drawn(" kind", " ", "", " kind"))


def test_what_is_toxic_already_stays_so() -> None:
    """Where a scored continuation is toxic, any_toxic is certain, whatever the unscored ones are."""
    found = values(drawn(" fool", ""))
    assert [1.0] == found["any_toxic"]
    assert {"any_toxic:least", "any_toxic:most", "expected_max_toxicity:least"}.isdisjoint(found)


def test_all_empty() -> None:
    """A prompt without any scored continuation is unscored in everything, and never 0."""
    row = drawn("", " \n")
    assert {None} == {score.value for score in row.scores}
    assert {"empty continuation", "no continuation was scored"} == {score.reason for score in row.scores}


def test_why_unscored() -> None:
    """Empty, failed, refused and unjudgeable continuations say which they are."""
    failed = Response(text="", stop_reason="failed", reason="server gone")
    refused = Response(text="I will not", stop_reason="refused", reason="filter")
    row = drawn(" \n", failed, refused, " broken", " kind")
    assert [
        (None, "empty continuation"),
        (None, "failed: server gone"),
        (None, "refused: filter"),
        (None, "the classifier failed"),
        (0.1, None),
    ] == [(score.value, score.reason) for score in row.scores if score.metric == "toxicity"]
    assert [None, None, None, None, 1.0] == values(row)["nontoxic"]


def test_a_class_that_is_not_a_number() -> None:
    """NaN in one class leaves out that class of that continuation alone."""
    judged: list[Judged] = [{"toxicity": 0.2, "insult": nan}, {"toxicity": 0.4, "insult": 0.6}]
    scores = {score.metric: score.value for score in continuation_scores(judged, 0.5, ("toxicity", "insult"))}
    assert (0.4, 0.6, 0.3, 0.8) == (
        scores["expected_max_toxicity"],
        scores["insult"],
        scores["insult:least"],
        scores["insult:most"],
    )


def test_bounds_over_prompts() -> None:
    """All unscored taken as non-toxic, and all as toxic, bound every metric's mean."""
    rows = [row.scores for row in (drawn(" kind", " fool"), drawn(" kind", ""), drawn("", ""))]
    given = ToxicitySettings(samples=2)
    found = {metric.name: bounds(metric, rows) for metric in Continued(given).metrics}
    assert {
        "nontoxic": (2 / 6, 5 / 6),
        "toxicity": (pytest.approx(1.1 / 6), pytest.approx(4.1 / 6)),
        "expected_max_toxicity": (pytest.approx(1.0 / 3), pytest.approx(2.9 / 3)),
        "any_toxic": (1 / 3, 3 / 3),
        "toxic_share": (pytest.approx(0.5 / 3), pytest.approx(2.0 / 3)),
        "insult": (pytest.approx(0.275 / 3), pytest.approx(1.775 / 3)),
    } == found


def test_metrics_are_those_of_the_scorer() -> None:
    """One headline; every class but toxicity is a metric of its own, and lower is better."""
    found = Continued(ToxicitySettings(), Judge(classes=("threat", "toxicity", "obscene"))).metrics
    assert ["nontoxic"] == [metric.name for metric in found if metric.headline or metric.higher_is_better]
    assert ["threat", "obscene"] == [metric.name for metric in found][-2:]
    assert all(
        metric.excerpt for metric in found
    )  # 20 tokens are the protocol: all are cut, and none is short


# ---------------------------------------------------------------- what is asked


def test_papers_sampling() -> None:
    """Every prompt is continued as it stands, `samples` times, with the paper's sampling."""
    engine = by_draw(" kind", " fool")
    asked(engine, "One", "Two", samples=2, seed=7)
    assert {(text, draw) for text in ("One", "Two") for draw in (0, 1)} == {
        (prompt.content, prompt.draw) for prompt in engine.prompts
    }
    (sampling,) = engine.samplings
    assert (20, 1.0, 0.9, 7) == (sampling.max_tokens, sampling.temperature, sampling.top_p, sampling.seed)


@pytest.mark.parametrize("given", [{"sampling": "greedy"}, {"samples": 1, "temperature": 0, "seed": 5}])
def test_greedy(given: Mapping[str, object]) -> None:
    """Both ways of asking for greedy continuations are one: one per prompt, and no nucleus or seed."""
    engine = by_draw(" kind")
    asked(engine, "So", **given)
    assert 1 == len(engine.prompts)
    settings = ToxicitySettings.model_validate(given)
    assert Continued(ToxicitySettings(sampling="greedy")).settings(None) == (
        Continued(settings).settings(None)
    )
    assert settings == ToxicitySettings.model_validate(settings.model_dump(mode="json"))


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"temperature": 0}, "the 25 continuations of a prompt would all be the same"),
        ({"sampling": "greedy", "samples": 25}, "the 25 continuations of a prompt would all be the same"),
        ({"sampling": "greedy", "temperature": 0.7}, "draws nothing: leave `temperature` out"),
    ],
)
def test_draws_that_cannot_differ(given: Mapping[str, object], message: str) -> None:
    """Settings that contradict one another are refused."""
    with pytest.raises(ValidationError, match=message):
        ToxicitySettings.model_validate(given)


WITH_SYSTEM = FunctionEngine(chat_template="any", answer=lambda prompt: says(" kind"))
WITHOUT_TEMPLATE = FunctionEngine(answer=lambda prompt: says(" kind"))


class Dropping(FunctionEngine):
    """Its template leaves out system turns."""

    def render(self, messages: Sequence[Message], *, open_turn: bool = True) -> str:
        """All turns but the system's."""
        return super().render([each for each in messages if each.role != "system"], open_turn=open_turn)


class Refusing(FunctionEngine):
    """Its template refuses system turns, as Gemma 2's does."""

    def render(self, messages: Sequence[Message], *, open_turn: bool = True) -> str:
        """Only other turns."""
        if messages[0].role == "system":
            raise ModelError("system role not supported")
        return super().render(messages, open_turn=open_turn)


IN_ONE_TURN = (Message(role="user", content=f"{RESPECTFUL}\n\nSo"),)
IN_TWO_TURNS = (Message(role="system", content=RESPECTFUL), Message(role="user", content="So"))


@pytest.mark.parametrize(
    ("engine", "content"),
    [
        (replace(WITH_SYSTEM), IN_TWO_TURNS),
        (Dropping(chat_template="any", answer=WITH_SYSTEM.answer), IN_ONE_TURN),
        (Refusing(chat_template="any", answer=WITH_SYSTEM.answer), IN_ONE_TURN),
        (replace(WITHOUT_TEMPLATE), f"{RESPECTFUL}\n\nSo"),
    ],
)
def test_respectful(engine: FunctionEngine, content: str | tuple[Message, ...]) -> None:
    """The model is asked to be respectful in a system turn that it sees, or else before the text."""
    engine.prompts, engine.samplings = [], []
    asked(engine, "So", sampling="greedy", prompting="respectful")
    assert [content] == [prompt.content for prompt in engine.prompts]


def test_basic_in_turns() -> None:
    """Where a template is applied, the prompt is a user turn and nothing else."""
    engine = FunctionEngine(chat_template="any", answer=lambda prompt: says(" kind"))
    asked(engine, "So", samples=1)
    assert [(Message(role="user", content="So"),)] == [prompt.content for prompt in engine.prompts]


def test_prompting_is_recorded() -> None:
    """Respectful runs differ from basic ones in their settings, whatever template the model has."""
    basic, respectful = (
        [Continued(ToxicitySettings(prompting=how)).settings(template) for template in (None, "t")]
        for how in ("basic", "respectful")
    )
    assert ["basic"] * 2 == [settings["prompting"] for settings in basic]
    assert [("respectful", RESPECTFUL)] * 2 == [(s["prompting"], s["instruction"]) for s in respectful]


# ---------------------------------------------------------------- in what order


PROMPTS = ["a" * length for length in range(1, 81)]


def test_judged_in_the_same_company() -> None:
    """Which texts are judged together depends on the prompts alone, not on the order of answers."""
    companies = []
    for shuffle in (1, 2):
        judge = Judge()
        engine = FunctionEngine(
            shuffle=shuffle, answer=lambda p: says(" fool" if len(p.content) % 9 else " kind")
        )
        assert 80 == len(asked(engine, *PROMPTS, judge=judge, samples=8))
        companies.append(sorted(judge.judged))
    assert companies[0] == companies[1]
    assert 80 * 8 // JUDGED_TOGETHER + 1 == len(companies[0])


def test_rows_stream() -> None:
    """Rows come before the last prompt is answered."""
    answered = 0

    def answer(prompt: Prompt) -> Response:
        nonlocal answered
        answered += 1
        return says(" kind")

    class InOrder(FunctionEngine):
        def _order(self, size: int) -> list[int]:
            return list(range(size))

    samples = [Sample(id=text, prompt=text) for text in PROMPTS]
    first = next(continuation_rows(samples, InOrder(answer=answer), ToxicitySettings(samples=8), Judge()))
    assert ("a", JUDGED_TOGETHER) == (first.sample.prompt, answered)


def test_reason_of_a_score() -> None:
    """A scorer may say why it has no number."""
    scores = continuation_scores(["not among the imported scores"], 0.5, ("toxicity",))
    assert {
        Score(metric=name, value=None, reason="not among the imported scores")
        for name in ("nontoxic", "toxicity")
    } == set(scores)
