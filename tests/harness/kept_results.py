"""A store that holds a bit of everything: what exports are made of."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from harness.records.answers import LogLikelihood, Metric, Response, Row, Run, Sample, Score
from harness.store import Store
from tests.harness.preferences.kept import judged, keep_answers
from tests.reports.boards import run_of

RIGHT = Metric(name="right", kind="binary", headline=True, note="by hand")
WORDS = Metric(name="words", kind="number", higher_is_better=False)
MC = Metric(name="mc", kind="binary", headline=True)
CLEAN = Metric(name="clean", kind="binary", headline=True)
WORST = Metric(name="worst", kind="number", higher_is_better=False)
FORMULA = '=HYPERLINK("x"), a "quote"\nand a line'
TEXTS = (FORMULA, "lone \ud800 half", "", "None", "plain\u2028text", "-1 or so")
"""Answers that formats could trip over."""
SCORES: dict[str, Sequence[float | None]] = {
    "base": (1.0, 0.0, 0.0, 1.0, 0.0, 1.0),
    "x_&_y": (1.0, 1.0, None, 1.0, 0.0, 1.0),
}
"""What each model scored in the quiz; None: unscored."""


def keep_results(folder: Path) -> str:
    """Two models with three suites, one with a run that is not whole, and judged prompts; returns the URL."""
    url = f"sqlite:///{folder}/harness.db"
    with Store.open(url) as store:
        for model, scores in SCORES.items():
            _keep(store, model, "quiz", (RIGHT, WORDS), [_quiz(i, s, TEXTS[i]) for i, s in enumerate(scores)])
            _keep(store, model, "choices", (MC,), [_choice(i) for i in range(3)])
            _keep(store, model, "draws", (CLEAN, WORST), [_draws(i) for i in range(2)])
        left, right = (
            keep_answers(store, model, ["yes", "no"], suite="prompts:tried", run_id=f"{model}/prompts")
            for model in SCORES
        )
        judged(store, left, right, ["right", None], reasons=[None, "refused"])
        store.runs.begin(replace(run_of("base", "later", (RIGHT,)), finished=None))
    return url


def _keep(store: Store, model: str, suite: str, metrics: tuple[Metric, ...], rows: Sequence[Row]) -> Run:
    run = replace(run_of(model, suite, metrics), size=len(rows), finished=None)
    store.models.keep(model, run.fingerprint, {"path": model}, {}, None)
    store.runs.begin(run)
    store.runs.keep_rows(run.id, [(place, replace(row, position=place)) for place, row in enumerate(rows)])
    store.runs.finish(run.id, "2026-11-22T16:03:12+00:00")
    return run


def _quiz(place: int, value: float | None, text: str) -> Row:
    """Scored by a judge, whose reply is no answer of the model's; with a bound, which is no metric."""
    return Row(
        sample=Sample(
            id=f"q{place}",
            prompt=f"question {place}",
            target="yes",
            cluster=f"c{place // 2}",
            tags={"speakers": ["the model", "judge"]},
        ),
        responses=(
            Response(text=text, stop_reason="end", thought="hm", completion_tokens=3, prompt_tokens=5),
            Response(text="yes", stop_reason="end"),
        ),
        scores=(
            Score(metric="right", value=value, reason=None if value is not None else "the judge refused"),
            Score(metric="words", value=float(len(text.split()))),
            Score(metric="words:most", value=9.0),
        ),
    )


def _choice(place: int) -> Row:
    likelihoods = (-3.0, -1.0 - place, -9.0)
    return Row(
        sample=Sample(id=f"c{place}", prompt=f"choose {place}", choices=("a", "b", "c"), target="b"),
        responses=tuple(LogLikelihood(logprob=each, greedy=False, tokens=1) for each in likelihoods),
        scores=(Score(metric="mc", value=float(place < 2)),),
    )


def _draws(place: int) -> Row:
    return Row(
        sample=Sample(id=f"d{place}", prompt=f"go on {place}"),
        responses=tuple(Response(text=f"draw {draw}", stop_reason="length") for draw in range(3)),
        scores=(
            *(Score(metric="clean", value=float(draw > 0)) for draw in range(3)),
            Score(metric="worst", value=0.5),
        ),
    )
