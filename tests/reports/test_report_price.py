"""What was lost, in a table of its own: in Markdown, on the page, and in no mean."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import pytest

from harness.comparison.verdicts import compare_all
from harness.records.answers import Metric, Response, Row, Sample, Score
from harness.records.comparisons import Decision
from harness.stats.plan import AnalysisPlan
from harness.store import Store
from reports import html, markdown
from reports.board import Leaderboard
from reports.leaderboard import Compared, Heading, build
from reports.wording import price
from tests.reports.boards import run_of, scored_of

ASKED = Metric(name="right", kind="binary", headline=True)
PIQA = Metric(name="piqa", kind="binary", margin=0.05)
ARC = Metric(name="arc|easy", kind="binary", margin=0.05)


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    """An empty store."""
    with Store.open(f"sqlite:///{tmp_path}/results.db") as store:
        yield store


def keep(store: Store, model: str, suite: str, values: Mapping[Metric, Sequence[float]]) -> None:
    """A whole run in which every sample is scored in one metric."""
    run = run_of(model, suite, metrics=tuple(values))
    store.models.keep(model, run.fingerprint, {"path": model}, {}, None)
    store.runs.begin(run)
    scored = [(metric.name, value) for metric, theirs in values.items() for value in theirs]
    rows = [
        Row(
            sample=Sample(id=f"{suite}{i}", prompt=f"question {i}"),
            responses=(Response(text=model, stop_reason="end"),),
            scores=(Score(metric=name, value=value),),
            position=i,
        )
        for i, (name, value) in enumerate(scored)
    ]
    store.runs.keep_rows(run.id, list(enumerate(rows)))
    store.runs.finish(run.id, "2026-11-22T16:03:12+00:00")


@pytest.fixture
def board(store: Store) -> Leaderboard:
    """A model that learned what was asked, and lost much of one task and an unclear part of another."""
    before = {PIQA: [1.0] * 300 + [0.0] * 100, ARC: [1.0] * 60 + [0.0] * 20}
    after = {PIQA: [0.0] * 80 + [1.0] * 220 + [0.0] * 100, ARC: [0.0] * 12 + [1.0] * 58 + [0.0] * 10}
    for model, general, asked in (("base", before, [0.0] * 40), ("tuned", after, [1.0] * 30 + [0.0] * 10)):
        keep(store, model, "quiz", {ASKED: asked})
        keep(store, model, "general", general)
    runs = {model: store.runs.find(model=model) for model in ("base", "tuned")}
    scored = scored_of(store, runs)
    verdicts = compare_all(scored["base"], {"tuned": scored["tuned"]}, AnalysisPlan(resamples=500))
    return build(
        store,
        runs,
        Compared(baseline="base", scored=scored, verdicts=verdicts),
        Heading(created="2026-11-22T16:40:00+00:00"),
    )


def test_the_margin_comes_back_from_the_store(store: Store) -> None:
    """A run's metrics keep their margin; those of older stores have none."""
    keep(store, "base", "general", {PIQA: [1.0], ASKED: [1.0]})
    (run,) = store.runs.find(model="base")

    assert (PIQA, ASKED) == run.metrics


def test_a_price_is_in_no_mean_and_no_decision(board: Leaderboard) -> None:
    """The ranked table and the verdict rest on headlines alone; the sentence names what was paid."""
    (verdict,) = board.verdicts

    assert [ASKED] == [column.metric for column in board.columns]
    assert Decision.BETTER == verdict.decision
    assert "; at a price on general (piqa -0.200 [" in verdict.reason
    assert verdict.reason.endswith("; price undecided on general (arc|easy)")


def test_prices_stand_apart_from_exploratory_metrics(board: Leaderboard) -> None:
    """Each comparison is in one table."""
    assert ["piqa", "arc|easy"] == [comparison.metric.name for comparison in board.prices]
    assert () == board.exploratory


def test_in_words(board: Leaderboard) -> None:
    """What is worse by more than the margin, and how many samples would decide the rest."""
    worse, undecided = (price(comparison) for comparison in board.prices)

    assert "▼ WORSE, by more than the margin" == worse
    assert undecided.startswith("○ UNDECIDED: ")
    assert undecided.endswith(" samples would decide, 80 were asked")


def test_in_markdown(board: Leaderboard) -> None:
    """A section of its own, whose names are escaped."""
    section = markdown.render(board).partition("## The price of alignment")[2].partition("\n## ")[0]
    lines = [line for line in section.splitlines() if line.startswith("| tuned")]

    assert 2 == len(lines)
    assert lines[0].startswith("| tuned | general | piqa | 0.750 | −0.200 | [−0.2")
    assert lines[0].endswith("| ▼ WORSE, by more than the margin |")
    assert r"| arc\|easy | 0.750 |" in lines[1]


def test_on_the_page(board: Leaderboard) -> None:
    """A section with a link to it; a page without prices has neither."""
    page = html.render(board)

    assert '<a href="#price">Price</a>' in page
    assert '<section id="price"' in page
    assert "▼ WORSE, by more than the margin" in page
    assert "own metric.</p>" in page


def test_every_sample_is_won_or_lost_by_its_own_metric(board: Leaderboard) -> None:
    """Samples of one task are not left out for having no score in another's metric."""
    general = next(section for section in board.sections if section.suite == "general")
    flips = [sample.flips[1] for sample in general.samples]

    assert general.decided_by is None
    assert {"lost": 92, "won": 10, "equal": 378} == {kind: flips.count(kind) for kind in set(flips)}
