"""Which samples are shown side by side, and whether they were won or lost."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from harness.comparison.paired import ScoredRun
from harness.comparison.verdicts import compare_all
from harness.observed import Observed
from harness.records.answers import Metric, Observation
from harness.stats.plan import AnalysisPlan
from harness.store import Store
from reports.leaderboard import Compared, Heading, build
from reports.side_by_side import Changes, changes
from tests.made_runs import fill
from tests.reports.boards import latest, run_of, scored_of

RIGHT = Metric(name="right", kind="binary", headline=True)
ERRORS = Metric(name="errors", kind="number", higher_is_better=False)


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    """Three models on two suites, with a few samples and parts missing."""
    with Store.open(f"sqlite:///{tmp_path}/results.db") as store:
        fill(store, 3, 2, 60, ragged=True)
        yield store


def scored(model: str, scores: Mapping[Metric, Mapping[str, Sequence[float | None]]]) -> ScoredRun:
    """A run with these scores by metric and sample."""
    return ScoredRun(
        run=run_of(model, "quiz", metrics=tuple(scores)),
        observations={
            metric.name: Observed.of(
                Observation(sample=sample, part=part, cluster=sample, value=value)
                for sample, values in theirs.items()
                for part, value in enumerate(values)
            )
            for metric, theirs in scores.items()
        },
    )


def found(before: ScoredRun, after: ScoredRun, asked: Mapping[str, str], *, compared: bool = True) -> Changes:
    """What became of these samples, which both models were asked."""
    metrics = {metric: {"tuned"} if compared else set() for metric in before.run.metrics}
    runs = {"base": before, "tuned": after}
    return changes(("base", "tuned"), {"base": asked, "tuned": asked}, runs, "base", metrics)


def test_a_flip_follows_the_metric_s_direction() -> None:
    """Fewer errors is a gain; what one of the models did not score is no flip."""
    before = scored("base", {ERRORS: {"a": [3.0], "b": [1.0], "c": [1.0], "d": [1.0], "e": []}})
    after = scored("tuned", {ERRORS: {"a": [1.0], "b": [3.0], "c": [1.0], "d": [None], "e": [1.0]}})
    asked = dict.fromkeys("abcde", "")
    flips = [flips[1] for flips in found(before, after, asked).flips]
    assert ["won", "lost", "equal", "unscored", "unscored"] == flips
    assert {(None, None)} == set(found(before, after, asked, compared=False).flips)


def test_the_mean_of_a_sample_s_scores_decides() -> None:
    """Parts pair by their places, those of both alone; 0.1 + 0.2 and 0.3 are equal."""
    before = scored("base", {RIGHT: {"a": [1.0, 0.0, 0.0], "b": [0.3, 0.0], "c": [1.0, None, 0.0]}})
    after = scored("tuned", {RIGHT: {"a": [0.0, 1.0, 1.0], "b": [0.1, 0.2], "c": [0.0, 1.0]}})
    assert ["won", "equal", "lost"] == [f[1] for f in found(before, after, dict.fromkeys("abc", "")).flips]


def test_a_sample_is_decided_by_a_metric_that_it_has() -> None:
    """The headline that is yes or no, where it was scored in it; a sample without any is decided by none."""
    before = scored("base", {ERRORS: {"a": [1.0], "b": [1.0]}, RIGHT: {"a": [0.0]}})
    after = scored("tuned", {ERRORS: {"a": [1.0], "b": [2.0]}, RIGHT: {"a": [1.0]}})
    decided = found(before, after, dict.fromkeys("abc", ""))
    assert (RIGHT, ERRORS, None) == decided.decided_by
    assert ["won", "lost", None] == [flips[1] for flips in decided.flips]


def test_what_one_model_was_not_asked_is_no_flip() -> None:
    """It is shown all the same, behind the samples of the models before."""
    runs = {name: scored(name, {RIGHT: {"a": [0.0], "b": [1.0]}}) for name in ("base", "tuned")}
    asked = {"base": {"a": ""}, "tuned": {"b": "", "a": ""}}
    made = changes(("base", "tuned"), asked, runs, "base", {RIGHT: {"tuned"}})
    assert (("a", "b"), ((None, "equal"), (None, None))) == (made.samples, made.flips)


def test_those_that_changed_come_first() -> None:
    """By the hashes of their ids, and not in the suite's order."""
    values = {f"s{place}": [float(place % 2)] for place in range(40)}
    tuned = {f"s{place}": [1.0] for place in range(40)}
    runs = scored("base", {RIGHT: values}), scored("tuned", {RIGHT: tuned})
    made = found(*runs, dict.fromkeys(values, ""))
    assert [True] * 20 + [False] * 20 == [made.changed(place) for place in made.order]
    assert made.order[:20] != sorted(made.order[:20])
    assert made.order == found(*runs, dict.fromkeys(values, "")).order


def test_a_board_shows_what_fits_and_counts_the_rest(store: Store) -> None:
    """In the suite's order, with every model's answers; less room shows some of the same samples."""
    runs = latest(store, ["model-0", "model-1", "model-2"], ["suite-0", "suite-1"])
    scored = scored_of(store, runs)
    base, *others = scored
    verdicts = compare_all(scored[base], {name: scored[name] for name in others}, AnalysisPlan(resamples=200))
    compared = Compared(baseline=base, scored=scored, verdicts=verdicts)
    heading = Heading(created="2026-11-22T16:40:00+00:00")
    whole = build(store, runs, compared, heading).sections
    small = build(store, runs, compared, heading, budget=60_000).sections
    for section, part in zip(whole, small, strict=True):
        ids = [shown.sample.id for shown in section.samples]
        kept = {shown.sample.id: shown for shown in part.samples}
        assert (0, 0) == (section.unshown.samples, section.unshown.changed)
        assert len(ids) == len(kept) + part.unshown.samples
        assert list(kept) == [sample for sample in ids if sample in kept]
        assert all(kept[each.sample.id] == each for each in section.samples if each.sample.id in kept)
        changed = [any(flip in ("won", "lost") for flip in each.flips) for each in section.samples]
        shown = [any(flip in ("won", "lost") for flip in each.flips) for each in part.samples]
        assert sum(changed) == sum(shown) + part.unshown.changed
        assert replace(part, samples=section.samples, unshown=section.unshown) == section
