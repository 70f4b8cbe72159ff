"""The leaderboard's content, built from a real store and real comparisons."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from harness.comparison.breakdown import break_down
from harness.comparison.verdicts import compare_all
from harness.records.answers import Metric, Response, Row, Sample, Score
from harness.records.comparisons import Decision, Interval, Verdict
from harness.stats.plan import AnalysisPlan
from harness.store import CutAnswers, KeptAnswer, Store, answer_key
from reports.board import Cell, Leaderboard, MetricLine, Section, ShownEstimate
from reports.leaderboard import Compared, Heading, build
from reports.ranking import mean_of, rank
from reports.side_by_side import deciding
from tests.reports.boards import comparison_of, latest, run_of, scored_of

RIGHT = Metric(name="right", kind="binary", headline=True)
ERRORS = Metric(name="errors", kind="number", higher_is_better=False)


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    """An empty store."""
    with Store.open(f"sqlite:///{tmp_path}/results.db") as store:
        yield store


def keep(store: Store, model: str, suite: str, values: Sequence[float | None]) -> None:
    """A whole run with one binary score per sample."""
    run = run_of(model, suite, metrics=(RIGHT,))
    store.models.keep(model, run.fingerprint, {"path": model}, {}, None)
    store.runs.begin(run)
    rows = [
        Row(
            sample=Sample(id=f"{suite}{i}", prompt=f"question {i}"),
            responses=(Response(text=f"{model} says {value}", stop_reason="end"),),
            scores=(Score(metric="right", value=value, reason="no number" if value is None else None),),
            position=i,
        )
        for i, value in enumerate(values)
    ]
    store.runs.keep_rows(run.id, list(enumerate(rows)))
    store.runs.finish(run.id, "2026-11-22T16:03:12+00:00")


def board(store: Store, models: Sequence[str], suites: Sequence[str]) -> Leaderboard:
    """The leaderboard as the library's `compare` makes it."""
    runs = latest(store, models, suites)
    scored = scored_of(store, runs)
    verdicts = compare_all(scored[models[0]], {m: scored[m] for m in models[1:]}, AnalysisPlan(resamples=200))
    return build(
        store,
        runs,
        Compared(baseline=models[0], scored=scored, verdicts=verdicts),
        Heading(created="2026-11-22T16:40:00+00:00"),
    )


def test_a_mean_is_over_scored_samples_only(store: Store) -> None:
    """An unscored sample is counted with its reason, and is neither 0 nor part of n."""
    keep(store, "base", "quiz", [1, 1, 0, None])

    cell = board(store, ["base"], ["quiz"]).standings[0].cells[0]

    assert cell is not None
    assert cell.score is not None
    assert (cell.score.value, cell.n, cell.unscored) == (2 / 3, 3, {"no number": 1})


def test_what_is_unscored_is_bounded(store: Store) -> None:
    """A mean says how low and how high it could be if nothing were unscored; a certain one does not."""
    keep(store, "base", "quiz", [1, 1, 0, None])
    keep(store, "tuned", "quiz", [1, 1, 0, 1])

    found = board(store, ["base", "tuned"], ["quiz"])

    [(model, suite, metric, cell)] = found.uncertain
    assert ("base", "quiz", RIGHT, (0.5, 0.75)) == (model, suite, metric, cell.bounds)


def test_the_best_mean_of_headlines_comes_first(store: Store) -> None:
    """Ranks follow the mean over suites, and the difference is to the baseline, absolute and relative."""
    for model, quiz, tasks in [("base", [0, 0, 1, 1], [0, 0, 0, 1]), ("tuned", [1, 0, 1, 1], [0, 1, 0, 1])]:
        keep(store, model, "quiz", quiz)
        keep(store, model, "tasks", tasks)

    first, second = board(store, ["base", "tuned"], ["quiz", "tasks"]).standings

    assert [(s.model, s.rank) for s in (first, second)] == [("tuned", 1), ("base", 2)]
    assert first.difference is not None
    assert pytest.approx(first.difference.value) == 0.25
    assert pytest.approx(first.relative) == 0.25 / 0.375


def test_a_model_without_one_suite_has_no_mean_and_no_rank(store: Store) -> None:
    """A mean over fewer suites than the others' would not be comparable."""
    keep(store, "base", "quiz", [0, 1])
    keep(store, "base", "tasks", [0, 1])
    keep(store, "tuned", "quiz", [1, 1])

    last = board(store, ["base", "tuned"], ["quiz", "tasks"]).standings[-1]

    assert (last.model, last.rank, last.mean) == ("tuned", None, None)
    assert last.cells[1] is None


