"""Answers that are nearly all equal to the baseline's are counted, of texts and of log-likelihoods."""

from collections.abc import Iterator, Sequence
from dataclasses import replace

import pytest

from harness.comparison.paired import ScoredRun
from harness.comparison.verdicts import compare_all
from harness.equal_answers import equal_answers
from harness.records.answers import LogLikelihood, Metric, Response, Row, Run, Sample, Score
from harness.records.comparisons import EqualAnswers
from harness.stats.plan import AnalysisPlan
from harness.store import Store
from harness.store.runs import Runs
from tests.reports.boards import run_of

RIGHT = Metric(name="right", kind="binary", headline=True)
Answers = Sequence[Response | LogLikelihood]


@pytest.fixture
def store() -> Iterator[Store]:
    """An empty store."""
    with Store.open("sqlite://") as opened:
        yield opened


def keep(store: Store, model: str, answered: Sequence[Answers], **changed: object) -> Run:
    """A whole run with these answers, sample by sample."""
    run = replace(run_of(model, "quiz", (RIGHT,)), size=len(answered), **changed)  # type: ignore[arg-type]
    store.models.keep(model, run.fingerprint, {"path": model}, {}, None)
    store.runs.begin(run)
    rows = [
        Row(
            sample=Sample(id=f"q{i}", prompt=f"{i}?", tags={"speakers": ["the model", "judge"]}),
            responses=tuple(answers),
            scores=(Score(metric="right", value=float(i % 2)),),
            position=i,
        )
        for i, answers in enumerate(answered)
    ]
    store.runs.keep_rows(run.id, list(enumerate(rows)))
    return run


def says(*texts: str) -> list[Answers]:
    """A text to each sample."""
    return [[Response(text=text, stop_reason="end")] for text in texts]


def likes(*logprobs: float) -> list[Answers]:
    """A log-likelihood to each sample."""
    return [[LogLikelihood(logprob=logprob, greedy=False, tokens=1)] for logprob in logprobs]


A40 = ["a"] * 40
FAILED = [Response(text="", stop_reason="failed", reason="down")]
JUDGED = [
    [Response(text="a", stop_reason="end"), Response(text=str(n), stop_reason="end")] for n in range(40)
]


@pytest.mark.parametrize(
    ("ours", "theirs", "expected"),
    [
        (says(*A40), says("b", *A40[1:]), (39, 40)),
        (says(*A40), says(" a\n", *A40[1:]), (40, 40)),
        (says(*A40), says(*"bbbb", *A40[4:]), (36, 40)),
        (says(*A40), says(*"bbbbb", *A40[5:]), None),
        (says(*A40), says(*A40[:35], *"bbbbb"), None),
        (says(*A40), [FAILED, *says("b", *A40[2:])], (38, 39)),
        ([FAILED] * 40, [FAILED] * 40, None),
        (likes(*range(40)), likes(*(n + 0.0009 for n in range(40))), (40, 40)),
        (likes(*range(40)), likes(*(n + 0.0011 for n in range(40))), None),
        (likes(*[float("-inf")] * 40), likes(*[float("-inf")] * 40), (40, 40)),
        (JUDGED, [[first, Response(text="?", stop_reason="end")] for first, _ in JUDGED], (40, 40)),
    ],
)
def test_nearly_all_answers_are_equal(
    store: Store, ours: list[Answers], theirs: list[Answers], expected: tuple[int, int] | None
) -> None:
    """Nine of ten or more; white space around a text, rounding, and what a judge says make no difference."""
    found = equal_answers(store, keep(store, "base", ours), keep(store, "tuned", theirs))

    assert expected == (found and (found.equal, found.samples))


def test_other_data_have_no_equal_answers(store: Store) -> None:
    """A forced comparison pairs by id what need not be the same sample."""
    base, tuned = keep(store, "base", says(*A40)), keep(store, "tuned", says(*A40), data_hash="sha256:other")

    assert equal_answers(store, base, tuned) is None


def test_what_is_left_out_does_not_count(store: Store) -> None:
    """Samples that selected a checkpoint are no part of the comparison."""
    base, tuned = keep(store, "base", says(*A40)), keep(store, "tuned", says("b", *A40[1:]))
    found = equal_answers(store, base, tuned, left_out=lambda sample: sample.id == "q0")

    assert EqualAnswers(equal=39, samples=39, answers=1, of_texts=True) == found


def test_reading_ends_where_enough_differ(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two models that are two cost no more than a tenth of their answers."""
    monkeypatch.setattr("harness.store.runs.ROWS_AT_ONCE", 1)
    base, tuned = keep(store, "base", says(*A40)), keep(store, "tuned", says(*["b"] * 40))
    pages = []
    read = Runs._first_answers
    monkeypatch.setattr(Runs, "_first_answers", lambda *given: pages.append(given) or read(*given))

    assert equal_answers(store, base, tuned) is None
    assert 2 * 5 == len(pages)


@pytest.mark.parametrize(
    ("answers", "of_texts", "said"),
    [
        (1, True, "39 of 40 answers on quiz equal the baseline's"),
        (5, True, "on quiz all answers to 39 of 40 samples equal the baseline's"),
        (4, False, "on quiz all log-likelihoods to 39 of 40 samples equal the baseline's"),
    ],
)
def test_the_verdict_says_so_once(store: Store, answers: int, of_texts: bool, said: str) -> None:
    """After what was shown, and however many metrics the suite has."""
    metrics = (RIGHT, replace(RIGHT, name="other"))
    alike = EqualAnswers(equal=39, samples=40, answers=answers, of_texts=of_texts)
    run = keep(store, "base", says(*A40))
    observed = store.runs.observations(run.id)
    scores = {"right": observed["right"], "other": observed["right"]}
    base, tuned = (
        ScoredRun(run=replace(run, model=model, metrics=metrics), observations=scores, equal_answers=alike)
        for model in ("base", "tuned")
    )
    [verdict] = compare_all([base], {"tuned": [tuned]}, AnalysisPlan(resamples=200))

    assert verdict.reason.endswith(f"; {said}")
    assert 1 == verdict.reason.count("equal the baseline's")