def test_flips_of_samples_agree_with_the_comparison(store: Store) -> None:
    """What the page filters is what the test counted."""
    keep(store, "base", "quiz", [0, 0, 1, 1, 0, None])
    keep(store, "tuned", "quiz", [1, 1, 0, 1, 0, 1])

    made = board(store, ["base", "tuned"], ["quiz"])

    flips = [sample.flips[1] for sample in made.sections[0].samples]
    assert flips == ["won", "won", "lost", "equal", "equal", "unscored"]
    counted = made.verdicts[0].comparisons[0].flips
    assert counted is not None
    assert (counted.won, counted.lost) == (2, 1)


def test_samples_stand_side_by_side_by_id(store: Store) -> None:
    """Every model's answer to a sample is in its place, whatever order the answers came in."""
    keep(store, "base", "quiz", [0, 1])
    keep(store, "tuned", "quiz", [1, 1])

    first = board(store, ["base", "tuned"], ["quiz"]).sections[0].samples[0]

    answers = [row.responses[0] for row in first.rows if row]
    assert [a.text for a in answers if isinstance(a, Response)] == ["base says 0", "tuned says 1"]


def test_lower_is_better_counts_against_the_mean() -> None:
    """A headline whose lower values are better is turned before it enters the mean and its difference."""
    metric = Metric(name="toxicity", kind="number", higher_is_better=False, headline=True)
    worse = comparison_of("tuned", "quiz", metric, 0.2, 0.5, 100)
    cells = (
        Cell(score=ShownEstimate(value=0.2, interval=None), n=100, unscored={}, comparison=None),
        Cell(score=ShownEstimate(value=0.5, interval=None), n=100, unscored={}, comparison=worse),
    )
    line = MetricLine(metric=metric, cells=cells)
    section = Section(suite="quiz", lines=(line,), decided_by=metric, samples=())

    first, second = rank(("base", "tuned"), "base", [section], [])

    assert (first.model, first.mean and first.mean.value) == ("base", 0.8)
    assert second.difference is not None
    assert pytest.approx(second.difference.value) == -0.3


@pytest.mark.parametrize("other", [0.7, 0.1 + 0.6, 0.69999, 0.7004])
def test_equal_means_share_a_rank(other: float) -> None:
    """1, 1, 3: nobody is put below another by the alphabet, nor by digits that nobody sees."""
    metric = Metric(name="right", kind="binary", headline=True)
    cells = tuple(
        Cell(score=ShownEstimate(value=v, interval=None), n=9, unscored={}, comparison=None)
        for v in (0.5, 0.7, other)
    )
    section = Section(
        suite="quiz", lines=(MetricLine(metric=metric, cells=cells),), decided_by=metric, samples=()
    )

    assert [standing.rank for standing in rank(("a", "b", "c"), "a", [section], [])] == [1, 1, 3]


def test_the_interval_of_a_mean_recovers_the_variance() -> None:
    """Two equally wide independent parts: the mean's half width is theirs divided by the root of two."""
    part = ShownEstimate(value=0.5, interval=Interval(low=0.4, high=0.6, level=0.95))

    mean = mean_of([part, part])

    assert mean is not None
    assert mean.interval is not None
    half = 0.1 / 2**0.5
    assert (0.5 - half, 0.5 + half) == pytest.approx((mean.interval.low, mean.interval.high))


def test_a_binary_metric_decides_flips_before_a_number() -> None:
    """A number moves a little on every sample, so the headline decides only among its own kind."""
    number = Metric(name="mc2", kind="number", headline=True)
    binary = Metric(name="mc1", kind="binary")

    assert binary == deciding([number, binary])
    assert deciding([binary, RIGHT]) == RIGHT
    assert number == deciding([number])


def test_what_was_forced_is_told_once_per_suite(store: Store) -> None:
    """Notes of comparisons become the leaderboard's warnings, naming their suite."""
    keep(store, "base", "quiz", [0, 1])
    runs = latest(store, ["base"], ["quiz"])
    comparison = replace(
        comparison_of("tuned", "quiz", RIGHT, 0.2, 0.5, 100), notes=("forced: data differs",)
    )
    verdict = Verdict(
        candidate="tuned",
        baseline="base",
        decision=Decision.BETTER,
        comparisons=(comparison, comparison),
        reason="better on quiz",
    )

    made = build(
        store,
        runs,
        Compared(baseline="base", scored=scored_of(store, runs), verdicts=[verdict]),
        Heading(created="2026-11-22T16:40:00+00:00", notes=["look twice"]),
    )

    assert made.notes == ("look twice", "quiz: forced: data differs")


def test_what_is_noted_of_many_is_told_once(store: Store) -> None:
    """A difference stands once, with candidates and suites; what a verdict says is not said again."""
    for suite in ("quiz", "exam"):
        keep(store, "base", suite, [0, 1])
    runs = latest(store, ["base"], ["quiz", "exam"])
    notes = {
        ("one", "quiz"): ("torch: 1 for base but 2 for one", "data: x for base but y for one"),
        ("two", "quiz"): ("torch: 1 for base but 2 for two",),
        ("one", "exam"): ("torch: 1 for base but 2 for one", "the run of base is not finished"),
        ("two", "exam"): ("torch: 1 for base but 2 for two", "the run of base is not finished"),
    }
    verdicts = [
        Verdict(
            candidate=model,
            baseline="base",
            decision=Decision.NOT_COMPARABLE,
            comparisons=tuple(
                replace(comparison_of(model, suite, RIGHT, 0.2, 0.5, 100), notes=notes[model, suite])
                for suite in ("quiz", "exam")
                for _ in range(2)
            ),
            reason="not comparable on quiz (right): data: x for base but y for one",
        )
        for model in ("one", "two")
    ]
    made = build(
        store,
        runs,
        Compared(baseline="base", scored=scored_of(store, runs), verdicts=verdicts),
        Heading(created="2026-11-22T16:40:00+00:00"),
    )

    expected = ("quiz, exam: torch: 1 for base but 2 for one, two", "exam: the run of base is not finished")
    assert expected == made.notes


@pytest.mark.parametrize("headline", [True, False])
def test_cut_answers_of_a_suite_without_a_column_are_noted(store: Store, headline: bool) -> None:
    """Beside the number where the ranked table has one, and else among the notes, once for all metrics."""
    keep(store, "base", "quiz", [0, 1])
    [run] = latest(store, ["base"], ["quiz"])["base"]
    request = {"kind": "generate", "prompt": "?"}
    key = answer_key(run.fingerprint, request)
    cut = Response(text="a", stop_reason="length")
    [kept] = store.answers.keep(
        [KeptAnswer(key=key, fingerprint=run.fingerprint, request=request, answer=cut)]
    ).values()
    [first, *_] = store.runs.rows(run.id)
    store.runs.keep_rows(run.id, [(0, replace(first, responses=(kept,)))])
    metrics = tuple(replace(RIGHT, name=name, headline=headline) for name in ("right", "also"))
    runs = {"base": [replace(run, metrics=metrics)]}
    made = build(
        store,
        runs,
        Compared(baseline="base", scored=scored_of(store, runs), verdicts=[]),
        Heading(created="2026-11-22T16:40:00+00:00"),
    )

    assert CutAnswers(cut=1, thinking=0, answers=1) == made.sections[0].lines[0].cells[0].cut  # type: ignore[union-attr]
    assert (() if headline else ("quiz: 1 of 1 cut of base",)) == made.notes


def test_groups_have_every_models_mean_and_difference(store: Store) -> None:
    """Means are over the group's scores of the run, differences come from the breakdown, n is known twice."""
    followed = Metric(name="followed", kind="binary", splits=("type",))
    for model, values in (("base", (0.0, 1.0, None)), ("tuned", (1.0, 1.0, 1.0))):
        run = run_of(model, "tasks", metrics=(followed,))
        store.models.keep(model, run.fingerprint, {"path": model}, {}, None)
        store.runs.begin(run)
        rows = [
            Row(
                sample=Sample(
                    id=f"t{i}", prompt="?", tags={"type": ["a", "a", "b"] if i else ["a", "a", None]}
                ),
                responses=(),
                scores=tuple(Score(metric="followed", value=value, reason="failed") for value in values),
                position=i,
            )
            for i in range(4)
        ]
        store.runs.keep_rows(run.id, list(enumerate(rows)))
        store.runs.finish(run.id, "2026-11-22T16:03:12+00:00")
    runs = latest(store, ["base", "tuned"], ["tasks"])
    scored = scored_of(store, runs)

    made = build(
        store,
        runs,
        Compared(
            baseline="base",
            scored=scored,
            verdicts=[],
            breakdowns=break_down(scored["base"], {"tuned": scored["tuned"]}, AnalysisPlan(resamples=200)),
        ),
        Heading(created="2026-11-22T16:40:00+00:00"),
    )

    (table,) = made.groups
    assert ("tasks", "type", 1) == (table.suite, table.split, table.ungrouped)
    first, second = table.lines
    assert [("a", 8, 4), ("b", 3, 3)] == [(line.group, line.scores, line.samples) for line in table.lines]
    base, tuned = first.cells
    assert base is not None
    assert tuned is not None
    assert base.score is not None
    assert tuned.difference is not None
    assert (0.5, 0.5) == (base.score.value, tuned.difference.value)
    assert second.cells[0] is not None
    assert {"failed": 3} == second.cells[0].unscored
    assert second.cells[0].score is None


def test_what_metrics_say_of_themselves_is_told_once() -> None:
    """Metrics that say the same are named together."""
    noted = [Metric(name=name, kind="binary", note="mind this") for name in ("one", "two")]
    lines = tuple(MetricLine(metric=metric, cells=()) for metric in [*noted, RIGHT])
    section = Section(suite="quiz", lines=lines, decided_by=None, samples=())
    assert ("one, two: mind this.",) == section.notes
